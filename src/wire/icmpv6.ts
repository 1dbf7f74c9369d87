// ICMPv6 (RFC 4443): echo and errors, and Neighbour Discovery on top of it. Its checksum covers the addresses of the packet.
import {checksum} from './checksum.ts'
import {WireError} from './error.ts'
import type {FrameAddresses} from './ethernet.ts'
import {
  type Icmpv6Error,
  icmpv6ErrorKind,
  icmpv6ErrorLength,
  parseIcmpv6Error,
  writeIcmpv6Error,
} from './icmpv6-errors.ts'
import {
  type Ends6,
  fillChecksum6,
  NEXT_HEADER_ICMPV6,
  type Packet6Addresses,
  packet6Room,
  pseudoHeaderSum6,
} from './ipv6.ts'
import {copyBytes, zeros} from './memory.ts'
import {ND_HOP_LIMIT, type NdMessage, ndKind, ndLength, parseNd, writeNd} from './nd.ts'
import {bytes as raw, table, u8, u16} from './table.ts'

const ICMPV6_ECHO_REQUEST = 128
const ICMPV6_ECHO_REPLY = 129

export interface Icmpv6Echo {
  readonly kind: 'echo-request' | 'echo-reply'
  readonly identifier: number
  readonly sequence: number
  readonly payload: Uint8Array
}

/** Any type and code that has no kind of its own; `rest` is everything behind the checksum, 4 bytes at least. */
export interface Icmpv6Other {
  readonly kind: 'other'
  readonly type: number
  readonly code: number
  readonly rest: Uint8Array
}

export type Icmpv6 = Icmpv6Echo | Icmpv6Error | NdMessage | Icmpv6Other

interface Header {
  readonly type: number
  readonly code: number
  readonly checksum: number
}

const header = {type: u8, code: u8, checksum: u16}
const echo = table<Header & {identifier: number; sequence: number}>('icmpv6', {
  ...header,
  identifier: u16,
  sequence: u16,
})
const other = table<Header & {rest: Uint8Array}>('icmpv6', {...header, rest: raw(4)})

/**
 * Reads a message that came between `ends`; it ends where `bytes` end. The result shares no memory with them.
 * Throws `WireError`: `truncated` below 8 bytes or below its kind's own length, `malformed` if the checksum is wrong.
 * Whether the hop limit of an ND message was 255 is for the caller to see.
 */
export function parseIcmpv6(bytes: Uint8Array, ends: Ends6): Icmpv6 {
  const {type, code} = other.parse(bytes)
  if (checksum(bytes, 0, bytes.length, pseudoHeaderSum6(ends, NEXT_HEADER_ICMPV6, bytes.length)) !== 0) {
    throw new WireError('icmpv6', 'malformed', other.offsets.checksum, 'checksum is wrong')
  }
  const kind = kindOf(type, code)
  if (kind === 'other') return {kind, type, code, rest: copyBytes(bytes, other.offsets.rest)}
  if (isError(kind)) return parseIcmpv6Error(kind, bytes)
  if (kind !== 'echo-request' && kind !== 'echo-reply') return parseNd(kind, bytes)
  const {identifier, sequence} = echo.parse(bytes)
  return {kind, identifier, sequence, payload: copyBytes(bytes, echo.size)}
}

const ERRORS: ReadonlySet<Icmpv6['kind']> = new Set<Icmpv6Error['kind']>([
  'destination-unreachable',
  'packet-too-big',
  'time-exceeded',
  'parameter-problem',
])
const isError = (kind: Icmpv6['kind']): kind is Icmpv6Error['kind'] => ERRORS.has(kind)

function kindOf(type: number, code: number): Icmpv6['kind'] {
  const error = icmpv6ErrorKind(type)
  if (error !== undefined) return error
  if (code !== 0) return 'other'
  if (type === ICMPV6_ECHO_REQUEST) return 'echo-request'
  if (type === ICMPV6_ECHO_REPLY) return 'echo-reply'
  return ndKind(type) ?? 'other'
}

/** The bytes of a message, with its checksum. Throws `WireError`, reason `out-of-range`. @internal */
export function serializeIcmpv6(message: Icmpv6, ends: Ends6): Uint8Array {
  const out = zeros(icmpv6Length(message))
  writeIcmpv6(message, ends, out, 0)
  return out
}

/** Bytes that {@link writeIcmpv6} fills. */
function icmpv6Length(message: Icmpv6): number {
  switch (message.kind) {
    case 'echo-request':
    case 'echo-reply':
      return echo.size + message.payload.length
    case 'other':
      return other.offsets.rest + message.rest.length
    case 'destination-unreachable':
    case 'packet-too-big':
    case 'time-exceeded':
    case 'parameter-problem':
      return icmpv6ErrorLength(message)
    default:
      return ndLength(message)
  }
}

/** Writes a message with its checksum; the caller has made {@link icmpv6Length} bytes of room. */
function writeIcmpv6(message: Icmpv6, ends: Ends6, out: Uint8Array, offset: number): void {
  switch (message.kind) {
    case 'echo-request':
    case 'echo-reply': {
      const {kind, identifier, sequence, payload} = message
      const type = kind === 'echo-request' ? ICMPV6_ECHO_REQUEST : ICMPV6_ECHO_REPLY
      echo.write({type, code: 0, checksum: 0, identifier, sequence}, out, offset)
      out.set(payload, offset + echo.size)
      break
    }
    case 'other':
      writeOther(message, out, offset)
      break
    case 'destination-unreachable':
    case 'packet-too-big':
    case 'time-exceeded':
    case 'parameter-problem':
      writeIcmpv6Error(message, out, offset)
      break
    default:
      writeNd(message, out, offset)
  }
  const end = offset + icmpv6Length(message)
  fillChecksum6(ends, NEXT_HEADER_ICMPV6, out, offset, end, offset + other.offsets.checksum)
}

function writeOther({type, code, rest}: Icmpv6Other, out: Uint8Array, offset: number): void {
  if (rest.length < 4) throw new WireError('icmpv6', 'out-of-range', other.offsets.rest, 'rest is below 4 bytes')
  const kind = kindOf(type, code)
  if (kind !== 'other') throw new WireError('icmpv6', 'out-of-range', 0, `type ${type} is written as kind ${kind}`)
  other.write({type, code, checksum: 0, rest: rest.subarray(0, 4)}, out, offset)
  out.set(rest, offset + other.offsets.rest)
}

/** An Ethernet frame with an ICMPv6 message in an IPv6 packet, hop limit 255 (which ND requires). */
export function icmpv6Frame(addresses: FrameAddresses, packet: Packet6Addresses, message: Icmpv6): Uint8Array {
  const header = {hopLimit: ND_HOP_LIMIT, ...packet, nextHeader: NEXT_HEADER_ICMPV6}
  const {out, at} = packet6Room(addresses, header, icmpv6Length(message))
  writeIcmpv6(message, packet, out, at)
  return out
}
