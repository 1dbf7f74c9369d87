import type {LabOptions} from '../../src/lab/options.ts'
import {type TestLab, withLab} from './namespaces.ts'
import {useAround} from './use-around.ts'

/** A lab for all tests of a file: up before the first, gone after the last. */
export const useLab = (options: Partial<Omit<LabOptions, 'prefix'>> = {}): (() => TestLab) =>
  useAround((fn) => withLab(options, fn))
