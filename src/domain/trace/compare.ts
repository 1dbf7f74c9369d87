// One alternative against the current first hop: the numbers that the decision table asks for, and no decision.
//
// Only round trips to the destination count. With the same source, destination and flow, the way back is common to both
// probes of a pair and cancels in their difference; a hop answers by its own way back, and proves nothing.

import {type Dci, dciBetween} from './dci.ts'
import {RESOLVABLE_MS} from './distance.ts'
import type {PairEvidence, TraceEvidence} from './evidence.ts'
import type {Places} from './places.ts'
import {differenceOf, minimaDiffer, type PairValue, type Side, sideOf} from './sequential.ts'
import {type Interval, median, medianInterval, minimum, wilson} from './statistics.ts'
import {lastStretch} from './stretch.ts'

/** Chance of naming the wrong side; shared among the alternatives (Bonferroni), for the best of several is chosen. */
const ALPHA = 0.01
/** Penalties below this are not worth a switch, whatever the DCI. */
const FLOOR_MS = 0.5
/** Threshold where the DCI round trip is neither stated nor measured: first hops are silent, no inventory. */
const FALLBACK_MS = 1
/** Pairs of a flow below which it has no say. */
const MIN_FLOW_PAIRS = 4
export interface Threshold {
  readonly ms: number
  /** `flag`: --min-penalty. `dci`: half the DCI round trip. `floor`: 0.5 ms, that half being less. `fallback`: 1 ms. */
  readonly source: 'flag' | 'dci' | 'floor' | 'fallback'
}

/** How much slower the destination is through the current first hop. Positive: the alternative is better. */
export interface Penalty extends Interval {
  /** Median of the differences within pairs, in ms; `lo` to `hi` covers it with probability `coverage`. */
  readonly median: number
  /** Difference of the two minima, in ms: what geometry alone costs. Queues do not show in minima. */
  readonly min: number
}

/** What one side of the pairs did. */
export interface SideStats {
  readonly sent: number
  readonly answered: number
  /** Null if nothing answered. */
  readonly minMs: number | null
  readonly medianMs: number | null
}

export interface FlowMedian {
  readonly flow: number
  /** Pairs of this flow answered on both sides. */
  readonly n: number
  readonly medianMs: number
  /** The side of the threshold that all its pairs are on; null if they are on both, or too few to say. */
  readonly side: Side | null
}

export interface Numbers {
  readonly pairsSent: number
  readonly pairsUsed: number
  readonly viaCurrent: SideStats
  readonly viaAlternative: SideStats
  /** Null if no pair was answered on both sides, or too few for an interval at this confidence. */
  readonly penalty: Penalty | null
  /** The side of the threshold that the pairs prove, at every look; null while they leave it open. */
  readonly side: Side | null
  /** The pairs prove that the exit in use is the better one by more than the threshold. */
  readonly currentBetter: boolean
  /** When the path changed in the middle of the run, ms from its start: only what came after counts. Null if it did not. */
  readonly changedAtMs: number | null
  readonly dci: Dci
  readonly threshold: Threshold
  /** Median penalty over the DCI round trip: about 1 for one detour. Null if that is unknown or too small to divide by. */
  readonly ratioToDci: number | null
  readonly flows: readonly FlowMedian[]
}

/** The numbers of `alternatives[alternative]`. `minPenaltyMs` overrides the threshold. */
export function compare(evidence: TraceEvidence, places: Places, alternative: number, minPenaltyMs?: number): Numbers {
  const pairs = evidence.pairs.filter((pair) => !pair.warmUp && pair.alternative === alternative)
  const dci = dciBetween(evidence, places, alternative)
  const threshold = thresholdOf(dci, minPenaltyMs)
  const values = pairs.flatMap(pairValue).toSorted((a, b) => a.atMs - b.atMs)
  const {pairs: used, changedAtMs} = lastStretch(values, threshold.ms)
  const alpha = ALPHA / evidence.alternatives.length
  const penalty = penaltyOf(used, alpha)
  return {
    pairsSent: pairs.length,
    pairsUsed: used.length,
    viaCurrent: sideStats(pairs.map((pair) => pair.viaCurrent.rttMs)),
    viaAlternative: sideStats(pairs.map((pair) => pair.viaAlternative.rttMs)),
    penalty,
    side: sideOf(used, threshold.ms, alpha) ?? null,
    currentBetter: sideOf(used, -threshold.ms, alpha) === 'below',
    changedAtMs,
    dci,
    threshold,
    ratioToDci: penalty === null || dci.rttMs === null || dci.rttMs < RESOLVABLE_MS ? null : penalty.median / dci.rttMs,
    flows: flowMedians(used, threshold.ms),
  }
}

/** A pair with its flow; nothing of one that was not answered on both sides. */
function pairValue({
  viaCurrent,
  viaAlternative,
  sentAtMs,
  flow,
}: PairEvidence): (PairValue & {readonly flow: number})[] {
  if (viaCurrent.rttMs === null || viaAlternative.rttMs === null) return []
  return [{currentMs: viaCurrent.rttMs, alternativeMs: viaAlternative.rttMs, atMs: sentAtMs, flow}]
}

/** Statistics of probes by their RTTs, null for each that got no answer. */
export function sideStats(rtts: readonly (number | null)[]): SideStats {
  const answered = rtts.filter((ms) => ms !== null)
  return {
    sent: rtts.length,
    answered: answered.length,
    minMs: answered.length === 0 ? null : minimum(answered),
    medianMs: answered.length === 0 ? null : median(answered),
  }
}

function penaltyOf(used: readonly PairValue[], alpha: number): Penalty | null {
  const differences = used.map(differenceOf)
  const interval = medianInterval(differences, 1 - alpha)
  return interval === undefined ? null : {median: median(differences), ...interval, min: minimaDiffer(used)}
}

function flowMedians(used: readonly (PairValue & {readonly flow: number})[], threshold: number): readonly FlowMedian[] {
  const flows = [...new Set(used.map((pair) => pair.flow))].sort((a, b) => a - b)
  return flows.map((flow) => {
    const differences = used.filter((pair) => pair.flow === flow).map(differenceOf)
    const medianMs = median(differences)
    const all = (side: Side) => differences.every((each) => (side === 'above' ? each > threshold : each < threshold))
    const side = differences.length < MIN_FLOW_PAIRS ? null : all('above') ? 'above' : all('below') ? 'below' : null
    return {flow, n: differences.length, medianMs, side}
  })
}

/** Half-way between no detour, which costs nothing, and one, which costs a DCI round trip. */
function thresholdOf(dci: Dci, minPenaltyMs: number | undefined): Threshold {
  if (minPenaltyMs !== undefined) return {ms: minPenaltyMs, source: 'flag'}
  if (dci.rttMs === null) return {ms: FALLBACK_MS, source: 'fallback'}
  return dci.rttMs / 2 > FLOOR_MS ? {ms: dci.rttMs / 2, source: 'dci'} : {ms: FLOOR_MS, source: 'floor'}
}

/** True if `a` surely loses more than `b`: the 99 % intervals of their answers do not meet. */
export const losesMore = (a: SideStats, b: SideStats): boolean =>
  wilson(a.answered, a.sent, 0.99).hi < wilson(b.answered, b.sent, 0.99).lo
