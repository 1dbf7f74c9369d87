// The step of a switchover. Pure: what happens comes in as events with the time, what is to be done goes out as actions, in
// the order in which it is to be done. What is on disk before what is that order.
import {stillFits} from './facts.ts'
import {isBusy, isOpen, type RouteChange, type SwitchRecord, standingOf} from './memory.ts'
import {NO_FAILURE} from './retry.ts'
import {looked, routesChanged, standingConfirmed} from './switchover-standing.ts'
import {
  due,
  type Proof,
  type SwitchEvent,
  type SwitchNow,
  type Switchover,
  type SwitchResult,
  type SwitchTask,
  type Task,
  turnWanted,
} from './switchover-state.ts'
import {
  act,
  deadlineIn,
  ended,
  enqueue,
  isAhead,
  isCut,
  keep,
  over,
  put,
  type SwitchStep,
  save,
  type Turn,
  takenBack,
  watch,
} from './switchover-turn.ts'
import {
  drainEnded,
  drainOver,
  gatewayDied,
  refuse,
  rollBack,
  thenOwed,
  undo,
  undoNow,
  undone,
  wasReset,
} from './switchover-undo.ts'

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
      return stop(turn, event.leaving === true)
    case 'turn':
      return turnWanted(state) ? begin(turn, state.tasks[0]!) : turn
    case 'tick': {
      const next = due(state, now.bootId)
      return next !== undefined && next.atMs <= now.uptimeMs ? enqueue(turn, next.task) : turn
    }
    case 'routes_changed':
      return routesChanged(turn, event.facts)
    case 'looked':
      return looked(turn, event.facts)
    case 'not_saved':
      return state.tasks.length > 0 ? unwritten(turn, event.detail) : turn
    default:
      return goOn(turn, event)
  }
}

/** What is changed just now is changed first: then it is as one that waits. */
function stop(turn: Turn, leaving: boolean): Turn {
  const {record} = turn.state
  const left = leaving && (record?.phase === 'applying' || record?.phase === 'applied')
  const open = isOpen(record) && !left
  return enqueue(act(put(turn, {stopped: true}), {kind: 'leave'}), {kind: 'stop', open})
}

function begin(turn: Turn, task: Task): Turn {
  const {record} = turn.state
  switch (task.kind) {
    case 'switch':
      return beginSwitch(turn, task)
    case 'confirm':
      return beginConfirm(turn)
    case 'rollback':
      return rollBack(turn, task.reason, task.detail)
    case 'stop': {
      const detail = 'the agent was stopped before the switch was proved'
      return task.open ? rollBack(turn, 'agent_stopped', detail) : over(turn)
    }
    case 'gateway_died': {
      const isIt = record?.run === task.run && record.seq === task.seq
      return isIt ? gatewayDied(turn, record, task.families, task.detail) : over(turn)
    }
    case 'undo':
      return undoNow(turn)
    case 'end_drain':
      return drainOver(turn)
    case 'reset': {
      const changes = isOpen(record) ? record.changes : []
      const left = act(put(turn, {doing: {kind: 'resetting'}}), {kind: 'leave'})
      return act(left, {kind: 'reset', changes})
    }
    case 'recover':
      return record === undefined ? over(turn) : recover(turn, record)
  }
}

/** What an action began has ended. */
function goOn(turn: Turn, result: SwitchResult): Turn {
  const {doing, record} = turn.state
  if (doing === undefined) return turn
  const error = result.kind === 'failed' ? result.detail : undefined
  if (doing.kind === 'resetting') return wasReset(turn, record, result.kind === 'reset' ? result.left : error)
  if (record === undefined) return turn
  switch (doing.kind) {
    case 'trying':
      return tried(turn, record, doing.task, result)
    case 'applying':
      return error === undefined ? applied(turn, record, doing.task) : undo(turn, record, 'apply_failed', error)
    case 'proving':
    case 'confirming':
      // What could not be looked at is not proved.
      if (result.kind === 'proved') return (doing.kind === 'proving' ? proved : confirmed)(turn, record, result)
      return undo(turn, record, 'probe_failed', `it could not be proved: ${error ?? 'no result'}`)
    case 'undoing':
      return undone(turn, record, result.kind === 'undone' ? result : {trouble: error ?? 'no result', gone: []})
    case 'ending_drain':
      return drainEnded(turn, record, error)
  }
}

