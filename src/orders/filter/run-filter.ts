// From the flags of the `filter` commands to their documents.
import {isDeepStrictEqual} from 'node:util'
import {classifySegment, type SegmentClass} from '../../domain/filter/classify.ts'
import {EBTABLES_LIMITS, ebtablesFilter, ebtablesRemove} from '../../domain/filter/ebtables-text.ts'
import {
  type DecidedFilters,
  decideFilters,
  type FilterIntent,
  type FilterOrder,
  permitFilter,
} from '../../domain/filter/intent.ts'
import {filterTable, type NftHook, nftFilter} from '../../domain/filter/nft-text.ts'
import type {MeantFilter} from '../../domain/filter/record.ts'
import {TC_LIMITS, tcFilter, tcRemove} from '../../domain/filter/tc-text.ts'
import {cutWords, frameWords, PASSES} from '../../domain/filter/words.ts'
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {allGateways, neededInventory} from '../../domain/inventory/site.ts'
import type {World} from '../../net/world.ts'
import {type FilterWorld, systemFilterWorld} from '../../probe/filter/filter-world.ts'
import type {FilterHost} from '../../probe/filter/host.ts'
import {watchGateways} from '../../probe/gateway-watch.ts'
import {applyFilters, type Decide, type FilterDecision, inspectFilters, recordedFilters} from './apply.ts'
import type {FilterDocument} from './filter-document.ts'
import {keptBefore} from './kept-before.ts'

export interface FilterCall {
  readonly order: FilterOrder
  readonly hook: NftHook
  /** Seconds to listen for the gateways' own addresses first; undefined: go by the inventory alone. */
  readonly observeS: number | undefined
  readonly world: World
  readonly signal: AbortSignal
}

type Seen = Awaited<ReturnType<typeof watchGateways>>

/** Listens on the ports that were named, or that the inventory says. */
async function observed(call: FilterCall, inventory: Inventory, host: FilterWorld): Promise<Seen> {
  const {order, observeS, world, signal} = call
  if (observeS === undefined) return []
  const {intents} = decideFilters(order, inventory, {ports: await host.links()})
  const ports = [...new Set(intents.flatMap((intent) => intent.ports))]
  const macs = new Set(allGateways(inventory).map(({mac}) => mac))
  return watchGateways(ports, macs, observeS, world, signal)
}

/** What the inventory says shall be. */
function byInventory(
  {order, hook}: Pick<FilterCall, 'order' | 'hook'>,
  inventory: Inventory,
  seen: Seen,
  host: FilterHost,
): FilterDecision {
  const before = keptBefore(host, inventory)
  const {intents, refusals} = decideFilters(order, inventory, {ports: host.links, seen, keptBefore: before})
  return {
    filters: intents.map((intent) => ({hook, intent})),
    refusals,
    notes: order.ports.length > 0 ? [] : intents.flatMap((intent) => absentPorts(intent, inventory)),
  }
}

function absentPorts({segment, ports}: FilterIntent, {segments}: Inventory): string[] {
  const wanted = segments.find(({name}) => name === segment.segment)?.ports ?? []
  return wanted
    .filter((port) => !ports.includes(port))
    .map((port) => `${segment.segment}: ${port} of the inventory is not on this host`)
}

/**
 * By the inventory; with `recorded`, once more what was applied last.
 * @throws Failure `usage` for a set-up that is known to cut traffic, unless the order is forced.
 */
export async function runApply(
  call: FilterCall,
  inventory: Inventory | undefined,
  run: {dryRun: boolean; recorded: boolean},
  host: FilterWorld = systemFilterWorld,
): Promise<FilterDocument> {
  if (run.recorded) return applyFilters(recordedFilters(call.order.segments), host, run)
  const known = neededInventory(inventory)
  const seen = await observed(call, known, host)
  const decide: Decide = (there) => {
    const decision = byInventory(call, known, seen, there)
    permitFilter(decision, call.order.force)
    return decision
  }
  return applyFilters(decide, host, run)
}

/** With ports: what the inventory says of them. Without: all that was applied here, and all that the inventory has ports for. */
export async function runCheck(
  call: FilterCall,
  inventory: Inventory | undefined,
  host: FilterWorld = systemFilterWorld,
): Promise<FilterDocument> {
  if (call.order.ports.length > 0) {
    const known = neededInventory(inventory)
    const seen = await observed(call, known, host)
    return inspectFilters((there) => withoutRisks(byInventory(call, known, seen, there)), host)
  }
  return inspectFilters((there) => {
    const decision = meantHere(call, inventory, there)
    if (decision.filters.length > 0) return decision
    // What was made and stands without its filter is looked at; else there must be one.
    return {...decision, filters: recordedFilters(call.order.segments)(there).filters}
  }, host)
}

