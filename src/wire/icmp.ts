// ICMP for IPv4: echo, the errors that routers send, redirects (RFC 792, RFC 1191, RFC 4884).
import type {Ipv4} from './address.ts'
import {checksum, writeChecksum} from './checksum.ts'
import {WireError} from './error.ts'
import {type IcmpExtension, parseExtensions, serializeExtensions} from './icmp-extensions.ts'
import {copyBytes, NO_BYTES, zeros} from './memory.ts'
import {parseQuoted, type Quoted, quotedLength, writeQuoted} from './quote.ts'
import {ipv4, bytes as raw, table, u8, u16} from './table.ts'

const ICMP_ECHO_REPLY = 0
export const ICMP_DESTINATION_UNREACHABLE = 3
export const ICMP_REDIRECT = 5
const ICMP_ECHO_REQUEST = 8
export const ICMP_TIME_EXCEEDED = 11

export const UNREACHABLE_PORT = 3
/** @internal */
export const UNREACHABLE_FRAGMENTATION_NEEDED = 4

export interface IcmpEcho {
  readonly kind: 'echo-request' | 'echo-reply'
  readonly identifier: number
  readonly sequence: number
  readonly payload: Uint8Array
}

export interface IcmpTimeExceeded {
  readonly kind: 'time-exceeded'
  /** 0: TTL in transit, 1: fragment reassembly. */
  readonly code: number
  readonly quoted: Quoted
  /** Objects of the RFC 4884 extension structure; empty if there is none. */
  readonly extensions: readonly IcmpExtension[]
}

export interface IcmpDestinationUnreachable {
  readonly kind: 'destination-unreachable'
  readonly code: number
  readonly quoted: Quoted
  readonly extensions: readonly IcmpExtension[]
  /** Bytes, with code 4 only (RFC 1191); 0 from routers that do not say. */
  readonly nextHopMtu?: number
}

export interface IcmpRedirect {
  readonly kind: 'redirect'
  /** 0: for the network, 1: for the host; 2 and 3 the same for one type of service. */
  readonly code: number
  /** Where to send the quoted packet's destination from now on. */
  readonly gateway: Ipv4
  readonly quoted: Quoted
}

/** Any type and code that has no kind of its own; `rest` is everything behind the checksum, 4 bytes at least. */
export interface IcmpOther {
  readonly kind: 'other'
  readonly type: number
  readonly code: number
  readonly rest: Uint8Array
}

export type IcmpError = IcmpTimeExceeded | IcmpDestinationUnreachable
export type Icmp = IcmpEcho | IcmpError | IcmpRedirect | IcmpOther

interface Header {
  readonly type: number
  readonly code: number
  readonly checksum: number
}

interface EchoHeader extends Header {
  readonly identifier: number
  readonly sequence: number
}

interface ErrorHeader extends Header {
  readonly unused: number
  /** Length of the quoted packet in 4-byte words if an extension structure follows it (RFC 4884 4.1), else 0. */
  readonly quotedWords: number
  readonly nextHopMtu: number
}

interface RedirectHeader extends Header {
  readonly gateway: Ipv4
}

interface OtherHeader extends Header {
  readonly rest: Uint8Array
}

const header = {type: u8, code: u8, checksum: u16}
const echo = table<EchoHeader>('icmp', {...header, identifier: u16, sequence: u16})
const error = table<ErrorHeader>('icmp', {...header, unused: u8, quotedWords: u8, nextHopMtu: u16})
const redirect = table<RedirectHeader>('icmp', {...header, gateway: ipv4})
const other = table<OtherHeader>('icmp', {...header, rest: raw(4)})

/** Bytes that a quoted packet is filled up to before an extension structure (RFC 4884 4.6). */
const QUOTED_BEFORE_EXTENSIONS = 128

/**
 * Reads a message; it ends where `bytes` end. The result shares no memory with them.
 * Throws `WireError`: `truncated` below 8 bytes, `malformed` if the checksum is wrong, which is also how a message that
 * was cut shows itself. What an error quotes is read tolerantly: see {@link Quoted}.
 */
export function parseIcmp(bytes: Uint8Array): Icmp {
  const {type, code, rest} = other.parse(bytes)
  if (checksum(bytes) !== 0) throw new WireError('icmp', 'malformed', other.offsets.checksum, 'checksum is wrong')
  const kind = kindOf(type, code)
  switch (kind) {
    case 'echo-request':
    case 'echo-reply': {
      const {identifier, sequence} = echo.parse(bytes)
      return {kind, identifier, sequence, payload: copyBytes(bytes, echo.size)}
    }
    case 'time-exceeded':
      return {kind, code, ...parseErrorBody(bytes)}
    case 'destination-unreachable': {
      const {nextHopMtu} = error.parse(bytes)
      const body = parseErrorBody(bytes)
      return code === UNREACHABLE_FRAGMENTATION_NEEDED ? {kind, code, ...body, nextHopMtu} : {kind, code, ...body}
    }
    case 'redirect':
      return {kind, code, gateway: redirect.parse(bytes).gateway, quoted: parseQuoted(bytes.subarray(redirect.size))}
    default:
      return {kind, type, code, rest: bytes.length === other.size ? rest : copyBytes(bytes, other.offsets.rest)}
  }
}

function kindOf(type: number, code: number): Icmp['kind'] {
  if (type === ICMP_ECHO_REQUEST && code === 0) return 'echo-request'
  if (type === ICMP_ECHO_REPLY && code === 0) return 'echo-reply'
  if (type === ICMP_TIME_EXCEEDED) return 'time-exceeded'
  if (type === ICMP_DESTINATION_UNREACHABLE) return 'destination-unreachable'
  if (type === ICMP_REDIRECT) return 'redirect'
  return 'other'
}

