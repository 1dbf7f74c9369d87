// What a switchover of this VM is, from the command to its proof or its end: its state, what happens to it, and what is to
// be done. The step from one to the next is in switchover.ts.
import type {AgentCommand, AgentReason} from '../../wire/agent-message.ts'
import type {Why} from './egress.ts'
import type {PolicyFacts, SwitchPlan} from './facts.ts'
import {type Deadline, isOpen, type RouteChange, type Standing, type SwitchRecord} from './memory.ts'
import {NO_FAILURE, type Retry} from './retry.ts'

/** What has its turn, from its first action to its last one: those of different tasks never mingle. */
export type Task =
  | SwitchTask
  | {readonly kind: 'confirm'}
  | {readonly kind: 'rollback'; readonly reason: AgentReason; readonly detail: string}
  /** The gateway to which that switch went is dead in these families, the old one is not. */
  | {
      readonly kind: 'gateway_died'
      readonly run: string
      readonly seq: number
      readonly families: readonly (4 | 6)[]
      readonly detail: string
    }
  /** What could not be undone, or ended, is tried again; or it has become time to. */
  | {readonly kind: 'undo' | 'end_drain'}
  /** Everything of ours is to go. */
  | {readonly kind: 'reset'}
  /** The first of all: goes on where an agent before this one was stopped. */
  | {readonly kind: 'recover'}
  /** The last; `open`: a switch was not decided when it was ordered, and is not left to whoever comes next. */
  | {readonly kind: 'stop'; readonly open: boolean}

/** A command that the policy accepted. */
export interface SwitchTask {
  readonly kind: 'switch'
  readonly kid: string
  readonly command: AgentCommand
  readonly plan: SwitchPlan
  /** What the plan makes of the routes. */
  readonly changes: readonly RouteChange[]
  /** When it arrived, by {@link SwitchNow.clockMs}. */
  readonly receivedMs: number
}

/** What is under way for the first task, and takes its time. */
export type Doing =
  | {readonly kind: 'trying' | 'applying'; readonly task: SwitchTask}
  | {readonly kind: 'proving' | 'confirming' | 'undoing' | 'ending_drain' | 'resetting'}

export interface Switchover {
  /** The switch in progress, or the last one, as it is on disk. */
  readonly record: SwitchRecord | undefined
  /** The first has its turn, if something is {@link Switchover.doing}; the others wait. */
  readonly tasks: readonly Task[]
  readonly doing: Doing | undefined
  /** Since the change, and by this agent: a confirmation that waits counts for nothing without it. */
  readonly proved: boolean
  /** Families of which what was confirmed was not so at the last look: an owner that starts again takes a moment. */
  readonly doubted: readonly (4 | 6)[]
  readonly undoing: Retry
  readonly draining: Retry
  /** Nothing is begun or tried again any more. */
  readonly stopped: boolean
}

export type SwitchEvent =
  | {readonly kind: 'task'; readonly task: Exclude<Task, {readonly kind: 'stop'}>}
  /** Nothing is under way and a task waits: {@link turnWanted}. */
  | {readonly kind: 'turn'}
  /** {@link dueMs} is over. */
  | {readonly kind: 'tick'}
  /** Interfaces, routes or rules may have changed, whoever did that; and the look after what came of it. */
  | {readonly kind: 'routes_changed' | 'looked'; readonly facts: Surroundings}
  /** The agent ends. `leaving`: a switch that is made, and waits for its proof or its confirmation, goes on without it. */
  | {readonly kind: 'stop'; readonly leaving?: boolean}
  /** A `save` failed. The state is the one before the step that asked for it, and none of that step's actions was done. */
  | {readonly kind: 'not_saved'; readonly detail: string}
  | SwitchResult

/** What standing switches are held against. */
export type Surroundings = Pick<PolicyFacts, 'families' | 'nics'>

/** How ended what an action began. */
export type SwitchResult =
  /** `wrong`: why not that gateway; else the routes after the trial. */
  | {readonly kind: 'tried'; readonly wrong: Required<Why>}
  | {readonly kind: 'tried'; readonly wrong?: undefined; readonly families: PolicyFacts['families']}
  | {readonly kind: 'applied'}
  | Proof
  /** `gone`: interfaces that are no more, and their routes with them; `left`: what is not undone. */
  | {
      readonly kind: 'undone'
      readonly trouble: string | undefined
      readonly gone: readonly string[]
      readonly left?: readonly RouteChange[]
    }
  | {readonly kind: 'drain_ended'}
  /** `left`: what could not be taken away. */
  | {readonly kind: 'reset'; readonly left: string | undefined}
  /** It threw. */
  | {readonly kind: 'failed'; readonly detail: string}

/** By what the kernel would do with the VM's traffic, and by what answers. */
export interface Proof {
  readonly kind: 'proved'
  /** A new gateway beyond which nothing answers. */
  readonly silent: string | undefined
  /** Why the traffic has not moved. */
  readonly wrong?: Required<Why> | undefined
  /** What of it has not, in words. */
  readonly partial?: string | undefined
  /** Families of which ordinary traffic goes past the gateway, as by a tunnel. */
  readonly aside?: readonly (4 | 6)[]
}

