// What a switchover does in the kernel, and what it asks the network: each action, and how it ended.
import type {RouteChange, SwitchRecord} from '../../domain/agent/memory.ts'
import type {SwitchAction, SwitchResult} from '../../domain/agent/switchover-state.ts'
import {type Death, makeGuard} from './guard.ts'
import type {AgentKernel} from './kernel.ts'
import {proveMove} from './prove.ts'
import * as routes from './routes.ts'
import type {AgentStore} from './store.ts'
import {tryGateways} from './try-gateways.ts'
import {removeAll, undoChanges} from './undo.ts'

/** What takes its time; one at a time. */
export type LongAction = Extract<
  SwitchAction,
  {readonly kind: 'try' | 'apply' | 'prove' | 'undo' | 'end_drain' | 'reset'}
>

export interface SwitchWork {
  /** Never rejects. */
  carryOut(action: LongAction): Promise<SwitchResult>
  /** The trial or the proof under way ends soon. */
  abandon(): void
  watch(record: SwitchRecord): void
  leave(): void
  /** Why it could not be done; undefined if it was, or nothing was missing. */
  hold(changes: readonly RouteChange[], draining: boolean): Error | undefined
  withdraw(changes: readonly RouteChange[]): Error | undefined
}

/** `onDied`: the gateway that is watched is dead, the one before is not. */
export function makeSwitchWork(
  kernel: AgentKernel,
  store: AgentStore,
  probeMs: number,
  onDied: (record: SwitchRecord, death: Death) => void,
): SwitchWork {
  const guard = makeGuard(kernel, probeMs, onDied)
  let asking = new AbortController()
  return {
    async carryOut(action) {
      asking = new AbortController()
      const {signal} = asking
      try {
        // Nothing is asked on account of the watch any more when another gateway is tried.
        if (action.kind === 'try') await guard.left()
        return await carriedOut(action, {kernel, store, probeMs, signal})
      } catch (error) {
        return {kind: 'failed', detail: error instanceof Error ? error.message : String(error)}
      }
    },
    abandon: () => asking.abort(),
    watch: guard.watch,
    leave: guard.leave,
    hold(changes, draining) {
      if (draining) void holdDrain(kernel, changes)
      return errorOf(() => {
        if (routes.hold(kernel, changes, draining))
          kernel.log('the rules of the last switch were taken away by another program: put back')
      })
    },
    withdraw: (changes) => errorOf(() => routes.withdraw(kernel, changes)),
  }
}

/** Never rejects. */
async function holdDrain(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<void> {
  try {
    if (!(await routes.holdDrain(kernel, changes))) return
    kernel.log('the rules that keep open sessions on the old gateway were taken away by another program: put back')
  } catch (error) {
    kernel.log(`open sessions are not kept on the old gateway any more: ${(error as Error).message}`)
  }
}

function errorOf(act: () => void): Error | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return error as Error
  }
}

interface Means {
  readonly kernel: AgentKernel
  readonly store: AgentStore
  readonly probeMs: number
  /** Ends a trial or a proof early. */
  readonly signal: AbortSignal
}

/** What takes its time, and how it ended. @throws RouteError or Failure */
async function carriedOut(action: LongAction, {kernel, store, probeMs, signal}: Means): Promise<SwitchResult> {
  switch (action.kind) {
    case 'try': {
      const unfit = action.plan.mode === 'drain' ? await kernel.drainProblem() : undefined
      if (unfit !== undefined) return {kind: 'tried', wrong: {reason: 'mode', detail: unfit}}
      const wrong = await tryGateways(kernel, action.plan, probeMs, signal)
      if (wrong) return {kind: 'tried', wrong}
      return {kind: 'tried', families: routes.readFacts(kernel, store.memory).families}
    }
    case 'apply':
      await routes.make(kernel, action.changes)
      return {kind: 'applied'}
    case 'prove':
      return proveMove(kernel, action.changes, {probes: action.probes, timeoutMs: probeMs, signal})
    case 'undo':
      return {kind: 'undone', ...(await undoChanges(kernel, action.changes, action.keepDrain))}
    case 'end_drain':
      await routes.endDrain(kernel)
      return {kind: 'drain_ended'}
    case 'reset':
      return {kind: 'reset', left: await removeAll(kernel, action.changes)}
  }
}
