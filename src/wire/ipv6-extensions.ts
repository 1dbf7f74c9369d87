// IPv6 extension headers (RFC 8200 section 4): what lies between the fixed header and the protocol that a packet is about.
import {WireError} from './error.ts'

/** Hop-by-hop options, routing, destination options, mobility (RFC 6275), HIP (RFC 7401), Shim6 (RFC 5533). */
const IN_EIGHTS: ReadonlySet<number> = new Set([0, 43, 60, 135, 139, 140])
const FRAGMENT = 44
/** Authentication header (RFC 4302): its length counts 4 bytes, less two of them. */
const AUTHENTICATION = 51
const FRAGMENT_LENGTH = 8

/** The protocol behind the extension headers, and where it starts. */
export interface UpperLayer {
  /** Number of the protocol: TCP, UDP, ICMPv6; also ESP (50), which tells no more, and "no next header" (59). */
  readonly protocol: number
  /** Bytes of extension headers before it. */
  readonly offset: number
  /** Where this fragment belongs, in units of 8 bytes; 0 for a first fragment, and for what is no fragment. */
  readonly fragmentOffset: number
  readonly moreFragments: boolean
}

/**
 * Walks the headers that `payload` of an IPv6 packet starts with, `nextHeader` being the first. They may be of any number
 * and order (RFC 8200 section 4.1 has receivers take them so). Behind a later fragment's header nothing is looked at.
 * Throws `WireError`, reason `truncated`, where `payload` ends within a header.
 */
export function upperLayer(nextHeader: number, payload: Uint8Array): UpperLayer {
  let protocol = nextHeader
  let offset = 0
  let fragment = {fragmentOffset: 0, moreFragments: false}
  for (;;) {
    const length = fragment.fragmentOffset === 0 ? headerLength(protocol, payload, offset) : undefined
    if (length === undefined) return {protocol, offset, ...fragment}
    if (offset + length > payload.length) cut(payload, offset + length)
    if (protocol === FRAGMENT) {
      const word = (payload[offset + 2]! << 8) | payload[offset + 3]!
      fragment = {fragmentOffset: word >>> 3, moreFragments: (word & 1) === 1}
    }
    protocol = payload[offset]!
    offset += length
  }
}

/** Bytes of the extension header of this kind at `offset`; undefined for what is none. */
function headerLength(kind: number, payload: Uint8Array, offset: number): number | undefined {
  if (kind === FRAGMENT) return FRAGMENT_LENGTH
  if (kind !== AUTHENTICATION && !IN_EIGHTS.has(kind)) return undefined
  const said = payload[offset + 1]
  if (said === undefined) return cut(payload, offset + 2)
  return kind === AUTHENTICATION ? (said + 2) * 4 : (said + 1) * 8
}

function cut(payload: Uint8Array, needed: number): never {
  throw new WireError(
    'ipv6',
    'truncated',
    payload.length,
    `extension headers need ${needed} bytes, has ${payload.length}`,
  )
}
