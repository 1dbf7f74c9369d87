// Many switches at a time: so many under way, so many begun a second. What becomes of one is nothing to the others.
import type {World} from '../net/world.ts'

export interface ManyPace {
  /** Under way at the same time, at most. */
  readonly concurrency: number
  /** Begun a second, at most; default: no limit of its own. */
  readonly rate?: number | undefined
  /** Aborted: nothing more is begun. What is under way goes on. */
  readonly stop: AbortSignal
}

/**
 * So many are begun between two turns of the event loop. Each asks by five frames a round, and all rounds follow at the same
 * distance: begun together, their answers would not fit the receive queue of a socket (see `sendPaced`) on a busy machine.
 */
const STARTS = 2
const TURN_MS = 1

/**
 * Calls `carry` for one job after the other, in their order; resolves when all that were begun have ended, to those that
 * were not. `carry` sees to its own failures: one that rejects all the same keeps no other from being begun, and is thrown
 * when all have ended.
 */
export async function carryOutMany<T>(
  jobs: readonly T[],
  carry: (job: T) => Promise<unknown>,
  world: Pick<World, 'monotonic' | 'sleep'>,
  {concurrency, rate, stop}: ManyPace,
): Promise<readonly T[]> {
  const startedNs = world.monotonic()
  const dueMs = (n: number): number =>
    rate === undefined ? 0 : (n * 1000) / rate - Number(world.monotonic() - startedNs) / 1e6
  let begun = 0
  let gate = Promise.resolve()
  const paced = async (n: number): Promise<void> => {
    const waitMs = Math.max(dueMs(n), n > 0 && n % STARTS === 0 ? TURN_MS : 0)
    if (waitMs > 0) await world.sleep(waitMs, stop)
  }
  /** The next job, when it may begin; undefined: there is none any more. */
  const next = (): Promise<T | undefined> => {
    const turn = gate.then(async () => {
      if (begun < jobs.length) await paced(begun).catch(() => {})
      return stop.aborted ? undefined : jobs[begun++]
    })
    gate = turn.then(() => {})
    return turn
  }
  const failures: unknown[] = []
  const work = async (): Promise<void> => {
    for (let job = await next(); job !== undefined; job = await next())
      await carry(job).catch((error) => failures.push(error))
  }
  await Promise.all(Array.from({length: Math.min(concurrency, jobs.length)}, work))
  if (failures.length > 0) throw failures[0]
  return jobs.slice(begun)
}
