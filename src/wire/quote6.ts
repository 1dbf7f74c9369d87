// The start of the packet that an ICMPv6 error or a redirect is about (RFC 4443 section 2.4), as quote.ts reads IPv4's.
import {WireError} from './error.ts'
import {
  copyIpv6Header,
  IPV6_LENGTH,
  NEXT_HEADER_ICMPV6,
  NEXT_HEADER_TCP,
  NEXT_HEADER_UDP,
  type ReceivedIpv6Header,
  readIpv6Header,
} from './ipv6.ts'
import {type UpperLayer, upperLayer} from './ipv6-extensions.ts'
import {copyBytes} from './memory.ts'
import {type QuotedProbe, quotedIcmp, quotedTcp, quotedUdp} from './quote.ts'

/** A quoted packet. It may be cut anywhere, and its hop limit is as the router saw it: nothing in it is checked. */
export interface Quoted6 {
  /** Absent where the quoted bytes do not hold an IPv6 header; `payload` has all of them then. */
  readonly header?: ReceivedIpv6Header
  /** The bytes behind the fixed header, extension headers first, as many as were quoted. */
  readonly payload: Uint8Array
}

/** Reads quoted bytes; never throws. The result shares no memory with them. */
export function parseQuoted6(bytes: Uint8Array): Quoted6 {
  try {
    return {header: readIpv6Header(bytes), payload: copyBytes(bytes, IPV6_LENGTH)}
  } catch (error) {
    if (error instanceof WireError) return {payload: copyBytes(bytes)}
    throw error
  }
}

export const quoted6Length = (quoted: Quoted6): number => (quoted.header ? IPV6_LENGTH : 0) + quoted.payload.length

/** Writes {@link quoted6Length} bytes into `out` at `offset`. */
export function writeQuoted6(quoted: Quoted6, out: Uint8Array, offset: number): void {
  if (quoted.header) copyIpv6Header(quoted.header, out, offset)
  out.set(quoted.payload, offset + quoted6Length(quoted) - quoted.payload.length)
}

/**
 * What a quoted ICMPv6 echo, TCP segment or UDP datagram says about itself, behind whatever extension headers; undefined
 * for other protocols, for later fragments, and where too little was quoted to tell.
 */
export function quotedProbe6({header, payload}: Quoted6): QuotedProbe | undefined {
  if (header === undefined) return undefined
  const upper = quotedUpperLayer(header.nextHeader, payload)
  if (upper === undefined || upper.fragmentOffset !== 0) return undefined
  const {source, destination} = header
  const bytes = payload.subarray(upper.offset)
  if (upper.protocol === NEXT_HEADER_ICMPV6) return quotedIcmp({source, destination}, bytes)
  if (upper.protocol === NEXT_HEADER_TCP) return quotedTcp({source, destination}, bytes)
  return upper.protocol === NEXT_HEADER_UDP ? quotedUdp({source, destination}, bytes) : undefined
}

function quotedUpperLayer(nextHeader: number, payload: Uint8Array): UpperLayer | undefined {
  try {
    return upperLayer(nextHeader, payload)
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
