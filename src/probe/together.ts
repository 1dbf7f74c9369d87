// Several questions at the same time, and none of them left behind.
import type {World} from '../net/world.ts'
import {either} from './either.ts'
import {ENOUGH} from './schedule.ts'

/**
 * Runs all at once. If one fails, the others are told by their signal, waited for, and its error is thrown: no link and no
 * timer outlives the question.
 */
export async function together<T extends readonly unknown[]>(
  signal: AbortSignal,
  tasks: {readonly [K in keyof T]: (signal: AbortSignal) => Promise<T[K]>},
): Promise<T> {
  const failed = new AbortController()
  using ends = either(signal, failed.signal)
  const running = tasks.map(async (task) => {
    try {
      return await task(ends.signal)
    } catch (error) {
      failed.abort(error)
      throw error
    }
  })
  const settled = await Promise.allSettled(running)
  if (failed.signal.aborted) throw failed.signal.reason
  return settled.map((each) => (each as PromiseFulfilledResult<unknown>).value) as unknown as T
}

/**
 * Runs all at once until one has an answer; the others are told by their signal and waited for. Undefined if none has.
 * What one throws is thrown, unless another has answered before.
 */
export async function firstOf<T>(
  signal: AbortSignal,
  tasks: readonly ((signal: AbortSignal) => Promise<T | undefined>)[],
): Promise<T | undefined> {
  const done = new AbortController()
  using ends = either(signal, done.signal)
  let answer: T | undefined
  await Promise.all(
    tasks.map(async (task) => {
      try {
        answer ??= await task(ends.signal)
        if (answer !== undefined) done.abort(ENOUGH)
      } catch (error) {
        done.abort(error)
      }
    }),
  )
  signal.throwIfAborted()
  if (answer === undefined && done.signal.aborted) throw done.signal.reason
  return answer
}

/**
 * The answer to a question that others ask at the same time, see `World.joint`. Aborting ends the waiting with the signal's
 * reason, and not the question, which others may wait for.
 */
export async function jointly<T>(
  {joint}: Pick<World, 'joint'>,
  question: string,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (joint === undefined) return ask(signal)
  signal.throwIfAborted()
  const {promise: stopped, reject} = Promise.withResolvers<never>()
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop)
  try {
    return await Promise.race([joint(question, () => ask(new AbortController().signal)), stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
