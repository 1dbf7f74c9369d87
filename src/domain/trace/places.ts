// Where things are: the VM, its first hops, the hops behind them. In order of trust: the MAC of a frame, an address in
// the inventory, the address that answers TTL=1, interface objects and names, and last, for first hops only, latency.
// ARP round trips are not used: suppression and proxies answer in place of a gateway that is a DCI away.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {ipPrefixContains, readIpPrefix} from '../../wire/ip-prefix.ts'
import {candidatesOf, type Distance, distances, RESOLVABLE_MS} from './distance.ts'
import type {CandidateEvidence, HopReply, InterfaceInfo, TraceEvidence} from './evidence.ts'
import {knownGatewayOfIp, knownGatewayOfMac, otherSite, siteOfName, siteOfPrefix} from './known-sites.ts'
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
  /** TTL=1 is answered from addresses that cannot be one router's, or one site's: the MAC is shared, a probe meets either. */
  readonly flips: boolean
  /** The MAC it is reached by, and those that it sends from. */
  readonly macs: readonly Mac[]
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

/** Finds every place that the evidence tells. */
export function locate(evidence: TraceEvidence): Places {
  const candidates = candidatesOf(evidence)
  const named = candidates.map((candidate) => placeOfCandidate(evidence, candidate))
  const firstHops = candidates.map(firstHopAnswers)
  const far = distances(
    evidence,
    named.map(({site}) => site),
  )
  const told = evidence.host.site
  const proven = siteByLatency(evidence, named, far, true)
  const measured = proven ?? siteByLatency(evidence, named, far, false)
  const vm = placeOfVm(told, proven, measured)
  const placed = named.map((place, i): CandidatePlace => {
    const site = place.site ?? siteByDistance(evidence, place, vm, far[i]?.far)
    const {rtts, answered, responders} = firstHops[i]!
    return {
      site,
      source: place.site === null && site !== null ? 'latency' : place.source,
      firstHopMinMs: rtts.length === 0 ? null : minimum(rtts),
      firstHopAnswered: answered,
      responders,
      flips: doesFlip(evidence, candidates[i]!),
      macs: macsOf(evidence, candidates[i]!),
      local: isLocal({site, source: place.source}, vm, far[i]?.far),
    }
  })
  return {
    vm,
    destination: placeOfAddress(evidence, evidence.destination.ip),
    current: placed[0]!,
    alternatives: placed.slice(1),
    movedFromInventory: told?.source === 'inventory' && vm.source === 'latency' && vm.site !== told.name,
    latencyContradicts: told?.source === 'flag' && measured !== undefined && measured !== told.name,
  }
}

/** What a flag says; then what a bound from above proves; then the inventory; then what only seems so. */
function placeOfVm(
  told: TraceEvidence['host']['site'],
  proven: string | undefined,
  measured: string | undefined,
): Place {
  if (told?.source === 'flag') return {site: told.name, source: 'flag'}
  if (told !== null && (proven === undefined || proven === told.name)) return {site: told.name, source: told.source}
  return measured === undefined ? NOWHERE : {site: measured, source: 'latency'}
}

/** Several addresses of one gateway are as near as each other (a pair of switches, VRRP); those of two sites are not. */
function doesFlip(evidence: TraceEvidence, candidate: CandidateEvidence): boolean {
  const answers = candidate.firstHop.flatMap(({rttMs, responder}) =>
    rttMs === null || responder === null ? [] : [{rttMs, responder}],
  )
  const responders = [...new Set(answers.map(({responder}) => responder))]
  const sites = new Set(responders.flatMap((ip) => knownGatewayOfIp(evidence.known, ip)?.site ?? []))
  const nearest = responders.map((ip) => minimum(answers.flatMap((each) => (each.responder === ip ? each.rttMs : []))))
  return sites.size > 1 || Math.max(...nearest) - Math.min(...nearest) >= RESOLVABLE_MS
}

/**
 * The MACs that a first hop sends from: the one it is reached by, and those that its TTL=1 answers bear (a router behind a
 * virtual MAC answers, and forwards, from its burned-in one; a pair of switches from either's).
 */
function macsOf(evidence: TraceEvidence, candidate: CandidateEvidence): readonly Mac[] {
  const others = candidatesOf(evidence).filter((each) => each !== candidate)
  const answered = candidate.firstHop.flatMap(({returnMac, responder}) =>
    returnMac !== null && responder !== null && onSegment(evidence, responder) ? [returnMac] : [],
  )
  const foreign = (mac: Mac): boolean =>
    others.some((each) => each.mac === mac) || knownGatewayOfMac(evidence.known, mac) !== undefined
  return [...new Set([candidate.mac, ...answered.filter((mac) => !foreign(mac))])]
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

/** The VM is where its near first hops are, or, of two sites, where its far ones are not. */
function siteByLatency(
  {known}: TraceEvidence,
  named: readonly Place[],
  far: readonly (Distance | undefined)[],
  provenOnly: boolean,
): string | undefined {
  const sites = new Set(
    named.flatMap((place, i) => {
      const distance = far[i]
      if (place.site === null || distance === undefined || (provenOnly && !distance.proven)) return []
      return (distance.far ? otherSite(known, place.site) : place.site) ?? []
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
  const from = candidatesOf(evidence)[candidate]!
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
  const candidates = candidatesOf(evidence)
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
  const prefix = evidence.host.prefix === null ? undefined : readIpPrefix(evidence.host.prefix)
  return prefix !== undefined && ipPrefixContains(prefix, ip)
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
