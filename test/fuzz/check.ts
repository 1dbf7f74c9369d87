// What every reader must do with any input: give a value or its layer's own error, in bounded time; and what it can write
// reads back as it was.
import {isDeepStrictEqual} from 'node:util'
import {Failure} from '../../src/errors.ts'
import {WireError} from '../../src/wire/error.ts'
import {inputFor, randomOf} from './mutate.ts'
import type {Target} from './target.ts'

/** ms of the processor's time that one input may take, and that it took once more when it was tried again. */
const SLOW_MS = 500

/** An input that a reader does not stand. */
export interface Find {
  readonly target: string
  /** What it did instead, in one line; the same for inputs that meet the same fault. */
  readonly what: string
  readonly detail: string
  readonly input: Uint8Array
}

/** Tries one input; undefined if all is well. */
export async function check(target: Target, input: Uint8Array): Promise<Find | undefined> {
  const found = (what: string, detail = what): Find => ({target: target.name, what, detail, input: input.slice()})
  const first = await tried(target, input, found)
  if (first.find || first.ms < SLOW_MS) return first.find
  const again = await tried(target, input, found)
  return again.find ?? (again.ms < SLOW_MS ? undefined : found('slow', `${again.ms.toFixed(0)} ms`))
}

async function tried(target: Target, input: Uint8Array, found: (what: string, detail?: string) => Find) {
  const start = process.cpuUsage()
  const find = await judged(target, input, found)
  const {user, system} = process.cpuUsage(start)
  return {find, ms: (user + system) / 1000}
}

async function judged(
  target: Target,
  input: Uint8Array,
  found: (what: string, detail?: string) => Find,
): Promise<Find | undefined> {
  let value: unknown
  try {
    value = target.read(input)
    if (value instanceof Promise) value = await value
  } catch (error) {
    if (error instanceof Failure) return undefined
    if (!(error instanceof WireError)) return found(...wordsOf(error))
    if (error.offset >= 0 && error.offset <= input.length) return undefined
    return found(`offset outside the input: ${error.message}`, `offset ${error.offset} of ${input.length} bytes`)
  }
  if (!target.write) return undefined
  try {
    if (target.settles !== undefined) value = await target.read(target.write(value))
    const written = target.write(value)
    const back = await target.read(written)
    if (isDeepStrictEqual(back, value)) return undefined
    return found('not idempotent', `written ${hexOf(written)}`)
  } catch (error) {
    const [what, detail] = wordsOf(error)
    return found(`what it reads cannot be written, or read again: ${what}`, detail)
  }
}

/** The error and where it was thrown, but for what differs from input to input. */
function wordsOf(error: unknown): [what: string, detail: string] {
  if (!(error instanceof Error)) return [`throws ${typeof error}`, String(error)]
  const at = /^\s+at .*$/m.exec(error.stack ?? '')?.[0].trim() ?? ''
  return [`${error.name} ${at.replace(/\(.*\/(?=(?:src|test)\/)/, '(')}`, error.stack ?? error.message]
}

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A find in one line, for a test that fails. */
export const words = (find: Find | undefined): string | undefined =>
  find && `${find.target}: ${find.what}: ${find.detail} (input ${hexOf(find.input)})`

/** A shorter input that meets the same fault. */
export async function shortened(target: Target, find: Find): Promise<Find> {
  let best = find
  let tries = 0
  for (let size = Math.ceil(find.input.length / 2); size >= 1; size = size > 1 ? Math.ceil(size / 2) : 0) {
    for (let at = 0; at < best.input.length && tries < 2000; tries++) {
      const input = Uint8Array.from([...best.input.subarray(0, at), ...best.input.subarray(at + size)])
      const same = await check(target, input)
      if (same?.what === find.what) best = same
      else at += size
    }
  }
  return best
}

/** Tries `count` inputs made from a seed; every fault once. */
export async function fuzz(target: Target, seed: number, count: number): Promise<Find[]> {
  const finds = new Map<string, Find>()
  const corpus = target.corpus()
  const random = randomOf(seed, target.name)
  for (let i = 0; i < count; i++) {
    const find = await check(target, inputFor(target, corpus, random))
    if (find && !finds.has(find.what)) finds.set(find.what, await shortened(target, find))
  }
  return [...finds.values()]
}
