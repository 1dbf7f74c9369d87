import {afterAll, beforeAll} from 'vitest'
import type {LabOptions} from '../../src/lab/options.ts'
import {type TestLab, withLab} from './namespaces.ts'

/** A lab for all tests of a file: up before the first, gone after the last. */
export function useLab(options: Partial<Omit<LabOptions, 'prefix'>> = {}): () => TestLab {
  let lab: TestLab | undefined
  let running: Promise<void>
  const over = Promise.withResolvers<void>()
  beforeAll(async () => {
    const ready = Promise.withResolvers<void>()
    running = withLab(options, (found) => {
      lab = found
      ready.resolve()
      return over.promise
    })
    await Promise.race([ready.promise, running])
  })
  afterAll(async () => {
    over.resolve()
    await running
  })
  return () => lab!
}
