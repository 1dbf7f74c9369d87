// What to do next, after what was seen so far: a pure function, so that every run can be played again.
import {needsComparison, SILENT_PAIRS, seemsDead} from './alternative-works.ts'
import type {ProbeProtocol, TraceEvidence} from './evidence.ts'
import {type Comparison, type JudgeOptions, judge, type Reason} from './verdict.ts'

export type Step =
  /** Send more pairs. */
  | {readonly kind: 'pairs'}
  /** Ask through one exit alone; 0 is the one in use. */
  | {readonly kind: 'check'; readonly exit: number}
  /** Nothing answers in this protocol: begin anew in that one. */
  | {readonly kind: 'protocol'; readonly protocol: ProbeProtocol}
  /** Ask by TCP through the exit in use, in several flows: echoes are said to find nothing. */
  | {readonly kind: 'flows'}
  /** The network is not what it was: first hops and hops are to be asked again. */
  | {readonly kind: 'afresh'}
  /** What first hops and hops said, that long ago or longer (ms), is old: they are to be asked again. */
  | {readonly kind: 'again'; readonly ageMs: number}
  /** Enough is known, or there is nothing more to learn; but for the hops, where the verdict rests on them too. */
  | {readonly kind: 'done'; readonly hops: boolean}

export interface PlanOptions extends JudgeOptions {
  /** Protocols to try, in order. */
  readonly protocols: readonly ProbeProtocol[]
  /** Hops are wanted whatever the verdict. */
  readonly hops?: boolean | undefined
}

/** More pairs may change these. */
const UNDECIDED: ReadonlySet<Reason> = new Set([
  'too-few-pairs',
  'path-changed',
  'flows-disagree',
  'queue-not-geometry',
  'path-remote-cost-unresolvable',
  'too-restless',
  'ci-straddles-threshold',
])
/** These recommend the alternative: it is tried alone first. */
const RECOMMENDS: ReadonlySet<Reason> = new Set(['detour', 'current-dead', 'site-unknown', 'host-spreads-flows'])

/** The next step. `mayGoOn` is false when as many pairs were sent as were asked for, and all are settled. */
export function nextStep(evidence: TraceEvidence, options: PlanOptions, mayGoOn: boolean): Step {
  const judgement = judge(evidence, options)
  const {chosen} = judgement
  const {probe} = evidence
  // That traffic takes a detour is said by its cost alone; that it takes none, also by where it goes.
  const done = {kind: 'done', hops: options.hops === true || judgement.verdict !== 'trombone'} as const
  if (chosen === null || chosen.reason === 'first-hop-not-selectable') return done
  if (chosen.changedAtMs !== null && chosen.changedAtMs > (probe.afreshAtMs ?? -1)) return {kind: 'afresh'}
  const protocol = nextProtocol(evidence, chosen, options.protocols)
  if (protocol !== undefined) return {kind: 'protocol', protocol}
  const exit = exitToCheck(evidence, judgement.comparisons, chosen)
  if (exit !== undefined) return {kind: 'check', exit}
  // What TCP flows showed is not for echoes to take back.
  const shown = chosen.reason === 'flows-disagree' && evidence.current.tcpFlows !== null
  const early = chosen.reason === 'destination-silent' && chosen.pairsSent < SILENT_PAIRS
  const open = (UNDECIDED.has(chosen.reason) && !shown) || early
  if (open && mayGoOn) return {kind: 'pairs'}
  const flows = judgement.verdict === 'none' && probe.protocol === 'icmp' && options.protocols.includes('tcp')
  return flows && evidence.current.tcpFlows === null ? {kind: 'flows'} : done
}

/** Silence to all, or to echoes alone through one exit, makes the next protocol worth a try. */
function nextProtocol(
  {probe, alternatives}: TraceEvidence,
  {reason, pairsSent, alternative}: Comparison,
  protocols: readonly ProbeProtocol[],
): ProbeProtocol | undefined {
  const next = protocols[protocols.indexOf(probe.protocol) + 1]
  if (reason === 'destination-silent') return pairsSent >= SILENT_PAIRS ? next : undefined
  const works = alternatives[alternative]!.works
  const synAnswered = works !== null && works.syn.answered > 0
  return reason === 'alternative-dead' && synAnswered && next === 'tcp' ? next : undefined
}

function exitToCheck(
  evidence: TraceEvidence,
  comparisons: readonly Comparison[],
  chosen: Comparison,
): number | undefined {
  const unchecked = (exit: number): boolean => [evidence.current, ...evidence.alternatives][exit]!.works === null
  for (const {alternative, viaCurrent, viaAlternative} of comparisons) {
    if (seemsDead(viaAlternative, viaCurrent) && unchecked(alternative + 1)) return alternative + 1
    if (seemsDead(viaCurrent, viaAlternative) && unchecked(0)) return 0
  }
  if (!RECOMMENDS.has(chosen.reason)) return undefined
  const exit = chosen.alternative + 1
  if (unchecked(exit)) return exit
  return needsComparison(evidence.alternatives[chosen.alternative]!) && unchecked(0) ? 0 : undefined
}
