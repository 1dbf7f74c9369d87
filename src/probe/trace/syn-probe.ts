// TCP SYN probes to a port, and what may come back for them: SYN-ACK and RST are answers alike.
import {etherType, ipProtocol, type Test} from '../../net/packet/bpf.ts'
import {isIpv4} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV4} from '../../wire/ethernet.ts'
import {tcpFrame} from '../../wire/frames.ts'
import {PROTOCOL_ICMP, PROTOCOL_TCP} from '../../wire/ipv4.ts'
import {NO_BYTES} from '../../wire/memory.ts'
import {quotedProbe} from '../../wire/quote.ts'
import {parseTcp, TCP_ACK, TCP_RST, TCP_SYN, type Tcp} from '../../wire/tcp.ts'
import {icmpAnswer, receivedIcmp, receivedPacket, seen} from './icmp-answer.ts'
import type {Heard, Probe, ProbeCodec, ProbeSource} from './probe.ts'

/** Ethernet's (RFC 9293 3.7.1). */
const MSS = 1460
/** Upper half of every initial sequence number; the lower one is the probe's. */
const SEQUENCE_BASE = 0x6777_0000
/** Of the frame, behind an IP header of 20 bytes or 40. */
const FLAGS_AT = {4: 14 + 20 + 13, 6: 14 + 40 + 13} as const

/** What lets answers to a SYN through, and none of the traffic of sessions: SYN-ACK and RST. */
export const synAnswers = (family: 4 | 6): readonly (readonly Test[])[] =>
  [TCP_SYN | TCP_ACK, TCP_RST].map((flags) => [{offset: FLAGS_AT[family], size: 1, mask: flags, value: flags}])

/** TCP SYN over IPv4 (RFC 9293). The kernel itself resets what a SYN-ACK half opened. */
export const SYN_CODEC: ProbeCodec = {
  protocol: 'tcp',
  speaks: isIpv4,
  filter: [
    ...synAnswers(4).map((flags) => [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_TCP), ...flags]),
    [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)],
  ],
  frame: synFrame,
  read: (bytes, from) => ifWellFormed(() => readSegment(bytes, from) ?? readError(bytes, from)),
}

/** The segment of a probe; `mss` in bytes: some middleboxes drop a SYN without options. */
export const synOf = ({identity, port}: Probe, sequence: number, mss: number): Tcp => ({
  sourcePort: identity,
  destinationPort: port,
  sequence: (SEQUENCE_BASE + sequence) >>> 0,
  acknowledgment: 0,
  flags: TCP_SYN,
  window: 64_240,
  urgentPointer: 0,
  options: Uint8Array.of(2, 4, mss >>> 8, mss & 0xff),
  payload: NO_BYTES,
})

function synFrame(from: ProbeSource, probe: Probe, sequence: number): Uint8Array {
  return tcpFrame(
    {destination: probe.via, source: from.mac},
    {source: from.ip, destination: probe.destination, ttl: probe.ttl, identification: sequence},
    synOf(probe, sequence, MSS),
  )
}

function readSegment(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedPacket(bytes, from.ip)
  if (received?.packet.protocol !== PROTOCOL_TCP) return undefined
  const {packet} = received
  const probe = synAnswered(parseTcp(packet.payload, packet))
  return probe && {kind: 'reached', ...probe, destination: packet.source, ...seen(received), error: null}
}

/** The probe that a segment answers; undefined if it answers none. */
export function synAnswered(tcp: Tcp): Pick<Heard, 'identity' | 'sequence'> | undefined {
  const opens = (tcp.flags & (TCP_SYN | TCP_ACK)) === (TCP_SYN | TCP_ACK)
  if (!opens && (tcp.flags & TCP_RST) === 0) return undefined
  const sequence = acknowledged(tcp)
  return sequence === undefined ? undefined : {identity: tcp.destinationPort, sequence}
}

/** The probe that a segment acknowledges; null for a reset without ACK, undefined for one of another connection. */
function acknowledged({flags, acknowledgment}: Tcp): number | null | undefined {
  if ((flags & TCP_ACK) === 0) return null
  const initial = (acknowledgment - 1) >>> 0
  return (initial & 0xffff_0000) >>> 0 === SEQUENCE_BASE ? initial & 0xffff : undefined
}

function readError(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedIcmp(bytes, from.ip)
  const quoted = received && 'quoted' in received.icmp ? quotedProbe(received.icmp.quoted) : undefined
  if (received === undefined || quoted?.protocol !== 'tcp' || quoted.source !== from.ip) return undefined
  const {sourcePort: identity, sequence: initial, destination} = quoted
  return icmpAnswer(received, {identity, sequence: initial === undefined ? null : initial & 0xffff, destination})
}
