// Brings this host to the filters that are meant. What is meant is written down before the kernel is touched: a run that is
// killed leaves nothing behind that the next one does not know of.
import {type BridgeFacts, type KeptPlan, keptRefusals, missingOf, planKept} from '../../domain/filter/kept.ts'
import {
  type FilterRecord,
  isNothing,
  type Made,
  type MeantFilter,
  madeOf,
  madeWithout,
  recordText,
} from '../../domain/filter/record.ts'
import {usage} from '../../errors.ts'
import {aloneWith} from '../../net/record-store.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import {bridgeFacts, type FilterHost, unmake} from '../../probe/filter/host.ts'

/** One process at a time changes the filters of a namespace. @throws Failure `runtime` if another does not end. */
export const aloneWithFilters = <T>(world: FilterWorld, work: () => Promise<T>): Promise<T> =>
  aloneWith(world, 'filters', work)

/** What shall be: the filters, and the transaction of nft that brings the tables there. */
export interface Goal {
  readonly filters: readonly MeantFilter[]
  /** Empty: the tables are as they shall be. */
  readonly ruleset: string
  /** What was made before, beside what the record knows. */
  readonly inherited: Made
}

/**
 * What keeps inbound alive comes before the tables: they would cut it in between; what is no longer asked for goes after
 * them. If a step fails, all is as it was. Returns what an operator should know.
 */
export async function converge(
  goal: Goal,
  host: Pick<FilterHost, 'record' | 'links'>,
  world: FilterWorld,
): Promise<readonly string[]> {
  const before = madeOf(host.record.made, goal.inherited)
  const intents = goal.filters.map(({intent}) => intent)
  const facts = await bridgeFacts(
    intents.flatMap(({ports}) => ports),
    before,
    host.links,
    world,
  )
  const [refusal] = keptRefusals(intents, facts)
  if (refusal !== undefined) throw usage(refusal)
  const plan = planKept(intents, before, facts)
  write({filters: goal.filters, made: madeOf(before, plan.made)}, world)
  try {
    await make(missingOf(plan, facts), world)
    if (goal.ruleset !== '') await world.loadNft(goal.ruleset)
  } catch (error) {
    await undoNew(madeWithout(plan.made, before), facts, world)
    write({filters: host.record.filters, made: before}, world)
    throw error
  }
  await unmake(madeWithout(before, plan.made), facts, world)
  write({filters: goal.filters, made: plan.made}, world)
  return plan.notes
}

async function make(
  {neighbours, places, suppressed}: Omit<KeptPlan, 'made' | 'notes'>,
  world: FilterWorld,
): Promise<void> {
  await world.setNeighbours(neighbours)
  await world.fixMacs(places)
  await world.suppressNeighbours(suppressed, true)
}

/** The facts are looked at again: a part of it is there now. */
async function undoNew(fresh: Made, {ports}: BridgeFacts, world: FilterWorld): Promise<void> {
  if (isNothing(fresh)) return
  const names = ports.map(({name}) => name)
  await unmake(fresh, await bridgeFacts(names, fresh, await world.links(), world), world)
}

const write = (record: FilterRecord, world: FilterWorld): void =>
  world.writeRecord(record.filters.length === 0 && isNothing(record.made) ? undefined : recordText(record))
