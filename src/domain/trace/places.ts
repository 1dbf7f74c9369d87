// Where things are: the VM, its first hops, the hops behind them. In order of trust: the MAC of a frame, an address in
// the inventory, the address that answers TTL=1, interface objects and names, and last, for first hops only, latency.
// ARP round trips are not used: suppression and proxies answer in place of a gateway that is a DCI away.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {prefixContains, readPrefix} from '../../wire/address.ts'
import type {CandidateEvidence, HopReply, InterfaceInfo, TraceEvidence} from './evidence.ts'
import {
  knownGatewayOfIp,
  knownGatewayOfMac,
  otherSite,
  siteOfName,
  siteOfPrefix,
  statedDciRttMs,
} from './known-sites.ts'
import {minimum} from './statistics.ts'

/** By what a site is known. `conflict`: two sources disagree, so that it is not. */
export type SiteSource =
  | 'flag'
  | 'inventory'
  | 'mac'
  | 'address'
  | 'prefix'
  | 'responder'
  | 'if-info'
  | 'name'
  | 'latency'
  | 'conflict'

export interface Place {
  /** Null if not known. */
  readonly site: string | null
  /** Null if nothing says anything. */
  readonly source: SiteSource | null
}

const NOWHERE: Place = {site: null, source: null}

/** A first hop, seen from the VM. */
export interface CandidatePlace extends Place {
  /** Smallest TTL=1 round trip in ms, null if it never answered. */
  readonly firstHopMinMs: number | null
  /** How many TTL=1 probes it answered, and from which addresses. */
  readonly firstHopAnswered: number
  readonly responders: readonly Ipv4[]
  /** Is it at the VM's site? By the sites' names, else by latency; null if neither tells. */
  readonly local: boolean | null
}

export interface Places {
  readonly vm: Place
  readonly destination: Place
  readonly current: CandidatePlace
  readonly alternatives: readonly CandidatePlace[]
  /** True if latency puts the VM at another site than the inventory does. */
  readonly movedFromInventory: boolean
  /** True if a site that was given by flag contradicts the first hops' latencies. */
  readonly latencyContradicts: boolean
}

/** Below this, latency does not tell near from far: it is what a slow answer of a router's CPU can cost. */
export const RESOLVABLE_MS = 0.5

/** Finds every place that the evidence tells. */
export function locate(evidence: TraceEvidence): Places {
  const candidates = [evidence.current, ...evidence.alternatives]
  const named = candidates.map((candidate) => placeOfCandidate(evidence, candidate))
  const firstHops = candidates.map(firstHopAnswers)
  const far = distances(evidence, named, firstHops)
  const measured = siteByLatency(evidence, named, far)
  const told = evidence.host.site
  const moved = told?.source === 'inventory' && measured !== undefined && measured !== told.name
  const contradicts = told?.source === 'flag' && measured !== undefined && measured !== told.name
  const vm: Place =
    told !== null && !moved
      ? {site: told.name, source: told.source}
      : measured !== undefined
        ? {site: measured, source: 'latency'}
        : NOWHERE
  const placed = named.map((place, i): CandidatePlace => {
    const site = place.site ?? siteByDistance(evidence, place, vm, far[i])
    return {
      site,
      source: place.site === null && site !== null ? 'latency' : place.source,
      firstHopMinMs: firstHops[i]!.rtts.length === 0 ? null : minimum(firstHops[i]!.rtts),
      firstHopAnswered: firstHops[i]!.answered,
      responders: firstHops[i]!.responders,
      local: isLocal({site, source: place.source}, vm, far[i]),
    }
  })
  return {
    vm,
    destination: placeOfAddress(evidence, evidence.destination.ip),
    current: placed[0]!,
    alternatives: placed.slice(1),
    movedFromInventory: moved,
    latencyContradicts: contradicts,
  }
}

function isLocal(place: Place, vm: Place, far: boolean | undefined): boolean | null {
  if (place.source === 'conflict') return null
  if (place.site !== null && vm.site !== null) return place.site === vm.site
  return far === undefined ? null : !far
}

interface FirstHopAnswers {
  readonly rtts: readonly number[]
  readonly responders: readonly Ipv4[]
  readonly answered: number
}

/** The TTL=1 answers of a candidate. A first-hop probe may also be listed as a hop: it must not count twice. */
function firstHopAnswers(candidate: CandidateEvidence): FirstHopAnswers {
  const hop = candidate.hops.find((each) => each.ttl === 1)?.replies ?? []
  const probes = candidate.firstHop.filter((probe) => probe.rttMs !== null)
  return {
    rtts: [...probes.map((probe) => probe.rttMs!), ...hop.map((reply) => reply.rttMs)],
    responders: [
      ...new Set([...probes.flatMap((probe) => probe.responder ?? []), ...hop.map((reply) => reply.address)]),
    ],
    answered: Math.max(probes.length, hop.length),
  }
}

