// By how much a second series of measurements differs from a first, assuming nothing about their distribution but its shape.
import {type Interval, median, wilson} from './statistics.ts'

/** A difference of two series, the later one less the earlier one. */
export interface Shift extends Interval {
  readonly value: number
}

/** Of more values than this, evenly spaced ones are taken: all pairs of two series are compared. */
const MOST_VALUES = 300

/**
 * The Hodges-Lehmann shift, the median of all differences of a value of `after` and one of `before`, between those
 * differences that the Mann-Whitney test turned around allows with at least `confidence` (Hollander & Wolfe, Nonparametric
 * Statistical Methods, 4.2 and 4.3). Undefined where there are too few values for that confidence.
 */
export function shiftOf(before: readonly number[], after: readonly number[], confidence: number): Shift | undefined {
  const [first, second] = [thinned(before), thinned(after)]
  const differences = second.flatMap((b) => first.map((a) => b - a)).sort((a, b) => a - b)
  const ranks = rankOf(first.length, second.length, confidence)
  if (ranks === undefined) return undefined
  const {rank, coverage} = ranks
  return {value: median(differences), lo: differences[rank - 1]!, hi: differences.at(-rank)!, coverage}
}

const thinned = (values: readonly number[]): readonly number[] =>
  values.length <= MOST_VALUES
    ? values
    : Array.from({length: MOST_VALUES}, (_, i) => values[Math.floor((i * values.length) / MOST_VALUES)]!)

/** The largest rank k of a difference, from 1, for which k and mn+1-k cover the shift, and how surely they do. */
function rankOf(m: number, n: number, confidence: number): {rank: number; coverage: number} | undefined {
  const tail = lowerTail(m, n, (1 - confidence) / 2)
  return tail === undefined ? undefined : {rank: tail.u + 1, coverage: 1 - 2 * tail.probability}
}

/** The largest u with P(U <= u) of at most `most` for the Mann-Whitney U of m and n values; undefined if there is none. */
function lowerTail(m: number, n: number, most: number): {u: number; probability: number} | undefined {
  const all = Math.exp(logBinomial(m + n, n))
  const counts = waysToU(m, n)
  let sum = 0
  for (let u = 0; u < counts.length; u++) {
    const next = sum + counts[u]! / all
    if (next > most) return u === 0 ? undefined : {u: u - 1, probability: sum}
    sum = next
  }
  return undefined
}

/** In how many orders of m and n values U is 0, 1, ...: the Gaussian binomial coefficients, of which low ones suffice. */
function waysToU(m: number, n: number): Float64Array {
  const counts = new Float64Array(Math.floor((m * n) / 2) + 1)
  counts[0] = 1
  for (let i = 1; i <= m; i++) {
    for (let u = counts.length - 1; u >= n + i; u--) counts[u]! -= counts[u - n - i]!
    for (let u = i; u < counts.length; u++) counts[u]! += counts[u - i]!
  }
  return counts
}

function logBinomial(n: number, k: number): number {
  let log = 0
  for (let i = 1; i <= k; i++) log += Math.log((n - k + i) / i)
  return log
}

/** k of n. */
export interface Share {
  readonly k: number
  readonly n: number
}

/** The difference of two shares, by Newcombe's hybrid of their Wilson intervals (Statistics in Medicine 17, 1998, method 10). */
export function shareShift(before: Share, after: Share): Shift {
  const [a, b] = [before, after].map(({k, n}) => ({share: n === 0 ? 0 : k / n, ...wilson(k, n, 0.99)}))
  const value = b!.share - a!.share
  return {
    value,
    lo: value - Math.hypot(b!.share - b!.lo, a!.hi - a!.share),
    hi: value + Math.hypot(b!.hi - b!.share, a!.share - a!.lo),
    coverage: 0.99,
  }
}
