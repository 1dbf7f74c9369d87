// Carries out what domain/agent/switchover decides, one action after the other, and tells it how each ended.

import type {AgentConfig} from '../../domain/agent/config.ts'
import type {Why} from '../../domain/agent/egress.ts'
import type {SwitchPlan} from '../../domain/agent/facts.ts'
import type {AgentMemory, Standing, SwitchRecord} from '../../domain/agent/memory.ts'
import {step} from '../../domain/agent/switchover.ts'
import {
  dueMs,
  isIdle,
  type SwitchAction,
  type SwitchEvent,
  switchoverOf,
  type Task,
  turnWanted,
} from '../../domain/agent/switchover-state.ts'
import type {AgentCommand, AgentReason} from '../../wire/agent-message.ts'
import type {AgentKernel} from './kernel.ts'
import * as routes from './routes.ts'
import type {AgentStore} from './store.ts'
import {makeSwitchWork} from './switch-work.ts'

/** What becomes of a switch that waits for its proof or its confirmation when the agent ends. */
export type AgentEnd = 'undo' | 'leave'

export interface Switcher {
  /**
   * Carries out what the policy accepted. Resolves when it is confirmed, or waits for a confirmation, or is over, or cannot
   * be undone yet; with the reason if it did not begin. `receivedMs`: when it arrived, by performance.now().
   */
  begin(command: AgentCommand, kid: string, plan: SwitchPlan, receivedMs: number): Promise<Required<Why> | undefined>
  confirm(): Promise<void>
  /** Resolves after an attempt; what it could not undo is tried again until it is undone. */
  rollBack(reason: AgentReason, detail: string): Promise<void>
  /** Goes on where an agent before this one was stopped. @throws Failure `privilege` if the state cannot be written. */
  recover(): Promise<void>
  /**
   * Something may have changed: overlays follow what they lie over, what was confirmed is looked at, what could not be undone
   * is tried again. Returns whether to look again soon. @throws RouteError if something cannot be put back, now.
   */
  follow(): boolean
  /** Takes everything of ours away; resolves to what could not be, in words. */
  reset(): Promise<string | undefined>
  /** Nothing of a switch is under way: no proof, no confirmation awaited, no session draining. */
  readonly idle: boolean
  /** Whether nothing is tried, changed or undone just now. */
  readonly resting: boolean
  /** Undoes what is not decided, or leaves what is made of it to the agent that comes next; forgets its timers. */
  stop(end?: AgentEnd): Promise<void>
}

export interface SwitcherParts {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly store: AgentStore
  /** The memory with the switch as it is now, and the answer to the command that began it; `uses`: which is used up. */
  noted(memory: AgentMemory, record: SwitchRecord, uses?: AgentCommand): AgentMemory
  /** The switch's state is another one now, and written down. */
  onChange(record: SwitchRecord): void
  /** What was confirmed is so no more. */
  onLost(standing: Standing): void
}

