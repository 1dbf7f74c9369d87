// The start of the packet that an ICMP error is about (RFC 792, RFC 1812 4.3.2.3), which proves whose probe it answers.
import type {Ipv4} from './address.ts'
import {WireError} from './error.ts'
import {
  copyIpv4Header,
  ipv4Length,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  type ReceivedIpv4Header,
  readIpv4Header,
} from './ipv4.ts'
import type {Ipv6} from './ipv6-address.ts'
import {copyBytes} from './memory.ts'

/**
 * A quoted packet. It may be cut anywhere, and its TTL, addresses and checksum are as the router saw them: nothing in it
 * is checked, and `totalLength` is that of the packet when it was whole.
 */
export interface Quoted {
  /** Absent where the quoted bytes do not hold an IPv4 header; `payload` has all of them then. */
  readonly header?: ReceivedIpv4Header
  /** The bytes behind the header, as many as were quoted: 8 at least by the standard. */
  readonly payload: Uint8Array
}

/** Reads quoted bytes; never throws. The result shares no memory with them. */
export function parseQuoted(bytes: Uint8Array): Quoted {
  try {
    const header = readIpv4Header(bytes)
    return {header, payload: copyBytes(bytes, ipv4Length(header))}
  } catch (error) {
    if (error instanceof WireError) return {payload: copyBytes(bytes)}
    throw error
  }
}

export const quotedLength = (quoted: Quoted): number =>
  (quoted.header ? ipv4Length(quoted.header) : 0) + quoted.payload.length

/** Writes {@link quotedLength} bytes into `out` at `offset`. */
export function writeQuoted(quoted: Quoted, out: Uint8Array, offset: number): void {
  if (quoted.header) copyIpv4Header(quoted.header, out, offset)
  out.set(quoted.payload, offset + quotedLength(quoted) - quoted.payload.length)
}

interface QuotedEnds {
  readonly source: Ipv4 | Ipv6
  readonly destination: Ipv4 | Ipv6
}

/** The part of a quoted packet by which its sender knows it again. Fields that were cut off are absent. */
export type QuotedProbe = QuotedEnds &
  (
    | {readonly protocol: 'icmp'; readonly type: number; readonly identifier: number; readonly sequence: number}
    | {
        readonly protocol: 'tcp'
        readonly sourcePort: number
        readonly destinationPort: number
        readonly sequence?: number
      }
    | {
        readonly protocol: 'udp'
        readonly sourcePort: number
        readonly destinationPort: number
        readonly length?: number
        readonly checksum?: number
      }
  )

/**
 * What a quoted ICMP echo, TCP segment or UDP datagram says about itself; undefined for other protocols, for later
 * fragments, and where too little was quoted to tell (4 bytes for ports, 8 for an echo).
 */
export function quotedProbe({header, payload}: Quoted): QuotedProbe | undefined {
  if (header?.fragmentOffset !== 0) return undefined
  const {source, destination} = header
  const ends = {source, destination}
  if (header.protocol === PROTOCOL_ICMP) return quotedIcmp(ends, payload)
  if (header.protocol === PROTOCOL_TCP) return quotedTcp(ends, payload)
  return header.protocol === PROTOCOL_UDP ? quotedUdp(ends, payload) : undefined
}

const u16 = (bytes: Uint8Array, offset: number): number => (bytes[offset]! << 8) | bytes[offset + 1]!

/** The start of an echo, of ICMP or ICMPv6. */
export const quotedIcmp = (ends: QuotedEnds, bytes: Uint8Array): QuotedProbe | undefined =>
  bytes.length < 8
    ? undefined
    : {...ends, protocol: 'icmp', type: bytes[0]!, identifier: u16(bytes, 4), sequence: u16(bytes, 6)}

export function quotedTcp(ends: QuotedEnds, bytes: Uint8Array): QuotedProbe | undefined {
  if (bytes.length < 4) return undefined
  const ports = {...ends, sourcePort: u16(bytes, 0), destinationPort: u16(bytes, 2)}
  return {...ports, protocol: 'tcp', ...(bytes.length >= 8 && {sequence: u16(bytes, 4) * 0x1_0000 + u16(bytes, 6)})}
}

export function quotedUdp(ends: QuotedEnds, bytes: Uint8Array): QuotedProbe | undefined {
  if (bytes.length < 4) return undefined
  const ports = {...ends, sourcePort: u16(bytes, 0), destinationPort: u16(bytes, 2)}
  return {...ports, protocol: 'udp', ...(bytes.length >= 8 && {length: u16(bytes, 4), checksum: u16(bytes, 6)})}
}
