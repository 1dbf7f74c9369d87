// The Internet checksum (RFC 1071): IPv4 headers, ICMP, and with a pseudo header UDP and TCP.
import {type Ipv4, ipv4Value} from './address.ts'

/**
 * The plain sum of the 16-bit words of `bytes[start..end)`, an odd last byte counting as the high half of a word.
 * Not folded, so that sums of several parts can be added; every part but the last must have an even length.
 */
export function wordSum(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let sum = 0
  const even = end - ((end - start) & 1)
  for (let i = start; i < even; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  return even < end ? sum + (bytes[even]! << 8) : sum
}

/** Adds the carries of a sum back in: its one's complement sum, 0 to 0xffff. */
export function fold(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000)
  return folded
}

/**
 * The checksum of `bytes[start..end)` and of what `sum` already holds (a pseudo header, earlier parts).
 * Over bytes that carry their own correct checksum it is 0; to compute one, its two bytes must be 0.
 */
export function checksum(bytes: Uint8Array, start = 0, end = bytes.length, sum = 0): number {
  return ~fold(sum + wordSum(bytes, start, end)) & 0xffff
}

/** The two addresses that UDP and TCP checksums cover beside their own bytes. */
export interface Ends {
  readonly source: Ipv4
  readonly destination: Ipv4
}

/** The sum of the pseudo header of UDP and TCP over IPv4 (RFC 768, RFC 9293 3.1); `length` counts header and data. */
export function pseudoHeaderSum(ends: Ends, protocol: number, length: number): number {
  const source = ipv4Value(ends.source)
  const destination = ipv4Value(ends.destination)
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
}

/** Writes a 16-bit number, big-endian, at `offset`. */
export function writeChecksum(value: number, out: Uint8Array, offset: number): void {
  out[offset] = value >>> 8
  out[offset + 1] = value & 0xff
}
