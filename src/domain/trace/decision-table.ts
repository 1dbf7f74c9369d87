// The decision table: from facts about one alternative to a reason. Read from the top, the first row that applies decides.
//
// The verdict rests on pairs, and on what was tried through one exit alone. Hops say where a path goes, never how long it
// takes, so that a gateway that drops or delays its own ICMP changes nothing.
import {blocksEchoOnly, dropsLarge, dropsTcp, isDead, onlyBesides, slowFlowSigns} from './alternative-works.ts'
import {losesMore, type Numbers, type SideStats} from './compare.ts'
import {boundsOf, RESOLVABLE_MS} from './distance.ts'
import type {TraceEvidence} from './evidence.ts'
import {locateHops, type Places} from './places.ts'
import {FEWEST} from './sequential.ts'
import {loss} from './statistics.ts'

export type EgressVerdict = 'trombone' | 'none' | 'inconclusive' | 'local-exit-unusable' | 'current-exit-dead'

/** Why, as a closed set of codes that scripts may switch on. */
export type Reason = keyof typeof VERDICT

export const VERDICT = {
  'need-cap-net-raw': 'inconclusive',
  'no-alternative': 'inconclusive',
  'route-changed': 'inconclusive',
  'first-hop-not-selectable': 'inconclusive',
  'vmac-unstable': 'inconclusive',
  'destination-silent': 'inconclusive',
  'alternative-dead': 'local-exit-unusable',
  'current-dead': 'current-exit-dead',
  'another-box-answers': 'inconclusive',
  'not-alone': 'local-exit-unusable',
  'drops-large': 'local-exit-unusable',
  'drops-tcp': 'local-exit-unusable',
  'path-changed': 'inconclusive',
  'too-few-pairs': 'inconclusive',
  'local-exit-loses': 'inconclusive',
  'flows-disagree': 'inconclusive',
  'host-spreads-flows': 'trombone',
  'detour-behind-exit': 'trombone',
  'destination-at-exit': 'none',
  detour: 'trombone',
  'queue-not-geometry': 'inconclusive',
  'local-exit-slower': 'none',
  'site-unknown': 'inconclusive',
  'exit-loses': 'inconclusive',
  'destination-far': 'none',
  'both-cross-dci': 'none',
  'both-far': 'inconclusive',
  'current-better': 'none',
  'no-penalty': 'none',
  'path-remote-cost-unresolvable': 'inconclusive',
  'too-restless': 'inconclusive',
  'ci-straddles-threshold': 'inconclusive',
} as const satisfies Readonly<Record<string, EgressVerdict>>

export const REASONS = Object.keys(VERDICT) as readonly Reason[]

/** What the rows of the table look at. */
export interface Facts extends Numbers {
  readonly evidence: TraceEvidence
  readonly places: Places
  readonly alternative: number
  readonly changes: readonly string[]
  readonly unstable: readonly string[]
  /** Signs of another box behind the alternative. */
  readonly otherBox: readonly string[]
}

/** A local exit saves one DCI round trip to a destination at home; less than this part of it is nothing. */
const SOME_GAIN = 0.25

interface Rule {
  readonly reason: Reason
  /** The numbers mean nothing where this row decides. */
  readonly void?: true
  applies(facts: Facts): boolean
  because?(facts: Facts): readonly string[]
}

