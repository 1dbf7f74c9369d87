// Is the run one run? Where a path changed in the middle of it (the VM moved, a route converged), only what came after
// says how things are now.
import {differenceOf, type PairValue, tight} from './sequential.ts'
import {median} from './statistics.ts'

/** Pairs that a stretch must have to be one. */
const SHORTEST = 4
/** How much of the jump between them either stretch may span: load comes and goes too, but never so evenly. */
const EVEN = 0.25

/** The last stretch of pairs that the network was one network for. */
export interface Stretch<T extends PairValue> {
  readonly pairs: readonly T[]
  /** When the first of them was sent, ms, if another stretch lies before it; null if this is the whole run. */
  readonly changedAtMs: number | null
}

/** Cuts off whatever lies before the last change of the difference by more than `thresholdMs`. */
export function lastStretch<T extends PairValue>(pairs: readonly T[], thresholdMs: number): Stretch<T> {
  let cut: {readonly at: number; readonly jump: number} | undefined
  for (let at = SHORTEST; at <= pairs.length - SHORTEST; at++) {
    const jump = evenJump(pairs.slice(0, at).map(differenceOf), pairs.slice(at).map(differenceOf), thresholdMs)
    if (jump !== undefined && (cut === undefined || jump > cut.jump)) cut = {at, jump}
  }
  if (cut === undefined) return {pairs, changedAtMs: null}
  const after = pairs.slice(cut.at)
  const again = lastStretch(after, thresholdMs)
  return again.changedAtMs === null ? {pairs: after, changedAtMs: after[0]!.atMs} : again
}

/** By how much the medians differ, where that is more than the threshold and both sides are even; else undefined. */
function evenJump(before: readonly number[], after: readonly number[], thresholdMs: number): number | undefined {
  const jump = Math.abs(median(after) - median(before))
  if (jump <= thresholdMs) return undefined
  return tight(before.slice(-2 * SHORTEST), jump * EVEN) && tight(after, jump * EVEN) ? jump : undefined
}
