// Switches that notes asked for: a few at once, one at a time for a VM, and not again and again for one that fails.

/** What became of a wish. */
export type Offered = 'begun' | 'queued' | 'under_way' | 'too_soon' | 'backing_off' | 'full'

export interface SwitchQueueLimits {
  readonly atOnce: number
  readonly waiting: number
  /** Between the end of a switch and the next one of the same VM, ms. */
  readonly gapMs: number
  /** The same after one that failed, and after each more in a row. */
  readonly backOffMs: readonly number[]
}

export const SWITCH_LIMITS: SwitchQueueLimits = {
  atOnce: 4,
  waiting: 256,
  gapMs: 5000,
  backOffMs: [30_000, 60_000, 120_000, 300_000, 600_000],
}

export interface SwitchQueue<T> {
  /** Wants a switch of `vm`. What is `queued` begins by itself. */
  offer(vm: string, order: T): Offered
  /** ms until a VM may be switched again; 0 if it may now. */
  waitMs(vm: string): number
  /** Nothing that waits begins any more; resolves when what runs has ended. */
  close(): Promise<void>
}

interface VmState {
  state: 'idle' | 'waiting' | 'running'
  failures: number
  notBeforeMs: number
}

/** `run` does the switch and says whether it succeeded; it must not reject. */
export function switchQueue<T>(
  limits: SwitchQueueLimits,
  nowMs: () => number,
  run: (vm: string, order: T) => Promise<boolean>,
): SwitchQueue<T> {
  const vms = new Map<string, VmState>()
  const waiting: {vm: string; order: T}[] = []
  const running = new Set<Promise<void>>()
  let closed = false
  const stateOf = (vm: string): VmState => {
    const known = vms.get(vm) ?? {state: 'idle', failures: 0, notBeforeMs: Number.NEGATIVE_INFINITY}
    vms.set(vm, known)
    return known
  }

  function begin(vm: string, order: T): void {
    const state = stateOf(vm)
    state.state = 'running'
    const done = run(vm, order).then((succeeded) => {
      running.delete(done)
      state.state = 'idle'
      state.failures = succeeded ? 0 : state.failures + 1
      const {backOffMs, gapMs} = limits
      state.notBeforeMs = nowMs() + (succeeded ? gapMs : (backOffMs[state.failures - 1] ?? backOffMs.at(-1) ?? gapMs))
      const next = closed ? undefined : waiting.shift()
      if (next) begin(next.vm, next.order)
    })
    running.add(done)
  }

  return {
    offer(vm, order) {
      const state = stateOf(vm)
      if (state.state !== 'idle') return 'under_way'
      if (nowMs() < state.notBeforeMs) return state.failures > 0 ? 'backing_off' : 'too_soon'
      if (closed || waiting.length >= limits.waiting) return 'full'
      if (running.size < limits.atOnce) {
        begin(vm, order)
        return 'begun'
      }
      state.state = 'waiting'
      waiting.push({vm, order})
      return 'queued'
    },
    waitMs: (vm) => Math.max(0, stateOf(vm).notBeforeMs - nowMs()),
    async close() {
      closed = true
      await Promise.all(running)
    },
  }
}
