// The JSON document of `gwswitch trace --passive`, schema gwswitch.passive/1. Times in ms, rounded to 1 µs; null is "not
// known" or "not seen".
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {KnownSites} from '../trace/evidence.ts'
import {
  type JudgedPeer,
  judgePeer,
  type NamedPassage,
  type PassiveInbound,
  type PassiveReason,
  type PassiveVerdict,
  type ToldSite,
} from './judge-traffic.ts'
import type {RoundTripRule} from './tcp-round-trips.ts'
import type {Traffic} from './traffic.ts'

export const PASSIVE_SCHEMA = 'gwswitch.passive/1'

/** As of `trace`: 10 a trombone, 11 nothing certain, 0 none among what was seen. */
export type PassiveExit = 0 | 10 | 11

export interface PassiveDocument {
  readonly schema: typeof PASSIVE_SCHEMA
  readonly startedAt: string
  readonly durationMs: number
  /** False if it was ended before its time. */
  readonly complete: boolean
  readonly host: PassiveHost
  /** Frames with an IP packet, of the VM and for it. */
  readonly frames: number
  /** Frames of peers beyond the first 4096, which are not told apart. */
  readonly framesBeyond: number
  /** Frames that the kernel could not queue in time and nobody saw; null if it does not say. */
  readonly dropped: number | null
  readonly egress: {
    readonly verdict: PassiveVerdict
    /** Of the peer that decided; `no-traffic` without one. */
    readonly reason: PassiveReason | 'no-traffic'
    /** Peers with this verdict, of those that the VM sent something to. */
    readonly peers: number
    readonly of: number
  }
  readonly inbound: {readonly verdict: PassiveInbound; readonly peers: number; readonly of: number}
  readonly peers: readonly PassivePeer[]
  readonly exitCode: PassiveExit
}

export interface PassiveHost {
  /** Inventory name. */
  readonly name: string | null
  readonly mac: Mac
  readonly iface: string
  /** The interface is the VM's bridge port; else it is this host's own. */
  readonly atPort: boolean
  readonly site: string | null
  readonly siteSource: 'flag' | 'inventory' | null
}

export interface PassivePeer {
  readonly ip: Ipv4 | Ipv6
  readonly site: string | null
  readonly out: readonly NamedPassage[]
  readonly in: readonly NamedPassage[]
  readonly tcp: {readonly minMs: number; readonly rule: RoundTripRule; readonly samples: number} | null
  readonly verdict: PassiveVerdict
  readonly reason: PassiveReason
  readonly inbound: PassiveInbound
  /** When the gateway in use changed, from the start; null if it did not. */
  readonly changedAtMs: number | null
}

/** What was heard, and of whom. */
export interface Heard {
  readonly startedAt: string
  readonly durationMs: number
  readonly complete: boolean
  readonly host: PassiveHost
  readonly traffic: Traffic
  readonly dropped: number | null
  /** See {@link judgePeer}. */
  readonly redirected?: Mac | null
}

const EXIT: Readonly<Record<PassiveVerdict, PassiveExit>> = {trombone: 10, inconclusive: 11, none: 0}

export function passiveDocument(heard: Heard, known: KnownSites): PassiveDocument {
  const {host, traffic} = heard
  const vm: ToldSite =
    host.site === null || host.siteSource === null ? null : {name: host.site, source: host.siteSource}
  const peers = traffic.peers.map((peer) => judgePeer(peer, known, vm, heard.redirected))
  const egress = egressOf(peers)
  return {
    schema: PASSIVE_SCHEMA,
    startedAt: heard.startedAt,
    durationMs: round(heard.durationMs),
    complete: heard.complete,
    host,
    frames: traffic.frames,
    framesBeyond: traffic.framesBeyond,
    dropped: heard.dropped,
    egress,
    inbound: inboundOf(peers),
    peers: peers.map(passivePeer),
    exitCode: EXIT[egress.verdict],
  }
}

/** A trombone to one peer is one; else what is open for one is open for the whole. */
function egressOf(peers: readonly JudgedPeer[]): PassiveDocument['egress'] {
  const sent = peers.filter(({reason}) => reason !== 'nothing-sent')
  for (const verdict of ['trombone', 'inconclusive', 'none'] as const) {
    const such = sent.filter((peer) => peer.verdict === verdict)
    if (such[0]) return {verdict, reason: such[0].reason, peers: such.length, of: sent.length}
  }
  return {verdict: 'inconclusive', reason: 'no-traffic', peers: 0, of: 0}
}

function inboundOf(peers: readonly JudgedPeer[]): PassiveDocument['inbound'] {
  const back = peers.filter(({inbound}) => inbound !== 'nothing-seen')
  for (const verdict of ['inbound-trombone', 'mixed', 'unknown', 'direct', 'local'] as const) {
    const such = back.filter(({inbound}) => inbound === verdict)
    if (such.length > 0) return {verdict, peers: such.length, of: back.length}
  }
  return {verdict: 'nothing-seen', peers: 0, of: 0}
}

const passivePeer = ({
  traffic: {ip, tcp},
  site,
  out,
  in: back,
  verdict,
  reason,
  inbound,
  changedAtMs,
}: JudgedPeer): PassivePeer => ({
  ip,
  site,
  out: out.map(rounded),
  in: back.map(rounded),
  tcp: tcp && {minMs: round(tcp.minMs), rule: tcp.rule, samples: tcp.samples},
  verdict,
  reason,
  inbound,
  changedAtMs: changedAtMs === null ? null : round(changedAtMs),
})

const rounded = (passage: NamedPassage): NamedPassage => ({
  ...passage,
  firstMs: round(passage.firstMs),
  lastMs: round(passage.lastMs),
})

const round = (value: number): number => Number(value.toFixed(3))
