// The verdict: does traffic to this destination leave through the wrong site? A pure function of the evidence.
//
// The decision table below is read from the top, and the first row that applies decides. The verdict rests on pairs alone:
// hops choose the words of row 13 and nothing else, so that a gateway that drops or delays its own ICMP changes nothing.
import {compare, deadBeside, lossDiffers, MIN_PAIRS, type Numbers} from './compare.ts'
import type {TraceEvidence} from './evidence.ts'
import {type Inbound, judgeInbound} from './inbound.ts'
import {locate, locateHops, type Places, RESOLVABLE_MS} from './places.ts'
import {type Flag, flagsOf, routeChanges, unstableSigns} from './remarks.ts'

export type EgressVerdict = 'trombone' | 'none' | 'inconclusive' | 'local-exit-unusable' | 'current-exit-dead'

/** Why, as a closed set of codes that scripts may switch on. */
export type Reason = keyof typeof VERDICT

const VERDICT = {
  'need-cap-net-raw': 'inconclusive',
  'no-alternative': 'inconclusive',
  'route-changed': 'inconclusive',
  'first-hop-not-selectable': 'inconclusive',
  'vmac-unstable': 'inconclusive',
  'destination-silent': 'inconclusive',
  'alternative-dead': 'local-exit-unusable',
  'current-dead': 'current-exit-dead',
  'too-few-pairs': 'inconclusive',
  'flows-disagree': 'inconclusive',
  detour: 'trombone',
  'queue-not-geometry': 'inconclusive',
  'local-exit-slower': 'none',
  'site-unknown': 'inconclusive',
  'both-cross-dci': 'none',
  'destination-far': 'none',
  'no-penalty': 'none',
  'current-better': 'none',
  'path-remote-cost-unresolvable': 'inconclusive',
  'ci-straddles-threshold': 'inconclusive',
} as const satisfies Readonly<Record<string, EgressVerdict>>

/** Exit codes of `trace`. They start at 10 so that a crash is never read as a trombone. */
const TRACE_EXIT = {
  trombone: 10,
  inconclusive: 11,
  'local-exit-unusable': 12,
  'current-exit-dead': 12,
  none: 0,
} as const

export type TraceExit = 0 | 10 | 11 | 12

/** One alternative, judged. */
export interface Comparison extends Numbers {
  /** Index into the evidence's `alternatives`. */
  readonly alternative: number
  readonly verdict: EgressVerdict
  readonly reason: Reason
  /** Row of the decision table, from 1. */
  readonly row: number
  /** What the reason rests on where numbers do not say it: what changed, who answered. Empty if nothing. */
  readonly because: readonly string[]
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
    flags: flagsOf(evidence, places, chosen),
    exitCode: failed ? 10 : TRACE_EXIT[verdict],
  }
}

/** The exit code of several destinations together: a trombone, then an unusable exit, then doubt, then none. */
export function worstExit(codes: readonly TraceExit[]): TraceExit {
  return ([10, 12, 11] as const).find((code) => codes.includes(code)) ?? 0
}

function choose(comparisons: readonly Comparison[], places: Places): Comparison | undefined {
  const atVm = comparisons.filter((each) => places.alternatives[each.alternative]!.local === true)
  const among = atVm.length > 0 ? atVm : comparisons
  // Rows up to 8 say that the numbers mean nothing.
  const worth = (each: Comparison) =>
    each.row > 8 && each.penalty !== null ? each.penalty.median : Number.NEGATIVE_INFINITY
  return among.reduce<Comparison | undefined>(
    (best, each) => (best === undefined || worth(each) > worth(best) ? each : best),
    undefined,
  )
}

/** What the rows of the table look at. */
interface Facts extends Numbers {
  readonly evidence: TraceEvidence
  readonly places: Places
  readonly alternative: number
  /** Bounds of the penalty; NaN, with which every comparison is false, if there is none. */
  readonly lo: number
  readonly hi: number
  readonly min: number
  readonly changes: readonly string[]
  readonly unstable: readonly string[]
}

interface Rule {
  readonly row: number
  readonly reason: Reason
  applies(facts: Facts): boolean
  because?(facts: Facts): readonly string[]
}

