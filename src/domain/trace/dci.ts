// The DCI round trip that a penalty is measured against.
import {boundsOf} from './distance.ts'
import type {TraceEvidence} from './evidence.ts'
import {statedDciRttMs} from './known-sites.ts'
import type {Places} from './places.ts'

export interface Dci {
  /** In ms; null if neither measured nor stated. */
  readonly rttMs: number | null
  readonly source: 'measured' | 'inventory' | null
  /** TTL=1 answers on the side with fewer; 0 if it was not measured. */
  readonly n: number
}

/**
 * The DCI round trip between the current first hop and an alternative: what is farther less what is nearer, or what the
 * inventory states, whichever is less. Too high a value makes "no trombone" too easy: so the far one is no farther than the
 * fastest thing that came through it.
 */
export function dciBetween(evidence: TraceEvidence, places: Places, alternative: number): Dci {
  const current = places.current
  const other = places.alternatives[alternative]!
  const stated = statedDciRttMs(evidence.known, current.site, other.site)
  const oneSite = current.site !== null && current.site === other.site
  const measured = oneSite ? undefined : measuredDci(evidence, places, alternative)
  if (measured !== undefined && (stated === undefined || measured <= stated)) {
    // A silent near gateway leaves only the far one to count.
    const heard = [current.firstHopAnswered, other.firstHopAnswered].filter((n) => n > 0)
    return {rttMs: measured, source: 'measured', n: Math.min(...heard)}
  }
  return stated === undefined ? {rttMs: null, source: null, n: 0} : {rttMs: stated, source: 'inventory', n: 0}
}

/** Undefined where the first hops do not tell, or tell the opposite of where the sites' names put them. */
function measuredDci(evidence: TraceEvidence, places: Places, alternative: number): number | undefined {
  const current = {place: places.current, bounds: boundsOf(evidence, 0)}
  const other = {place: places.alternatives[alternative]!, bounds: boundsOf(evidence, alternative + 1)}
  const [far, near] = current.place.local === true || other.place.local === false ? [other, current] : [current, other]
  const away = ({bounds: {answerMs, throughMs}}: typeof current): number | undefined =>
    answerMs === null || throughMs === null ? undefined : Math.min(answerMs, throughMs)
  const farMs = away(far)
  if (farMs === undefined) return undefined
  if (current.place.local === false && other.place.local === false) return away(current)
  const nearMs = near.bounds.answerMs === null ? null : near.bounds.atMostMs
  if (nearMs === null) return far.place.local === false ? farMs : undefined
  if (current.place.local === null && other.place.local === null) return Math.abs(farMs - nearMs)
  return farMs > nearMs ? farMs - nearMs : undefined
}
