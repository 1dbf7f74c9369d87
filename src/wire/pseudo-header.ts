// What checksums of UDP, TCP and ICMPv6 cover beside their own bytes, whichever family their packet is of.
import type {Ipv4} from './address.ts'
import {pseudoHeaderSum} from './checksum.ts'
import {pseudoHeaderSum6} from './ipv6.ts'
import {type Ipv6, isVersion6} from './ipv6-address.ts'

/** The two addresses of a packet, both of one family. */
export interface IpEnds {
  readonly source: Ipv4 | Ipv6
  readonly destination: Ipv4 | Ipv6
}

/** The sum of the pseudo header (RFC 768, RFC 9293 3.1, RFC 8200 8.1); `length` counts header and data. */
export const pseudoSum = (ends: IpEnds, protocol: number, length: number): number =>
  isVersion6(ends.source) ? pseudoHeaderSum6(ends, protocol, length) : pseudoHeaderSum(ends, protocol, length)
