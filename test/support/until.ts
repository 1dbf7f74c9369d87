import {setTimeout as delay} from 'node:timers/promises'

/** Waits until `test` is true, or throws after `ms`, saying what was waited for. */
export async function until(test: () => Promise<boolean>, ms: number, what: string): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await delay(100)) if (await test()) return
  throw new Error(`not within ${ms} ms: ${what}`)
}