function parseErrorBody(bytes: Uint8Array): {quoted: Quoted; extensions: readonly IcmpExtension[]} {
  const body = bytes.subarray(error.size)
  const said = error.parse(bytes).quotedWords * 4
  // RFC 4884 4.1 has 128 bytes at least; a length that is below them, or beyond the message, says nothing.
  const length = said >= QUOTED_BEFORE_EXTENSIONS && said < body.length ? said : body.length
  // Routers older than RFC 4884 leave the length 0 and put the structure behind 128 bytes; 5.5 there has us look.
  for (const [end, at] of [
    [body.length, length],
    [length, QUOTED_BEFORE_EXTENSIONS],
  ] as const) {
    const extensions = at < end ? parseExtensions(body.subarray(at, end)) : undefined
    if (extensions) return {quoted: parseQuoted(withoutFilling(body.subarray(0, at))), extensions}
  }
  return {quoted: parseQuoted(body.subarray(0, length)), extensions: []}
}

/** A quoted packet without the zeros that fill it up in front of an extension structure, if it says where it ends. */
function withoutFilling(quoted: Uint8Array): Uint8Array {
  const {header: quotedHeader, payload} = parseQuoted(quoted)
  if (!quotedHeader) return quoted
  const {totalLength} = quotedHeader
  const filled = totalLength >= quoted.length - payload.length && totalLength < quoted.length
  return filled && quoted.subarray(totalLength).every((byte) => byte === 0) ? quoted.subarray(0, totalLength) : quoted
}

/** The bytes of a message, with its checksum. Throws `WireError`, reason `out-of-range`. */
export function serializeIcmp(message: Icmp): Uint8Array {
  const out = zeros(icmpLength(message))
  writeIcmp(message, out, 0)
  return out
}

/** Bytes that {@link writeIcmp} fills. */
export function icmpLength(message: Icmp): number {
  switch (message.kind) {
    case 'echo-request':
    case 'echo-reply':
      return echo.size + message.payload.length
    case 'redirect':
      return redirect.size + quotedLength(message.quoted)
    case 'other':
      return other.offsets.rest + message.rest.length
    default:
      return error.size + errorBody(message).length
  }
}

/** Writes a message into `out` at `offset`; the caller has made {@link icmpLength} bytes of room. */
export function writeIcmp(message: Icmp, out: Uint8Array, offset: number): void {
  const length = icmpLength(message)
  switch (message.kind) {
    case 'echo-request':
    case 'echo-reply': {
      const {kind, identifier, sequence, payload} = message
      const type = kind === 'echo-request' ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY
      echo.write({type, code: 0, checksum: 0, identifier, sequence}, out, offset)
      out.set(payload, offset + echo.size)
      break
    }
    case 'redirect': {
      const {code, gateway, quoted} = message
      redirect.write({type: ICMP_REDIRECT, code, checksum: 0, gateway}, out, offset)
      writeQuoted(quoted, out, offset + redirect.size)
      break
    }
    case 'other':
      writeOther(message, out, offset)
      break
    default:
      writeError(message, out, offset)
  }
  writeChecksum(checksum(out, offset, offset + length), out, offset + other.offsets.checksum)
}

function writeOther({type, code, rest}: IcmpOther, out: Uint8Array, offset: number): void {
  if (rest.length < 4) throw new WireError('icmp', 'out-of-range', other.offsets.rest, 'rest is below 4 bytes')
  const kind = kindOf(type, code)
  if (kind !== 'other') throw new WireError('icmp', 'out-of-range', 0, `type ${type} is written as kind ${kind}`)
  other.write({type, code, checksum: 0, rest: rest.subarray(0, 4)}, out, offset)
  out.set(rest, offset + other.offsets.rest)
}

function writeError(message: IcmpError, out: Uint8Array, offset: number): void {
  const time = message.kind === 'time-exceeded'
  const nextHopMtu = time ? undefined : message.nextHopMtu
  if (nextHopMtu !== undefined && message.code !== UNREACHABLE_FRAGMENTATION_NEEDED) {
    throw new WireError('icmp', 'out-of-range', error.offsets.nextHopMtu, 'nextHopMtu goes with code 4 only')
  }
  const body = errorBody(message)
  error.write(
    {
      type: time ? ICMP_TIME_EXCEEDED : ICMP_DESTINATION_UNREACHABLE,
      code: message.code,
      checksum: 0,
      unused: 0,
      quotedWords: body.quotedWords,
      nextHopMtu: nextHopMtu ?? 0,
    },
    out,
    offset,
  )
  out.fill(0, offset + error.size, offset + error.size + body.length)
  writeQuoted(message.quoted, out, offset + error.size)
  out.set(body.structure, offset + error.size + body.length - body.structure.length)
}

/** How the body of an error is laid out; `quotedWords` is 0 and the structure empty without extensions. */
function errorBody({quoted, extensions}: IcmpError): {length: number; quotedWords: number; structure: Uint8Array} {
  const bare = quotedLength(quoted)
  if (extensions.length === 0) return {length: bare, quotedWords: 0, structure: NO_BYTES}
  const quotedWords = Math.ceil(Math.max(bare, QUOTED_BEFORE_EXTENSIONS) / 4)
  const structure = serializeExtensions(extensions)
  return {length: quotedWords * 4 + structure.length, quotedWords, structure}
}
