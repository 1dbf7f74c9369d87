// By the monotonic clock: the other one is set now and then.
import {setTimeout as delay} from 'node:timers/promises'

/** Waits until `test` is true, or throws after `ms`, saying what was waited for. */
export async function until(test: () => Promise<boolean>, ms: number, what: string): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await delay(100)) if (await test()) return
  throw new Error(`not within ${ms} ms: ${what}`)
}

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
