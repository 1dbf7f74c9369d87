// What the parts of a switchover's step have in common: the state so far, the actions so far, whose turn it is.

import type {AgentCommand, AgentState} from '../../wire/agent-message.ts'
import type {Why} from './egress.ts'
import type {Deadline, SwitchRecord} from './memory.ts'
import type {SwitchAction, SwitchNow, Switchover, Task} from './switchover-state.ts'

export interface SwitchStep {
  readonly state: Switchover
  readonly actions: readonly SwitchAction[]
}

export interface Turn extends SwitchStep {
  readonly now: SwitchNow
}

export const put = (turn: Turn, over: Partial<Switchover>): Turn => ({...turn, state: {...turn.state, ...over}})

export const act = (turn: Turn, ...actions: readonly SwitchAction[]): Turn => ({
  ...turn,
  actions: [...turn.actions, ...actions],
})

export const save = (turn: Turn, record: SwitchRecord, uses?: AgentCommand): Turn =>
  act(put(turn, {record}), {kind: 'save', record, ...(uses === undefined ? {} : {uses})})

/** Where the VM is on the old gateway, a full disk changes nothing about that. */
export const keep = (turn: Turn, record: SwitchRecord): Turn => act(put(turn, {record}), {kind: 'keep', record})

/** The same where nothing that anybody was told is another than before. */
export const keepQuietly = (turn: Turn, record: SwitchRecord): Turn =>
  act(put(turn, {record}), {kind: 'keep', record, quietly: true})

export const log = (turn: Turn, text: string): Turn => act(turn, {kind: 'log', text})

const takesBack = (task: Task): boolean =>
  task.kind === 'rollback' || task.kind === 'reset' || (task.kind === 'stop' && task.open)

/** Whether the switch in progress is taken back as soon as it may be. */
export const takenBack = ({state}: Turn): boolean => state.tasks.some(takesBack)

/** Whether its proof counts for nothing: it is taken back, or proved by the agent that comes after this one. */
export const isCut = (turn: Turn): boolean => turn.state.stopped || takenBack(turn)

export function enqueue(turn: Turn, task: Task): Turn {
  const {tasks, doing} = turn.state
  const queued = put(turn, {tasks: [...tasks, task]})
  const asking = doing?.kind === 'trying' || doing?.kind === 'proving' || doing?.kind === 'confirming'
  const isCutShort = asking && takesBack(task)
  // What the controller has confirmed is looked at to its end: it takes a moment, and decides it.
  return isCutShort || (doing?.kind === 'proving' && task.kind === 'stop') ? act(queued, {kind: 'abandon'}) : queued
}

/** The turn of the first task is over. */
export function over(turn: Turn, declined?: Required<Why>): Turn {
  const [task, ...tasks] = turn.state.tasks
  const ended: SwitchAction = {kind: 'over', task: task!, ...(declined === undefined ? {} : {declined})}
  return act(put(turn, {tasks, doing: undefined}), ended)
}

export const deadlineIn = ({now: {bootId, uptimeMs}}: Turn, ms: number): Deadline => ({bootId, uptimeMs: uptimeMs + ms})

export const isAhead = ({now}: Turn, {bootId, uptimeMs}: Deadline): boolean =>
  bootId === now.bootId && uptimeMs > now.uptimeMs

export function ended({now}: Turn, record: SwitchRecord, state: AgentState, why: Why = {}): SwitchRecord {
  const {reason: _, detail: __, trouble: ___, staying: ____, ...rest} = record
  return {...rest, ...why, phase: 'done', state, endedAt: now.wallMs}
}

export function watch(turn: Turn, record: SwitchRecord): Turn {
  const wanted = record.guardUntil !== undefined && isAhead(turn, record.guardUntil) && !turn.state.stopped
  return wanted ? act(turn, {kind: 'watch', record}) : turn
}
