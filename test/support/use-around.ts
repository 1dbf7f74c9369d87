import {afterAll, beforeAll} from 'vitest'

/** What `within` gives its function, for all tests of a block: there before the first, gone after the last. */
export function useAround<T>(within: (fn: (it: T) => Promise<void>) => Promise<void>): () => T {
  let found: T | undefined
  let running: Promise<void>
  const over = Promise.withResolvers<void>()
  beforeAll(async () => {
    const ready = Promise.withResolvers<void>()
    running = within((it) => {
      found = it
      ready.resolve()
      return over.promise
    })
    await Promise.race([ready.promise, running])
  })
  afterAll(async () => {
    over.resolve()
    await running
  })
  return () => found!
}
