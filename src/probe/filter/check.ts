// Is the filter that is meant the one that frames meet?
import {
  answersForGateway,
  type BridgeFacts,
  type KeptPlan,
  keptLines,
  keptRefusals,
  missingOf,
  planKept,
  presentOf,
} from '../../domain/filter/kept.ts'
import {filterTable, NFT_HOOKS, type NftHook, nftFilter} from '../../domain/filter/nft-text.ts'
import {type FilterRecord, type MeantFilter, madeWithout} from '../../domain/filter/record.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import {compareTables} from './compare.ts'
import type {FilterWorld} from './filter-world.ts'
import {bridgeFacts, type FilterHost} from './host.ts'

export interface RuleCounter {
  readonly rule: string
  /** Frames dropped since the filter was loaded, both directions together. */
  readonly packets: number
  readonly bytes: number
}

/** `as-meant`; `different`: there is a filter, but not this one; `missing`: there is none. */
export interface FilterState {
  readonly filter: MeantFilter
  readonly table: string
  readonly state: 'as-meant' | 'different' | 'missing'
  readonly differences: readonly string[]
  readonly counters: readonly RuleCounter[]
}

export interface FilterStates {
  readonly filters: readonly FilterState[]
  /** What stands here for filters that do not. */
  readonly orphans: readonly string[]
  readonly facts: BridgeFacts
  /** A kernel's own reading of what is meant; not waited for where there is nothing to compare it with. */
  readonly compiled: Promise<Compiled>
}

type Compiled = ReadonlyMap<string, NftTable>
const NOTHING_COMPILED: Compiled = new Map()

/**
 * Reads the filters of this host and compares them with what is meant, instruction by instruction. `before`: the same were
 * looked at before.
 */
export async function checkFilters(
  meant: readonly MeantFilter[],
  host: FilterHost,
  world: FilterWorld,
  before?: Pick<FilterStates, 'compiled'>,
): Promise<FilterStates> {
  const {record, links, tables} = host
  const ports = [...meant, ...record.filters].flatMap(({intent}) => intent.ports)
  const compiling = before?.compiled ?? compile(meant, world)
  compiling.catch(() => {})
  const isThere = meant.some(({intent}) => tables.some(({name}) => name === filterTable(intent)))
  const [compiled, facts] = await Promise.all([
    isThere ? compiling : NOTHING_COMPILED,
    bridgeFacts(ports, record.made, links, world),
  ])
  const filters = meant.map((filter) => stateOf(filter, compiled, host, facts))
  return {filters, orphans: orphansOf(filters, host, facts), facts, compiled: compiling}
}

/** One namespace a form. */
async function compile(meant: readonly MeantFilter[], world: FilterWorld): Promise<Compiled> {
  const perHook = NFT_HOOKS.map(async (hook) => {
    const mine = meant.filter((filter) => filter.hook === hook).map(({intent}) => intent)
    if (mine.length === 0) return []
    const devices = hook === 'netdev' ? [...new Set(mine.flatMap(({ports}) => ports))] : []
    const tables = await world.compileTables(mine.map((intent) => nftFilter(intent, hook)).join(''), hook, devices)
    return [...tables].map(([name, table]) => [keyOf(hook, name), table] as const)
  })
  return new Map((await Promise.all(perHook)).flat())
}

const keyOf = (hook: NftHook, name: string): string => `${hook} ${name}`

function stateOf(filter: MeantFilter, compiled: Compiled, host: FilterHost, facts: BridgeFacts): FilterState {
  const {hook, intent} = filter
  const table = filterTable(intent)
  const mine = host.tables.filter(({name}) => name === table)
  const found = mine.find((each) => each.hook === hook)?.table
  const elsewhere = [
    ...mine.filter((each) => each.hook !== hook).map((each) => `table ${each.hook} ${table} is there too`),
    ...(host.old ? ['the one table of version 0.1.0 is there: gwswitch filter apply puts this one in its place'] : []),
  ]
  const differences = [
    ...(found ? compareTables(compiled.get(keyOf(hook, table))!, found) : []),
    ...portProblems(filter, host),
    ...elsewhere,
    ...answersForGateway(intent, facts),
    ...keptProblems(filter, host.record, facts),
  ]
  const state = found === undefined ? 'missing' : differences.length === 0 ? 'as-meant' : 'different'
  return {filter, table: `${hook} ${table}`, state, differences, counters: found ? countersOf(found) : []}
}

function portProblems({hook, intent}: MeantFilter, {links}: FilterHost): string[] {
  return intent.ports.flatMap((port) => {
    const link = links.find(({name}) => name === port)
    if (link === undefined) return `${port} is not on this host now`
    if (hook === 'bridge' && link.bridge === undefined)
      return `${port} is no bridge port now: a bridge filter does not see its frames (--hook netdev does)`
    return []
  })
}

/** What keeps the bridge from answering for a VM that it should answer for. */
function keptProblems({intent}: MeantFilter, {made}: FilterRecord, facts: BridgeFacts): string[] {
  if (intent.kept.length === 0) return []
  const missing = missingOf(planKept([intent], made, facts), facts)
  return [
    ...keptRefusals([intent], facts),
    ...keptLines(missing, {
      neighbour: (bridge, ip) => `${bridge} has no permanent neighbour entry for ${ip}: it does not answer for it`,
      place: (mac, port) => `${mac} is not fixed behind ${port}: its place is forgotten after the bridge's ageing time`,
      suppressed: (port) => `neigh_suppress is off on ${port}: the bridge answers for nobody behind it`,
    }),
  ]
}

/** What was made for filters, and stands without one: nothing that is meant and there asks for it. */
function orphansOf(filters: readonly FilterState[], {record, tables}: FilterHost, facts: BridgeFacts): string[] {
  const stands = ({hook, intent}: MeantFilter): boolean =>
    tables.some((each) => each.hook === hook && each.name === filterTable(intent))
  const meant = [...filters.map(({filter}) => filter), ...record.filters].filter(stands)
  const wanted: KeptPlan['made'] = planKept(
    meant.map(({intent}) => intent),
    record.made,
    facts,
  ).made
  return keptLines(presentOf(madeWithout(record.made, wanted), facts), {
    neighbour: (bridge, ip) => `${bridge} still answers for ${ip}: permanent neighbour entry`,
    place: (mac, port) => `${mac} is still fixed behind ${port}: static entry of the forwarding table`,
    suppressed: (port) => `neigh_suppress is still on at ${port}`,
  })
}

const countersOf = ({rules}: NftTable): RuleCounter[] =>
  rules.flatMap(({comment, chain, counter}) =>
    counter ? [{rule: comment ?? `a rule in chain ${chain}`, ...counter}] : [],
  )
