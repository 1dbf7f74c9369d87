// Whole frames in one call: built into one buffer without copies in between, and read with one copy at the innermost
// layer. Each layer on its own is in the file of its name.
import {ARP_LENGTH, type Arp, parseArp, writeArp} from './arp.ts'
import type {Ends} from './checksum.ts'
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_RARP,
  type EthernetHeader,
  ethernetLength,
  type FrameAddresses,
  frameRoom,
  parseEthernetHeader,
} from './ethernet.ts'
import {type Icmp, icmpLength, parseIcmp, writeIcmp} from './icmp.ts'
import {
  type Ipv4Header,
  ipv4Length,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseIpv4Header,
  writeIpv4Header,
} from './ipv4.ts'
import {copyBytes, NO_BYTES} from './memory.ts'
import {parseTcp, type Tcp, tcpHeaderLength, writeTcp} from './tcp.ts'
import {parseUdp, UDP_LENGTH, type Udp, writeUdpHeader} from './udp.ts'

/** Where a packet goes, and what its header says beside the defaults of {@link ipv4Header}. */
export type PacketAddresses = Ends & Partial<Omit<Ipv4Header, 'protocol'>>

/** A header that says nothing special: not a fragment and not to be fragmented, TTL 64, no options. @internal */
export function ipv4Header(protocol: number, addresses: PacketAddresses): Ipv4Header {
  return {
    dscp: addresses.dscp ?? 0,
    ecn: addresses.ecn ?? 0,
    identification: addresses.identification ?? 0,
    dontFragment: addresses.dontFragment ?? true,
    moreFragments: addresses.moreFragments ?? false,
    fragmentOffset: addresses.fragmentOffset ?? 0,
    ttl: addresses.ttl ?? 64,
    protocol,
    source: addresses.source,
    destination: addresses.destination,
    options: addresses.options ?? NO_BYTES,
  }
}

/** As {@link frameRoom}, behind an IPv4 header that is written. */
function packetRoom(addresses: FrameAddresses, header: Ipv4Header, length: number): {out: Uint8Array; at: number} {
  const headerLength = ipv4Length(header)
  const {out, at} = frameRoom(addresses, ETHERTYPE_IPV4, headerLength + length)
  writeIpv4Header(header, length, out, at)
  return {out, at: at + headerLength}
}

/** An Ethernet frame with an ARP packet (or RARP: `ETHERTYPE_RARP`), 60 bytes or 64 with a tag. */
export function arpFrame(addresses: FrameAddresses, arp: Arp, etherType: number = ETHERTYPE_ARP): Uint8Array {
  const {out, at} = frameRoom(addresses, etherType, ARP_LENGTH)
  writeArp(arp, out, at)
  return out
}

/** An Ethernet frame with an ICMP message in an IPv4 packet. */
export function icmpFrame(addresses: FrameAddresses, packet: PacketAddresses, message: Icmp): Uint8Array {
  const {out, at} = packetRoom(addresses, ipv4Header(PROTOCOL_ICMP, packet), icmpLength(message))
  writeIcmp(message, out, at)
  return out
}

/** An Ethernet frame with a UDP datagram in an IPv4 packet. */
export function udpFrame(addresses: FrameAddresses, packet: PacketAddresses, udp: Udp): Uint8Array {
  const {length} = udp.payload
  const {out, at} = packetRoom(addresses, ipv4Header(PROTOCOL_UDP, packet), UDP_LENGTH + length)
  out.set(udp.payload, at + UDP_LENGTH)
  writeUdpHeader(udp, length, packet, out, at)
  return out
}

/** An Ethernet frame with a TCP segment in an IPv4 packet. */
export function tcpFrame(addresses: FrameAddresses, packet: PacketAddresses, tcp: Tcp): Uint8Array {
  const length = tcpHeaderLength(tcp) + tcp.payload.length
  const {out, at} = packetRoom(addresses, ipv4Header(PROTOCOL_TCP, packet), length)
  writeTcp(tcp, packet, out, at)
  return out
}

/** A frame taken apart as far as we speak its protocols. `ipv4` is any other protocol, and every fragment. */
export type Frame = {readonly ethernet: EthernetHeader} & (
  | {readonly kind: 'arp'; readonly arp: Arp}
  | {readonly kind: 'icmp'; readonly ip: Ipv4Header; readonly icmp: Icmp}
  | {readonly kind: 'udp'; readonly ip: Ipv4Header; readonly udp: Udp}
  | {readonly kind: 'tcp'; readonly ip: Ipv4Header; readonly tcp: Tcp}
  | {readonly kind: 'ipv4'; readonly ip: Ipv4Header; readonly payload: Uint8Array}
  | {readonly kind: 'other'; readonly payload: Uint8Array}
)

/**
 * Takes a frame apart, checking every length and checksum on the way; the result shares no memory with `bytes`.
 * Throws the `WireError` of the layer that is wrong, its offset counted from the start of that layer.
 */
export function parseFrame(bytes: Uint8Array): Frame {
  const ethernet = parseEthernetHeader(bytes)
  const packet = bytes.subarray(ethernetLength(ethernet))
  const {etherType} = ethernet
  if (etherType === ETHERTYPE_ARP || etherType === ETHERTYPE_RARP) return {kind: 'arp', ethernet, arp: parseArp(packet)}
  if (etherType !== ETHERTYPE_IPV4) return {kind: 'other', ethernet, payload: copyBytes(packet)}
  const {totalLength, headerChecksum: _, ...ip} = parseIpv4Header(packet)
  const payload = packet.subarray(ipv4Length(ip), totalLength)
  if (!ip.moreFragments && ip.fragmentOffset === 0) {
    if (ip.protocol === PROTOCOL_ICMP) return {kind: 'icmp', ethernet, ip, icmp: parseIcmp(payload)}
    if (ip.protocol === PROTOCOL_UDP) return {kind: 'udp', ethernet, ip, udp: parseUdp(payload, ip)}
    if (ip.protocol === PROTOCOL_TCP) return {kind: 'tcp', ethernet, ip, tcp: parseTcp(payload, ip)}
  }
  return {kind: 'ipv4', ethernet, ip, payload: copyBytes(payload)}
}