function placeOfCandidate(evidence: TraceEvidence, candidate: CandidateEvidence): Place {
  const {known} = evidence
  const replies = candidate.hops.find((each) => each.ttl === 1)?.replies ?? []
  const {responders} = firstHopAnswers(candidate)
  // Frames go where the MAC is. The address is asked only about a MAC that nobody knows: after a gratuitous ARP the
  // address of one site's gateway is at the MAC of another's, and that is no contradiction.
  const owner = knownGatewayOfMac(known, candidate.mac)
  const bySelf: Said = owner ? ['mac', owner.site] : ['address', knownGatewayOfIp(known, candidate.ip)?.site]
  return agreed([
    bySelf,
    ...responders.map((ip): Said => ['responder', knownGatewayOfIp(known, ip)?.site ?? siteOfPrefix(known, ip)]),
    ...replies.flatMap((reply) => saidByReply(evidence, reply)),
  ])
}

type Said = readonly [source: SiteSource, site: string | undefined]

/** The first that knows, if none that knows says otherwise. */
function agreed(said: readonly Said[]): Place {
  const known = said.filter(([, site]) => site !== undefined)
  const [first] = known
  if (first === undefined) return NOWHERE
  return known.every(([, site]) => site === first[1])
    ? {site: first[1]!, source: first[0]}
    : {site: null, source: 'conflict'}
}

function saidByReply({known}: TraceEvidence, reply: HopReply): readonly Said[] {
  const addresses = (reply.ifInfo ?? []).flatMap((info: InterfaceInfo) => info.address ?? [])
  const names = [
    ...(reply.ifInfo ?? []).flatMap((info: InterfaceInfo) => info.name ?? []),
    ...(reply.dnsName === null ? [] : [reply.dnsName]),
  ]
  return [
    ...addresses.map((ip): Said => ['if-info', knownGatewayOfIp(known, ip)?.site ?? siteOfPrefix(known, ip)]),
    ...names.map((name): Said => ['name', siteOfName(known, name)]),
  ]
}

function placeOfAddress({known}: TraceEvidence, ip: Ipv4): Place {
  return agreed([
    ['address', knownGatewayOfIp(known, ip)?.site],
    ['prefix', siteOfPrefix(known, ip)],
  ])
}

/**
 * For each candidate: is its first hop a DCI away? Undefined where latency does not tell. Far is what lies behind the
 * nearest first hop by half a DCI round trip, be it the stated one or the very difference, and no less than
 * {@link RESOLVABLE_MS}. The stated one also serves where there is nothing to compare with: from half of it on a first
 * hop is far, and a destination that answers in less through a silent first hop proves that one near.
 */
