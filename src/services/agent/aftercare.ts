// What is left to do when a switch is decided: let open sessions go when the drain is over, and watch the new gateway.
import type {Deadline, SwitchRecord} from '../../domain/agent/memory.ts'
import {guardGateway} from './guard.ts'
import type {AgentKernel} from './kernel.ts'
import {endDrain} from './routes.ts'
import type {AgentStore} from './store.ts'
import {makeRetry} from './undo.ts'

export interface Aftercare {
  /** Takes care for what is left of its time, also after a restart. */
  take(record: SwitchRecord): void
  /** Watches no longer. */
  leave(): void
  /** Resolves when nothing is asked any more on account of the watch; after {@link leave}. */
  left(): Promise<void>
  /** No timer is left. */
  stop(): void
}

export interface AftercareParts {
  readonly kernel: AgentKernel
  readonly store: AgentStore
  readonly probeMs: number
  /** ms until then; 0 if that is over. */
  msUntil(deadline: Deadline): number
  /** Runs a step when no other one runs; not awaited. */
  inTurn(step: () => Promise<void>): void
  /** The new gateway is dead, the old one is not. */
  onDied(record: SwitchRecord, detail: string): void
}

export function makeAftercare({kernel, store, probeMs, msUntil, inTurn, onDied}: AftercareParts): Aftercare {
  let guarding = new AbortController()
  let guarded: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const again = makeRetry('end of the drain', kernel.log, () => inTurn(drainOver))

  function waitForDrain({drainUntil}: SwitchRecord): void {
    clearTimeout(timer)
    if (drainUntil !== undefined) timer = setTimeout(() => inTurn(drainOver), msUntil(drainUntil))
  }

  async function drainOver(): Promise<void> {
    const {last} = store.memory
    // That of a later switch has its own time.
    if (last?.drainUntil !== undefined && msUntil(last.drainUntil) > 0) return waitForDrain(last)
    try {
      await endDrainNow()
      again.done()
    } catch (error) {
      again.later((error as Error).message)
    }
  }

  async function endDrainNow(): Promise<void> {
    const {last} = store.memory
    if (last?.drainUntil === undefined) return
    await endDrain(kernel)
    clearTimeout(timer)
    const {drainUntil: _, ...rest} = last
    const error = store.keep({...store.memory, last: rest})
    if (error) kernel.log(`state not written: ${error.message}`)
  }

  function watch(record: SwitchRecord): void {
    if (record.guardUntil === undefined || msUntil(record.guardUntil) === 0) return
    guarding = new AbortController()
    const {signal} = guarding
    guarded = guardGateway(kernel, {record, untilMs: record.guardUntil.uptimeMs, probeMs}, signal).then(
      (detail) => {
        if (detail !== undefined) onDied(record, detail)
      },
      (error: Error) => {
        if (!signal.aborted) kernel.log(`guard: ${error.message}`)
      },
    )
  }

  return {
    take(record) {
      waitForDrain(record)
      watch(record)
    },
    leave: () => guarding.abort(),
    left: () => guarded,
    stop() {
      guarding.abort()
      again.stop()
      clearTimeout(timer)
    },
  }
}
