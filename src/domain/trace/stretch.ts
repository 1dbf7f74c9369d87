// Is the run one run? Where a path changed in the middle of it (the VM moved, a route converged), only what came after
// says how things are now.
import {differenceOf, type PairValue, tight} from './sequential.ts'
import {median, quantile} from './statistics.ts'

/** Pairs that a stretch must have to be one. */
const SHORTEST = 4
/** Pairs before a change that are looked at: what lies farther back may be another stretch still. */
const WINDOW = 8
/** How much of the jump a stretch may span, a tenth of it at either end left aside: load is never so even. */
const EVEN = 0.25

/** The last stretch of pairs that the network was one network for. */
export interface Stretch<T extends PairValue> {
  readonly pairs: readonly T[]
  /** When the first of them was sent, ms, if another stretch lies before it; null if this is the whole run. */
  readonly changedAtMs: number | null
}

/** Cuts off whatever lies before the last change of the difference by more than `thresholdMs`. */
export function lastStretch<T extends PairValue>(pairs: readonly T[], thresholdMs: number): Stretch<T> {
  let cut: {readonly at: number; readonly spread: number} | undefined
  for (let at = SHORTEST; at <= pairs.length - SHORTEST; at++) {
    const before = pairs.slice(Math.max(0, at - WINDOW), at).map(differenceOf)
    const after = pairs.slice(at).map(differenceOf)
    const jump = Math.abs(median(after) - median(before))
    if (jump <= thresholdMs || !isEven(before, jump) || !isEven(after, jump)) continue
    const spread = deviation(before) + deviation(after)
    if (cut === undefined || spread < cut.spread) cut = {at, spread}
  }
  if (cut === undefined) return {pairs, changedAtMs: null}
  const after = pairs.slice(cut.at)
  const again = lastStretch(after, thresholdMs)
  return again.changedAtMs === null ? {pairs: after, changedAtMs: after[0]!.atMs} : again
}

const deviation = (values: readonly number[]): number => {
  const middle = median(values)
  return values.reduce((sum, value) => sum + Math.abs(value - middle), 0)
}

function isEven(values: readonly number[], jump: number): boolean {
  if (values.length <= WINDOW) return tight(values, jump * EVEN)
  return quantile(values, 0.9) - quantile(values, 0.1) <= jump * EVEN
}
