// Whole frames of TCP and UDP over IPv6 in one call, as frames.ts builds those of IPv4. ICMPv6's are in icmpv6.ts.
import type {FrameAddresses} from './ethernet.ts'
import {NEXT_HEADER_TCP, NEXT_HEADER_UDP, type Packet6Addresses, packet6Room} from './ipv6.ts'
import {type Tcp, tcpHeaderLength, writeTcp} from './tcp.ts'
import {UDP_LENGTH, type Udp, writeUdpHeader} from './udp.ts'

const HOP_LIMIT = 64

/** A frame with a UDP datagram in an IPv6 packet, hop limit 64. Throws `WireError`, reason `out-of-range`. */
export function udp6Frame(addresses: FrameAddresses, packet: Packet6Addresses, udp: Udp): Uint8Array {
  const {length} = udp.payload
  const header = {hopLimit: HOP_LIMIT, ...packet, nextHeader: NEXT_HEADER_UDP}
  const {out, at} = packet6Room(addresses, header, UDP_LENGTH + length)
  out.set(udp.payload, at + UDP_LENGTH)
  writeUdpHeader(udp, length, packet, out, at)
  return out
}

/** A frame with a TCP segment in an IPv6 packet, hop limit 64. Throws `WireError`, reason `out-of-range`. */
export function tcp6Frame(addresses: FrameAddresses, packet: Packet6Addresses, tcp: Tcp): Uint8Array {
  const header = {hopLimit: HOP_LIMIT, ...packet, nextHeader: NEXT_HEADER_TCP}
  const {out, at} = packet6Room(addresses, header, tcpHeaderLength(tcp) + tcp.payload.length)
  writeTcp(tcp, packet, out, at)
  return out
}
