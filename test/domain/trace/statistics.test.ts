import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {
  loss,
  median,
  medianInterval,
  medianRanks,
  minimum,
  quantile,
  wilson,
} from '../../../src/domain/trace/statistics.ts'
import {seeded} from './evidence-maker.ts'

describe('ranks of the interval of the median', () => {
  // Coverage from the exact binomial sums: 1 - 2 (C(n,0) + … + C(n,k-1)) / 2^n.
  it.each([
    [8, 0.95, 1, 8, 1 - 2 / 256],
    [8, 0.99, 1, 8, 1 - 2 / 256],
    [12, 0.95, 3, 10, 1 - (2 * (1 + 12 + 66)) / 4096],
    [12, 0.99, 2, 11, 1 - (2 * (1 + 12)) / 4096],
    [20, 0.95, 6, 15, 0.9586105347],
    [20, 0.99, 4, 17, 0.997423172],
    [40, 0.95, 14, 27, 0.9615226917],
    [40, 0.99, 12, 29, 0.9935734239],
    [60, 0.95, 22, 39, 0.9726598661],
    [60, 0.99, 20, 41, 0.9937823973],
  ])('n = %i at %f: %i..%i', (n, confidence, low, high, coverage) => {
    const ranks = medianRanks(n, confidence)!
    expect(ranks).toMatchObject({low, high})
    expect(ranks.coverage).toBeCloseTo(coverage, 9)
  })

  it('is undefined where even the extremes do not reach the confidence', () => {
    expect(medianRanks(7, 0.99)).toBeUndefined()
    expect(medianRanks(5, 0.95)).toBeUndefined()
    expect(medianRanks(6, 0.95)).toMatchObject({low: 1, high: 6})
    expect(medianRanks(0, 0.5)).toBeUndefined()
  })

  it('keeps its coverage and is the narrowest for any n, also beyond what a double can hold of 2^n', () => {
    fc.assert(
      fc.property(fc.integer({min: 8, max: 3000}), fc.constantFrom(0.9, 0.95, 0.99, 0.999), (n, confidence) => {
        const ranks = medianRanks(n, confidence)
        if (ranks === undefined) return n < 11
        const narrower = coverageByIntegers(n, ranks.low + 1)
        expect(ranks.coverage).toBeCloseTo(coverageByIntegers(n, ranks.low), 9)
        return ranks.coverage >= confidence && narrower < confidence && ranks.high === n + 1 - ranks.low
      }),
      {numRuns: 60},
    )
  })
})

/** 1 - 2 P(Bin(n, 1/2) <= k - 1) in whole numbers. */
function coverageByIntegers(n: number, k: number): number {
  let term = 1n
  let sum = 0n
  for (let i = 0; i < k; i++) {
    sum += term
    term = (term * BigInt(n - i)) / BigInt(i + 1)
  }
  const scale = 10n ** 15n
  return 1 - Number((2n * sum * scale) / 2n ** BigInt(n)) / 1e15
}

describe('interval of the median', () => {
  it('is made of values that occurred, whatever their order', () => {
    const values = [9, 1, 8, 2, 7, 3, 6, 4, 5, 12, 11, 10]
    expect(medianInterval(values, 0.99)).toMatchObject({lo: 2, hi: 11})
    expect(values[0]).toBe(9)
  })

  it('covers the median of a skewed distribution as often as it says', () => {
    const random = seeded(5)
    let covered = 0
    for (let run = 0; run < 2000; run++) {
      const interval = medianInterval(
        Array.from({length: 20}, () => -Math.log(1 - random())),
        0.95,
      )!
      if (interval.lo <= Math.LN2 && Math.LN2 <= interval.hi) covered++
    }
    // 95.86 % exactly; 2000 runs have a standard deviation of 0.45 %.
    expect(covered / 2000).toBeGreaterThan(0.945)
    expect(covered / 2000).toBeLessThan(0.972)
  })
})

describe('median, minimum, quantile', () => {
  it.each([
    [[3], 3],
    [[4, 1], 2.5],
    [[3, 1, 2], 2],
    [[10, -10, 0, 1], 0.5],
  ])('median of %j is %d', (values, expected) => expect(median(values)).toBe(expected))

  it('are not a number of nothing', () => {
    expect(median([])).toBeNaN()
    expect(minimum([])).toBeNaN()
    expect(quantile([], 0.5)).toBeNaN()
  })

  it('minimum takes a long series', () => {
    const values = Array.from({length: 300_000}, (_, i) => 300_000 - i)
    expect(minimum(values)).toBe(1)
  })

  it.each([
    [0, 1],
    [0.5, 2],
    [0.75, 3],
    [0.76, 4],
    [1, 4],
  ])('quantile %d of 1..4 is %d', (q, expected) => expect(quantile([4, 2, 3, 1], q)).toBe(expected))

  it('refuses a quantile that is none', () => expect(() => quantile([1], 1.5)).toThrow(RangeError))
})

describe('wilson', () => {
  it('is honest at the ends', () => {
    expect(wilson(20, 20).lo).toBeCloseTo(0.8389, 4)
    expect(wilson(20, 20).hi).toBe(1)
    expect(wilson(0, 20)).toMatchObject({lo: 0})
    expect(wilson(0, 20).hi).toBeCloseTo(0.1611, 4)
    expect(wilson(0, 0)).toMatchObject({lo: 0, hi: 1})
  })

  it('agrees with the published value for 10 of 100', () => {
    expect(wilson(10, 100).lo).toBeCloseTo(0.05523, 5)
    expect(wilson(10, 100).hi).toBeCloseTo(0.17437, 5)
  })

  it('widens with confidence', () => expect(wilson(5, 12, 0.99).hi).toBeGreaterThan(wilson(5, 12, 0.95).hi))
})

describe('loss', () => {
  it('counts what did not come back', () => {
    expect(loss(20, 15)).toBe(0.25)
    expect(loss(0, 0)).toBe(0)
  })
})
