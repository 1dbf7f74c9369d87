// The step of a switchover. Pure: what happens comes in as events with the time, what is to be done goes out as actions, in
// the order in which it is to be done. What is on disk before what is that order.
import type {AgentCommand, AgentReason, AgentState} from '../../wire/agent-message.ts'
import {type Deadline, isOpen, type SwitchRecord} from './memory.ts'
import {stillFits} from './policy.ts'
import {failed, NO_FAILURE} from './retry.ts'
import {
  due,
  type SwitchAction,
  type SwitchEvent,
  type SwitchNow,
  type Switchover,
  type SwitchResult,
  type SwitchTask,
  type Task,
  turnWanted,
  type Why,
} from './switchover-state.ts'

export interface SwitchStep {
  readonly state: Switchover
  readonly actions: readonly SwitchAction[]
}

interface Turn extends SwitchStep {
  readonly now: SwitchNow
}

/** What becomes of a switchover when something happens. */
export function step(state: Switchover, event: SwitchEvent, now: SwitchNow): SwitchStep {
  const {state: next, actions} = happen({now, state, actions: []}, event)
  return {state: next, actions}
}

function happen(turn: Turn, event: SwitchEvent): Turn {
  const {state, now} = turn
  switch (event.kind) {
    case 'task':
      return enqueue(turn, event.task)
    case 'stop':
      return enqueue(act(put(turn, {stopped: true}), {kind: 'leave'}), {kind: 'stop', open: isOpen(state.record)})
    case 'turn':
      return turnWanted(state) ? begin(turn, state.tasks[0]!) : turn
    case 'tick': {
      const next = due(state, now.bootId)
      return next !== undefined && next.atMs <= now.uptimeMs ? enqueue(turn, next.task) : turn
    }
    case 'routes_changed':
      return state.record?.trouble === undefined ? reassert(turn) : enqueue(turn, {kind: 'undo'})
    case 'not_saved':
      return state.tasks.length > 0 ? unwritten(turn, event.detail) : turn
    default:
      return goOn(turn, event)
  }
}

const put = (turn: Turn, over: Partial<Switchover>): Turn => ({...turn, state: {...turn.state, ...over}})

const act = (turn: Turn, ...actions: readonly SwitchAction[]): Turn => ({
  ...turn,
  actions: [...turn.actions, ...actions],
})

const save = (turn: Turn, record: SwitchRecord, uses?: AgentCommand): Turn =>
  act(put(turn, {record}), {kind: 'save', record, ...(uses === undefined ? {} : {uses})})

/** Where the VM is on the old gateway, a full disk changes nothing about that. */
const keep = (turn: Turn, record: SwitchRecord): Turn => act(put(turn, {record}), {kind: 'keep', record})

const log = (turn: Turn, text: string): Turn => act(turn, {kind: 'log', text})

const takesBack = (task: Task): boolean => task.kind === 'rollback' || (task.kind === 'stop' && task.open)

/** Whether the switch in progress is taken back as soon as it may be. */
const takenBack = ({state}: Turn): boolean => state.tasks.some(takesBack)

function enqueue(turn: Turn, task: Task): Turn {
  const {tasks, doing} = turn.state
  const queued = put(turn, {tasks: [...tasks, task]})
  const asking = doing?.kind === 'trying' || doing?.kind === 'proving'
  return takesBack(task) && asking ? act(queued, {kind: 'abandon'}) : queued
}

/** The turn of the first task is over. */
function over(turn: Turn, declined?: Required<Why>): Turn {
  const [task, ...tasks] = turn.state.tasks
  const ended: SwitchAction = {kind: 'over', task: task!, ...(declined === undefined ? {} : {declined})}
  return act(put(turn, {tasks, doing: undefined}), ended)
}

