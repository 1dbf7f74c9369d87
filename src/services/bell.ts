// Something to wait at, that others may ring.
import type {World} from '../net/world.ts'

export interface Bell {
  ring(): void
  /** Until it was rung since the last time, `ms` have passed, or the signal is aborted. */
  rings(ms: number, signal: AbortSignal): Promise<void>
}

export function makeBell(world: World): Bell {
  let ringing = new AbortController()
  return {
    ring: () => ringing.abort(new Error('rung')),
    async rings(ms, signal) {
      await world.sleep(ms, AbortSignal.any([signal, ringing.signal])).catch(() => {})
      ringing = new AbortController()
    },
  }
}
