// How a switch is taken back: tried until it is done, or given up when that takes too long; and how a drain ends.
import type {AgentReason} from '../../wire/agent-message.ts'
import type {RouteChange, SwitchRecord} from './memory.ts'
import {failed, NO_FAILURE} from './retry.ts'
import type {SwitchResult} from './switchover-state.ts'
import {act, ended, enqueue, keep, keepQuietly, log, over, put, type Turn} from './switchover-turn.ts'

/** ms of attempts that fail, after which an undoing is given up. */
const GIVE_UP_MS = 60_000

type Undone = Omit<Extract<SwitchResult, {readonly kind: 'undone'}>, 'kind'>

export const refuse = (turn: Turn, record: SwitchRecord, reason: AgentReason, detail: string): Turn =>
  thenOwed(over(keep(turn, ended(turn, record, 'refused', {reason, detail}))))

/** What an earlier undoing has left is next, unless something is proved in its place. */
export function thenOwed(turn: Turn): Turn {
  const owed = turn.state.record?.owed ?? []
  return owed.length > 0 && turn.state.tasks.length === 0 ? enqueue(turn, {kind: 'undo'}) : turn
}

/** One that is confirmed, too; but not by the deadline that the confirmation met. */
export function rollBack(turn: Turn, reason: AgentReason, detail: string): Turn {
  const {record} = turn.state
  if (record === undefined || record.state === 'rolled_back' || record.state === 'refused') return over(turn)
  if (reason === 'not_confirmed' && record.phase === 'done') return over(turn)
  return (record.phase === 'probing' ? refuse : undo)(turn, record, reason, detail)
}

/** In the families whose new gateway is dead; what it has in others stays as it is. */
export function gatewayDied(turn: Turn, record: SwitchRecord, families: readonly (4 | 6)[], detail: string): Turn {
  const dead = record.changes.filter(({family}) => families.includes(family))
  const staying = record.changes.filter(({family}) => !families.includes(family))
  if (dead.length === 0 || record.phase !== 'done' || record.state !== 'confirmed') return over(turn)
  const part = staying.length === 0 ? record : {...record, changes: dead, staying}
  return undo(put(turn, {record: part}), part, 'gateway_died', detail)
}

export function undo(turn: Turn, record: SwitchRecord, reason: AgentReason, detail: string): Turn {
  const {drainUntil: _, guardUntil: __, ...rest} = record
  const left = act(turn, {kind: 'leave'})
  if (record.phase === 'rolling_back') return undoNow(left)
  // Whatever it was: it is in force, in part at least, and is not meant to be.
  return undoNow(keep(left, {...rest, phase: 'rolling_back', state: 'applied', reason, detail}))
}

/** What is rolled back, or what an undoing that was given up has left. */
export function undoNow(turn: Turn): Turn {
  const {record} = turn.state
  const owed = record?.phase === 'done'
  const changes = owed ? (record.owed ?? []) : (record?.changes ?? [])
  if (owed ? changes.length === 0 : record?.phase !== 'rolling_back') return over(turn)
  return act(put(turn, {doing: {kind: 'undoing'}}), {kind: 'undo', changes, keepDrain: owed})
}

export function undone(turn: Turn, record: SwitchRecord, {trouble, gone, left}: Undone): Turn {
  if (record.phase !== 'rolling_back') return owedUndone(turn, record, trouble, left)
  if (trouble !== undefined) return notUndone(turn, record, trouble, left ?? record.changes)
  const {standingBefore: _, owedBefore: __, staying, ...rest} = record
  const lost = gone.length === 0 ? [] : [`${gone.join(' and ')} is gone, and its routes with it`]
  const {reason, detail} = record
  const why = [...(detail === undefined ? [] : [detail]), ...lost].join('; ')
  const owed = owedAgain(record)
  const back = {...rest, ...standingAgain(record, record.changes), ...(owed.length === 0 ? {} : {owed})}
  const end =
    staying === undefined
      ? ended(turn, back, 'rolled_back', {...(reason === undefined ? {} : {reason}), detail: why})
      : ended(turn, {...back, changes: staying}, 'confirmed', partOf(record, staying, why))
  return thenOwed(over(succeeded(keep(turn, end), 'undoing')))
}

const owedAgain = ({owed = [], owedBefore = []}: SwitchRecord): readonly RouteChange[] => [...owedBefore, ...owed]

/** What stood before these changes stands again; of other families, what stands now. */
function standingAgain(
  {standing, standingBefore}: SwitchRecord,
  changes: readonly RouteChange[],
): Pick<SwitchRecord, 'standing'> {
  if (standing === undefined) return {}
  const families = changes.map(({family}) => family)
  return {
    standing: [
      ...(standingBefore ?? standing).filter(({change}) => families.includes(change.family)),
      ...standing.filter(({change}) => !families.includes(change.family)),
    ],
  }
}

