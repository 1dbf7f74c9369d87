import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {shareShift, shiftOf} from '../../../src/domain/trace/two-sample.ts'

/** Two series all of whose differences are distinct: 0, 1, ... up to mn-1. */
const distinct = (m: number, n: number): [number[], number[]] => [
  Array.from({length: m}, (_, i) => 0 - i),
  Array.from({length: n}, (_, j) => j * m),
]

describe('the shift of two series', () => {
  // Critical values of Mann and Whitney's U at 1 % for both sides together, from the usual tables.
  it.each([
    [5, 5, 0],
    [9, 9, 11],
    [9, 20, 36],
    [20, 20, 105],
  ])('of %i and %i values leaves %i differences out on either side, as the table has it', (m, n, u) => {
    const [before, after] = distinct(m, n)
    const shift = shiftOf(before, after, 0.99)!
    expect(shift).toMatchObject({lo: u, hi: m * n - 1 - u})
    expect(shift.coverage).toBeGreaterThanOrEqual(0.99)
    expect(shift.value).toBeCloseTo((m * n - 1) / 2)
  })

  it('is not told by too few values', () => {
    expect(shiftOf([1, 2, 3], [4, 5, 6], 0.99)).toBeUndefined()
    expect(shiftOf([], [], 0.99)).toBeUndefined()
  })

  it('moves with the second series, and turns with the order', () => {
    const values = fc.array(fc.double({min: 0, max: 50, noNaN: true}), {minLength: 9, maxLength: 30})
    fc.assert(
      fc.property(values, values, fc.integer({min: -50, max: 50}), (before, after, by) => {
        const shift = shiftOf(before, after, 0.99)!
        const moved = shiftOf(
          before,
          after.map((value) => value + by),
          0.99,
        )!
        const turned = shiftOf(after, before, 0.99)!
        expect(moved.lo).toBeCloseTo(shift.lo + by)
        expect(moved.hi).toBeCloseTo(shift.hi + by)
        expect(turned.lo).toBeCloseTo(-shift.hi)
        expect(shift.lo).toBeLessThanOrEqual(shift.value)
        expect(shift.value).toBeLessThanOrEqual(shift.hi)
      }),
    )
  })

  it('takes no longer for many values than for some', () => {
    const many = Array.from({length: 10_000}, (_, i) => i % 100)
    expect(
      shiftOf(
        many,
        many.map((value) => value + 7),
        0.99,
      ),
    ).toMatchObject({value: 7})
  })
})

describe('the shift of two shares', () => {
  it('covers what it was seen to be, and stays within -1 to 1', () => {
    const share = fc.integer({min: 1, max: 200}).chain((n) => fc.record({k: fc.nat(n), n: fc.constant(n)}))
    fc.assert(
      fc.property(share, share, (before, after) => {
        const {value, lo, hi} = shareShift(before, after)
        expect(value).toBeCloseTo(after.k / after.n - before.k / before.n)
        expect(lo).toBeLessThanOrEqual(value + 1e-12)
        expect(hi).toBeGreaterThanOrEqual(value - 1e-12)
        expect(lo).toBeGreaterThanOrEqual(-1 - 1e-12)
        expect(hi).toBeLessThanOrEqual(1 + 1e-12)
      }),
    )
  })

  it('shows a loss that many probes have, and none that few do not rule out', () => {
    expect(shareShift({k: 0, n: 60}, {k: 20, n: 60}).lo).toBeGreaterThan(0.1)
    expect(shareShift({k: 0, n: 9}, {k: 1, n: 9}).lo).toBeLessThan(0)
  })
})
