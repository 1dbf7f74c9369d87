// Puts filters in place, each beside those of other segments and ports; twice is as good as once.
import {isDeepStrictEqual} from 'node:util'
import type {DecidedFilters, FilterIntent} from '../../domain/filter/intent.ts'
import {answersForGateway} from '../../domain/filter/kept.ts'
import {filterTable, NFT_HOOKS, type NftHook, nftFilter, nftRemove} from '../../domain/filter/nft-text.ts'
import {type FilterRecord, isNothing, type MeantFilter, withFilters} from '../../domain/filter/record.ts'
import {Failure, usage} from '../../errors.ts'
import {checkFilters, type FilterStates} from '../../probe/filter/check.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import {type FilterHost, filterHost, keptInOld} from '../../probe/filter/host.ts'
import {aloneWithFilters, converge} from './converge.ts'
import {type FilterDocument, foundOf} from './filter-document.ts'

/** Exit code of `filter check` for a filter that is not the one that is meant. */
const DIFFERENT = 10

/** What is meant, decided once it is known what there is. */
export interface FilterDecision extends Pick<DecidedFilters, 'refusals'> {
  readonly filters: readonly MeantFilter[]
  readonly notes: readonly string[]
}
export type Decide = (host: FilterHost) => FilterDecision

export const applyFilters = (
  decide: Decide,
  world: FilterWorld,
  {dryRun}: {dryRun: boolean},
): Promise<FilterDocument> =>
  dryRun ? applied(decide, world, true) : aloneWithFilters(world, () => applied(decide, world, false))

async function applied(decide: Decide, world: FilterWorld, dryRun: boolean): Promise<FilterDocument> {
  const host = await filterHost(world)
  const {filters, refusals, notes} = decide(host)
  for (const filter of filters) needBridgePorts(filter, host)
  refuseToLose(filters, host)
  const before = await checkFilters(filters, host, world)
  refuseAnswering(filters, before)
  const meant = withFilters(host.record, filters)
  const ruleset = rulesetFor(before, host)
  const done = ruleset === '' && isAsMeant(before) && sameRecord(meant, host.record)
  const fixed = {dryRun, changed: !done, overridden: refusals, ruleset: ruleset || textOf(filters)}
  const document = (states: FilterStates, said: readonly string[], exitCode: number): FilterDocument => ({
    schema: 'gwswitch.filter-apply/1',
    ...fixed,
    ...foundOf(states),
    notes: [...notes, ...said],
    exitCode,
  })
  if (done || dryRun) return document(before, [], 0)
  const said = await converge({filters: meant, ruleset, inherited: keptInOld(host)}, host, world).catch((error) => {
    throw nftFailure(error, filters)
  })
  const after = await checkFilters(filters, await filterHost(world), world, before)
  return document(after, said, isAsMeant(after) ? 0 : 1)
}

const isAsMeant = ({filters, orphans}: FilterStates): boolean =>
  orphans.length === 0 && filters.every(({state}) => state === 'as-meant')

const sameRecord = (meant: readonly MeantFilter[], record: FilterRecord): boolean =>
  isDeepStrictEqual(meant, withFilters(record, []))

const textOf = (filters: readonly MeantFilter[]): string =>
  filters.map(({intent, hook}) => nftFilter(intent, hook)).join('')

/** Only tables that are not as they should be: those that are keep their counters. */
function rulesetFor({filters}: FilterStates, {tables, old}: FilterHost): string {
  const present = (hook: NftHook, name: string): boolean =>
    tables.some((each) => each.hook === hook && each.name === name)
  const changes = filters.map(({filter: {hook, intent}, state}) => {
    const name = filterTable(intent)
    const others = NFT_HOOKS.filter((other) => other !== hook && present(other, name))
    return [
      ...(state === 'as-meant' ? [] : [nftFilter(intent, hook)]),
      ...others.map((other) => nftRemove(other, name)),
    ]
  })
  return [...(old ? [nftRemove(old.hook, old.name)] : []), ...changes.flat()].join('')
}

/** @throws Failure `usage` for a port that a bridge filter would never see a frame of. */
function needBridgePorts({hook, intent}: MeantFilter, {links}: FilterHost): void {
  if (hook !== 'bridge' && intent.kept.length === 0) return
  for (const port of intent.ports) {
    const link = links.find(({name}) => name === port)
    if (link?.bridge !== undefined) continue
    throw usage(`${noBridgePort(port, link?.openVswitch === true, links)}; ${wayOut(hook, intent)}`)
  }
}

