// Takes filters away, in whatever form, and what was done for VMs that had left; nothing of other segments and ports.
import {filterTable, NFT_HOOKS, nftRemove} from '../../domain/filter/nft-text.ts'
import {knownPort} from '../../domain/filter/ports.ts'
import {type FilterRecord, isNothing, type Made, NOTHING_MADE} from '../../domain/filter/record.ts'
import {usage} from '../../errors.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import {type FilterHost, type FoundTable, filterHost, keptInOld} from '../../probe/filter/host.ts'
import {aloneWithFilters, converge} from './converge.ts'
import {type FilterRemoveDocument, keptAddresses} from './filter-document.ts'

export interface RemoveOrder {
  /** Empty: all. */
  readonly ports: readonly string[]
  /** Empty: all. */
  readonly segments: readonly string[]
  readonly dryRun: boolean
}

/** @throws Failure `usage` for a port that is not here, and for filters that cover ports beside those named. */
export const removeFilters = (order: RemoveOrder, world: FilterWorld): Promise<FilterRemoveDocument> =>
  order.dryRun ? removed(order, world) : aloneWithFilters(world, () => removed(order, world))

/** One that is meant, or there, or both. */
interface Standing {
  readonly name: string
  readonly segment: string | undefined
  readonly ports: readonly string[]
}

async function removed({ports, segments, dryRun}: RemoveOrder, world: FilterWorld): Promise<FilterRemoveDocument> {
  const host = await filterHost(world)
  const all = standing(host)
  for (const port of ports) if (!all.some((each) => each.ports.includes(port))) knownPort(port, host.links)
  const chosen = all.filter(
    (each) =>
      (segments.length === 0 || (each.segment !== undefined && segments.includes(each.segment))) &&
      (ports.length === 0 || each.ports.some((port) => ports.includes(port))),
  )
  refuseOthers(chosen, ports)
  const names = new Set(chosen.map(({name}) => name))
  const gone = [...host.tables, ...(host.old ? [host.old] : [])].filter(({name}) => names.has(name))
  const goal = {
    filters: host.record.filters.filter(({intent}) => !names.has(filterTable(intent))),
    ruleset: gone.map(({hook, name}) => nftRemove(hook, name)).join(''),
    inherited: gone.some(({name}) => name === host.old?.name) ? keptInOld(host) : NOTHING_MADE,
  }
  const changed = chosen.length > 0 || hasLeftovers(host, goal)
  if (changed && !dryRun) await converge(goal, host, world)
  return {
    schema: 'gwswitch.filter-remove/1',
    hooks: NFT_HOOKS.filter((hook) => gone.some((each) => each.hook === hook)),
    ports: [...new Set(chosen.flatMap((each) => each.ports))].sort(),
    segments: [...new Set(chosen.flatMap(({segment}) => segment ?? []))].sort(),
    dryRun,
    changed,
    ruleset: goal.ruleset,
    keptInbound: keptBy(host.record, names, goal.inherited),
    exitCode: 0,
  }
}

const standing = ({record, tables, old}: FilterHost): Standing[] => {
  const found = tables.map(({name, ports}: FoundTable): Standing => ({name, ports, segment: name.split('/')[1]}))
  const meant = record.filters.map(
    ({intent}): Standing => ({name: filterTable(intent), ports: intent.ports, segment: intent.segment.segment}),
  )
  const earlier = old ? [{name: old.name, ports: old.ports, segment: undefined}] : []
  return [...new Map([...found, ...earlier, ...meant].map((each) => [each.name, each])).values()]
}

function refuseOthers(chosen: readonly Standing[], ports: readonly string[]): void {
  if (ports.length === 0) return
  const others = [...new Set(chosen.flatMap((each) => each.ports))].filter((port) => !ports.includes(port)).sort()
  if (others.length === 0) return
  throw usage(`the filter covers ${others.join(', ')} too: it is one for all its ports, so name them all or none`)
}

/** Of a run that was killed, or of filters that lost their tables. */
const hasLeftovers = ({record}: FilterHost, {filters}: Pick<FilterRecord, 'filters'>): boolean =>
  filters.length === 0 && !isNothing(record.made)

const keptBy = ({filters}: FilterRecord, names: ReadonlySet<string>, inherited: Made): string[] => [
  ...new Set([
    ...filters.filter(({intent}) => names.has(filterTable(intent))).flatMap(keptAddresses),
    ...inherited.neighbours.map(({ip}) => ip),
  ]),
]
