// Waiting for the rounds of a schedule, where an answer ends it early.
import type {World} from '../net/world.ts'
import {either} from './either.ts'

/** Why a wait ends that an answer ends. Made once: an error of its own for each costs more than the answer. */
export const ENOUGH = new Error('answered')

/** Sleeps for `ms`, but no longer than until `done` aborts. Throws the signal's reason when that is aborted. */
export async function pause(
  world: Pick<World, 'sleep'>,
  ms: number,
  done?: AbortSignal,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted()
  if (ms <= 0 || done?.aborted) return
  using ends = either(signal, done)
  await world.sleep(ms, ends.signal).catch((error) => {
    signal?.throwIfAborted()
    if (!done?.aborted) throw error
  })
}

export interface Schedule {
  /** Waits until `atMs` from the start, or until `done` aborts. */
  until(atMs: number, done?: AbortSignal): Promise<void>
  elapsedMs(): number
}

/** Starts to count. Aborting `signal` ends every wait with its reason. */
export function startSchedule(world: Pick<World, 'now' | 'sleep'>, signal: AbortSignal): Schedule {
  const startedNs = world.now()
  const elapsedMs = (): number => Number(world.now() - startedNs) / 1e6
  return {elapsedMs, until: (atMs, done) => pause(world, atMs - elapsedMs(), done, signal)}
}
