// How far a first hop is, bounded by what was measured. A round trip can be too long (a busy CPU answers late), never too
// short: so a short one proves that a gateway is near, and a long one proves nothing. What the control plane answers (time
// exceeded) therefore only suggests "far", and whatever came through a gateway bounds the way to it from above.
import {addressBits, ipPrefixContains, readIpPrefix} from '../../wire/ip-prefix.ts'
import type {CandidateEvidence, TraceEvidence} from './evidence.ts'
import {knownGatewayOfIp, statedDciRttMs} from './known-sites.ts'
import {minimum} from './statistics.ts'

/** Below this, latency does not tell near from far: it is what a slow answer of a router's CPU can cost. */
export const RESOLVABLE_MS = 0.5
/** A first hop that seems farther than so many DCI round trips is slow, not far. */
const IMPLAUSIBLE = 1.5

/** What bounds the round trip to one first hop, ms. Null: nothing was heard. */
export interface Bounds {
  /** It is no longer than this: the fastest first-hop answer, or twice the fastest round trip to anything behind it. */
  readonly atMostMs: number | null
  /** Fastest first-hop answer of the gateway itself; it may hold what its CPU took. */
  readonly answerMs: number | null
  /** Fastest round trip to anything through it, itself included. */
  readonly throughMs: number | null
  /** Fastest round trip to the destination through it. */
  readonly destinationMs: number | null
}

export const candidatesOf = (evidence: TraceEvidence): readonly CandidateEvidence[] => [
  evidence.current,
  ...evidence.alternatives,
]

/** The bounds of candidate `i`: 0 is the one in use. */
export function boundsOf(evidence: TraceEvidence, i: number): Bounds {
  const candidate = candidatesOf(evidence)[i]!
  const answers = candidate.firstHop.flatMap(({rttMs, responder}) => (rttMs === null ? [] : [{rttMs, responder}]))
  const behind = [
    ...destinationRtts(evidence, i),
    ...candidate.hops.flatMap((hop) => hop.replies.map((each) => each.rttMs)),
  ]
  const own = answers.filter(({responder}) => responder === null || isOnSegment(evidence, responder))
  const all = [
    ...answers.map(({rttMs}) => rttMs),
    ...candidate.hops.filter(({ttl}) => ttl === 1).flatMap(({replies}) => replies.map((each) => each.rttMs)),
  ]
  return {
    atMostMs: least([...all, ...behind.map((ms) => 2 * ms)]),
    answerMs: least(own.map(({rttMs}) => rttMs)),
    throughMs: least([...all, ...behind]),
    destinationMs: least(destinationRtts(evidence, i)),
  }
}

const least = (values: readonly number[]): number | null => (values.length === 0 ? null : minimum(values))

/** A router's own address on the segment answers; any other address may be that of a router behind it. */
function isOnSegment(evidence: TraceEvidence, ip: string): boolean {
  if (knownGatewayOfIp(evidence.known, ip) !== undefined || candidatesOf(evidence).some((each) => each.ip === ip))
    return true
  const prefix = evidence.host.prefix === null ? undefined : readIpPrefix(evidence.host.prefix)
  return prefix === undefined || prefix.length === addressBits(prefix.address) || ipPrefixContains(prefix, ip)
}

/** Round trips to the destination through a candidate: 0 is the current one, 1 the first alternative. */
function destinationRtts(evidence: TraceEvidence, candidate: number): readonly number[] {
  return evidence.pairs.flatMap((pair) => {
    if (pair.warmUp) return []
    const outcome =
      candidate === 0 ? pair.viaCurrent : pair.alternative === candidate - 1 ? pair.viaAlternative : undefined
    return outcome?.rttMs ?? []
  })
}

/** What latency says of a first hop. */
export interface Distance {
  readonly far: boolean
  /** By a bound from above, which nothing can have shortened; else it only seems so. */
  readonly proven: boolean
}

/**
 * For each candidate, with the site it is known to be at: is it a DCI away? Undefined where latency does not tell, or
 * where what the first hops say contradicts what the destination says.
 */
export function distances(
  evidence: TraceEvidence,
  sites: readonly (string | null)[],
): readonly (Distance | undefined)[] {
  const bounds = sites.map((_, i) => boundsOf(evidence, i))
  return sites.map((site, i) => {
    const stated = statedTo(evidence, sites, site)
    if (isProvenNear(bounds, i, stated)) return {far: false, proven: true}
    return seemingDistance(bounds, i, stated)
  })
}

/** The stated DCI round trip between a candidate's site and another candidate's, if it is long enough to tell. */
function statedTo({known}: TraceEvidence, sites: readonly (string | null)[], site: string | null): number | undefined {
  const other = sites.find((each) => each !== site) ?? null
  const stated = statedDciRttMs(known, site, other)
  return stated !== undefined && stated >= RESOLVABLE_MS ? stated : undefined
}

function isProvenNear(bounds: readonly Bounds[], i: number, stated: number | undefined): boolean {
  const {atMostMs} = bounds[i]!
  if (atMostMs === null) return false
  if (stated !== undefined) return atMostMs < stated / 2
  const others = bounds.filter((_, j) => j !== i)
  // Nothing came through the other as fast: the sites are not so close together that near and far are one.
  return atMostMs < RESOLVABLE_MS && others.some((each) => (each.throughMs ?? 0) - atMostMs >= RESOLVABLE_MS)
}

function seemingDistance(bounds: readonly Bounds[], i: number, stated: number | undefined): Distance | undefined {
  const {answerMs} = bounds[i]!
  if (answerMs === null) return undefined
  if (stated !== undefined && answerMs > stated * IMPLAUSIBLE + RESOLVABLE_MS) return undefined
  const nearest = minimum(bounds.flatMap(({atMostMs}) => atMostMs ?? []))
  const apart = Math.max(RESOLVABLE_MS, (stated ?? 0) / 2)
  if (stated !== undefined && nearest >= stated / 2) return {far: true, proven: false}
  if (answerMs - nearest >= apart) return contradicted(bounds, i, -1) ? undefined : {far: true, proven: false}
  const behind = bounds.some((each) => (each.answerMs ?? 0) - answerMs >= apart)
  if (behind) return contradicted(bounds, i, 1) ? undefined : {far: false, proven: false}
  return stated === undefined ? undefined : {far: false, proven: false}
}

/** The destination is reached sooner through one that seems far, or later through one that seems near. */
function contradicted(bounds: readonly Bounds[], i: number, sign: 1 | -1): boolean {
  const mine = bounds[i]!.destinationMs
  if (mine === null) return false
  return bounds.some(
    ({destinationMs}, j) => j !== i && destinationMs !== null && sign * (mine - destinationMs) >= RESOLVABLE_MS,
  )
}
