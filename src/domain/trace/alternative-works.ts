// Would the alternative work if it were the only exit, and is it the destination that answers behind it? What the pairs
// say of time does not matter where the answer is no.

import type {SideStats} from './compare.ts'
import {losesMore} from './compare.ts'
import type {CandidateEvidence, PairEvidence, ProbeOutcome, SoloCheck, TraceEvidence} from './evidence.ts'
import {quantile} from './statistics.ts'

/** Pairs after which the destination is taken for silent in a protocol. */
export const SILENT_PAIRS = 6
const INITIAL_TTLS = [64, 128, 255]
/** Answers of a side below which its reply TTL is not compared. */
const FEW_ANSWERS = 3

/** Not one pair was answered through it, and neither was a probe through it alone; that is not the loss that `alive` has too. */
export function isDead(dead: SideStats, alive: SideStats, candidate: CandidateEvidence): boolean {
  if (dead.answered > 0 || candidate.works === null || candidate.works.small.answered > 0) return false
  const {sent} = candidate.works.small
  return losesMore({...dead, sent: dead.sent + sent}, alive)
}

/** Silence beside answers, in enough pairs to ask whether it is dead. */
export const seemsDead = (dead: SideStats, alive: SideStats): boolean => dead.answered === 0 && losesMore(dead, alive)

const failed = (check: SoloCheck | undefined): boolean => check !== undefined && check.sent > 0 && check.answered === 0
const passed = (check: SoloCheck | undefined): boolean => check !== undefined && check.answered > 0

/** Answered while the exit in use was probed too, and not alone. */
export const onlyBesides = ({works}: CandidateEvidence): boolean => failed(works?.small)

/** Full-size packets do not come through, and no router says so; through the exit in use they do. */
export const dropsLarge = (alternative: CandidateEvidence, current: CandidateEvidence): boolean =>
  failed(alternative.works?.full) && alternative.works?.full.mtu === null && passed(current.works?.full)

/** A TCP SYN is not answered, not even by a reset; through the exit in use it is. */
export const dropsTcp = (alternative: CandidateEvidence, current: CandidateEvidence): boolean =>
  failed(alternative.works?.syn) && passed(current.works?.syn)

/** The echo alone is blocked there: a SYN is answered. */
export const blocksEchoOnly = ({works}: CandidateEvidence): boolean => failed(works?.small) && passed(works?.syn)

/** Is there something about the alternative that only the same check through the exit in use can explain? */
export const needsComparison = ({works}: CandidateEvidence): boolean =>
  failed(works?.syn) || (failed(works?.full) && works?.full.mtu === null)

/** Answered TCP flows below which they say nothing. */
const FEW_FLOWS = 4
/** Share of the echoes that are no slower than what a flow is compared with: it had a few tries only, and they many. */
const USUAL = 0.9

/** TCP flows that take longer than echoes usually do, by more than the threshold: some, or all, go another way. Empty if none does. */
export function slowFlowSigns(
  {tcpFlows}: CandidateEvidence,
  echoes: readonly number[],
  thresholdMs: number,
): readonly string[] {
  const answered = (tcpFlows ?? []).flatMap(({minMs}) => minMs ?? [])
  if (echoes.length === 0 || answered.length < FEW_FLOWS) return []
  const usual = quantile(echoes, USUAL)
  const slow = answered.filter((ms) => ms - usual > thresholdMs)
  if (slow.length === 0) return []
  const longer = (Math.min(...slow) - usual).toFixed(1)
  return [
    `${slow.length} of ${answered.length} TCP flows through the exit in use take ${longer} ms longer than echoes, or more`,
  ]
}

/** Signs that behind the alternative another box answers than behind the exit in use. Empty if there is none. */
export function otherBoxSigns(evidence: TraceEvidence, alternative: number): readonly string[] {
  const pairs = evidence.pairs.filter((pair) => !pair.warmUp && pair.alternative === alternative)
  const current = repliesOf(pairs, 'viaCurrent')
  const other = repliesOf(pairs, 'viaAlternative')
  if (current.ttl === undefined || other.ttl === undefined || current.ttl === other.ttl) return []
  const words = `answers arrive with TTL ${other.ttl} there, with TTL ${current.ttl} through the exit in use`
  if (INITIAL_TTLS.includes(other.ttl)) return [`${words}: no router lies between`]
  if (initialOf(other.ttl) !== initialOf(current.ttl)) return [`${words}: hosts of different kinds`]
  return current.mac !== undefined && current.mac === other.mac ? [`${words}, by the same way back`] : []
}

const initialOf = (ttl: number): number => INITIAL_TTLS.find((initial) => initial >= ttl) ?? 255

/** The reply TTL and return MAC of one side; undefined where they differ among themselves, or were too seldom seen. */
function repliesOf(pairs: readonly PairEvidence[], side: 'viaCurrent' | 'viaAlternative') {
  const outcomes = pairs.map((pair): ProbeOutcome => pair[side]).filter(({rttMs}) => rttMs !== null)
  const only = <T>(values: readonly T[]): T | undefined =>
    values.length >= FEW_ANSWERS && new Set(values).size === 1 ? values[0] : undefined
  return {
    ttl: only(outcomes.flatMap(({replyTtl}) => replyTtl ?? [])),
    mac: only(outcomes.flatMap(({returnMac}) => returnMac ?? [])),
  }
}
