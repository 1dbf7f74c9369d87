// Inputs made from others: the same seed makes the same ones.
import type {Target} from './target.ts'

/** Whole numbers from 0 to `below - 1`. */
export type Random = (below: number) => number

/** sfc32 (PractRand's small fast counting generator), by a number and a name: each target has a sequence of its own. */
export function randomOf(seed: number, name: string): Random {
  let [a, b, c, counter] = [seed | 0, 0x9e37_79b9, 0x243f_6a88, 1]
  const next = (): number => {
    const out = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + out
    return out >>> 0
  }
  for (const char of name) {
    c ^= char.charCodeAt(0)
    next()
  }
  for (let i = 0; i < 12; i++) next()
  return (below) => next() % below
}

const pick = <T>(list: readonly T[], random: Random): T => list[random(list.length)]!

/** Longer inputs are cut: nothing that is read here comes longer from a network. */
const LONGEST = 65_536

/** A new input for a target. `corpus` is what {@link Target.corpus} gave. */
export function inputFor(target: Target, corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const base = pick(corpus, random)
  const made =
    target.form === 'bytes' || random(8) === 0
      ? changedBytes(base, corpus, random)
      : target.form === 'json' && random(4) > 0
        ? changedJson(base, random)
        : changedText(base, corpus, random)
  const input = made.length > LONGEST ? made.subarray(0, LONGEST) : made
  return target.repair && random(3) > 0 ? target.repair(input) : input
}

const EDGES = [0, 1, 2, 4, 0x7f, 0x80, 0xfe, 0xff]
const WIDE_EDGES = [0, 1, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]

/** Bytes that are changed where they lie; what goes beyond {@link LONGEST} is lost. */
class Draft {
  readonly #bytes: Uint8Array
  length: number
  constructor(base: Uint8Array, room: Uint8Array) {
    this.#bytes = room
    this.length = Math.min(base.length, LONGEST)
    room.set(base.subarray(0, this.length))
  }
  set(at: number, value: number): void {
    if (at < this.length) this.#bytes[at] = value
  }
  flip(at: number, bits: number): void {
    if (at < this.length) this.#bytes[at]! ^= bits
  }
  /** Takes `count` bytes out at `at` and puts others there. */
  splice(at: number, count: number, others: Uint8Array = new Uint8Array(0)): void {
    const rest = Math.min(at + count, this.length)
    const room = others.subarray(0, LONGEST - at)
    this.#bytes.copyWithin(at + room.length, rest, this.length)
    this.#bytes.set(room, at)
    this.length = Math.min(this.length - (rest - at) + room.length, LONGEST)
  }
  part(from: number, length: number): Uint8Array {
    return this.#bytes.slice(from, Math.min(from + length, this.length))
  }
}

type Edit = (draft: Draft, at: number, random: Random, corpus: readonly Uint8Array[]) => void

const number =
  (size: 2 | 4, littleEndian: boolean): Edit =>
  (draft, at, random) => {
    const value = random(2) === 0 ? pick(WIDE_EDGES, random) : random(2048)
    for (let i = 0; i < size; i++) draft.set(at + i, (value >>> (8 * (littleEndian ? i : size - 1 - i))) & 0xff)
  }

const EDITS: readonly Edit[] = [
  (draft, at, random) => draft.set(at, random(256)),
  (draft, at, random) => draft.set(at, pick(EDGES, random)),
  (draft, at, random) => draft.flip(at, 1 << random(8)),
  number(2, false),
  number(2, true),
  number(4, false),
  number(4, true),
  (draft, at, random) => draft.splice(at, 1 + random(8)),
  (draft, at) => draft.splice(at, LONGEST),
  (draft, at, random) => draft.splice(at, 0, randomBytes(1 + random(8), random)),
  (draft, at, random) => draft.splice(at, 0, new Uint8Array(random(64)).fill(pick(EDGES, random))),
  // Something that is there once more, and the rest of another input.
  (draft, at, random) => draft.splice(at, 0, draft.part(random(draft.length + 1), 32)),
  (draft, at, random, corpus) => {
    const other = pick(corpus, random)
    draft.splice(at, LONGEST, other.subarray(random(other.length + 1)))
  },
]

const randomBytes = (length: number, random: Random): Uint8Array => Uint8Array.from({length}, () => random(256))

/** One draft at a time: making room for each would be most of the work. */
const ROOM = new Uint8Array(LONGEST)

function changedBytes(base: Uint8Array, corpus: readonly Uint8Array[], random: Random): Uint8Array {
  if (random(40) === 0) return randomBytes(random(300), random)
  const draft = new Draft(base, ROOM)
  for (let edits = 1 + random(4); edits > 0; edits--)
    pick(EDITS, random)(draft, random(draft.length + 1), random, corpus)
  return draft.part(0, LONGEST)
}

const WORDS = [
  '',
  ' ',
  '\n',
  '"',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '.',
  '/',
  '-1',
  '0',
  '4294967296',
  '1e999',
  '\0',
  '\u{1f4a9}',
]

/** Words and what lies between them, taken out, doubled, and put in place of each other. */
function changedText(base: Uint8Array, corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const split = (bytes: Uint8Array): string[] => Buffer.from(bytes).toString('utf8').split(/\b/)
  const words = split(base)
  for (let edits = 1 + random(4); edits > 0; edits--) {
    const at = random(words.length + 1)
    const other = random(2) === 0 ? pick(WORDS, random) : pick(split(pick(corpus, random)), random)
    words.splice(at, random(3), ...new Array<string>(random(12) === 0 ? 200 : random(3)).fill(other ?? ''))
  }
  return Buffer.from(words.join(''), 'utf8')
}

const VALUES: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 1.5,
  () => 1e21,
  () => '',
  () => 'x',
  () => '10.0.0.1',
  () => [],
  () => [null],
  () => ({}),
  () => [[]],
]

/** A value somewhere in it replaced, taken out, wrapped or given another's place. */
function changedJson(base: Uint8Array, random: Random): Uint8Array {
  const root: {value: unknown} = {value: JSON.parse(Buffer.from(base).toString('utf8'))}
  for (let edits = 1 + random(3); edits > 0; edits--) {
    const places = placesOf(root)
    const {holder, key} = pick(places, random)
    const other = pick(places, random)
    switch (random(4)) {
      case 0:
        delete holder[key]
        break
      case 1:
        holder[key] = structuredClone(other.holder[other.key])
        break
      case 2:
        holder[key] =
          random(2) === 0
            ? [holder[key]]
            : {[pick(['name', 'data', '0', 'toString', '__proto__'], random)]: holder[key]}
        break
      default:
        holder[key] = pick(VALUES, random)()
    }
  }
  return Buffer.from(JSON.stringify(root.value) ?? '', 'utf8')
}

interface Place {
  readonly holder: Record<string, unknown>
  readonly key: string
}

function placesOf(root: object): Place[] {
  const found: Place[] = []
  const walk = (holder: Record<string, unknown>): void => {
    for (const [key, value] of Object.entries(holder)) {
      found.push({holder, key})
      if (typeof value === 'object' && value !== null) walk(value as Record<string, unknown>)
    }
  }
  walk(root as Record<string, unknown>)
  return found.length > 0 ? found : [{holder: root as Record<string, unknown>, key: 'value'}]
}