function partOf({changes}: SwitchRecord, staying: readonly RouteChange[], why: string) {
  const back = changes.map(({family, from}) => `IPv${family} is back on ${from}`).join(' and ')
  const here = staying.map(({family, to}) => `IPv${family} stays on ${to}`).join(' and ')
  return {reason: 'partial' as const, detail: `${back}: ${why}; ${here}`}
}

/** It is rolled back when nothing of it is left, and not before; but nobody waits for that for ever. */
function notUndone(turn: Turn, record: SwitchRecord, trouble: string, left: readonly RouteChange[]): Turn {
  const told = trouble === record.trouble ? turn : keep(turn, {...record, state: 'applied', trouble})
  const later = tryAgain(told, 'undoing', trouble)
  const {sinceMs} = later.state.undoing
  if (sinceMs === undefined || turn.now.uptimeMs - sinceMs < GIVE_UP_MS) return over(later)
  const {standingBefore: _, owedBefore: __, ...rest} = record
  const detail = [record.detail, `given up: ${trouble}`].filter((part) => part !== undefined).join('; ')
  const why = {reason: 'given_up', detail} as const
  const owed = [...left, ...owedAgain(record)]
  const end = ended(turn, {...rest, ...standingAgain(record, record.changes), owed}, 'applied', why)
  return over(
    log(keep(put(later, {undoing: NO_FAILURE}), end), `rollback given up: ${trouble}; tried again when routes change`),
  )
}

/** Quietly: that it was given up is known. */
function owedUndone(
  turn: Turn,
  record: SwitchRecord,
  trouble: string | undefined,
  left: readonly RouteChange[] | undefined,
): Turn {
  const {owed = [], ...rest} = record
  const still = trouble === undefined ? [] : (left ?? owed)
  if (still.length > 0) return over(put(turn, {undoing: NO_FAILURE}))
  const done = keepQuietly(put(turn, {undoing: NO_FAILURE}), rest)
  return over(log(done, 'what a rollback that was given up had left is put back'))
}

export function drainOver(turn: Turn): Turn {
  // Another switch may have ended it.
  if (turn.state.record?.drainUntil === undefined) return over(succeeded(turn, 'draining'))
  return act(put(turn, {doing: {kind: 'ending_drain'}}), {kind: 'end_drain'})
}

export function drainEnded(turn: Turn, record: SwitchRecord, trouble: string | undefined): Turn {
  if (trouble !== undefined) return over(tryAgain(turn, 'draining', trouble))
  const {drainUntil: _, ...rest} = record
  return over(succeeded(keepQuietly(turn, rest), 'draining'))
}

/** `left`: what could not be taken away. */
export function wasReset(turn: Turn, record: SwitchRecord | undefined, left: string | undefined): Turn {
  const fresh = put(turn, {undoing: NO_FAILURE, draining: NO_FAILURE, doubted: []})
  if (record === undefined) return over(fresh)
  const {
    drainUntil: _,
    guardUntil: __,
    standing: ___,
    standingBefore: ____,
    owed: _____,
    owedBefore: ______,
    ...rest
  } = record
  const overlaid = record.changes.some(({overlay}) => overlay !== undefined)
  const stays = record.phase === 'done' && !(record.state === 'confirmed' && overlaid)
  const detail = left === undefined ? 'taken away by "agent reset"' : `"agent reset" could not take away: ${left}`
  const end = stays ? rest : ended(turn, rest, 'rolled_back', {reason: 'reset', detail})
  const owed = left === undefined ? {} : {owed: unwanted(record)}
  return thenOwed(over(keep(fresh, {...end, standing: [], ...owed})))
}

/** Everything that may be there, with nothing to come in its place. */
const unwanted = (record: SwitchRecord): readonly RouteChange[] =>
  [
    ...(record.phase === 'done' ? [] : record.changes),
    ...(record.owed ?? []),
    ...(record.standing ?? []).map(({change}) => change).filter(({overlay}) => overlay !== undefined),
  ].map((change) => (change.overlay ? {...change, overlay: {...change.overlay, before: null}} : change))

const RETRIED = {undoing: 'rollback', draining: 'end of the drain'} as const

function tryAgain(turn: Turn, what: keyof typeof RETRIED, trouble: string): Turn {
  const {retry, say} = failed(turn.state[what], turn.now.uptimeMs)
  const later = put(turn, {[what]: retry})
  const promise = turn.state.stopped ? '' : '; it is tried again'
  return say ? log(later, `${RETRIED[what]}, attempt ${retry.failures}: ${trouble}${promise}`) : later
}

function succeeded(turn: Turn, what: keyof typeof RETRIED): Turn {
  const {failures} = turn.state[what]
  const done = put(turn, {[what]: NO_FAILURE})
  return failures > 0 ? log(done, `${RETRIED[what]}: done at attempt ${failures + 1}`) : done
}