function begin(turn: Turn, task: Task): Turn {
  const {record} = turn.state
  switch (task.kind) {
    case 'switch':
      return beginSwitch(turn, task)
    case 'confirm':
      return record?.phase === 'applied' ? confirm(turn, record) : over(turn)
    case 'rollback':
      return rollBack(turn, task.reason, task.detail)
    case 'stop': {
      const detail = 'the agent was stopped before the switch was proved'
      return task.open ? rollBack(turn, 'agent_stopped', detail) : over(turn)
    }
    case 'gateway_died': {
      const isIt = record?.run === task.run && record.seq === task.seq
      return isIt ? rollBack(turn, 'gateway_died', task.detail) : over(turn)
    }
    case 'undo':
      return undoNow(turn)
    case 'end_drain':
      return drainOver(turn)
    case 'recover':
      return record === undefined ? over(turn) : recover(turn, record)
  }
}

/** What an action began has ended. */
function goOn(turn: Turn, result: SwitchResult): Turn {
  const {doing, record} = turn.state
  if (doing === undefined || record === undefined) return turn
  const error = result.kind === 'failed' ? result.detail : undefined
  switch (doing.kind) {
    case 'trying':
      return tried(turn, record, doing.task, result)
    case 'applying':
      return error === undefined ? applied(turn, record, doing.task) : undo(turn, record, 'apply_failed', error)
    case 'proving':
      if (error !== undefined) return undo(turn, record, 'persist_failed', error)
      return proved(turn, record, result.kind === 'proved' ? result.silent : undefined)
    case 'undoing':
      return undone(turn, record, result.kind === 'undone' ? result : {trouble: error, gone: []})
    case 'ending_drain':
      return drainEnded(turn, record, error)
  }
}

function beginSwitch(turn: Turn, task: SwitchTask): Turn {
  const {now, state} = turn
  const {kid, command, plan} = task
  const {record: before} = state
  if (state.stopped) return over(turn, {reason: 'agent_stopped', detail: 'the agent is being stopped'})
  if (isOpen(before)) return over(turn, {reason: 'busy', detail: `run ${before.run} is ${before.phase}`})
  const begun: SwitchRecord = {
    ...{kid, run: command.run, seq: command.seq, nonce: command.nonce, mode: plan.mode, probes: plan.probes},
    ...{phase: 'probing', state: 'received', changes: [], startedAt: now.wallMs},
    needsConfirm: Boolean(command.confirm_s),
    drainMs: (command.drain_s ?? now.windows.drainS) * 1000,
    ...(before?.drainUntil === undefined ? {} : {drainUntil: before.drainUntil}),
  }
  // Used up before anything is done for it, trying the gateway included: it is obeyed at most once, also across a crash.
  const trying = put(save(turn, begun, command), {doing: {kind: 'trying', task}})
  return act(trying, {kind: 'leave'}, {kind: 'try', plan})
}

function tried(turn: Turn, record: SwitchRecord, task: SwitchTask, result: SwitchResult): Turn {
  if (result.kind === 'failed') return refuse(turn, record, 'apply_failed', result.detail)
  if (result.kind !== 'tried') return turn
  if (takenBack(turn)) return refuse(turn, record, 'requested', 'taken back before it was applied')
  if (result.wrong !== undefined) return refuse(turn, record, result.wrong.reason, result.wrong.detail)
  if (!stillFits(task.plan, result.families)) {
    return refuse(turn, record, 'from_gw', 'the default route changed while the new gateway was tried')
  }
  const {changes, command} = task
  const deadline = deadlineIn(turn, (command.confirm_s || turn.now.windows.confirmS) * 1000)
  // Without the drain of the switch before: it ends with the change, or is undone with it.
  const {drainUntil: _, ...begun} = record
  // The way back is on disk, and its deadline runs, before anything is changed.
  const applying = put(save(turn, {...begun, phase: 'applying', changes, deadline}), {doing: {kind: 'applying', task}})
  return act(applying, {kind: 'apply', changes})
}

function applied(turn: Turn, record: SwitchRecord, {receivedMs}: SwitchTask): Turn {
  const applyMs = tenths(turn.now.clockMs - receivedMs)
  const saved = save(turn, {...record, phase: 'applied', state: 'applied', applyMs})
  // Who takes it back has the next turn.
  return takenBack(saved) ? over(saved) : prove(saved, record)
}

