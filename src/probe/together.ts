// Several questions at the same time, and none of them left behind.

/**
 * Runs all at once. If one fails, the others are told by their signal, waited for, and its error is thrown: no link and no
 * timer outlives the question.
 */
export async function together<T extends readonly unknown[]>(
  signal: AbortSignal,
  tasks: {readonly [K in keyof T]: (signal: AbortSignal) => Promise<T[K]>},
): Promise<T> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const running = tasks.map(async (task) => {
    try {
      return await task(either)
    } catch (error) {
      failed.abort(error)
      throw error
    }
  })
  const settled = await Promise.allSettled(running)
  if (failed.signal.aborted) throw failed.signal.reason
  return settled.map((each) => (each as PromiseFulfilledResult<unknown>).value) as unknown as T
}
