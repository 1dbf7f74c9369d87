// What the headers of a captured IP packet say. The capture may have cut it anywhere behind them, and a network card may
// have been left its checksums and its division into segments (a frame from a guest is up to 64 KiB long), so neither is
// looked at: see parseFrame for packets that are to be believed.
import type {Ipv4} from './address.ts'
import {ETHERTYPE_IPV4, ETHERTYPE_IPV6, type EthernetHeader, ethernetLength, parseEthernetHeader} from './ethernet.ts'
import {ipv4Length, PROTOCOL_TCP, readIpv4Header} from './ipv4.ts'
import {IPV6_LENGTH, readIpv6Header} from './ipv6.ts'
import type {Ipv6} from './ipv6-address.ts'
import {upperLayer} from './ipv6-extensions.ts'
import {type ReceivedTcpHeader, readTcpHeader} from './tcp.ts'
import {type TcpTimestamps, tcpTimestamps} from './tcp-options.ts'

export interface SegmentView
  extends Pick<ReceivedTcpHeader, 'sourcePort' | 'destinationPort' | 'sequence' | 'acknowledgment' | 'flags'> {
  /** Bytes of data when the packet was whole. */
  readonly length: number
  readonly timestamps: TcpTimestamps | undefined
}

export interface PacketView {
  readonly ethernet: EthernetHeader
  readonly source: Ipv4 | Ipv6
  readonly destination: Ipv4 | Ipv6
  /** Of a TCP segment whose header is there. */
  readonly segment: SegmentView | undefined
}

/** Where what an IP packet carries starts, and how long it was. */
interface Carried {
  readonly source: Ipv4 | Ipv6
  readonly destination: Ipv4 | Ipv6
  /** Undefined for a later fragment. */
  readonly protocol: number | undefined
  readonly at: number
  readonly length: number
}

/** Undefined for a frame without an IP packet. Throws `WireError` where its headers are cut or make no sense. */
export function viewPacket(frame: Uint8Array): PacketView | undefined {
  const ethernet = parseEthernetHeader(frame)
  const packet = frame.subarray(ethernetLength(ethernet))
  const carried = carriedBy(ethernet.etherType, packet)
  if (carried === undefined) return undefined
  const {source, destination, protocol, at, length} = carried
  const segment = protocol === PROTOCOL_TCP ? viewSegment(packet.subarray(at), length) : undefined
  return {ethernet, source, destination, segment}
}

function carriedBy(etherType: number, packet: Uint8Array): Carried | undefined {
  if (etherType === ETHERTYPE_IPV4) {
    const header = readIpv4Header(packet)
    const at = ipv4Length(header)
    const {source, destination, totalLength} = header
    const protocol = header.fragmentOffset === 0 ? header.protocol : undefined
    return {source, destination, protocol, at, length: ofWhole(totalLength, packet.length) - at}
  }
  if (etherType !== ETHERTYPE_IPV6) return undefined
  const {source, destination, nextHeader, payloadLength} = readIpv6Header(packet)
  const {protocol, offset, fragmentOffset} = upperLayer(nextHeader, packet.subarray(IPV6_LENGTH))
  const at = IPV6_LENGTH + offset
  const length = ofWhole(payloadLength, packet.length - IPV6_LENGTH) - offset
  return {source, destination, protocol: fragmentOffset === 0 ? protocol : undefined, at, length}
}

/** A length of 0 is that of a packet too long for the field (BIG TCP, RFC 2675): then what was captured counts. */
const ofWhole = (said: number, captured: number): number => (said === 0 ? captured : said)

function viewSegment(bytes: Uint8Array, carried: number): SegmentView {
  const {sourcePort, destinationPort, sequence, acknowledgment, flags, options, headerLength} = readTcpHeader(bytes)
  const length = Math.max(0, carried - headerLength)
  return {sourcePort, destinationPort, sequence, acknowledgment, flags, length, timestamps: tcpTimestamps(options)}
}
