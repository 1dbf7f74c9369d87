// IPv4 (RFC 791, with the DSCP of RFC 2474 and the ECN of RFC 3168 in place of the type of service).
import type {Ipv4} from './address.ts'
import {checksum, writeChecksum} from './checksum.ts'
import {expectWhole, WireError} from './error.ts'
import {copyBytes, NO_BYTES, zeros} from './memory.ts'
import {ipv4, table, u8, u16} from './table.ts'

export const PROTOCOL_ICMP = 1
export const PROTOCOL_TCP = 6
export const PROTOCOL_UDP = 17

export interface Ipv4Header {
  /** Differentiated services code point, 0 to 63. */
  readonly dscp: number
  /** Explicit congestion notification, 0 to 3. */
  readonly ecn: number
  readonly identification: number
  readonly dontFragment: boolean
  readonly moreFragments: boolean
  /** Where this fragment belongs, in units of 8 bytes, 0 to 8191. */
  readonly fragmentOffset: number
  readonly ttl: number
  readonly protocol: number
  readonly source: Ipv4
  readonly destination: Ipv4
  /** Raw options, padded to a multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array
}

export interface Ipv4Packet extends Ipv4Header {
  readonly payload: Uint8Array
}

/** A header as it lay in the packet, with what a sender computes: {@link parseIpv4} checks these and drops them. */
export interface ReceivedIpv4Header extends Ipv4Header {
  /** Bytes of the whole packet, header included. */
  readonly totalLength: number
  readonly headerChecksum: number
}

interface Fixed {
  readonly versionAndLength: number
  readonly trafficClass: number
  readonly totalLength: number
  readonly identification: number
  readonly flagsAndOffset: number
  readonly ttl: number
  readonly protocol: number
  readonly headerChecksum: number
  readonly source: Ipv4
  readonly destination: Ipv4
}

const fixed = table<Fixed>('ipv4', {
  versionAndLength: u8,
  trafficClass: u8,
  totalLength: u16,
  identification: u16,
  flagsAndOffset: u16,
  ttl: u8,
  protocol: u8,
  headerChecksum: u16,
  source: ipv4,
  destination: ipv4,
})

/** Bytes of this header. */
export const ipv4Length = (header: Ipv4Header): number => fixed.size + header.options.length

/**
 * Reads a packet; what lies behind its total length (Ethernet padding) is cut off, and the payload is a copy.
 * Throws `WireError`: `truncated` if the header or the total length reaches past the end, `unsupported` for another
 * version, `malformed` for lengths that contradict each other, a set reserved flag or a wrong header checksum.
 */
export function parseIpv4(bytes: Uint8Array): Ipv4Packet {
  const received = parseIpv4Header(bytes)
  return {
    dscp: received.dscp,
    ecn: received.ecn,
    identification: received.identification,
    dontFragment: received.dontFragment,
    moreFragments: received.moreFragments,
    fragmentOffset: received.fragmentOffset,
    ttl: received.ttl,
    protocol: received.protocol,
    source: received.source,
    destination: received.destination,
    options: received.options,
    payload: copyBytes(bytes, ipv4Length(received), received.totalLength),
  }
}

/** Reads and checks the header alone, and that the packet is there; throws as {@link parseIpv4} does. */
export function parseIpv4Header(bytes: Uint8Array): ReceivedIpv4Header {
  const header = readIpv4Header(bytes)
  const length = ipv4Length(header)
  const {totalLength} = header
  if (totalLength < length) {
    fail('malformed', fixed.offsets.totalLength, `total length ${totalLength} is shorter than the header`)
  }
  if (checksum(bytes, 0, length) !== 0) fail('malformed', fixed.offsets.headerChecksum, 'header checksum is wrong')
  if (totalLength > bytes.length) {
    fail('truncated', bytes.length, `total length is ${totalLength}, has ${bytes.length}`)
  }
  return header
}

/**
 * Reads a header as it lies there: lengths and checksum are handed out unchecked, since in a packet that an ICMP error
 * quotes the payload is cut and the checksum may be stale. Throws `WireError` if there is no IPv4 header.
 */
export function readIpv4Header(bytes: Uint8Array): ReceivedIpv4Header {
  const plain = fixed.parse(bytes)
  const {versionAndLength, trafficClass, flagsAndOffset} = plain
  const length = (versionAndLength & 0xf) * 4
  if (versionAndLength >>> 4 !== 4) fail('unsupported', 0, `version is ${versionAndLength >>> 4}, not 4`)
  if (length < fixed.size) fail('malformed', 0, `header length ${length} is below ${fixed.size}`)
  if (length > bytes.length) fail('truncated', bytes.length, `header length is ${length}, has ${bytes.length}`)
  if (flagsAndOffset & 0x8000) fail('malformed', fixed.offsets.flagsAndOffset, 'the reserved flag is set')
  return {
    dscp: trafficClass >>> 2,
    ecn: trafficClass & 3,
    totalLength: plain.totalLength,
    identification: plain.identification,
    dontFragment: (flagsAndOffset & 0x4000) !== 0,
    moreFragments: (flagsAndOffset & 0x2000) !== 0,
    fragmentOffset: flagsAndOffset & 0x1fff,
    ttl: plain.ttl,
    protocol: plain.protocol,
    headerChecksum: plain.headerChecksum,
    source: plain.source,
    destination: plain.destination,
    options: length === fixed.size ? NO_BYTES : copyBytes(bytes, fixed.size, length),
  }
}

/** The bytes of a packet, with its lengths and checksum. Throws `WireError`, reason `out-of-range`. @internal */
export function serializeIpv4(packet: Ipv4Packet): Uint8Array {
  const length = ipv4Length(packet)
  const out = zeros(length + packet.payload.length)
  writeIpv4Header(packet, packet.payload.length, out, 0)
  out.set(packet.payload, length)
  return out
}

/** Writes the header of a packet with `payloadLength` bytes of payload; the caller has made {@link ipv4Length} of room. */
export function writeIpv4Header(header: Ipv4Header, payloadLength: number, out: Uint8Array, offset: number): void {
  const length = ipv4Length(header)
  copyIpv4Header({...header, totalLength: length + payloadLength, headerChecksum: 0}, out, offset)
  writeChecksum(checksum(out, offset, offset + length), out, offset + fixed.offsets.headerChecksum)
}

/** Writes a header with the length and checksum it names, right or not: what {@link readIpv4Header} read. */
export function copyIpv4Header(header: ReceivedIpv4Header, out: Uint8Array, offset: number): void {
  const {dscp, ecn, fragmentOffset, options} = header
  if (options.length % 4 !== 0 || options.length > 40) {
    fail('out-of-range', fixed.size, `options of ${options.length} bytes are not a multiple of 4 up to 40`)
  }
  expectWhole('ipv4', 'dscp', dscp, 63, fixed.offsets.trafficClass)
  expectWhole('ipv4', 'ecn', ecn, 3, fixed.offsets.trafficClass)
  expectWhole('ipv4', 'fragmentOffset', fragmentOffset, 0x1fff, fixed.offsets.flagsAndOffset)
  const flags = (header.dontFragment ? 0x4000 : 0) | (header.moreFragments ? 0x2000 : 0)
  fixed.write(
    {
      versionAndLength: 0x40 | (ipv4Length(header) / 4),
      trafficClass: (dscp << 2) | ecn,
      totalLength: header.totalLength,
      identification: header.identification,
      flagsAndOffset: flags | fragmentOffset,
      ttl: header.ttl,
      protocol: header.protocol,
      headerChecksum: header.headerChecksum,
      source: header.source,
      destination: header.destination,
    },
    out,
    offset,
  )
  out.set(options, offset + fixed.size)
}

function fail(reason: WireError['reason'], offset: number, detail: string): never {
  throw new WireError('ipv4', reason, offset, detail)
}