function noBridgePort(port: string, isOpenVswitch: boolean, links: FilterHost['links']): string {
  if (isOpenVswitch) return `${port} is a port of Open vSwitch, whose frames no bridge filter sees`
  const names = links.flatMap(({name, bridge}) => (bridge === undefined ? [] : name)).join(', ')
  return `${port} is no port of a bridge here; bridge ports are: ${names || 'none'}`
}

/** What works at a port that is no bridge's; there nobody answers for VMs that have left. */
const wayOut = (hook: NftHook, {kept}: FilterIntent): string =>
  [
    ...(hook === 'bridge' ? ['--hook netdev filters at the port itself'] : []),
    ...(kept.length > 0 ? ['--keep-inbound takes a bridge'] : []),
  ].join(', ')

/** The one table of version 0.1.0 goes when filters come that keep local all that it kept. */
function refuseToLose(filters: readonly MeantFilter[], {old}: FilterHost): void {
  if (old === undefined) return
  const intents = filters.map(({intent}) => intent)
  const elements = (name: string): readonly string[] => old.table.elements.get(name) ?? []
  const covered = (port: string, ip: string): boolean =>
    intents.some(({ports, gw4, gw6}) => ports.includes(port) && [...gw4, ...gw6].includes(ip))
  const lost = [...elements('gw4'), ...elements('gw6')].filter((ip) => !old.ports.every((port) => covered(port, ip)))
  if (lost.length === 0) return
  throw usage(
    `the one table of version 0.1.0 (${old.hook} ${old.name}) keeps ${lost.join(', ')} local on ${old.ports.join(', ')} too: ` +
      'apply to all of its segments and ports at once (leave --segment out), or take it away first (gwswitch filter remove)',
  )
}

/** ARP that a bridge answers itself never comes to the filter. */
function refuseAnswering(filters: readonly MeantFilter[], {facts}: FilterStates): void {
  const lines = filters.flatMap(({intent}: {intent: FilterIntent}) => answersForGateway(intent, facts))
  if (lines.length > 0) throw new Failure('usage', `${lines.join('; ')}: a filter would not keep that gateway local`)
}

/** A kernel that lacks the egress hook says no more than "not supported". */
function nftFailure(error: unknown, filters: readonly MeantFilter[]): unknown {
  const netdev = filters.some(({hook}) => hook === 'netdev')
  if (!netdev || !(error instanceof Failure) || !/not supported|No such/.test(error.message)) return error
  return new Failure(
    'runtime',
    `${error.message} (the netdev form needs existing ports and a kernel with NETFILTER_EGRESS; --hook bridge does not)`,
  )
}

/** Compares, and changes nothing. */
export async function inspectFilters(decide: Decide, world: FilterWorld): Promise<FilterDocument> {
  const host = await filterHost(world)
  const {filters, refusals, notes} = decide(host)
  const states = await checkFilters(filters, host, world)
  const found = foundOf(states)
  return {
    schema: 'gwswitch.filter-check/1',
    ...{dryRun: false, changed: false, overridden: refusals, ruleset: textOf(filters)},
    ...found,
    notes: [...notes, ...unrecorded(filters, host)],
    exitCode: isAsMeant(states) ? 0 : DIFFERENT,
  }
}

/** Tables that nobody asked about and no record knows. */
function unrecorded(filters: readonly MeantFilter[], {tables, record}: FilterHost): string[] {
  const known = new Set([...filters, ...record.filters].map(({intent}) => filterTable(intent)))
  return tables
    .filter(({name}) => !known.has(name))
    .map(({hook, name}) => `table ${hook} ${name} is here too, and no record says who wants it`)
}

/** The filters of the record, of these segments alone if any are named. */
export const recordedFilters =
  (segments: readonly string[]): Decide =>
  ({record}) => {
    const filters = record.filters.filter(
      ({intent}) => segments.length === 0 || segments.includes(intent.segment.segment),
    )
    if (filters.length > 0 || !isNothing(record.made)) return {filters, refusals: [], notes: []}
    const of = segments.length === 0 ? '' : ` for ${segments.join(', ')}`
    throw usage(`no filter was applied here${of}: give -i PORT, or write "ports" of the segment in the inventory`)
  }