function beginSwitch(turn: Turn, task: SwitchTask): Turn {
  const {now, state} = turn
  const {kid, command, plan} = task
  const {record: before} = state
  if (state.stopped) return over(turn, {reason: 'agent_stopped', detail: 'the agent is being stopped'})
  if (isBusy(before)) return over(turn, {reason: 'busy', detail: `run ${before.run} is ${before.phase}`})
  const standing = standingOf(before)
  const owed = owedBy(before)
  const begun: SwitchRecord = {
    ...{kid, run: command.run, seq: command.seq, nonce: command.nonce, mode: plan.mode, probes: plan.probes},
    ...{phase: 'probing', state: 'received', changes: [], startedAt: now.wallMs},
    needsConfirm: Boolean(command.confirm_s),
    drainMs: (command.drain_s ?? now.windows.drainS) * 1000,
    ...(before?.drainUntil === undefined ? {} : {drainUntil: before.drainUntil}),
    ...(standing.length === 0 ? {} : {standing}),
    ...(owed.length === 0 ? {} : {owed}),
  }
  // Used up before anything is done for it, trying the gateway included: it is obeyed at most once, also across a crash.
  const trying = put(save(turn, begun, command), {doing: {kind: 'trying', task}, undoing: NO_FAILURE})
  return act(trying, {kind: 'leave'}, {kind: 'try', plan})
}

/** What of earlier switches is not undone, the last first: a new one may begin all the same. */
const owedBy = (before: SwitchRecord | undefined): readonly RouteChange[] => [
  ...(isOpen(before) ? before.changes : []),
  ...(before?.owed ?? []),
]

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
  // Who takes it back has the next turn; whoever comes after this agent proves it.
  return isCut(saved) ? over(saved) : prove(saved, record)
}

const prove = (turn: Turn, {changes, probes}: SwitchRecord): Turn =>
  act(put(turn, {doing: {kind: 'proving'}, proved: false}), {kind: 'prove', changes, probes})

function proved(turn: Turn, record: SwitchRecord, proof: Proof): Turn {
  if (isCut(turn)) return over(turn)
  if (proof.silent !== undefined) {
    return undo(turn, record, 'probe_failed', `nothing beyond ${proof.silent} answers since the change`)
  }
  if (proof.wrong !== undefined) return undo(turn, record, proof.wrong.reason, proof.wrong.detail)
  const done = put(turn, {proved: true})
  return record.needsConfirm ? over(done) : confirm(done, record, proof)
}

/** Whoever confirms has seen it a moment ago, or longer: whether it is so is looked at now. */
function beginConfirm(turn: Turn): Turn {
  const {record} = turn.state
  // A proof that was abandoned is none: what was queued behind it comes too late.
  if (record?.phase !== 'applied' || !turn.state.proved || isCut(turn)) return over(turn)
  return act(put(turn, {doing: {kind: 'confirming'}}), {kind: 'prove', changes: record.changes, probes: []})
}

function confirmed(turn: Turn, record: SwitchRecord, proof: Proof): Turn {
  if (takenBack(turn)) return over(turn)
  const {wrong} = proof
  return wrong === undefined ? confirm(turn, record, proof) : undo(turn, record, wrong.reason, wrong.detail)
}

function confirm(turn: Turn, record: SwitchRecord, {partial, aside = []}: Proof): Turn {
  const {wallMs, windows} = turn.now
  const draining = record.mode === 'drain' ? {drainUntil: deadlineIn(turn, record.drainMs)} : {}
  const guardMs = record.probes.length > 0 ? windows.guardS * 1000 : 0
  const watched = guardMs > 0 ? {guardUntil: deadlineIn(turn, guardMs)} : {}
  const confirmMs = tenths(wallMs - record.startedAt)
  const stands = standingConfirmed(record, wallMs, aside)
  // In place of what is proved nothing is to be put back any more, unless that is undone.
  const {owed: before = [], ...rest} = record
  const mine = ({family}: RouteChange): boolean => record.changes.some((change) => change.family === family)
  const [owed, owedBefore] = [before.filter((each) => !mine(each)), before.filter(mine)]
  const still = {...(owed.length === 0 ? {} : {owed}), ...(owedBefore.length === 0 ? {} : {owedBefore})}
  const why = partial === undefined ? {} : ({reason: 'partial', detail: partial} as const)
  const done = ended(turn, {...rest, ...stands, ...still, ...draining, ...watched, confirmMs}, 'confirmed', why)
  return over(watch(save(turn, done), done))
}

/** What cannot be written down cannot be kept: without it, an agent that is started again would not know. */
function unwritten(turn: Turn, detail: string): Turn {
  const {record} = turn.state
  if (!isOpen(record)) return over(turn, {reason: 'persist_failed', detail})
  return (record.phase === 'probing' ? refuse : undo)(turn, record, 'persist_failed', detail)
}

/** Goes on where an agent before this one was stopped. */
function recover(turn: Turn, record: SwitchRecord): Turn {
  if (isOfAnotherBoot(turn, record)) {
    const {drainUntil: _, guardUntil: __, standing: ___, standingBefore: ____, owed: _____, ...rest} = record
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

/** Of a switch that is decided: what it had still to do. What became of it meanwhile is looked at next. */
const resume = (turn: Turn, record: SwitchRecord): Turn => thenOwed(over(watch(turn, record)))

/** ms, to a tenth. */
const tenths = (ms: number): number => Math.round(Math.max(0, ms) * 10) / 10
