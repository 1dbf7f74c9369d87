// The verdict: does traffic to this destination leave through the wrong site? A pure function of the evidence.
import {otherBoxSigns} from './alternative-works.ts'
import {compare, type Numbers} from './compare.ts'
import {type Decision, decide, type EgressVerdict, type Reason, VERDICT} from './decision-table.ts'
import type {TraceEvidence} from './evidence.ts'
import type {Flag} from './flag.ts'
import {type Inbound, judgeInbound} from './inbound.ts'
import {locate, type Places} from './places.ts'
import {flagsOf, routeChanges, unstableSigns} from './remarks.ts'

export type {EgressVerdict, Reason} from './decision-table.ts'

/** Exit codes of `trace`. They start at 10 so that a crash is never read as a trombone. @internal */
export const TRACE_EXIT = {
  trombone: 10,
  inconclusive: 11,
  'local-exit-unusable': 12,
  'current-exit-dead': 12,
  none: 0,
} as const

/** 1: a destination could not be traced at all. */
export type TraceExit = 0 | 1 | 10 | 11 | 12

/** One alternative, judged. */
export interface Comparison extends Numbers, Decision {
  /** Index into the evidence's `alternatives`. */
  readonly alternative: number
}

export interface Judgement {
  readonly places: Places
  /** Every alternative, in the evidence's order. Empty without one. */
  readonly comparisons: readonly Comparison[]
  /** The comparison that speaks for the whole; null without an alternative. */
  readonly chosen: Comparison | null
  readonly verdict: EgressVerdict
  readonly reason: Reason
  readonly inbound: Inbound
  readonly flags: readonly Flag[]
  readonly exitCode: TraceExit
}

export interface JudgeOptions {
  /** Threshold in ms in place of half the DCI round trip (`--min-penalty`). */
  readonly minPenaltyMs?: number | undefined
  /** An inbound trombone counts as one (`--fail-on inbound`). */
  readonly failOnInbound?: boolean | undefined
}

/**
 * Judges the evidence of one destination.
 *
 * Each alternative is compared with the current first hop. The verdict is that of the best at the VM's site, or, if none
 * is known to be there, of the best of all; best is the one that the destination is reached through fastest.
 */
export function judge(evidence: TraceEvidence, options: JudgeOptions = {}): Judgement {
  const places = locate(evidence)
  const comparisons = evidence.alternatives.map((_, i) => judgeAlternative(evidence, places, i, options.minPenaltyMs))
  const chosen = choose(comparisons, places)
  const reason: Reason = chosen?.reason ?? (evidence.capNetRaw ? 'no-alternative' : 'need-cap-net-raw')
  const verdict = VERDICT[reason]
  const inbound = judgeInbound(evidence, places, chosen?.dci.rttMs ?? null)
  const failed = options.failOnInbound === true && inbound.verdict === 'inbound-trombone'
  return {
    places,
    comparisons,
    chosen: chosen ?? null,
    verdict,
    reason,
    inbound,
    flags: flagsOf(evidence, places, chosen, inbound),
    exitCode: failed ? 10 : TRACE_EXIT[verdict],
  }
}

/**
 * The exit code of several destinations together: a trombone, then an unusable exit, then one that could not be traced,
 * then doubt, then none.
 */
export function worstExit(codes: readonly TraceExit[]): TraceExit {
  return ([10, 12, 1, 11] as const).find((code) => codes.includes(code)) ?? 0
}

function choose(comparisons: readonly Comparison[], places: Places): Comparison | undefined {
  const atVm = comparisons.filter((each) => places.alternatives[each.alternative]!.local === true)
  const among = atVm.length > 0 ? atVm : comparisons
  const worth = (each: Comparison) =>
    each.counts && each.penalty !== null ? each.penalty.median : Number.NEGATIVE_INFINITY
  return among.reduce<Comparison | undefined>(
    (best, each) => (best === undefined || worth(each) > worth(best) ? each : best),
    undefined,
  )
}

function judgeAlternative(
  evidence: TraceEvidence,
  places: Places,
  alternative: number,
  minPenaltyMs: number | undefined,
): Comparison {
  const numbers = compare(evidence, places, alternative, minPenaltyMs)
  const {before, after} = evidence.integrity
  const decision = decide({
    ...numbers,
    ...{evidence, places, alternative},
    changes: routeChanges(before, after),
    unstable: [
      ...unstableSigns(evidence, evidence.current, places.current),
      ...unstableSigns(evidence, evidence.alternatives[alternative]!, places.alternatives[alternative]!),
    ],
    otherBox: otherBoxSigns(evidence, alternative),
  })
  return {...numbers, ...decision, alternative}
}