/** A redirect has no row: it does not decide anything, it is a flag on what the rows decide. */
const TABLE: readonly Rule[] = [
  {reason: 'need-cap-net-raw', void: true, applies: ({evidence}) => !evidence.capNetRaw},
  {
    reason: 'route-changed',
    void: true,
    applies: ({changes}) => changes.length > 0,
    because: ({changes}) => changes,
  },
  {reason: 'first-hop-not-selectable', void: true, applies: sharesMac},
  {
    reason: 'vmac-unstable',
    void: true,
    applies: ({unstable}) => unstable.length > 0,
    because: ({unstable}) => unstable,
  },
  {reason: 'destination-silent', void: true, applies: isSilent},
  {
    reason: 'alternative-dead',
    void: true,
    applies: (f) => isDead(f.viaAlternative, f.viaCurrent, theOther(f)),
    because: (f) => [...refusals(f, 'viaAlternative'), ...whatWasTried(f)],
  },
  {
    reason: 'current-dead',
    void: true,
    applies: (f) => isDead(f.viaCurrent, f.viaAlternative, f.evidence.current),
    because: (f) => refusals(f, 'viaCurrent'),
  },
  {
    reason: 'another-box-answers',
    applies: (f) => f.side === 'above' && f.otherBox.length > 0,
    because: ({otherBox}) => otherBox,
  },
  {reason: 'not-alone', applies: (f) => f.side === 'above' && onlyBesides(theOther(f))},
  {reason: 'drops-large', applies: (f) => f.side === 'above' && dropsLarge(theOther(f), f.evidence.current)},
  {reason: 'drops-tcp', applies: (f) => f.side === 'above' && dropsTcp(theOther(f), f.evidence.current)},
  {
    reason: 'path-changed',
    applies: (f) => f.changedAtMs !== null && f.side === null && f.pairsUsed < FEWEST * 2,
    because: ({changedAtMs, pairsUsed}) => [
      `changed ${(changedAtMs! / 1000).toFixed(1)} s into the run; ${pairsUsed} pairs since`,
    ],
  },
  {reason: 'too-few-pairs', void: true, applies: (f) => f.side === null && f.pairsUsed < FEWEST, because: fewPairs},
  {
    reason: 'local-exit-loses',
    applies: (f) => f.side === 'above' && loses(f, f.viaAlternative, f.viaCurrent),
    because: losses,
  },
  {reason: 'flows-disagree', applies: ({flows}) => new Set(flows.flatMap(({side}) => side ?? [])).size > 1},
  {reason: 'flows-disagree', applies: (f) => f.side === 'below' && slowFlows(f).length > 0, because: slowFlows},
  {reason: 'host-spreads-flows', applies: spreadsToFarSite},
  {reason: 'detour-behind-exit', applies: (f) => f.side !== 'above' && isDestinationHome(f) && crossesBehindExit(f)},
  {reason: 'destination-at-exit', applies: (f) => f.side === 'above' && isDestinationAtExit(f)},
  {reason: 'detour', applies: (f) => f.side === 'above' && f.places.current.local === false},
  {reason: 'local-exit-slower', applies: (f) => f.side === 'above' && f.places.current.local === true},
  // A penalty beyond doubt, but nothing that tells whether it is a detour or a slow local exit.
  {reason: 'site-unknown', applies: (f) => f.side === 'above'},
  {
    reason: 'exit-loses',
    applies: (f) => f.side === 'below' && loses(f, f.viaCurrent, f.viaAlternative),
    because: losses,
  },
  // No worse than another way from afar: whether the VM's own site has a better one was not measured.
  {
    reason: 'no-alternative',
    applies: (f) => f.side === 'below' && leadsAway(f) && f.places.current.local === false,
  },
  {reason: 'destination-far', applies: (f) => f.side === 'below' && !leadsAway(f) && isDestinationFar(f)},
  {reason: 'both-cross-dci', applies: (f) => f.side === 'below' && !leadsAway(f) && crosses(f, f.alternative + 1)},
  {reason: 'both-far', applies: (f) => f.side === 'below' && !f.currentBetter && isBothFar(f)},
  {reason: 'current-better', applies: (f) => f.side === 'below' && f.currentBetter},
  {reason: 'no-penalty', applies: (f) => f.side === 'below'},
  {reason: 'queue-not-geometry', applies: isQueue},
  {
    reason: 'path-remote-cost-unresolvable',
    applies: (f) => f.dci.rttMs !== null && f.dci.rttMs < RESOLVABLE_MS && f.places.current.local === false,
  },
  {reason: 'too-restless', applies: isRestless},
  {reason: 'ci-straddles-threshold', applies: () => true},
]

export interface Decision {
  readonly reason: Reason
  readonly verdict: EgressVerdict
  /** Do the numbers mean anything where this was decided? */
  readonly counts: boolean
  readonly because: readonly string[]
}

export function decide(facts: Facts): Decision {
  const rule = TABLE.find((each) => each.applies(facts))!
  return {
    reason: rule.reason,
    verdict: VERDICT[rule.reason],
    counts: rule.void !== true,
    because: [...new Set(rule.because?.(facts))],
  }
}

const theOther = ({evidence, alternative}: Facts) => evidence.alternatives[alternative]!

/** Flows that go another way behind the exit in use than the quick ones: those of the pairs, or TCP beside echoes. */
function slowFlows({evidence, threshold, flows}: Facts): readonly string[] {
  const medians = flows.filter(({side}) => side !== null).map(({medianMs}) => medianMs)
  const slow = medians.filter((ms) => ms - Math.min(...medians) > threshold.ms)
  if (slow.length > 0)
    return [
      `${slow.length} of ${medians.length} flows take ${(Math.min(...slow) - Math.min(...medians)).toFixed(1)} ms longer, or more`,
    ]
  const echoes = evidence.pairs.flatMap((pair) => (pair.warmUp ? [] : (pair.viaCurrent.rttMs ?? [])))
  return slowFlowSigns(evidence.current, echoes, threshold.ms)
}

function isSilent({pairsSent, viaCurrent, viaAlternative}: Facts): boolean {
  return pairsSent > 0 && viaCurrent.answered + viaAlternative.answered === 0
}

function sharesMac({evidence, alternative}: Facts): boolean {
  return evidence.alternatives[alternative]!.mac === evidence.current.mac
}

