// Is the filter that is meant the one that frames meet?
import type {FilterIntent} from '../../domain/filter/intent.ts'
import {FILTER_TABLE, NFT_HOOKS, type NftHook, nftFilter} from '../../domain/filter/nft-text.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import {compareTables} from './compare.ts'
import type {FilterWorld} from './filter-world.ts'
import {keptProblems, type Remembered, remembered} from './kept.ts'

export interface RuleCounter {
  readonly rule: string
  /** Frames dropped since the filter was loaded, both directions together. */
  readonly packets: number
  readonly bytes: number
}

/** `as-meant`; `different`: there is a filter, but not this one; `missing`: there is none. */
export interface FilterState {
  readonly state: 'as-meant' | 'different' | 'missing'
  readonly differences: readonly string[]
  readonly counters: readonly RuleCounter[]
  /** VMs for which the bridge answers. */
  readonly kept: Remembered
}

const NOTHING_KEPT: Remembered = {vms: [], suppressed: []}

/** Reads the filter of this host and compares it with what is meant, instruction by instruction. */
export async function checkFilter(intent: FilterIntent, hook: NftHook, world: FilterWorld): Promise<FilterState> {
  const [found, ports, other] = await Promise.all([
    world.readTable(hook, FILTER_TABLE),
    world.bridgePorts(),
    world.readTable(otherHook(hook), FILTER_TABLE),
  ])
  const elsewhere =
    other === undefined ? [] : [`table ${otherHook(hook)} ${FILTER_TABLE} is there too: gwswitch filter remove`]
  if (found === undefined) return {state: 'missing', differences: elsewhere, counters: [], kept: NOTHING_KEPT}
  const meant = await world.compileTable(
    nftFilter(intent, hook),
    hook,
    FILTER_TABLE,
    hook === 'netdev' ? intent.ports : [],
  )
  const kept = remembered(found)
  const notPorts = hook === 'bridge' ? intent.ports.filter((name) => !ports.some((port) => port.name === name)) : []
  const differences = [
    ...compareTables(meant, found),
    ...notPorts.map((name) => `${name} is no bridge port now: a bridge filter does not see its frames`),
    ...elsewhere,
    ...(await keptProblems(intent, kept, world)),
  ]
  return {state: differences.length === 0 ? 'as-meant' : 'different', differences, counters: countersOf(found), kept}
}

const otherHook = (hook: NftHook): NftHook => NFT_HOOKS.find((each) => each !== hook)!

const countersOf = ({rules}: NftTable): RuleCounter[] =>
  rules.flatMap(({comment, chain, counter}) =>
    counter ? [{rule: comment ?? `a rule in chain ${chain}`, ...counter}] : [],
  )
