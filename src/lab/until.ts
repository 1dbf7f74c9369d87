// By the monotonic clock: the other one is set now and then.
import {setTimeout as delay} from 'node:timers/promises'

/** Waits until `test` is true, asking every `everyMs`, or throws after `ms`, saying what was waited for. */
export async function until(test: () => Promise<boolean>, ms: number, what: string, everyMs = 100): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await delay(everyMs)) if (await test()) return
  throw new Error(`not within ${ms} ms: ${what}`)
}
