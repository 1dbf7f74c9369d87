// What the `filter` commands answer, as JSON.
import type {SegmentClass} from '../../domain/filter/classify.ts'
import type {NftHook} from '../../domain/filter/nft-text.ts'
import type {MeantFilter} from '../../domain/filter/record.ts'
import type {FilterState, FilterStates, RuleCounter} from '../../probe/filter/check.ts'

/** The filter of one segment on its ports. */
export interface FilterRow {
  readonly segment: string
  readonly vlan: number | 'untagged' | null
  readonly ports: readonly string[]
  readonly hook: NftHook
  /** As nft(8) takes it: `bridge gwswitch/tenant-b/vx0`. */
  readonly table: string
  readonly state: FilterState['state']
  readonly differences: readonly string[]
  readonly counters: readonly RuleCounter[]
  /** Addresses for which the bridge answers ARP or neighbour solicitations. */
  readonly keptInbound: readonly string[]
}

export interface FilterDocument {
  readonly schema: 'gwswitch.filter-apply/1' | 'gwswitch.filter-check/1'
  readonly hook: NftHook
  readonly ports: readonly string[]
  readonly segments: readonly SegmentClass[]
  readonly dryRun: boolean
  /** Whether anything on this host was (or, in a dry run, would be) changed. */
  readonly changed: boolean
  /** What `apply` refuses but for --force. */
  readonly overridden: readonly string[]
  readonly notes: readonly string[]
  /** What `nft -f` was given. */
  readonly ruleset: string
  /** The worst of the filters. */
  readonly state: FilterState['state']
  readonly differences: readonly string[]
  /** Of all filters together, by rule. */
  readonly counters: readonly RuleCounter[]
  readonly keptInbound: readonly string[]
  readonly filters: readonly FilterRow[]
  /** What stands on this host for filters that do not. */
  readonly orphans: readonly string[]
  readonly exitCode: number
}

/** What `filter remove` did, or would do. */
export interface FilterRemoveDocument {
  readonly schema: 'gwswitch.filter-remove/1'
  /** The forms in which the filters are there. */
  readonly hooks: readonly NftHook[]
  readonly ports: readonly string[]
  readonly segments: readonly string[]
  readonly dryRun: boolean
  readonly changed: boolean
  /** What `nft -f` is given. */
  readonly ruleset: string
  /** Addresses for which the bridge answered until then. */
  readonly keptInbound: readonly string[]
  readonly exitCode: number
}

/** What `filter keep add` and `filter keep remove` did. */
export interface FilterKeepDocument {
  readonly schema: 'gwswitch.filter-keep/1'
  readonly vm: string
  readonly segment: string
  readonly changed: boolean
  /** For whom the bridge answers now, on this segment. */
  readonly kept: readonly string[]
  readonly notes: readonly string[]
  readonly exitCode: number
}

export const keptAddresses = ({intent}: MeantFilter): string[] => intent.kept.flatMap(({ip, ip6}) => [ip, ...ip6])

function rowOf({filter, table, state, differences, counters}: FilterState): FilterRow {
  const {hook, intent} = filter
  const {segment, vlan, ports} = intent
  return {
    ...{segment: segment.segment, vlan, ports, hook, table, state, differences, counters},
    keptInbound: keptAddresses(filter),
  }
}

/** The part of a document that is what was found. */
export function foundOf({
  filters,
  orphans,
}: FilterStates): Pick<
  FilterDocument,
  'hook' | 'ports' | 'segments' | 'state' | 'differences' | 'counters' | 'keptInbound' | 'filters' | 'orphans'
> {
  const rows = filters.map(rowOf)
  const several = rows.length > 1
  const states = rows.map(({state}) => state)
  return {
    hook: rows[0]?.hook ?? 'bridge',
    ports: [...new Set(rows.flatMap(({ports}) => ports))].sort(),
    segments: filters.map(({filter}) => filter.intent.segment),
    state: states.every((state) => state === 'missing')
      ? 'missing'
      : states.some((state) => state !== 'as-meant') || orphans.length > 0
        ? 'different'
        : 'as-meant',
    differences: [
      ...rows.flatMap(({segment, state, differences}) => [
        ...(several && state === 'missing' ? [`${segment}: there is no filter`] : []),
        ...differences.map((line) => (several ? `${segment}: ${line}` : line)),
      ]),
      ...orphans,
    ],
    counters: together(rows.flatMap(({counters}) => counters)),
    keptInbound: rows.flatMap(({keptInbound}) => keptInbound),
    filters: rows,
    orphans,
  }
}

/** What is not as it is meant, a piece each; of segments that are `left` nothing is said. */
export function faultsOf(
  {filters, orphans}: Pick<FilterDocument, 'filters' | 'orphans'>,
  isLeft: (segment: string) => boolean = () => false,
): string[] {
  const faults = filters.flatMap(({segment, state, differences}) =>
    state === 'as-meant' || isLeft(segment) ? [] : [`${segment}: ${[state, ...differences].join(', ')}`],
  )
  return [...faults, ...(filters.some(({segment}) => isLeft(segment)) ? [] : orphans)]
}

function together(counters: readonly RuleCounter[]): RuleCounter[] {
  const sums = new Map<string, RuleCounter>()
  for (const {rule, packets, bytes} of counters) {
    const sum = sums.get(rule) ?? {rule, packets: 0, bytes: 0}
    sums.set(rule, {rule, packets: sum.packets + packets, bytes: sum.bytes + bytes})
  }
  return [...sums.values()]
}
