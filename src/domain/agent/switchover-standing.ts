// What of a switchover outlives its proof: what was confirmed stands, is followed, and is told of when it is so no more.
import {isOpen, type Standing, type SwitchRecord, standingFor, standingOf} from './memory.ts'
import {follow, lookAt} from './standing.ts'
import type {Surroundings} from './switchover-state.ts'
import {act, enqueue, keepQuietly, log, put, type Turn} from './switchover-turn.ts'

/** Those that no change under way is about. */
const settled = (record: SwitchRecord): readonly Standing[] =>
  standingOf(record).filter(
    ({change}) => !isOpen(record) || !record.changes.some(({family}) => family === change.family),
  )

/** The record with these in place of the same families' earlier ones. */
const withStanding = (record: SwitchRecord, standing: readonly Standing[]): SwitchRecord => ({
  ...record,
  standing: standingOf(record).map((each) => standing.find(({change}) => change.family === each.change.family) ?? each),
})

/** Somebody changed something: overlays follow, what could not be undone is tried again. What we are taking away stays away. */
export function routesChanged(turn: Turn, facts: Surroundings): Turn {
  const {record, doing} = turn.state
  if (record === undefined || doing?.kind === 'resetting') return turn
  const stuck = record.trouble !== undefined || (!isOpen(record) && (record.owed?.length ?? 0) > 0)
  const tried = stuck && turn.state.tasks.length === 0 ? enqueue(turn, {kind: 'undo'}) : turn
  const before = settled(record)
  const {standing, hold, withdraw, say} = follow(before, facts, turn.now.wallMs)
  const changed = standing.some((each, i) => each !== before[i])
  const kept = changed ? keepQuietly(tried, withStanding(record, standing)) : tried
  const draining = record.drainUntil !== undefined && withdraw.length === 0 && doing?.kind !== 'ending_drain'
  const held = hold.length === 0 ? kept : act(kept, {kind: 'hold', changes: hold, draining})
  const gone = withdraw.length === 0 ? held : act(held, {kind: 'withdraw', changes: withdraw})
  const ending = withdraw.length > 0 && record.drainUntil !== undefined ? enqueue(gone, {kind: 'end_drain'}) : gone
  return say.reduce(log, ending)
}

/** Is what was confirmed so? By where the kernel sends. */
export function looked(turn: Turn, facts: Surroundings): Turn {
  const {record, doubted, doing} = turn.state
  if (record === undefined || doing?.kind === 'resetting') return turn
  const before = settled(record)
  const found = lookAt(before, doubted, facts, turn.now.wallMs)
  const changed = found.standing.some((each, i) => each !== before[i])
  const seen = put(turn, {doubted: found.doubted})
  const kept = changed ? keepQuietly(seen, withStanding(record, found.standing)) : seen
  const told = found.lost.reduce((each, standing) => act(each, {kind: 'lost', standing}), kept)
  return found.say.reduce(log, told)
}

/** What stands once this switch is confirmed, and what stood before. */
export function standingConfirmed(
  record: SwitchRecord,
  nowMs: number,
  aside: readonly (4 | 6)[],
): Pick<SwitchRecord, 'standing' | 'standingBefore'> {
  const before = standingOf({...record, state: 'applied'})
  const families = record.changes.map(({family}) => family)
  const own = record.changes.map((change) => ({
    ...standingFor(record, change, nowMs),
    ...(aside.includes(change.family) ? ({aside: true} as const) : {}),
  }))
  return {
    standing: [...before.filter(({change}) => !families.includes(change.family)), ...own],
    standingBefore: before,
  }
}
