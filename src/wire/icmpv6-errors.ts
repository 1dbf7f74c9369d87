// The errors of ICMPv6 (RFC 4443 section 3), with the extensions that routers append (RFC 4884).
import {expectWhole} from './error.ts'
import {type IcmpExtension, parseExtensions, serializeExtensions} from './icmp-extensions.ts'
import {IPV6_LENGTH} from './ipv6.ts'
import {NO_BYTES} from './memory.ts'
import {parseQuoted6, type Quoted6, quoted6Length, writeQuoted6} from './quote6.ts'
import {table, u8, u16, u32} from './table.ts'

const ICMPV6_DESTINATION_UNREACHABLE = 1
const ICMPV6_PACKET_TOO_BIG = 2
const ICMPV6_TIME_EXCEEDED = 3
const ICMPV6_PARAMETER_PROBLEM = 4

/** Code of destination unreachable. */
export const UNREACHABLE_PORT6 = 4

export interface Icmpv6Unreachable {
  readonly kind: 'destination-unreachable'
  /** 0: no route, 1: prohibited, 3: address unreachable, 4: port unreachable (RFC 4443 section 3.1). */
  readonly code: number
  readonly quoted: Quoted6
  /** Objects of the RFC 4884 extension structure; empty if there is none. */
  readonly extensions: readonly IcmpExtension[]
}

export interface Icmpv6TimeExceeded {
  readonly kind: 'time-exceeded'
  /** 0: hop limit in transit, 1: fragment reassembly. */
  readonly code: number
  readonly quoted: Quoted6
  readonly extensions: readonly IcmpExtension[]
}

export interface Icmpv6PacketTooBig {
  readonly kind: 'packet-too-big'
  /** 0 from everybody; receivers ignore it. */
  readonly code: number
  /** Bytes that the next link takes. */
  readonly mtu: number
  readonly quoted: Quoted6
}

export interface Icmpv6ParameterProblem {
  readonly kind: 'parameter-problem'
  /** 0: a wrong field, 1: an unknown next header, 2: an unknown option. */
  readonly code: number
  /** Where in the quoted packet, in bytes. */
  readonly pointer: number
  readonly quoted: Quoted6
}

export type Icmpv6Error = Icmpv6Unreachable | Icmpv6TimeExceeded | Icmpv6PacketTooBig | Icmpv6ParameterProblem

interface Head {
  readonly type: number
  readonly code: number
  readonly checksum: number
}

const head = {type: u8, code: u8, checksum: u16}
/** `quotedEights`: length of the quoted packet in units of 8 bytes if extensions follow it (RFC 4884 section 4.3), else 0. */
const extended = table<Head & {quotedEights: number; unused: number; reserved: number}>('icmpv6', {
  ...head,
  quotedEights: u8,
  unused: u8,
  reserved: u16,
})
const withWord = table<Head & {word: number}>('icmpv6', {...head, word: u32})

/** Bytes that a quoted packet is filled up to before an extension structure (RFC 4884 section 4.6). */
const QUOTED_BEFORE_EXTENSIONS = 128

export const ICMPV6_ERROR_TYPES: Readonly<Record<Icmpv6Error['kind'], number>> = {
  'destination-unreachable': ICMPV6_DESTINATION_UNREACHABLE,
  'packet-too-big': ICMPV6_PACKET_TOO_BIG,
  'time-exceeded': ICMPV6_TIME_EXCEEDED,
  'parameter-problem': ICMPV6_PARAMETER_PROBLEM,
}
const KINDS = new Map(Object.entries(ICMPV6_ERROR_TYPES).map(([kind, type]) => [type, kind as Icmpv6Error['kind']]))

/** The kind of an error of this type; undefined if it is none. */
export const icmpv6ErrorKind = (type: number): Icmpv6Error['kind'] | undefined => KINDS.get(type)

/** Reads an error of 8 bytes or more whose checksum is right. What it quotes is read tolerantly: see {@link Quoted6}. */
export function parseIcmpv6Error(kind: Icmpv6Error['kind'], bytes: Uint8Array): Icmpv6Error {
  const {code, word} = withWord.parse(bytes)
  const body = bytes.subarray(withWord.size)
  switch (kind) {
    case 'packet-too-big':
      return {kind, code, mtu: word, quoted: parseQuoted6(body)}
    case 'parameter-problem':
      return {kind, code, pointer: word, quoted: parseQuoted6(body)}
    default:
      return {kind, code, ...parseBody(body, extended.parse(bytes).quotedEights * 8)}
  }
}

function parseBody(body: Uint8Array, said: number): {quoted: Quoted6; extensions: readonly IcmpExtension[]} {
  // RFC 4884 has 128 bytes at least; a length that is below them, or beyond the message, says nothing.
  const extensions =
    said >= QUOTED_BEFORE_EXTENSIONS && said < body.length ? parseExtensions(body.subarray(said)) : undefined
  if (extensions === undefined) return {quoted: parseQuoted6(body), extensions: []}
  return {quoted: parseQuoted6(withoutFilling(body.subarray(0, said))), extensions}
}

/** A quoted packet without the zeros that fill it up in front of an extension structure. */
function withoutFilling(quoted: Uint8Array): Uint8Array {
  const {header} = parseQuoted6(quoted)
  if (!header) return quoted
  const end = IPV6_LENGTH + header.payloadLength
  const filled = end < quoted.length && quoted.subarray(end).every((byte) => byte === 0)
  return filled ? quoted.subarray(0, end) : quoted
}

/** Bytes that {@link writeIcmpv6Error} fills. */
export const icmpv6ErrorLength = (message: Icmpv6Error): number => withWord.size + bodyOf(message).length

/** Writes an error, its checksum 0; the caller has made {@link icmpv6ErrorLength} bytes of room. */
export function writeIcmpv6Error(message: Icmpv6Error, out: Uint8Array, offset: number): void {
  const start = {type: ICMPV6_ERROR_TYPES[message.kind], code: message.code, checksum: 0}
  const body = bodyOf(message)
  if (message.kind === 'packet-too-big') withWord.write({...start, word: message.mtu}, out, offset)
  else if (message.kind === 'parameter-problem') withWord.write({...start, word: message.pointer}, out, offset)
  else {
    const quotedEights = expectWhole('icmpv6', 'quoted length', body.quotedEights, 0xff, withWord.size)
    extended.write({...start, quotedEights, unused: 0, reserved: 0}, out, offset)
  }
  const at = offset + withWord.size
  out.fill(0, at, at + body.length)
  writeQuoted6(message.quoted, out, at)
  out.set(body.structure, at + body.length - body.structure.length)
}

/** How the body is laid out; `quotedEights` is 0 and the structure empty without extensions. */
function bodyOf(message: Icmpv6Error): {length: number; quotedEights: number; structure: Uint8Array} {
  const bare = quoted6Length(message.quoted)
  const extensions = 'extensions' in message ? message.extensions : []
  if (extensions.length === 0) return {length: bare, quotedEights: 0, structure: NO_BYTES}
  const quotedEights = Math.ceil(Math.max(bare, QUOTED_BEFORE_EXTENSIONS) / 8)
  const structure = serializeExtensions(extensions)
  return {length: quotedEights * 8 + structure.length, quotedEights, structure}
}