/** Row 3 is not here: a redirect does not decide anything, it is a flag on what the other rows decide. */
const TABLE: readonly Rule[] = [
  {row: 1, reason: 'need-cap-net-raw', applies: ({evidence}) => !evidence.capNetRaw},
  {row: 2, reason: 'route-changed', applies: ({changes}) => changes.length > 0, because: ({changes}) => changes},
  {row: 4, reason: 'first-hop-not-selectable', applies: sharesMac},
  {row: 4, reason: 'vmac-unstable', applies: ({unstable}) => unstable.length > 0, because: ({unstable}) => unstable},
  {
    row: 5,
    reason: 'destination-silent',
    applies: (f) => f.pairsSent > 0 && f.viaCurrent.answered + f.viaAlternative.answered === 0,
  },
  {
    row: 6,
    reason: 'alternative-dead',
    applies: (f) => deadBeside(f.viaAlternative, f.viaCurrent),
    because: refusals('viaAlternative'),
  },
  {
    row: 7,
    reason: 'current-dead',
    applies: (f) => deadBeside(f.viaCurrent, f.viaAlternative),
    because: refusals('viaCurrent'),
  },
  {
    row: 8,
    reason: 'too-few-pairs',
    applies: (f) => f.pairsUsed < MIN_PAIRS || f.penalty === null || lossDiffers(f.viaCurrent, f.viaAlternative),
    because: fewPairs,
  },
  {row: 9, reason: 'flows-disagree', applies: ({flows}) => new Set(flows.flatMap(({side}) => side ?? [])).size > 1},
  {
    row: 10,
    reason: 'detour',
    applies: (f) => f.lo > f.threshold.ms && f.min > f.threshold.ms && f.places.current.local === false,
  },
  {row: 11, reason: 'queue-not-geometry', applies: (f) => f.lo > f.threshold.ms && f.min <= f.threshold.ms},
  {row: 12, reason: 'local-exit-slower', applies: (f) => f.lo > f.threshold.ms && f.places.current.local === true},
  // No worse than another way from afar: whether the VM's own site has a better one was not measured.
  {
    row: 1,
    reason: 'no-alternative',
    applies: (f) => f.hi < f.threshold.ms && leadsAway(f) && f.places.current.local === false,
  },
  {row: 13, reason: 'destination-far', applies: (f) => f.hi < f.threshold.ms && !leadsAway(f) && destinationIsFar(f)},
  {row: 13, reason: 'both-cross-dci', applies: (f) => f.hi < f.threshold.ms && !leadsAway(f) && crossesToFarSite(f)},
  {row: 14, reason: 'current-better', applies: (f) => f.hi < -f.threshold.ms},
  {row: 14, reason: 'no-penalty', applies: (f) => f.hi < f.threshold.ms},
  {
    row: 15,
    reason: 'path-remote-cost-unresolvable',
    applies: (f) => f.dci.rttMs !== null && f.dci.rttMs < RESOLVABLE_MS && f.places.current.local === false,
  },
  // A penalty beyond doubt, but nothing that tells whether it is row 10 or row 12.
  {row: 16, reason: 'site-unknown', applies: (f) => f.lo > f.threshold.ms},
  {row: 16, reason: 'ci-straddles-threshold', applies: () => true},
]

function judgeAlternative(
  evidence: TraceEvidence,
  places: Places,
  i: number,
  minPenaltyMs: number | undefined,
): Comparison {
  const numbers = compare(evidence, places, i, minPenaltyMs)
  const {before, after} = evidence.integrity
  const facts: Facts = {
    ...numbers,
    evidence,
    places,
    alternative: i,
    lo: numbers.penalty?.lo ?? Number.NaN,
    hi: numbers.penalty?.hi ?? Number.NaN,
    min: numbers.penalty?.min ?? Number.NaN,
    changes: routeChanges(before, after),
    unstable: [
      ...unstableSigns(evidence, evidence.current, places.current.responders),
      ...unstableSigns(evidence, evidence.alternatives[i]!, places.alternatives[i]!.responders),
    ],
  }
  const rule = TABLE.find((each) => each.applies(facts))!
  const because = [...new Set(rule.because?.(facts))]
  return {...numbers, alternative: i, verdict: VERDICT[rule.reason], reason: rule.reason, row: rule.row, because}
}

function fewPairs({pairsUsed, pairsSent, viaCurrent, viaAlternative}: Facts): readonly string[] {
  const lost = [viaCurrent, viaAlternative].map(({sent, answered}) => `${sent - answered} of ${sent}`)
  return [
    `${pairsUsed} of ${pairsSent} pairs answered, want ${MIN_PAIRS}; lost ${lost[0]} through the one, ${lost[1]} through the other`,
  ]
}

function sharesMac({evidence, alternative}: Facts): boolean {
  return evidence.alternatives[alternative]!.mac === evidence.current.mac
}

/** ICMP errors that came in place of answers: `10.0.0.2: 3/1`. */
function refusals(side: 'viaCurrent' | 'viaAlternative') {
  return ({evidence, alternative}: Facts): readonly string[] =>
    evidence.pairs
      .filter((pair) => pair.alternative === alternative)
      .flatMap((pair) => pair[side].refusal ?? [])
      .map(({from, type, code}) => `${from} answers ICMP ${type}/${code}`)
}

/** An alternative at a far site is no way to stay at home: that it passes a far site says nothing. */
const leadsAway = ({places, alternative}: Facts): boolean => places.alternatives[alternative]!.local === false

const destinationIsFar = ({places: {vm, destination}}: Facts): boolean =>
  vm.site !== null && destination.site !== null && destination.site !== vm.site

const crossesToFarSite = ({evidence, places, alternative}: Facts): boolean =>
  locateHops(evidence, places, alternative + 1).some((hop) => hop.remote === true && !hop.reached)

/** Pairs (each alternative) after which the run is looked at, up to `limit`; the last look is at `limit`. */
export function looks(limit: number): readonly number[] {
  return [...[20, 40, 60].filter((n) => n < limit), limit]
}

const UNDECIDED: ReadonlySet<Reason> = new Set([
  'too-few-pairs',
  'flows-disagree',
  'queue-not-geometry',
  'path-remote-cost-unresolvable',
  'ci-straddles-threshold',
])

/**
 * After how many pairs (each alternative) to look again, having sent `sent` and judged; undefined if the verdict stands,
 * or `limit` is reached. Each of at most four looks errs to one side with 0.5 % at most: 2 % in all.
 */
export function nextLook(judgement: Judgement, sent: number, limit: number): number | undefined {
  if (!UNDECIDED.has(judgement.reason)) return undefined
  return looks(limit).find((n) => n > sent)
}
