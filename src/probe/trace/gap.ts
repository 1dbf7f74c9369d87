// How far apart the two probes of a pair are: wider, where the destination answers only so many a second. Both exits then
// lose, by turns, and no pair has two answers.
import type {PairEvidence} from '../../domain/trace/evidence.ts'

/** Means in ms: near enough for one mood of the network, too far to queue on each other; then for 10, 5, 2 and 1 answers a second. */
const GAPS = [20, 110, 220, 550, 1100]
/** Settled pairs, none of them answered on both sides, that make a limit likely; at wider gaps fewer. */
const UNANSWERED = [5, 3, 3, 3]
/** Answers of one exit in so many pairs at which it is not limited, but the other one is bad. */
const SOUND = 0.75
/** Pairs at the widest gap, and the share of their probes that must be answered: with less, it is loss and no limit. */
const PROOF = {pairs: 6, share: 0.7}

export interface Gap {
  readonly meanMs: () => number
  /** Wider than at first: the destination limits its answers. */
  readonly isWide: () => boolean
  /** Looks at the pairs that count so far. True if the gap changed: what was sent at the old one says nothing. */
  learn(counted: readonly PairEvidence[]): boolean
  reset(): void
}

export function makeGap(): Gap {
  let widened = 0
  let isLoss = false
  return {
    meanMs: () => GAPS[widened]!,
    isWide: () => widened > 0,
    learn(counted) {
      if (isLoss) return false
      if (widened === GAPS.length - 1 && counted.length >= PROOF.pairs && shareAnswered(counted) < PROOF.share) {
        isLoss = true
        widened = 0
        return true
      }
      if (!seemsLimited(counted, widened)) return false
      widened++
      return true
    },
    reset() {
      widened = 0
      isLoss = false
    },
  }
}

const SIDES = ['viaCurrent', 'viaAlternative'] as const

const answered = (pairs: readonly PairEvidence[], side: (typeof SIDES)[number]): number =>
  pairs.filter((pair) => pair[side].rttMs !== null).length

const shareAnswered = (pairs: readonly PairEvidence[]): number =>
  SIDES.reduce((sum, side) => sum + answered(pairs, side), 0) / (2 * pairs.length)

/** Neither exit is sound, and no pair has two answers; yet both had some. */
function seemsLimited(counted: readonly PairEvidence[], widened: number): boolean {
  const want = UNANSWERED[widened]
  if (want === undefined || counted.length < want) return false
  const last = counted.slice(-want)
  if (last.some((pair) => pair.viaCurrent.rttMs !== null && pair.viaAlternative.rttMs !== null)) return false
  return SIDES.every((side) => answered(counted, side) > 0 && answered(last, side) < SOUND * want)
}
