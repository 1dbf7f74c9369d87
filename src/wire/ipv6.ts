// IPv6 (RFC 8200): the fixed header. Extension headers are left in the payload, told by `nextHeader`.
import {checksum, wordSum, writeChecksum} from './checksum.ts'
import {expectWhole, WireError} from './error.ts'
import {ETHERTYPE_IPV6, type FrameAddresses, frameRoom} from './ethernet.ts'
import {type Ipv6, ipv6Bytes, ipv6Text} from './ipv6-address.ts'
import {copyBytes, zeros} from './memory.ts'
import {bytes as raw, table, u8, u16, u32} from './table.ts'

export const NEXT_HEADER_TCP = 6
export const NEXT_HEADER_UDP = 17
export const NEXT_HEADER_ICMPV6 = 58

export interface Ipv6Header {
  /** DSCP and ECN, 0 to 255. */
  readonly trafficClass: number
  /** 0 to 0xfffff (RFC 6437). */
  readonly flowLabel: number
  /** What the payload starts with: a protocol or an extension header. */
  readonly nextHeader: number
  readonly hopLimit: number
  readonly source: Ipv6
  readonly destination: Ipv6
}

export interface Ipv6Packet extends Ipv6Header {
  readonly payload: Uint8Array
}

interface Fixed {
  readonly versionClassLabel: number
  readonly payloadLength: number
  readonly nextHeader: number
  readonly hopLimit: number
  readonly source: Uint8Array
  readonly destination: Uint8Array
}

const fixed = table<Fixed>('ipv6', {
  versionClassLabel: u32,
  payloadLength: u16,
  nextHeader: u8,
  hopLimit: u8,
  source: raw(16),
  destination: raw(16),
})

/** Bytes of the fixed header. */
export const IPV6_LENGTH = fixed.size

/**
 * Reads a packet; the payload is a copy and ends where the header says, Ethernet padding left behind.
 * Throws `WireError`: `truncated` if there are fewer bytes than the header says, `unsupported` for another version.
 */
export function parseIpv6(bytes: Uint8Array): Ipv6Packet {
  const header = parseIpv6Header(bytes)
  const {payloadLength, ...rest} = header
  return {...rest, payload: copyBytes(bytes, fixed.size, fixed.size + payloadLength)}
}

/** A header as it lay in the packet. */
export interface ReceivedIpv6Header extends Ipv6Header {
  /** Bytes behind the fixed header, extension headers included, when the packet was whole. */
  readonly payloadLength: number
}

/** Reads the header of a whole packet. Throws as {@link parseIpv6} does. */
function parseIpv6Header(bytes: Uint8Array): ReceivedIpv6Header {
  const header = readIpv6Header(bytes)
  if (bytes.length < fixed.size + header.payloadLength) {
    const detail = `says ${header.payloadLength} bytes follow, has ${bytes.length - fixed.size}`
    throw new WireError('ipv6', 'truncated', bytes.length, detail)
  }
  return header
}

/**
 * Reads a header as it lies there, also in front of a packet that was cut. Throws `WireError` if there is no IPv6 header.
 */
export function readIpv6Header(bytes: Uint8Array): ReceivedIpv6Header {
  const {versionClassLabel, payloadLength, nextHeader, hopLimit, source, destination} = fixed.parse(bytes)
  const version = versionClassLabel >>> 28
  if (version !== 6) throw new WireError('ipv6', 'unsupported', 0, `version is ${version}, only 6 is spoken here`)
  return {
    trafficClass: (versionClassLabel >>> 20) & 0xff,
    flowLabel: versionClassLabel & 0xf_ffff,
    payloadLength,
    nextHeader,
    hopLimit,
    source: ipv6Text(source),
    destination: ipv6Text(destination),
  }
}

/**
 * The bytes of a packet. Throws `WireError`, reason `out-of-range`.
 * @internal
 */
export function serializeIpv6(packet: Ipv6Packet): Uint8Array {
  const out = zeros(fixed.size + packet.payload.length)
  writeIpv6Header(packet, packet.payload.length, out, 0)
  out.set(packet.payload, fixed.size)
  return out
}

/** Writes the header of a packet with `payloadLength` bytes behind it; the caller has made {@link IPV6_LENGTH} of room. */
function writeIpv6Header(header: Ipv6Header, payloadLength: number, out: Uint8Array, offset: number): void {
  copyIpv6Header({...header, payloadLength}, out, offset)
}

/** Writes a header with the length it names, right or not: what {@link readIpv6Header} read. */
export function copyIpv6Header(header: ReceivedIpv6Header, out: Uint8Array, offset: number): void {
  const {trafficClass, flowLabel, nextHeader, hopLimit, payloadLength} = header
  expectWhole('ipv6', 'trafficClass', trafficClass, 0xff)
  expectWhole('ipv6', 'flowLabel', flowLabel, 0xf_ffff)
  const versionClassLabel = ((6 << 28) | (trafficClass << 20) | flowLabel) >>> 0
  const source = ipv6Bytes(header.source)
  const destination = ipv6Bytes(header.destination)
  fixed.write({versionClassLabel, payloadLength, nextHeader, hopLimit, source, destination}, out, offset)
}

/** The two addresses that checksums of the layer above cover. */
export interface Ends6 {
  readonly source: Ipv6
  readonly destination: Ipv6
}

/** Where a packet goes, and what its header says beside the defaults: no class or label, a hop limit that fits its kind. */
export type Packet6Addresses = Ends6 & Partial<Omit<Ipv6Header, 'nextHeader'>>

/** A frame with its IPv6 header written and room for `length` bytes behind it, which start at `at`. */
export function packet6Room(
  addresses: FrameAddresses,
  header: Packet6Addresses & Pick<Ipv6Header, 'nextHeader' | 'hopLimit'>,
  length: number,
): {out: Uint8Array; at: number} {
  const {out, at} = frameRoom(addresses, ETHERTYPE_IPV6, IPV6_LENGTH + length)
  writeIpv6Header({trafficClass: 0, flowLabel: 0, ...header}, length, out, at)
  return {out, at: at + IPV6_LENGTH}
}

/** The sum of the pseudo header (RFC 8200 8.1); `length` counts the upper layer's header and data. */
export const pseudoHeaderSum6 = (ends: Ends6, protocol: number, length: number): number =>
  wordSum(ipv6Bytes(ends.source)) +
  wordSum(ipv6Bytes(ends.destination)) +
  (length >>> 16) +
  (length & 0xffff) +
  protocol

/** Fills in the checksum of an upper-layer message at `bytes[start..end)`, whose two bytes at `at` are 0. */
export function fillChecksum6(
  ends: Ends6,
  protocol: number,
  out: Uint8Array,
  start: number,
  end: number,
  at: number,
): void {
  writeChecksum(checksum(out, start, end, pseudoHeaderSum6(ends, protocol, end - start)), out, at)
}