export type SwitchAction =
  /**
   * On disk, with the answer that it is to who asked, before the actions after it are taken; else they are not, and
   * `not_saved` comes. Always the first action. `uses`: this command is used up by the same write.
   */
  | {readonly kind: 'save'; readonly record: SwitchRecord; readonly uses?: AgentCommand}
  /** The same where the disk is not decisive. `quietly`: nothing that anybody is told is another than before. */
  | {readonly kind: 'keep'; readonly record: SwitchRecord; readonly quietly?: true}
  /** Each of these ends in its {@link SwitchResult}. A trial begins when a watch has ended that was left. */
  | {readonly kind: 'try'; readonly plan: SwitchPlan}
  | {readonly kind: 'apply'; readonly changes: readonly RouteChange[]}
  /** `keepDrain`: what drains now is not theirs. */
  | {readonly kind: 'undo'; readonly changes: readonly RouteChange[]; readonly keepDrain: boolean}
  | {readonly kind: 'prove'; readonly changes: readonly RouteChange[]; readonly probes: readonly string[]}
  | {readonly kind: 'end_drain'}
  /** The trial or the proof under way need not be waited for. */
  | {readonly kind: 'abandon'}
  /** Watches the confirmed gateway until `guardUntil`: `gateway_died` may come. */
  | {readonly kind: 'watch'; readonly record: SwitchRecord}
  | {readonly kind: 'leave'}
  /** Ends in `reset`; `changes`: those of a switch that was not decided. */
  | {readonly kind: 'reset'; readonly changes: readonly RouteChange[]}
  /** Puts back what of the overlay somebody else took away. */
  | {readonly kind: 'hold'; readonly changes: readonly RouteChange[]; readonly draining: boolean}
  /** Takes it away: what it lay over is not so any more. */
  | {readonly kind: 'withdraw'; readonly changes: readonly RouteChange[]}
  /** What was confirmed is so no more. */
  | {readonly kind: 'lost'; readonly standing: Standing}
  /** This task's turn is over; `declined`: the switch was not begun. */
  | {readonly kind: 'over'; readonly task: Task; readonly declined?: Required<Why>}
  | {readonly kind: 'log'; readonly text: string}

/** What is so now. */
export interface SwitchNow {
  /** ms since boot, and which boot: a clock that nobody sets. */
  readonly uptimeMs: number
  readonly bootId: string
  /** ms since 1970. */
  readonly wallMs: number
  /** To the fraction of a ms, since whenever. */
  readonly clockMs: number
  readonly windows: {readonly confirmS: number; readonly drainS: number; readonly guardS: number}
}

/** As an agent finds it that is started: `recover` is its first task. */
export const switchoverOf = (record: SwitchRecord | undefined): Switchover => ({
  ...{record, tasks: [], doing: undefined, stopped: false, proved: false, doubted: []},
  ...{undoing: NO_FAILURE, draining: NO_FAILURE},
})

/** Nothing of a switch is under way: no proof, no confirmation awaited, no session draining. */
export const isIdle = ({record}: Switchover): boolean => !isOpen(record) && record?.drainUntil === undefined

export const turnWanted = ({doing, tasks}: Switchover): boolean => doing === undefined && tasks.length > 0

/** When a `tick` is wanted, ms since boot `bootId`; undefined if none is. */
export const dueMs = (state: Switchover, bootId: string): number | undefined => due(state, bootId)?.atMs

/** What time alone brings about. */
export function due(state: Switchover, bootId: string): {readonly atMs: number; readonly task: Task} | undefined {
  const {record, tasks, undoing, draining, stopped} = state
  // One of another boot is over.
  const at = (deadline: Deadline): number => (deadline.bootId === bootId ? deadline.uptimeMs : 0)
  if (stopped || record === undefined) return undefined
  if (record.phase === 'applying' || record.phase === 'applied') {
    if (tasks.some((task) => task.kind === 'rollback' && task.reason === 'not_confirmed')) return undefined
    const detail = record.needsConfirm ? 'no confirmation came in time' : 'it was not proved in time'
    return {atMs: at(record.deadline!), task: {kind: 'rollback', reason: 'not_confirmed', detail}}
  }
  if (tasks.length > 0) return undefined
  const undo = undoing.againMs === undefined ? [] : [{atMs: undoing.againMs, task: {kind: 'undo'} as const}]
  if (record.phase === 'rolling_back') return undo[0]
  const {drainUntil} = record
  const endMs = Math.max(drainUntil ? at(drainUntil) : 0, draining.againMs ?? 0)
  const drained = drainUntil === undefined && draining.againMs === undefined
  const all = [...undo, ...(drained ? [] : [{atMs: endMs, task: {kind: 'end_drain'} as const}])]
  return all.toSorted((a, b) => a.atMs - b.atMs)[0]
}
