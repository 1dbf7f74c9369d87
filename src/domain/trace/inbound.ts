// The way back, read from the source MAC of the frames that brought the answers: the gateway that delivered them.
import type {Mac} from '../../wire/address.ts'
import {candidatesOf} from './distance.ts'
import type {TraceEvidence} from './evidence.ts'
import {knownGatewayOfMac} from './known-sites.ts'
import {gatewayLabel, type Places} from './places.ts'
import {type Interval, wilson} from './statistics.ts'

/** Replies below which nothing is said of the way back. */
const FEWEST_REPLIES = 12
/** Replies of each side from which on it is no chance that all come back by their own exit. */
const FOLLOWING = 6

/**
 * `direct`: all by a far gateway, but one at the destination's own site. One crossing is needed either way, so that this
 * is no detour: a VM that never moved sees it with every destination of the other site. `follows-exit`: whichever exit a
 * probe takes, its answer comes back by that one: source NAT there, or another host of the same address behind each.
 */
export type InboundVerdict = 'local' | 'direct' | 'inbound-trombone' | 'follows-exit' | 'mixed' | 'unknown'

/** Why an inbound verdict is what it is. All but the first five leave it unknown. */
export type InboundReason =
  | 'all-local'
  | 'all-far'
  | 'all-at-destination'
  | 'each-by-its-exit'
  | 'both'
  | 'too-few-replies'
  | 'unknown-mac'
  | 'shared-mac'
  | 'site-unknown'

/** Replies that came in from one MAC. */
export interface InboundVia {
  readonly mac: Mac
  /** Name or address of the gateway; null if no known gateway has this MAC, or several. */
  readonly gateway: string | null
  readonly site: string | null
  readonly replies: number
  /** Is that gateway at the VM's site? Null if not known. */
  readonly local: boolean | null
}

export interface Inbound {
  readonly verdict: InboundVerdict
  readonly reason: InboundReason
  /** Most replies first. */
  readonly via: readonly InboundVia[]
  /** Share of the placed replies that a far gateway delivered, 0 to 1, with its Wilson 95 % interval; null if none. */
  readonly shareFar: (Interval & {readonly value: number}) | null
  /** An inbound detour costs this at least, in ms: one crossing. Its exact cost only the user's side can tell. */
  readonly costAtLeastMs: number | null
}

/** Judges the way back over the answers to all pairs, through whichever first hop they were asked. */
export function judgeInbound(evidence: TraceEvidence, places: Places, dciRttMs: number | null): Inbound {
  const counts = new Map<Mac, number>()
  for (const pair of evidence.pairs) {
    for (const {rttMs, returnMac} of pair.warmUp ? [] : [pair.viaCurrent, pair.viaAlternative]) {
      if (rttMs !== null && returnMac !== null) counts.set(returnMac, (counts.get(returnMac) ?? 0) + 1)
    }
  }
  const via = [...counts].map(([mac, replies]) => ({...delivererOf(evidence, places, mac), mac, replies}))
  via.sort((a, b) => b.replies - a.replies)
  const count = (local: boolean | null) =>
    via.filter((each) => each.local === local).reduce((n, each) => n + each.replies, 0)
  const near = count(true)
  const far = count(false)
  const unknown = count(null)
  const reason = reasonOf(evidence, places, via, near, far, unknown)
  return {
    verdict: VERDICT[reason],
    reason,
    via,
    shareFar: near + far === 0 ? null : {value: far / (near + far), ...wilson(far, near + far)},
    costAtLeastMs: VERDICT[reason] === 'inbound-trombone' && dciRttMs !== null ? dciRttMs / 2 : null,
  }
}

const VERDICT: Readonly<Record<InboundReason, InboundVerdict>> = {
  'all-local': 'local',
  'all-far': 'inbound-trombone',
  'all-at-destination': 'direct',
  'each-by-its-exit': 'follows-exit',
  both: 'mixed',
  'too-few-replies': 'unknown',
  'unknown-mac': 'unknown',
  'shared-mac': 'unknown',
  'site-unknown': 'unknown',
}

function reasonOf(
  evidence: TraceEvidence,
  places: Places,
  via: readonly InboundVia[],
  near: number,
  far: number,
  unknown: number,
): InboundReason {
  if (followsExit(evidence, places)) return 'each-by-its-exit'
  if (near > 0 && far > 0) return 'both'
  if (near + far + unknown < FEWEST_REPLIES) return 'too-few-replies'
  if (unknown === 0) {
    const there = places.destination.site
    if (near > 0) return 'all-local'
    return there !== null && via.every((each) => each.site === there) ? 'all-at-destination' : 'all-far'
  }
  const strangers = via.filter((each) => each.local === null)
  if (strangers.some((each) => ownersOf(evidence, places, each.mac) > 1)) return 'shared-mac'
  return strangers.every((each) => each.gateway !== null) ? 'site-unknown' : 'unknown-mac'
}

/** Does every answer come back by the exit that its probe left by? */
function followsExit(evidence: TraceEvidence, places: Places): boolean {
  const all = [places.current, ...places.alternatives]
  return all.every((place, i) => {
    const macs = evidence.pairs.flatMap((pair) => {
      if (pair.warmUp || (i > 0 && pair.alternative !== i - 1)) return []
      return (i === 0 ? pair.viaCurrent : pair.viaAlternative).returnMac ?? []
    })
    return all.length > 1 && !place.flips && macs.length >= FOLLOWING && macs.every((mac) => place.macs.includes(mac))
  })
}

function delivererOf(evidence: TraceEvidence, places: Places, mac: Mac): Omit<InboundVia, 'mac' | 'replies'> {
  const gateway = gatewayLabel(evidence, mac) ?? null
  if (ownersOf(evidence, places, mac) > 1) return {gateway: null, site: null, local: null}
  const all = [places.current, ...places.alternatives]
  const index = all.findIndex((each) => each.macs.includes(mac))
  const place = all[index]
  if (place !== undefined) {
    const candidate = candidatesOf(evidence)[index]!
    return {gateway: gateway ?? gatewayLabel(evidence, candidate.mac) ?? null, site: place.site, local: place.local}
  }
  const site = knownGatewayOfMac(evidence.known, mac)?.site ?? null
  return {gateway, site, local: site === null || places.vm.site === null ? null : site === places.vm.site}
}

/** How many routers have this MAC, as far as it shows: a virtual MAC at both sites tells nothing. */
function ownersOf({known, current, alternatives}: TraceEvidence, places: Places, mac: Mac): number {
  const gateways = known.gateways.filter((gateway) => gateway.segment === known.segment && gateway.mac === mac).length
  const candidates = [current, ...alternatives].map((candidate) => candidate.mac === mac)
  const unstable = [places.current, ...places.alternatives].some((place, i) => candidates[i] && place.flips)
  return Math.max(gateways, candidates.filter(Boolean).length, unstable ? 2 : 0)
}
