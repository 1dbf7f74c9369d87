// TCP SYN probes to a port, and what may come back for them: SYN-ACK and RST are answers alike.
import {etherType, ipProtocol} from '../../net/packet/bpf.ts'
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

/** Upper half of every initial sequence number; the lower one is the probe's. */
const SEQUENCE_BASE = 0x6777_0000
/** MSS 1460 (RFC 9293 3.7.1): some middleboxes drop a SYN without options. */
const OPTIONS = Uint8Array.of(2, 4, 0x05, 0xb4)

/** TCP SYN over IPv4 (RFC 9293). The kernel itself resets what a SYN-ACK half opened. */
export const SYN_CODEC: ProbeCodec = {
  protocol: 'tcp',
  speaks: isIpv4,
  filter: [
    [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_TCP)],
    [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)],
  ],
  frame: synFrame,
  read: (bytes, from) => ifWellFormed(() => readSegment(bytes, from) ?? readError(bytes, from)),
}

function synFrame(from: ProbeSource, probe: Probe, sequence: number): Uint8Array {
  return tcpFrame(
    {destination: probe.via, source: from.mac},
    {source: from.ip, destination: probe.destination, ttl: probe.ttl, identification: sequence},
    {
      sourcePort: probe.identity,
      destinationPort: probe.port,
      sequence: (SEQUENCE_BASE + sequence) >>> 0,
      acknowledgment: 0,
      flags: TCP_SYN,
      window: 64_240,
      urgentPointer: 0,
      options: OPTIONS,
      payload: NO_BYTES,
    },
  )
}

function readSegment(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedPacket(bytes, from.ip)
  if (received?.packet.protocol !== PROTOCOL_TCP) return undefined
  const {packet} = received
  const tcp = parseTcp(packet.payload, packet)
  const opens = (tcp.flags & (TCP_SYN | TCP_ACK)) === (TCP_SYN | TCP_ACK)
  if (!opens && (tcp.flags & TCP_RST) === 0) return undefined
  const sequence = acknowledged(tcp)
  if (sequence === undefined) return undefined
  const probe = {identity: tcp.destinationPort, sequence, destination: packet.source}
  return {kind: 'reached', ...probe, ...seen(received), error: null}
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
