// From the flags of the `filter` commands to their documents.

import type {SegmentClass} from '../../domain/filter/classify.ts'
import {EBTABLES_LIMITS, ebtablesFilter, ebtablesRemove} from '../../domain/filter/ebtables-text.ts'
import {type DecidedFilter, decideFilter, type FilterOrder, permitFilter} from '../../domain/filter/intent.ts'
import {FILTER_TABLE, type NftHook, nftFilter} from '../../domain/filter/nft-text.ts'
import {TC_LIMITS, tcFilter, tcRemove} from '../../domain/filter/tc-text.ts'
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {allGateways} from '../../domain/inventory/site.ts'
import type {World} from '../../net/world.ts'
import {systemFilterWorld} from '../../probe/filter/filter-world.ts'
import {watchGateways} from '../../probe/gateway-watch.ts'
import {applyFilter, type FilterDocument, inspectFilter} from './apply.ts'

export interface FilterCall {
  readonly order: FilterOrder
  /** Seconds to listen for the gateways' own addresses first; undefined: go by the inventory alone. */
  readonly observeS: number | undefined
  readonly world: World
  readonly signal: AbortSignal
}

async function decide({order, observeS, world, signal}: FilterCall, inventory: Inventory): Promise<DecidedFilter> {
  const decided = decideFilter(order, inventory)
  if (observeS === undefined) return decided
  const macs = new Set(allGateways(inventory).map(({mac}) => mac))
  return decideFilter(order, inventory, await watchGateways(order.ports, macs, observeS, world, signal))
}

/** @throws Failure `usage` for a set-up that is known to cut traffic, unless the order is forced. */
export async function runApply(
  call: FilterCall,
  inventory: Inventory,
  run: {hook: NftHook; dryRun: boolean},
): Promise<FilterDocument> {
  const decided = await decide(call, inventory)
  permitFilter(decided, call.order.force)
  return applyFilter(decided, systemFilterWorld, run)
}

export async function runCheck(call: FilterCall, inventory: Inventory, hook: NftHook): Promise<FilterDocument> {
  return inspectFilter(await decide(call, inventory), systemFilterWorld, hook)
}

export const FORMATS = ['nft', 'netdev', 'ebtables', 'tc'] as const
export type FilterFormat = (typeof FORMATS)[number]

export interface FilterShowDocument {
  readonly schema: 'gwswitch.filter-show/1'
  readonly format: FilterFormat
  readonly ports: readonly string[]
  readonly segments: readonly SegmentClass[]
  /** Why `filter apply` would refuse it. */
  readonly refusals: readonly string[]
  /** What this format cannot do, that nft can. */
  readonly limits: readonly string[]
  /** Lines to load: for nft(8) or for a shell. */
  readonly lines: readonly string[]
  /** Shell lines that take it away again. */
  readonly remove: readonly string[]
}

/** The filter as text; nothing is touched. */
export async function showFilter(
  call: FilterCall,
  inventory: Inventory,
  format: FilterFormat,
): Promise<FilterShowDocument> {
  const {intent, refusals} = await decide(call, inventory)
  const nft = (hook: NftHook, limits: readonly string[]) => ({
    lines: nftFilter(intent, hook).trimEnd().split('\n'),
    remove: [`nft delete table ${hook} ${FILTER_TABLE}`],
    limits,
  })
  const parts = {
    nft: () => nft('bridge', []),
    netdev: () => nft('netdev', NETDEV_LIMITS),
    ebtables: () => ({lines: ebtablesFilter(intent), remove: ebtablesRemove(intent), limits: EBTABLES_LIMITS}),
    tc: () => ({lines: tcFilter(intent), remove: tcRemove(intent), limits: TC_LIMITS}),
  }
  return {
    schema: 'gwswitch.filter-show/1',
    format,
    ports: intent.ports,
    segments: intent.segments,
    refusals,
    ...parts[format](),
  }
}

const NETDEV_LIMITS: readonly string[] = [
  'the ports must exist when it is loaded, and a port that is made anew has no filter',
  'its egress side needs Linux 5.16 with NETFILTER_EGRESS',
]
