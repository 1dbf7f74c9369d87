// On which side of a threshold does the median of a series lie? Asked after every value, and right at every look.
//
// A mixture e-process on the signs (Ville's inequality; Howard et al., "Time-uniform, nonparametric, nonasymptotic
// confidence sequences", 2021): whatever the rule by which somebody stops looking, the chance that the wrong side is ever
// named is at most alpha, for independent values of any distribution. What queues do over seconds is not independent;
// against that stand the rules of `sideOf` beside it: patience, and minima.
import {minimum, quantile} from './statistics.ts'

/** One pair, as a difference of round trips and the two themselves, ms. */
export interface PairValue {
  readonly currentMs: number
  readonly alternativeMs: number
  /** When it was sent, ms from any fixed time. */
  readonly atMs: number
}

export type Side = 'above' | 'below'

/** Least number of pairs that can be named a side of at 1 %: all on it. */
export const FEWEST = 9
/** Before so long a time, ms, a side is named only of differences that hardly differ: a burst of load lasts seconds. */
export const PATIENCE_MS = 4000
/** How little that is: the range without one value at either end, as a part of the threshold. */
const TIGHT = 0.25
/** The same where the slower side is the restless one, which is how a queue on that side alone looks. */
export const QUEUE_PATIENCE_MS = 7500
/** How much more restless: difference of the interquartile ranges, as a part of the threshold. */
const RESTLESS = 0.5

/**
 * The e-value of `k` of `n` signs being up, against "up is no likelier than down": the mixture over all likelier p,
 * 2^(n+1) times the integral of p^k (1-p)^(n-k) from 1/2 to 1.
 * @internal
 */
export function signEValue(k: number, n: number): number {
  // The incomplete beta integral is B(k+1, n-k+1) times P(Bin(n+1, 1/2) <= k).
  const logBeta = logFactorial(k) + logFactorial(n - k) - logFactorial(n + 1)
  let tail = 0
  for (let j = 0; j <= k; j++)
    tail += Math.exp(logFactorial(n + 1) - logFactorial(j) - logFactorial(n + 1 - j) - (n + 1) * Math.LN2)
  return Math.exp(logBeta + (n + 1) * Math.LN2) * tail
}

/**
 * The first side that the pairs, in their order, prove at `alpha`; undefined if they leave it open. The difference of the
 * two minima must lie on that side too: queues move medians, distance moves minima.
 */
export function sideOf(pairs: readonly PairValue[], thresholdMs: number, alpha: number): Side | undefined {
  let up = 0
  let down = 0
  for (const [i, pair] of pairs.entries()) {
    const difference = differenceOf(pair)
    if (difference > thresholdMs) up++
    if (difference < thresholdMs) down++
    const seen = pairs.slice(0, i + 1)
    const proven: Side | undefined =
      up > down ? provenBy(up, seen.length, alpha) && 'above' : provenBy(down, seen.length, alpha) && 'below'
    if (proven === undefined) continue
    if (pair.atMs - pairs[0]!.atMs < patienceMs(seen, proven, Math.abs(thresholdMs))) continue
    if (minimaDiffer(seen) > thresholdMs === (proven === 'above')) return proven
  }
  return undefined
}

/** How long it takes before such pairs are believed, ms: the rougher they are, and the more one-sidedly so, the longer. */
function patienceMs(pairs: readonly PairValue[], side: Side, thresholdMs: number): number {
  if (tight(pairs.map(differenceOf), thresholdMs * TIGHT)) return 0
  const current = spread(pairs.map(({currentMs}) => currentMs))
  const alternative = spread(pairs.map(({alternativeMs}) => alternativeMs))
  const excess = side === 'above' ? current - alternative : alternative - current
  return excess > thresholdMs * RESTLESS ? QUEUE_PATIENCE_MS : PATIENCE_MS
}

/** Interquartile range. */
const spread = (values: readonly number[]): number => quantile(values, 0.75) - quantile(values, 0.25)

const provenBy = (k: number, n: number, alpha: number): true | undefined => signEValue(k, n) >= 1 / alpha || undefined

export const differenceOf = ({currentMs, alternativeMs}: PairValue): number => currentMs - alternativeMs

/** Difference of the two minima, ms. */
export const minimaDiffer = (pairs: readonly PairValue[]): number =>
  minimum(pairs.map(({currentMs}) => currentMs)) - minimum(pairs.map(({alternativeMs}) => alternativeMs))

/** Do the values, but for one at either end, lie within `rangeMs`? */
export function tight(values: readonly number[], rangeMs: number): boolean {
  const sorted = values.toSorted((a, b) => a - b)
  const last = sorted.length - 1
  return last < 2 || Math.min(sorted[last]! - sorted[1]!, sorted[last - 1]! - sorted[0]!) <= rangeMs
}

const factorials: readonly number[] = (() => {
  const logs = [0]
  for (let i = 1; i <= 1000; i++) logs.push(logs[i - 1]! + Math.log(i))
  return logs
})()

/** Natural logarithm of n!; beyond the table by Stirling's series, good to 1e-12 there. */
const logFactorial = (n: number): number =>
  factorials[n] ?? n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + 1 / (12 * n)