function distances(
  evidence: TraceEvidence,
  named: readonly Place[],
  firstHops: readonly {readonly rtts: readonly number[]}[],
): readonly (boolean | undefined)[] {
  const nearest = firstHops.map((hop) => (hop.rtts.length === 0 ? undefined : minimum(hop.rtts)))
  const heard = nearest.filter((ms) => ms !== undefined)
  const least = Math.min(...heard)
  const leastSite = named[nearest.indexOf(least)]?.site ?? null
  return nearest.map((ms, i) => {
    const other = ms === least ? (named.find((place) => place.site !== named[i]!.site)?.site ?? null) : leastSite
    const stated = statedDciRttMs(evidence.known, named[i]!.site, other)
    const half = stated !== undefined && stated >= RESOLVABLE_MS ? stated / 2 : undefined
    if (ms === undefined) return half !== undefined && minimum(destinationRtts(evidence, i)) < half ? false : undefined
    if (half !== undefined && least >= half) return true
    if (ms - least >= Math.max(RESOLVABLE_MS, half ?? 0)) return true
    const behind = heard.some((each) => each - ms >= Math.max(RESOLVABLE_MS, half ?? 0))
    return behind || half !== undefined ? false : undefined
  })
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

/** The VM is where its near first hops are, or, of two sites, where its far ones are not. */
function siteByLatency(
  {known}: TraceEvidence,
  named: readonly Place[],
  far: readonly (boolean | undefined)[],
): string | undefined {
  const sites = new Set(
    named.flatMap((place, i) => {
      if (place.site === null || far[i] === undefined) return []
      return (far[i] ? otherSite(known, place.site) : place.site) ?? []
    }),
  )
  return sites.size === 1 ? [...sites][0] : undefined
}

/** A first hop that nothing names: a near one is where the VM is, a far one at the other site, if there are two. */
function siteByDistance({known}: TraceEvidence, place: Place, vm: Place, far: boolean | undefined): string | null {
  if (vm.site === null || far === undefined || place.source === 'conflict') return null
  return far ? (otherSite(known, vm.site) ?? null) : vm.site
}

/** A hop as it is shown. */
export interface LocatedHop extends Place {
  readonly ttl: number
  /** The address that answered most often; null if none did. */
  readonly address: Ipv4 | null
  /** Every address that answered. */
  readonly addresses: readonly Ipv4[]
  readonly minMs: number | null
  readonly answered: number
  readonly sent: number
  /** Name of the gateway that this hop is; null if it is none, or has no name. */
  readonly gateway: string | null
  /** Source MAC of the answers' frames; null if they differ, or there are none. */
  readonly returnMac: Mac | null
  /** Name (or address) of the gateway that the answers came back through. */
  readonly returnGateway: string | null
  readonly replyTtl: number | null
  readonly reached: boolean
  readonly mpls: HopReply['mpls']
  readonly ifInfo: HopReply['ifInfo']
  /** Is it at another site than the VM? Null if not known. */
  readonly remote: boolean | null
}

/** The hops behind one candidate, each with its place. `candidate` is 0 for the current one, 1 for the first alternative. */
export function locateHops(evidence: TraceEvidence, places: Places, candidate: number): readonly LocatedHop[] {
  const from = [evidence.current, ...evidence.alternatives][candidate]!
  return from.hops.map((hop) => {
    const address = mostFrequent(hop.replies.map((reply) => reply.address))
    const replies = hop.replies.filter((reply) => reply.address === address)
    const macs = [...new Set(hop.replies.map((reply) => reply.returnMac))]
    const place = placeOfHop(evidence, places, candidate, hop.ttl, replies)
    const [reply] = replies
    return {
      ttl: hop.ttl,
      address: address ?? null,
      addresses: [...new Set(hop.replies.map((each) => each.address))],
      minMs: replies.length === 0 ? null : minimum(replies.map((each) => each.rttMs)),
      answered: hop.replies.length,
      sent: hop.sent,
      returnMac: macs.length === 1 ? macs[0]! : null,
      returnGateway: macs.length === 1 ? (gatewayLabel(evidence, macs[0]!) ?? null) : null,
      replyTtl: reply?.replyTtl ?? null,
      reached: reply?.reached ?? false,
      mpls: reply?.mpls ?? null,
      ifInfo: reply?.ifInfo ?? null,
      ...place,
    }
  })
}

function placeOfHop(
  evidence: TraceEvidence,
  places: Places,
  candidate: number,
  ttl: number,
  replies: readonly HopReply[],
): Place & {readonly gateway: string | null; readonly remote: boolean | null} {
  const [reply] = replies
  if (reply === undefined) return {...NOWHERE, gateway: null, remote: null}
  const all = [places.current, ...places.alternatives]
  const candidates = [evidence.current, ...evidence.alternatives]
  // A router with an address on the VM's own segment answers straight onto it: the frame's MAC is that router's. An
  // answer from farther away carries the MAC of the gateway it came back through, which says nothing about the hop.
  const index = reply.reached
    ? -1
    : ttl === 1
      ? candidate
      : onSegment(evidence, reply.address)
        ? candidates.findIndex((each) => each.mac === reply.returnMac)
        : -1
  const itself = all[index]
  const gateway = itself === undefined ? undefined : gatewayLabel(evidence, candidates[index]!.mac)
  const {known} = evidence
  const owner = knownGatewayOfIp(known, reply.address)
  const place =
    itself?.source === 'conflict'
      ? itself
      : agreed([
          [itself?.source ?? 'mac', itself?.site ?? undefined],
          ...(index < 0 && onSegment(evidence, reply.address)
            ? [['mac', knownGatewayOfMac(known, reply.returnMac)?.site] as Said]
            : []),
          ['address', owner?.site],
          ['prefix', siteOfPrefix(known, reply.address)],
          ...replies.flatMap((each) => saidByReply(evidence, each)),
        ])
  const remote =
    place.site !== null && places.vm.site !== null
      ? place.site !== places.vm.site
      : itself?.local == null
        ? null
        : !itself.local
  const label = gateway ?? owner?.name
  return {...place, gateway: label === undefined || label === reply.address ? null : label, remote}
}

function onSegment(evidence: TraceEvidence, ip: Ipv4): boolean {
  const prefix = evidence.host.prefix === null ? undefined : readPrefix(evidence.host.prefix)
  return prefix !== undefined && prefixContains(prefix, ip)
}

/** What to call the gateway with a MAC: its inventory name, else the candidate's name or address. */
export function gatewayLabel(evidence: TraceEvidence, mac: Mac): string | undefined {
  const candidates = [evidence.current, ...evidence.alternatives].filter((each) => each.mac === mac)
  const named = knownGatewayOfMac(evidence.known, mac)?.name
  if (named !== undefined) return named
  return candidates.length === 1 ? (candidates[0]!.name ?? candidates[0]!.ip) : undefined
}

function mostFrequent<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  let best: T | undefined
  for (const [value, count] of counts) if (best === undefined || count > counts.get(best)!) best = value
  return best
}