export function makeSwitcher({config: {windows}, kernel, store, noted, onChange, onLost}: SwitcherParts): Switcher {
  let state = switchoverOf(store.memory.last)
  let timer: NodeJS.Timeout | undefined
  /** By task: to whom it matters when its turn is over. */
  const turns = new Map<Task, (declined?: Required<Why>) => void>()
  const events: SwitchEvent[] = []
  let taking = false
  /** Why the rules of the last switch could not be put back when that was last tried. */
  let notPutBack: Error | undefined
  /** What the last reset could not take away. */
  let left: string | undefined
  const work = makeSwitchWork(kernel, store, windows.probeMs, ({run, seq}, death) =>
    take({kind: 'task', task: {kind: 'gateway_died', run, seq, ...death}}),
  )

  /** One event after the other, also where an action makes something happen at once. */
  function take(event: SwitchEvent): void {
    events.push(event)
    if (taking) return
    taking = true
    try {
      for (let next = events.shift(); next !== undefined; next = turnWanted(state) ? {kind: 'turn'} : events.shift()) {
        happen(next)
      }
    } catch (error) {
      kernel.log(`not expected: ${messageOf(error)}`)
    } finally {
      taking = false
    }
  }

  function happen(event: SwitchEvent): void {
    const [bootId, uptimeMs] = [kernel.bootId(), kernel.uptime()]
    const now = {uptimeMs, bootId, wallMs: kernel.now(), clockMs: performance.now(), windows}
    const {state: next, actions} = step(state, event, now)
    const [first] = actions
    if (first?.kind === 'save') {
      try {
        store.save(noted(store.memory, first.record, first.uses))
      } catch (error) {
        happen({kind: 'not_saved', detail: messageOf(error)})
        return
      }
    }
    state = next
    clearTimeout(timer)
    const due = dueMs(state, bootId)
    // At least 10 ms: the kernel's uptime goes in steps of that.
    if (due !== undefined) timer = setTimeout(() => take({kind: 'tick'}), Math.max(10, due - uptimeMs))
    for (const action of actions) act(action)
  }

  function act(action: SwitchAction): void {
    switch (action.kind) {
      case 'save':
        onChange(action.record)
        break
      case 'keep':
        keep(action)
        break
      case 'abandon':
        work.abandon()
        break
      case 'watch':
        work.watch(action.record)
        break
      case 'leave':
        work.leave()
        break
      case 'hold':
        notPutBack ??= work.hold(action.changes, action.draining)
        break
      case 'withdraw':
        notPutBack ??= work.withdraw(action.changes)
        break
      case 'lost':
        onLost(action.standing)
        break
      case 'over':
        turns.get(action.task)?.(action.declined)
        turns.delete(action.task)
        break
      case 'log':
        kernel.log(action.text)
        break
      default:
        void work.carryOut(action).then((result) => {
          if (result.kind === 'reset') left = result.left
          take(result)
        })
    }
  }

  function keep({record, quietly}: SwitchAction & {kind: 'keep'}): void {
    const {memory} = store
    const error = store.keep(quietly ? {...memory, last: record} : noted(memory, record))
    if (error) kernel.log(`state not written: ${error.message}`)
    if (!quietly) onChange(record)
  }

  const inTurn = (task: Exclude<Task, {kind: 'stop'}>): Promise<Required<Why> | undefined> =>
    new Promise((resolve) => {
      turns.set(task, resolve)
      take({kind: 'task', task})
    })

  function follow(): boolean {
    if (state.record === undefined) return false
    const facts = () => routes.readFacts(kernel, store.memory)
    notPutBack = undefined
    take({kind: 'routes_changed', facts: facts()})
    if (notPutBack !== undefined) throw notPutBack
    take({kind: 'looked', facts: facts()})
    return state.doubted.length > 0
  }

  return {
    begin: (command, kid, plan, receivedMs) =>
      inTurn({kind: 'switch', kid, command, plan, changes: routes.changesOf(plan), receivedMs}),
    confirm: async () => void (await inTurn({kind: 'confirm'})),
    rollBack: async (reason, detail) => void (await inTurn({kind: 'rollback', reason, detail})),
    async recover() {
      // Also what a trial in the middle of which the agent was killed has left.
      routes.closeProbePath(kernel)
      await inTurn({kind: 'recover'})
      try {
        follow()
      } catch (error) {
        kernel.log(`rules not put back yet: ${messageOf(error)}`)
      }
      const error = store.make()
      if (error) kernel.log(`state not written: ${error.message}`)
    },
    follow,
    async reset() {
      await inTurn({kind: 'reset'})
      return left
    },
    get idle() {
      return isIdle(state)
    },
    get resting() {
      return state.doing === undefined && state.tasks.length === 0
    },
    async stop(end) {
      take({kind: 'stop', leaving: end === 'leave'})
      const last = state.tasks.at(-1)
      if (last !== undefined) await new Promise<void>((resolve) => turns.set(last, () => resolve()))
    },
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