const prove = (turn: Turn, {changes, probes}: SwitchRecord): Turn =>
  act(put(turn, {doing: {kind: 'proving'}}), {kind: 'prove', changes, probes})

function proved(turn: Turn, record: SwitchRecord, silent: string | undefined): Turn {
  if (takenBack(turn)) return over(turn)
  if (silent !== undefined) {
    return undo(turn, record, 'probe_failed', `nothing beyond ${silent} answers since the change`)
  }
  return record.needsConfirm ? over(turn) : confirm(turn, record)
}

function confirm(turn: Turn, record: SwitchRecord): Turn {
  const {wallMs, windows} = turn.now
  const draining = record.mode === 'drain' ? {drainUntil: deadlineIn(turn, record.drainMs)} : {}
  const guardMs = record.probes.length > 0 ? windows.guardS * 1000 : 0
  const watched = guardMs > 0 ? {guardUntil: deadlineIn(turn, guardMs)} : {}
  const confirmMs = tenths(wallMs - record.startedAt)
  const confirmed = ended(turn, {...record, ...draining, ...watched, confirmMs}, 'confirmed')
  return over(watch(save(turn, confirmed), confirmed))
}

/** What cannot be written down cannot be kept: without it, an agent that is started again would not know. */
function unwritten(turn: Turn, detail: string): Turn {
  const {record} = turn.state
  if (!isOpen(record)) return over(turn, {reason: 'persist_failed', detail})
  return (record.phase === 'probing' ? refuse : undo)(turn, record, 'persist_failed', detail)
}

const refuse = (turn: Turn, record: SwitchRecord, reason: AgentReason, detail: string): Turn =>
  over(keep(turn, ended(turn, record, 'refused', {reason, detail})))

/** One that is confirmed, too; but not by the deadline that the confirmation met. */
function rollBack(turn: Turn, reason: AgentReason, detail: string): Turn {
  const {record} = turn.state
  if (record === undefined || record.state === 'rolled_back' || record.state === 'refused') return over(turn)
  if (reason === 'not_confirmed' && !isOpen(record)) return over(turn)
  return (record.phase === 'probing' ? refuse : undo)(turn, record, reason, detail)
}

function undo(turn: Turn, record: SwitchRecord, reason: AgentReason, detail: string): Turn {
  const {drainUntil: _, guardUntil: __, ...rest} = record
  const left = act(turn, {kind: 'leave'})
  if (record.phase === 'rolling_back') return undoNow(left)
  // Whatever it was: it is in force, in part at least, and is not meant to be.
  return undoNow(keep(left, {...rest, phase: 'rolling_back', state: 'applied', reason, detail}))
}

function undoNow(turn: Turn): Turn {
  const {record} = turn.state
  if (record?.phase !== 'rolling_back') return over(turn)
  return act(put(turn, {doing: {kind: 'undoing'}}), {kind: 'undo', changes: record.changes})
}

/** It is rolled back when nothing of it is left, and not before, however often that has to be tried. */
function undone(
  turn: Turn,
  record: SwitchRecord,
  {trouble, gone}: {readonly trouble: string | undefined; readonly gone: readonly string[]},
): Turn {
  if (trouble !== undefined) {
    const told = trouble === record.trouble ? turn : keep(turn, {...record, state: 'applied', trouble})
    return over(tryAgain(told, 'undoing', trouble))
  }
  const lost = gone.length === 0 ? [] : [`${gone.join(' and ')} is gone, and its routes with it`]
  const {reason, detail} = record
  const why = [...(detail === undefined ? [] : [detail]), ...lost].join('; ')
  const back = ended(turn, record, 'rolled_back', {...(reason === undefined ? {} : {reason}), detail: why})
  return over(succeeded(keep(turn, back), 'undoing'))
}

function drainOver(turn: Turn): Turn {
  // Another switch may have ended it.
  if (turn.state.record?.drainUntil === undefined) return over(succeeded(turn, 'draining'))
  return act(put(turn, {doing: {kind: 'ending_drain'}}), {kind: 'end_drain'})
}

