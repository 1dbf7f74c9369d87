// The traffic of one VM as it passes a port: through which stations' MACs it goes to each peer and comes back, and what its
// TCP sessions say of the distance.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {type Ipv6, isLinkLocal, isMulticastIpv6, isVersion6} from '../../wire/ipv6-address.ts'
import type {PacketView} from '../../wire/packet-view.ts'
import {type RoundTrip, type RoundTripRule, tcpRoundTrips} from './tcp-round-trips.ts'

type Ip = Ipv4 | Ipv6

/** Frames between the VM and one peer that had this station's MAC at their other end. */
export interface Passage {
  readonly mac: Mac
  readonly frames: number
  /** From the start of the watch, ms. */
  readonly firstMs: number
  readonly lastMs: number
}

/** A peer off the segment. */
export interface PeerTraffic {
  readonly ip: Ip
  /** From the VM, to it; by when each was seen first. */
  readonly out: readonly Passage[]
  readonly in: readonly Passage[]
  /** The smallest of `samples` round trips from the port to the peer and back; null if no session told one. */
  readonly tcp: PeerRoundTrips | null
}

export interface PeerRoundTrips {
  readonly minMs: number
  /** How the smallest was found. */
  readonly rule: RoundTripRule
  readonly samples: number
  /** The smallest of every second that had one, by the time since the start: a VM that moves has another distance after. */
  readonly minima: readonly {readonly atMs: number; readonly minMs: number}[]
}

export interface Traffic {
  /** Frames with an IP packet that the VM sent or was sent, on-link ones and groups included. */
  readonly frames: number
  /** By their frames, the busiest first. */
  readonly peers: readonly PeerTraffic[]
  /** Frames of peers that were too many to be told apart. */
  readonly framesBeyond: number
}

export interface TrafficWatch {
  see(packet: PacketView, atNs: bigint): void
  traffic(): Traffic
}

export interface TrafficOptions {
  readonly mac: Mac
  readonly startedNs: bigint
  /** True for an address of the VM's own segment: no gateway is on the way to it. */
  onSegment(peer: Ip, vm: Ip): boolean
  readonly mostPeers?: number
}

interface Counted {
  frames: number
  readonly firstMs: number
  lastMs: number
}

interface Peer {
  readonly out: Map<Mac, Counted>
  readonly in: Map<Mac, Counted>
  minMs: number
  rule: RoundTripRule | undefined
  samples: number
  readonly minima: {atMs: number; minMs: number}[]
}

/** Round trips so close in time are summed up by their smallest, ms. */
const SLOT_MS = 1000

export function watchTraffic({mac, startedNs, onSegment, mostPeers = 4096}: TrafficOptions): TrafficWatch {
  const peers = new Map<Ip, Peer>()
  const sessions = tcpRoundTrips()
  let frames = 0
  let framesBeyond = 0

  const peerAt = (ip: Ip): Peer | undefined => {
    const known = peers.get(ip)
    if (known || peers.size >= mostPeers) return known
    const none = {minMs: Number.POSITIVE_INFINITY, rule: undefined, samples: 0, minima: []}
    const fresh: Peer = {out: new Map(), in: new Map(), ...none}
    peers.set(ip, fresh)
    return fresh
  }
  return {
    see({ethernet, source, destination, segment}, atNs) {
      const direction = ethernet.source === mac ? 'out' : ethernet.destination === mac ? 'in' : undefined
      if (direction === undefined) return
      frames++
      const [vm, ip] = direction === 'out' ? [source, destination] : [destination, source]
      if (!isUnicast(ip) || !isUnicast(vm) || onSegment(ip, vm)) return
      const peer = peerAt(ip)
      if (peer === undefined) {
        framesBeyond++
        return
      }
      const atMs = Number(atNs - startedNs) / 1e6
      count(peer[direction], direction === 'out' ? ethernet.destination : ethernet.source, atMs)
      if (segment === undefined) return
      for (const each of sessions.pass({atNs, direction, vm, peer: ip, segment})) took(peer, each, atMs)
    },
    traffic: () => ({frames, framesBeyond, peers: [...peers].map(peerTraffic).toSorted((a, b) => total(b) - total(a))}),
  }
}

function count(passages: Map<Mac, Counted>, mac: Mac, atMs: number): void {
  const known = passages.get(mac)
  if (known === undefined) passages.set(mac, {frames: 1, firstMs: atMs, lastMs: atMs})
  else {
    known.frames++
    known.lastMs = atMs
  }
}

function took(peer: Peer, {rttMs, rule}: RoundTrip, atMs: number): void {
  peer.samples++
  if (rttMs < peer.minMs) Object.assign(peer, {minMs: rttMs, rule})
  const last = peer.minima.at(-1)
  if (last === undefined || atMs - last.atMs >= SLOT_MS) peer.minima.push({atMs, minMs: rttMs})
  else last.minMs = Math.min(last.minMs, rttMs)
}

function peerTraffic([ip, peer]: [Ip, Peer]): PeerTraffic {
  const passages = (seen: Map<Mac, Counted>): Passage[] => [...seen].map(([mac, counted]) => ({mac, ...counted}))
  const {minMs, rule, samples, minima} = peer
  return {
    ip,
    out: passages(peer.out),
    in: passages(peer.in),
    tcp: rule === undefined ? null : {minMs, rule, samples, minima: [...minima]},
  }
}

const total = ({out, in: back}: PeerTraffic): number => [...out, ...back].reduce((sum, {frames}) => sum + frames, 0)

/** An address that a gateway passes on: no group, not of one link, not of this host alone. */
function isUnicast(ip: Ip): boolean {
  if (isVersion6(ip)) return !isMulticastIpv6(ip) && !isLinkLocal(ip) && ip !== '::' && ip !== '::1'
  const [first = 0, second = 0] = ip.split('.').map(Number)
  return first > 0 && first < 224 && first !== 127 && !(first === 169 && second === 254)
}