function fewPairs({pairsUsed, pairsSent, viaCurrent, viaAlternative}: Facts): readonly string[] {
  const lost = [viaCurrent, viaAlternative].map(({sent, answered}) => `${sent - answered} of ${sent}`)
  return [
    `${pairsUsed} of ${pairsSent} pairs answered, want ${FEWEST}; lost ${lost[0]} through the one, ${lost[1]} through the other`,
  ]
}

function losses({viaCurrent, viaAlternative}: Facts): readonly string[] {
  const share = ({sent, answered}: SideStats): string => `${Math.round(loss(sent, answered) * 100)} %`
  return [`lost ${share(viaCurrent)} through the exit in use, ${share(viaAlternative)} through the other`]
}

/** ICMP errors that came in place of answers: `10.0.0.2: 3/1`. */
const refusals = ({evidence, alternative}: Facts, side: 'viaCurrent' | 'viaAlternative'): readonly string[] =>
  evidence.pairs
    .filter((pair) => pair.alternative === alternative)
    .flatMap((pair) => pair[side].refusal ?? [])
    .map(({from, type, code}) => `${from} answers ICMP ${type}/${code}`)

/** Silence of one protocol is not silence of all. */
function whatWasTried(facts: Facts): readonly string[] {
  const {works} = theOther(facts)
  const {protocol} = facts.evidence.probe
  if (blocksEchoOnly(theOther(facts)))
    return [`only ICMP echo is blocked there: TCP is answered (${works!.syn.minMs?.toFixed(1)} ms)`]
  return protocol === 'icmp' && works?.syn.sent === 0 ? ['only ICMP echo was tried'] : []
}

/** An alternative at a far site is no way to stay at home: that it passes a far site says nothing. */
const leadsAway = ({places, alternative}: Facts): boolean => places.alternatives[alternative]!.local === false

const isDestinationFar = ({places: {vm, destination}}: Facts): boolean =>
  vm.site !== null && destination.site !== null && destination.site !== vm.site

const isDestinationHome = ({places: {vm, destination}}: Facts): boolean =>
  vm.site !== null && destination.site === vm.site

/** The exit in use is where the destination is: whatever it costs, it is no detour. */
const isDestinationAtExit = ({places: {vm, destination, current}}: Facts): boolean =>
  destination.site !== null && destination.site === current.site && vm.site !== current.site

/** Does the path behind a candidate pass another site than the VM's? */
const crosses = ({evidence, places}: Facts, candidate: number): boolean =>
  locateHops(evidence, places, candidate).some((hop) => hop.remote === true && !hop.reached && hop.ttl > 1)

const crossesBehindExit = (facts: Facts): boolean => facts.places.current.local === true && crosses(facts, 0)

/**
 * One exit is local, the destination is at home, and yet the local exit gains nothing and takes a DCI crossing or more:
 * its path leaves the site somewhere. Or it was seen to, and nobody knows where the destination is.
 */
function isBothFar(facts: Facts): boolean {
  const {evidence, places, alternative, dci, penalty} = facts
  if (places.destination.site === null && crossesBehindExit(facts)) return true
  const local =
    places.current.local === true ? 0 : places.alternatives[alternative]!.local === true ? alternative + 1 : -1
  if (!isDestinationHome(facts) || local < 0 || dci.rttMs === null || dci.rttMs < RESOLVABLE_MS) return false
  const gainMs = (penalty?.median ?? 0) * (local === 0 ? -1 : 1)
  const gains = gainMs >= dci.rttMs * SOME_GAIN
  return !gains && (boundsOf(evidence, local).destinationMs ?? 0) >= dci.rttMs / 2
}

/** The host's own route shares its flows between a local exit and a far one, and the far one costs. */
function spreadsToFarSite({evidence, places, alternative, side, currentBetter}: Facts): boolean {
  const hops = evidence.host.routing.nextHops.map(({gateway}) => gateway)
  const other = evidence.alternatives[alternative]!
  if (!hops.includes(evidence.current.ip) || !hops.includes(other.ip)) return false
  if (side === 'above') return places.current.local === false
  return currentBetter && places.alternatives[alternative]!.local === false
}

/** On one side of the threshold by the median and the minima, but for too short a time to tell distance from load. */
function isRestless({penalty, threshold, pairsUsed}: Facts): boolean {
  if (penalty === null || pairsUsed < FEWEST) return false
  const isAbove = penalty.lo > threshold.ms && penalty.min > threshold.ms
  return isAbove || (penalty.hi < threshold.ms && penalty.min < threshold.ms)
}

/** One way loses much more. A destination that limits its answers loses on whichever side is asked second, and says nothing of ways. */
const loses = ({evidence}: Facts, worse: SideStats, better: SideStats): boolean =>
  !evidence.probe.limited && losesMore(worse, better)

/** Slower beyond doubt by the median, and as fast at its best: load on the way, not distance. */
function isQueue({penalty, threshold}: Facts): boolean {
  return penalty !== null && penalty.lo > threshold.ms && penalty.min <= threshold.ms
}