function drainEnded(turn: Turn, record: SwitchRecord, trouble: string | undefined): Turn {
  if (trouble !== undefined) return over(tryAgain(turn, 'draining', trouble))
  const {drainUntil: _, ...rest} = record
  const kept = act(put(turn, {record: rest}), {kind: 'keep', record: rest, quietly: true})
  return over(succeeded(kept, 'draining'))
}

const RETRIED = {undoing: 'rollback', draining: 'end of the drain'} as const

function tryAgain(turn: Turn, what: keyof typeof RETRIED, trouble: string): Turn {
  const {retry, say} = failed(turn.state[what], turn.now.uptimeMs)
  const later = put(turn, {[what]: retry})
  const promise = turn.state.stopped ? '' : '; it is tried again until it is done'
  return say ? log(later, `${RETRIED[what]}, attempt ${retry.failures}: ${trouble}${promise}`) : later
}

function succeeded(turn: Turn, what: keyof typeof RETRIED): Turn {
  const {failures} = turn.state[what]
  const done = put(turn, {[what]: NO_FAILURE})
  return failures > 0 ? log(done, `${RETRIED[what]}: done at attempt ${failures + 1}`) : done
}

/** Goes on where an agent before this one was stopped. */
function recover(turn: Turn, record: SwitchRecord): Turn {
  if (isOfAnotherBoot(turn, record)) {
    const {drainUntil: _, guardUntil: __, ...rest} = record
    const detail = 'the VM was restarted: its routes are those of its own configuration'
    return over(keep(turn, ended(turn, rest, 'rolled_back', {reason: 'rebooted', detail})))
  }
  const middle = 'the agent was stopped in the middle of the switch'
  switch (record.phase) {
    case 'done':
      return resume(turn, record)
    case 'probing': {
      const detail = 'the agent was stopped while it tried the gateway; nothing was changed'
      const refused = ended(turn, record, 'refused', {reason: 'agent_stopped', detail})
      return resume(keep(turn, refused), refused)
    }
    case 'rolling_back':
    case 'applying':
      return undo(turn, record, record.reason ?? 'agent_stopped', record.detail ?? middle)
    case 'applied':
      if (isAhead(turn, record.deadline!)) return prove(save(turn, record), record)
      return undo(turn, record, 'not_confirmed', 'the deadline passed while the agent was stopped')
  }
}

/** Routes do not outlive a restart of the VM, nor does what they were changed for. */
const isOfAnotherBoot = ({now}: Turn, record: SwitchRecord): boolean =>
  record.deadline !== undefined &&
  record.deadline.bootId !== now.bootId &&
  (isOpen(record) || record.state === 'confirmed')

/** Of a switch that is decided: what it had still to do, and what became of it meanwhile. */
const resume = (turn: Turn, record: SwitchRecord): Turn => over(watch(reassert(turn), record))

function reassert(turn: Turn): Turn {
  const {record} = turn.state
  if (record?.state !== 'confirmed' || record.phase !== 'done') return turn
  return act(turn, {kind: 'reassert', changes: record.changes, draining: record.drainUntil !== undefined})
}

const watch = (turn: Turn, record: SwitchRecord): Turn =>
  record.guardUntil !== undefined && isAhead(turn, record.guardUntil) ? act(turn, {kind: 'watch', record}) : turn

const deadlineIn = ({now: {bootId, uptimeMs}}: Turn, ms: number): Deadline => ({bootId, uptimeMs: uptimeMs + ms})

const isAhead = ({now}: Turn, {bootId, uptimeMs}: Deadline): boolean => bootId === now.bootId && uptimeMs > now.uptimeMs

function ended({now}: Turn, record: SwitchRecord, state: AgentState, why: Why = {}): SwitchRecord {
  const {reason: _, detail: __, trouble: ___, ...rest} = record
  return {...rest, ...why, phase: 'done', state, endedAt: now.wallMs}
}

/** ms, to a tenth. */
const tenths = (ms: number): number => Math.round(Math.max(0, ms) * 10) / 10
