// One alternative against the current first hop: the numbers that the decision table asks for, and no decision.
//
// Only round trips to the destination count. With the same source, destination and flow, the way back is common to both
// probes of a pair and cancels in their difference; a hop answers by its own way back, and proves nothing.

import type {PairEvidence, TraceEvidence} from './evidence.ts'
import {statedDciRttMs} from './known-sites.ts'
import {type Places, RESOLVABLE_MS} from './places.ts'
import {type Interval, loss, median, medianInterval, minimum, wilson} from './statistics.ts'

/** Least number of pairs answered on both sides: the smallest where one outlier on each side does not move the interval. */
export const MIN_PAIRS = 12
/** Confidence of each look; shared among the alternatives (Bonferroni), for the best of several is chosen by its number. */
const CONFIDENCE = 0.99
/** TTL=1 probes a candidate, below which the DCI round trip is marked as read from few. */
export const FIRST_HOP_PROBES = 20
/** Penalties below this are not worth a switch, whatever the DCI. */
const FLOOR_MS = 0.5
/** Threshold where the DCI round trip is neither stated nor measured: first hops are silent, no inventory. */
const FALLBACK_MS = 1
/** Pairs of a flow below which its median is noise and has no say. */
const MIN_FLOW_PAIRS = 3
/** Difference in loss beyond which what is left of the pairs is a selection. */
const MAX_LOSS_DIFFERENCE = 0.2

/** The DCI round trip that the penalty is measured against. */
export interface Dci {
  /** In ms; null if neither measured nor stated. */
  readonly rttMs: number | null
  readonly source: 'measured' | 'inventory' | null
  /** TTL=1 answers on the side with fewer; 0 if it was not measured. */
  readonly n: number
}

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
  /** On which side of the threshold; null if exactly on it or with too few pairs to say. */
  readonly side: 'above' | 'below' | null
}

export interface Numbers {
  readonly pairsSent: number
  readonly pairsUsed: number
  readonly viaCurrent: SideStats
  readonly viaAlternative: SideStats
  /** Null if no pair was answered on both sides, or too few for an interval at this confidence. */
  readonly penalty: Penalty | null
  readonly dci: Dci
  readonly threshold: Threshold
  /** Median penalty over the DCI round trip: about 1 for one detour. Null if that is unknown or too small to divide by. */
  readonly ratioToDci: number | null
  readonly flows: readonly FlowMedian[]
}

/** The numbers of `alternatives[alternative]`. `minPenaltyMs` overrides the threshold. */
export function compare(evidence: TraceEvidence, places: Places, alternative: number, minPenaltyMs?: number): Numbers {
  const pairs = evidence.pairs.filter((pair) => !pair.warmUp && pair.alternative === alternative)
  const used = pairs.filter((pair) => pair.viaCurrent.rttMs !== null && pair.viaAlternative.rttMs !== null)
  const dci = dciBetween(evidence, places, alternative)
  const threshold = thresholdOf(dci, minPenaltyMs)
  const penalty = penaltyOf(used, evidence.alternatives.length)
  return {
    pairsSent: pairs.length,
    pairsUsed: used.length,
    viaCurrent: sideStats(pairs.map((pair) => pair.viaCurrent.rttMs)),
    viaAlternative: sideStats(pairs.map((pair) => pair.viaAlternative.rttMs)),
    penalty,
    dci,
    threshold,
    ratioToDci: penalty === null || dci.rttMs === null || dci.rttMs < RESOLVABLE_MS ? null : penalty.median / dci.rttMs,
    flows: flowMedians(used, threshold.ms),
  }
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

const difference = (pair: PairEvidence): number => pair.viaCurrent.rttMs! - pair.viaAlternative.rttMs!

function penaltyOf(used: readonly PairEvidence[], alternatives: number): Penalty | null {
  const differences = used.map(difference)
  const interval = medianInterval(differences, 1 - (1 - CONFIDENCE) / alternatives)
  if (interval === undefined) return null
  const min =
    minimum(used.map((pair) => pair.viaCurrent.rttMs!)) - minimum(used.map((pair) => pair.viaAlternative.rttMs!))
  return {median: median(differences), ...interval, min}
}

function flowMedians(used: readonly PairEvidence[], threshold: number): readonly FlowMedian[] {
  const flows = [...new Set(used.map((pair) => pair.flow))].sort((a, b) => a - b)
  return flows.map((flow) => {
    const differences = used.filter((pair) => pair.flow === flow).map(difference)
    const medianMs = median(differences)
    const says = differences.length >= MIN_FLOW_PAIRS && medianMs !== threshold
    return {flow, n: differences.length, medianMs, side: says ? (medianMs > threshold ? 'above' : 'below') : null}
  })
}

/**
 * The DCI round trip between the current first hop and an alternative: the smallest TTL=1 round trip of the far one less
 * that of the near one, or what the inventory states, whichever is less. Too high a value makes "no trombone" too easy.
 */
function dciBetween(evidence: TraceEvidence, places: Places, alternative: number): Dci {
  const current = places.current
  const other = places.alternatives[alternative]!
  const stated = statedDciRttMs(evidence.known, current.site, other.site)
  const measured = current.site !== null && current.site === other.site ? undefined : measuredDci(places, alternative)
  if (measured !== undefined && (stated === undefined || measured <= stated)) {
    // A silent near gateway leaves only the far one to count.
    const heard = [current.firstHopAnswered, other.firstHopAnswered].filter((n) => n > 0)
    return {rttMs: measured, source: 'measured', n: Math.min(...heard)}
  }
  return stated === undefined ? {rttMs: null, source: null, n: 0} : {rttMs: stated, source: 'inventory', n: 0}
}

/** Undefined where the first hops do not tell, or tell the opposite of where the sites' names put them. */
function measuredDci(places: Places, alternative: number): number | undefined {
  const current = places.current
  const other = places.alternatives[alternative]!
  const [far, near] = current.local === true || other.local === false ? [other, current] : [current, other]
  if (current.local === false && other.local === false) return current.firstHopMinMs ?? undefined
  if (far.firstHopMinMs === null) return undefined
  if (near.firstHopMinMs === null) return far.local === false ? far.firstHopMinMs : undefined
  const difference = far.firstHopMinMs - near.firstHopMinMs
  if (current.local === null && other.local === null) return Math.abs(difference)
  return difference > 0 ? difference : undefined
}

/** Half-way between no detour, which costs nothing, and one, which costs a DCI round trip. */
function thresholdOf(dci: Dci, minPenaltyMs: number | undefined): Threshold {
  if (minPenaltyMs !== undefined) return {ms: minPenaltyMs, source: 'flag'}
  if (dci.rttMs === null) return {ms: FALLBACK_MS, source: 'fallback'}
  return dci.rttMs / 2 > FLOOR_MS ? {ms: dci.rttMs / 2, source: 'dci'} : {ms: FLOOR_MS, source: 'floor'}
}

/** True if `dead` never answered and that cannot be the loss that `alive` has too: their 99 % intervals do not meet. */
export const deadBeside = (dead: SideStats, alive: SideStats): boolean =>
  dead.answered === 0 && wilson(0, dead.sent, 0.99).hi < wilson(alive.answered, alive.sent, 0.99).lo

/** True if one side lost so much more that the pairs that are left are a selection. */
export const lossDiffers = (a: SideStats, b: SideStats): boolean =>
  Math.abs(loss(a.sent, a.answered) - loss(b.sent, b.answered)) > MAX_LOSS_DIFFERENCE + 1e-9
