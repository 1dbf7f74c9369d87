// Carries out what domain/agent/switchover decides, one action after the other, and tells it how each ended.
import type {AgentConfig} from '../../domain/agent/config.ts'
import type {AgentMemory, SwitchRecord} from '../../domain/agent/memory.ts'
import type {SwitchPlan} from '../../domain/agent/policy.ts'
import {step} from '../../domain/agent/switchover.ts'
import {
  dueMs,
  isIdle,
  type SwitchAction,
  type SwitchEvent,
  switchoverOf,
  type Task,
  turnWanted,
  type Why,
} from '../../domain/agent/switchover-state.ts'
import type {AgentCommand, AgentReason} from '../../wire/agent-message.ts'
import type {AgentKernel} from './kernel.ts'
import * as routes from './routes.ts'
import type {AgentStore} from './store.ts'
import {makeSwitchWork} from './switch-work.ts'

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
   * Something changed: puts back what of the last switch somebody else took away, or tries again what could not be undone.
   * @throws RouteError if it cannot be put back, now.
   */
  reassert(): void
  /** Nothing of a switch is under way: no proof, no confirmation awaited, no session draining. */
  readonly idle: boolean
  /** Whether nothing is tried, changed or undone just now. */
  readonly resting: boolean
  /** Undoes what is not proved, and forgets its timers. */
  stop(): Promise<void>
}

export interface SwitcherParts {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly store: AgentStore
  /** The memory with the switch as it is now, and the answer to the command that began it; `uses`: which is used up. */
  noted(memory: AgentMemory, record: SwitchRecord, uses?: AgentCommand): AgentMemory
  /** The switch's state is another one now, and written down. */
  onChange(record: SwitchRecord): void
}

export function makeSwitcher({config: {windows}, kernel, store, noted, onChange}: SwitcherParts): Switcher {
  let state = switchoverOf(store.memory.last)
  let timer: NodeJS.Timeout | undefined
  /** By task: to whom it matters when its turn is over. */
  const turns = new Map<Task, (declined?: Required<Why>) => void>()
  const events: SwitchEvent[] = []
  let taking = false
  /** Why the rules of the last switch could not be put back when that was last tried. */
  let notPutBack: Error | undefined
  const work = makeSwitchWork(kernel, store, windows.probeMs, ({run, seq}, detail) =>
    take({kind: 'task', task: {kind: 'gateway_died', run, seq, detail}}),
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
      case 'reassert':
        notPutBack = work.reassert(action.changes, action.draining)
        break
      case 'over':
        turns.get(action.task)?.(action.declined)
        turns.delete(action.task)
        break
      case 'log':
        kernel.log(action.text)
        break
      default:
        void work.carryOut(action).then(take)
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

  return {
    begin: (command, kid, plan, receivedMs) =>
      inTurn({kind: 'switch', kid, command, plan, changes: routes.changesOf(plan), receivedMs}),
    confirm: async () => void (await inTurn({kind: 'confirm'})),
    rollBack: async (reason, detail) => void (await inTurn({kind: 'rollback', reason, detail})),
    async recover() {
      // Also what a trial in the middle of which the agent was killed has left.
      routes.closeProbePath(kernel)
      await inTurn({kind: 'recover'})
      if (notPutBack) kernel.log(`rules not put back yet: ${notPutBack.message}`)
      const error = store.make()
      if (error) kernel.log(`state not written: ${error.message}`)
    },
    reassert() {
      notPutBack = undefined
      take({kind: 'routes_changed'})
      if (notPutBack !== undefined) throw notPutBack
    },
    get idle() {
      return isIdle(state)
    },
    get resting() {
      return state.doing === undefined && state.tasks.length === 0
    },
    async stop() {
      take({kind: 'stop'})
      const last = state.tasks.at(-1)
      if (last !== undefined) await new Promise<void>((resolve) => turns.set(last, () => resolve()))
    },
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
