// By the monotonic clock: the other one is set now and then.
import {setTimeout as delay} from 'node:timers/promises'

export {until} from '../../src/lab/until.ts'

/** Tries again until it holds, or throws what it threw last. */
export async function eventually(check: () => Promise<void>, withinMs = 20_000): Promise<void> {
  for (const end = performance.now() + withinMs; ; await delay(50)) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}