/** All that was applied on this host, and all that the inventory has ports here for; nothing, if that is so. */
export function meantHere(
  call: Pick<FilterCall, 'order' | 'hook'>,
  inventory: Inventory | undefined,
  there: FilterHost,
): FilterDecision {
  const segments = inventory === undefined ? [] : segmentsHere(call.order, inventory, there)
  const planned =
    segments.length === 0 ? undefined : byInventory({...call, order: {...call.order, segments}}, inventory!, [], there)
  const recorded = there.record.filters.filter(
    ({intent}) => call.order.segments.length === 0 || call.order.segments.includes(intent.segment.segment),
  )
  // As it was applied counts before what the inventory says now.
  const tables = new Map([...(planned?.filters ?? []), ...recorded].map((each) => [filterTable(each.intent), each]))
  const drift = planned?.filters.flatMap((filter) => changedSince(filter, there)) ?? []
  return {filters: [...tables.values()], refusals: [], notes: [...(planned?.notes ?? []), ...drift]}
}

/** Where the bridge answers for VMs, the filter was not applied blindly. */
const withoutRisks = (decision: FilterDecision): FilterDecision =>
  decision.filters.some(({intent}) => intent.kept.length > 0) ? {...decision, refusals: []} : decision

/** The segments with a port on this host: those that were named, else those whose sites share a gateway. */
const segmentsHere = ({segments}: FilterOrder, inventory: Inventory, {links}: FilterHost): string[] =>
  inventory.segments
    .filter(
      (segment) =>
        (segments.length === 0 ? classifySegment(segment).gateways.length > 0 : segments.includes(segment.name)) &&
        segment.ports?.some((port) => links.some((link) => link.name === port)),
    )
    .map(({name}) => name)

/** An inventory that has moved on since a filter was applied. */
function changedSince({intent}: MeantFilter, {record}: FilterHost): string[] {
  const then = record.filters.find((each) => filterTable(each.intent) === filterTable(intent))?.intent
  const facts = ({gw4, gw6, vlan, groups, routers}: FilterIntent) => ({gw4, gw6, vlan, groups, routers})
  return then === undefined || isDeepStrictEqual(facts(then), facts(intent))
    ? []
    : [`${intent.segment.segment}: the inventory says otherwise than when it was applied: gwswitch filter apply`]
}

export const FORMATS = ['nft', 'netdev', 'ebtables', 'tc'] as const
export type FilterFormat = (typeof FORMATS)[number]

export interface FilterShowDocument {
  readonly schema: 'gwswitch.filter-show/1'
  readonly format: FilterFormat
  readonly ports: readonly string[]
  readonly segments: readonly SegmentClass[]
  /** Of each segment: whose frames, and what of them is held back. */
  readonly filters: readonly {
    readonly segment: string
    readonly frames: string
    readonly cuts: readonly string[]
  }[]
  /** Why `filter apply` would refuse it. */
  readonly refusals: readonly string[]
  /** What this format cannot do. */
  readonly limits: readonly string[]
  /** Lines to load: for nft(8) or for a shell. */
  readonly lines: readonly string[]
  /** Shell lines that take it away again. */
  readonly remove: readonly string[]
}

/** The filters as text; nothing is touched. */
export async function showFilter(
  call: FilterCall,
  inventory: Inventory,
  format: FilterFormat,
  host: FilterWorld = systemFilterWorld,
): Promise<FilterShowDocument> {
  const seen = await observed(call, inventory, host)
  const {intents, refusals}: DecidedFilters = decideFilters(call.order, inventory, {ports: await host.links(), seen})
  const nft = (hook: NftHook, limits: readonly string[]) => ({
    lines: intents.flatMap((intent) => nftFilter(intent, hook).trimEnd().split('\n')),
    remove: intents.map((intent) => `nft delete table ${hook} ${filterTable(intent)}`),
    limits,
  })
  const parts = {
    nft: () => nft('bridge', []),
    netdev: () => nft('netdev', NETDEV_LIMITS),
    ebtables: () => ({lines: ebtablesFilter(intents), remove: ebtablesRemove(intents), limits: EBTABLES_LIMITS}),
    tc: () => ({lines: tcFilter(intents), remove: tcRemove(intents), limits: TC_LIMITS}),
  }
  const {limits, ...text} = parts[format]()
  return {
    schema: 'gwswitch.filter-show/1',
    format,
    ports: [...new Set(intents.flatMap(({ports}) => ports))].sort(),
    segments: intents.map(({segment}) => segment),
    filters: intents.map((intent) => ({
      segment: intent.segment.segment,
      frames: frameWords(intent),
      cuts: cutWords(intent),
    })),
    refusals,
    ...text,
    limits: [...limits, PASSES],
  }
}

const NETDEV_LIMITS: readonly string[] = [
  'the ports must exist when it is loaded, and a port that is made anew has no filter',
  'its egress side needs Linux 5.16 with NETFILTER_EGRESS',
]
