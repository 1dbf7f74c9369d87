// Numbers about series of measurements that assume nothing about their distribution.

/** The middle value; the mean of the middle two of an even number. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The smallest value. NaN of nothing. */
export const minimum = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : values.reduce((least, value) => Math.min(least, value))

/**
 * The value that a share `q` (0 to 1) of the series is at or below: the nearest rank, always a value that occurred.
 */
export function quantile(values: readonly number[], q: number): number {
  if (!(q >= 0 && q <= 1)) throw new RangeError(`a quantile is from 0 to 1, not ${q}`)
  const sorted = ascending(values)
  return sorted.length === 0 ? Number.NaN : sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
}

const ascending = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b)

/** An interval with the exact probability that it covers what it estimates. */
export interface Interval {
  readonly lo: number
  readonly hi: number
  readonly coverage: number
}

/** Ranks (from 1) of the order statistics that bound the median, and the exact coverage. */
export interface MedianRanks {
  readonly low: number
  readonly high: number
  readonly coverage: number
}

/**
 * The narrowest symmetric pair of ranks k and n+1-k that covers the median of any continuous distribution with at least
 * `confidence`: coverage is 1 - 2 P(Bin(n, 1/2) <= k - 1), the sign test turned around. Undefined if even the extremes
 * do not reach it (n below 8 for 0.99).
 * @internal
 */
export function medianRanks(n: number, confidence: number): MedianRanks | undefined {
  let ranks: MedianRanks | undefined
  let below = 0
  for (let k = 1; k <= n / 2; k++) {
    below += Math.exp(logChoose(n, k - 1) - n * Math.LN2)
    const coverage = 1 - 2 * below
    if (coverage < confidence) break
    ranks = {low: k, high: n + 1 - k, coverage}
  }
  return ranks
}

/** The interval of {@link medianRanks} in the values themselves. */
export function medianInterval(values: readonly number[], confidence: number): Interval | undefined {
  const ranks = medianRanks(values.length, confidence)
  if (ranks === undefined) return undefined
  const sorted = ascending(values)
  return {lo: sorted[ranks.low - 1]!, hi: sorted[ranks.high - 1]!, coverage: ranks.coverage}
}

/** Natural logarithm of the binomial coefficient: the coefficient itself overflows where n passes 1,029. */
function logChoose(n: number, k: number): number {
  let log = 0
  for (let i = 1; i <= k; i++) log += Math.log((n - k + i) / i)
  return log
}

/** Two-sided standard normal quantiles of the confidences in use. */
const Z = {0.95: 1.959963984540054, 0.99: 2.5758293035489004} as const

/** The Wilson score interval of a share: k of n. It stays within 0 to 1 and is honest at 0 of n and n of n. */
export function wilson(k: number, n: number, confidence: keyof typeof Z = 0.95): Interval {
  if (n === 0) return {lo: 0, hi: 1, coverage: confidence}
  const z2 = Z[confidence] ** 2
  const share = k / n
  const centre = (share + z2 / (2 * n)) / (1 + z2 / n)
  const half = (Z[confidence] / (1 + z2 / n)) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n))
  return {lo: k === 0 ? 0 : centre - half, hi: k === n ? 1 : centre + half, coverage: confidence}
}

/** Share of what was sent that got no answer, 0 to 1; 0 if nothing was sent. */
export const loss = (sent: number, answered: number): number => (sent === 0 ? 0 : (sent - answered) / sent)
