// What every codec of src/wire must do, whatever it speaks. A test file describes its codec in a few lines; the checks
// are these, the same for all.
import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {WireError} from '../../src/wire/error.ts'

/** Bytes that a real program sent, and where they were recorded. */
export interface Golden {
  readonly name: string
  readonly bytes: Uint8Array
}

export interface CodecUnderTest<T> {
  readonly name: string
  readonly parse: (bytes: Uint8Array) => T
  readonly serialize: (value: T) => Uint8Array
  /** Serializes into memory of the caller, where the codec offers that. */
  readonly write?: (value: T, out: Uint8Array, offset: number) => void
  /** At least one; each must come back byte for byte. */
  readonly golden: readonly Golden[]
  /** Any value that the codec's type can say. */
  readonly arbitrary: fc.Arbitrary<T>
  /**
   * How many bytes of a golden message cannot be spared: with fewer, `parse` must throw reason `truncated`; with more it
   * may accept what is left. `'whole'` for formats that say how long they are.
   */
  readonly minimum: number | 'whole' | ((bytes: Uint8Array) => number)
  /** Makes the checksums of mutated bytes right again, so that what lies behind them is reached. */
  readonly repair?: (bytes: Uint8Array) => Uint8Array
  /** Why what others wrote is written in another order: from the second time on it stays the same. */
  readonly settles?: string
}

const DIRT = 0xa5

/** Runs every check on a codec. */
export function describeCodec<T>(codec: CodecUnderTest<T>): void {
  const {name, golden} = codec
  describe(name, () => {
    it('has bytes of real programs to read', () => expect(golden.length).toBeGreaterThan(0))
    describe.each(golden.map((one) => [one.name, one.bytes] as const))('%s', (_name, bytes) => {
      it('reads and comes back byte for byte', () => expect(codec.serialize(codec.parse(bytes))).toEqual(bytes))
      it('refuses every truncation', () => checkTruncations(codec, bytes))
      it('shares no memory with what was read', () => checkAliasing(codec, bytes))
      it('reads the same from the middle of a larger buffer', () => {
        const around = new Uint8Array(bytes.length + 13).fill(DIRT)
        around.set(bytes, 7)
        expect(codec.parse(around.subarray(7, 7 + bytes.length))).toEqual(codec.parse(bytes))
      })
    })
    it('reads back whatever it writes', () => {
      fc.assert(
        fc.property(codec.arbitrary, (value) => {
          expect(codec.parse(codec.serialize(value))).toEqual(value)
        }),
      )
    })
    it('writes every byte', () => {
      fc.assert(fc.property(codec.arbitrary, (value) => checkDirt(codec, value)))
    })
    it('answers any bytes with a value or a WireError', () => {
      fc.assert(fc.property(fc.uint8Array({maxLength: 600}), (bytes) => checkAnswer(codec, bytes)))
    })
    it('answers mutated messages with a value or a WireError', () => {
      fc.assert(
        fc.property(mutation(golden), (bytes) => {
          checkAnswer(codec, bytes)
          if (codec.repair) checkAnswer(codec, codec.repair(bytes))
        }),
        {numRuns: 500},
      )
    })
  })
}

/** The error of a parse that must fail; anything but a WireError passes through. */
function refusal<T>(codec: CodecUnderTest<T>, bytes: Uint8Array): WireError | undefined {
  try {
    codec.parse(bytes)
    return undefined
  } catch (error) {
    if (error instanceof WireError) return error
    throw error
  }
}

function checkTruncations<T>(codec: CodecUnderTest<T>, bytes: Uint8Array): void {
  const {minimum} = codec
  const needed = minimum === 'whole' ? bytes.length : typeof minimum === 'number' ? minimum : minimum(bytes)
  expect(needed).toBeLessThanOrEqual(bytes.length)
  for (let length = 0; length < bytes.length; length++) {
    const error = refusal(codec, bytes.slice(0, length))
    if (length >= needed) continue
    expect(error, `${length} of ${bytes.length} bytes`).toMatchObject({reason: 'truncated'})
    expect(error!.offset, `where ${length} bytes end`).toBeLessThanOrEqual(length)
  }
}

function checkAliasing<T>(codec: CodecUnderTest<T>, bytes: Uint8Array): void {
  const want = codec.parse(bytes.slice())
  // A Buffer too: its `slice`, unlike that of a Uint8Array, makes an alias.
  for (const input of [Uint8Array.from(bytes), Buffer.from(bytes)]) {
    const read = codec.parse(input)
    input.fill(DIRT)
    expect(read).toEqual(want)
  }
}

/** Fills the memory that Node hands out next, as earlier packets would have. */
function soilPool(): void {
  const {buffer, byteOffset} = Buffer.allocUnsafe(8)
  new Uint8Array(buffer, byteOffset).fill(DIRT)
}

function checkDirt<T>(codec: CodecUnderTest<T>, value: T): void {
  const clean = codec.serialize(value).slice()
  soilPool()
  expect(codec.serialize(value)).toEqual(clean)
  if (!codec.write) return
  const out = new Uint8Array(clean.length + 16).fill(DIRT)
  codec.write(value, out, 9)
  expect(out.slice(9, 9 + clean.length)).toEqual(clean)
  expect([...out.slice(0, 9), ...out.slice(9 + clean.length)]).toEqual(new Array(16).fill(DIRT))
}

/** A parse may refuse; what it accepts must be a value that can be written and read again. */
function checkAnswer<T>(codec: CodecUnderTest<T>, bytes: Uint8Array): void {
  const error = refusal(codec, bytes)
  if (error) {
    expect(error.offset).toBeGreaterThanOrEqual(0)
    expect(error.offset).toBeLessThanOrEqual(bytes.length)
    return
  }
  const again = (value: T): T => codec.parse(codec.serialize(value))
  const read = codec.parse(bytes)
  const value = codec.settles === undefined ? read : again(read)
  expect(again(value)).toEqual(value)
}

/** A golden message with a few bytes changed, taken out or put in. */
function mutation(golden: readonly Golden[]): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    kind: fc.constantFrom('set', 'set', 'set', 'delete', 'insert'),
    at: fc.nat(),
    value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({min: 0, max: 255})),
  })
  return fc.tuple(fc.constantFrom(...golden), fc.array(edit, {minLength: 1, maxLength: 4})).map(([{bytes}, edits]) => {
    const mutated = [...bytes]
    for (const {kind, at, value} of edits) {
      const place = at % (mutated.length + 1)
      if (kind === 'insert') mutated.splice(place, 0, value)
      else mutated.splice(place, 1, ...(kind === 'set' ? [value] : []))
    }
    return Uint8Array.from(mutated)
  })
}

/** Arbitraries that several codecs share. */
export const arbitrary = {
  u8: fc.integer({min: 0, max: 0xff}),
  u16: fc.integer({min: 0, max: 0xffff}),
  u32: fc.integer({min: 0, max: 0xffff_ffff}),
  mac: fc
    .array(fc.integer({min: 0, max: 255}), {minLength: 6, maxLength: 6})
    .map((bytes) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')),
  ipv4: fc.array(fc.integer({min: 0, max: 255}), {minLength: 4, maxLength: 4}).map((bytes) => bytes.join('.')),
  bytes: (maxLength: number, minLength = 0): fc.Arbitrary<Uint8Array> => fc.uint8Array({minLength, maxLength}),
  /** Bytes whose number is a multiple of 4, as options are. */
  words: (maxWords: number): fc.Arbitrary<Uint8Array> =>
    fc.nat(maxWords).chain((words) => fc.uint8Array({minLength: words * 4, maxLength: words * 4})),
}
