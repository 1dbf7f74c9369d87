// The envelope of all that controllers and agents say: compact JWS (RFC 7515), signed with Ed25519 (RFC 8032) under the
// fully specified algorithm name of RFC 9864, one message in one UDP datagram. Every kind has a `typ` of its own and a
// closed list of fields. Behind the JWS there may be a tag (agent-tag.ts), by which floods are told from messages.
import {type KeyObject, sign, verify} from 'node:crypto'
import {isIpv4, isMac} from './address.ts'
import {isTagOf, TAG_LENGTH, tagText} from './agent-tag.ts'
import {WireError} from './error.ts'
import {isIpv6} from './ipv6-address.ts'

/** UDP port of the agent: commands and beacons come there. */
export const AGENT_PORT = 6742
/** UDP port of a site's controller: agents' notes come there. */
export const NOTE_PORT = 6743
/** Bytes of the longest message that is looked at. */
export const AGENT_MESSAGE_LIMIT = 2048
/** The only algorithm; `EdDSA` is refused, as RFC 9864 deprecates it. */
const AGENT_ALG = 'Ed25519'

/** Why a message gets no answer: whoever sent it has not shown that they may ask. */
export const SILENT_REASONS = [
  'oversized',
  'malformed',
  'wrong_alg',
  'unknown_key',
  'bad_tag',
  'bad_signature',
  'wrong_typ',
  'flooded',
] as const
export type SilentReason = (typeof SILENT_REASONS)[number]

/** A private key and the name under which others know its public half. */
export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
}

/** The public key of a kid; undefined for one that is not trusted. */
export type KeyLookup = (kid: string) => KeyObject | undefined

/** A message of a known key, before its signature is checked. */
export interface Claim {
  readonly kid: string
  /** Its tag, which is right; undefined without one. */
  readonly tag: string | undefined
}
/** Whether the signature of such a message may be checked now: that is what a flood would make us do. */
export type Admission = (claim: Claim) => boolean

/** A message whose signature was checked, or why it was not one. */
export type Opened<T> =
  | {readonly ok: true; readonly kid: string; readonly message: T}
  /** Unauthenticated: say nothing. */
  | {readonly ok: false; readonly authenticated: false; readonly reason: SilentReason}
  /** Signed by `kid`, but no valid message. */
  | {
      readonly ok: false
      readonly authenticated: true
      readonly kid: string
      readonly problem: string
      readonly payload: object
    }

/** What a kind of message is. */
export interface MessageKind {
  /** Of the protected header: no kind can ever be taken for another. */
  readonly typ: string
  readonly needs: readonly string[]
  readonly may: readonly string[]
  /** What each of these fields must be. */
  readonly checks: Readonly<Record<string, FieldCheck>>
  /** What no field shows by itself; asked once every field is right. */
  readonly also?: (value: object) => string | undefined
}

const ID = /^[\w.:-]{1,64}$/
const NONCE = /^[\w-]{16}$/
const BASE64URL = /^[\w-]*$/
const LAYER = 'agent message'

/** Ids of VMs, keys, sites and runs: 1 to 64 letters, digits, `.`, `_`, `:`, `-`. */
export const isAgentId = (text: string): boolean => ID.test(text)

/** Compact JWS. Throws {@link WireError}: `out-of-range` for a field that is none, or if it is too long. */
export function signMessage(kind: MessageKind, payload: object, {kid, privateKey}: SigningKey): string {
  const wrong = messageProblem(kind, payload)
  if (wrong !== undefined) throw new WireError(LAYER, 'out-of-range', 0, wrong)
  const input = `${encode({alg: AGENT_ALG, kid, typ: kind.typ})}.${encode(payload)}`
  const token = `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`
  if (token.length > AGENT_MESSAGE_LIMIT) {
    throw new WireError(LAYER, 'out-of-range', 0, `${token.length} bytes, more than ${AGENT_MESSAGE_LIMIT}`)
  }
  return token
}

/**
 * A message with a tag, for whoever may be flooded; the message alone where there is no room for one. An agent before
 * 0.2 takes messages without tags only.
 */
export function withTag(token: string, {privateKey}: SigningKey): string {
  const tagged = `${token}.${tagText(token, privateKey)}`
  return tagged.length > AGENT_MESSAGE_LIMIT ? token : tagged
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/**
 * Reads and verifies a message. Never throws. Checks size and form, alg, kid, typ, tag, `admits`, signature, fields, in
 * this order: what costs more comes later.
 */
export function openMessage<T>(
  kind: MessageKind,
  bytes: Uint8Array,
  keyOf: KeyLookup,
  admits: Admission = () => true,
): Opened<T> {
  const silent = (reason: SilentReason) => ({ok: false, authenticated: false, reason}) as const
  const parts = partsOf(bytes)
  if (typeof parts === 'string') return silent(parts)
  const {header, signed, body, signature, tag} = parts
  if (header.alg !== AGENT_ALG) return silent('wrong_alg')
  const {kid} = header
  const key = typeof kid === 'string' ? keyOf(kid) : undefined
  if (key === undefined) return silent('unknown_key')
  if (header.typ !== kind.typ) return silent('wrong_typ')
  if (tag !== undefined && !isTagOf(tag, `${signed}.${signature}`, key)) return silent('bad_tag')
  if (!admits({kid: kid as string, tag})) return silent('flooded')
  if (!verify(null, Buffer.from(signed), key, Buffer.from(signature, 'base64url'))) return silent('bad_signature')
  const payload = decode(body)
  if (payload === undefined) return silent('malformed')
  const problem = messageProblem(kind, payload)
  if (problem === undefined) return {ok: true, kid: kid as string, message: payload as T}
  return {ok: false, authenticated: true, kid: kid as string, problem, payload}
}

/** The `typ` that a message claims, unchecked: for whoever must choose who opens it. Undefined if it claims none. */
export function claimedTyp(bytes: Uint8Array): string | undefined {
  const parts = partsOf(bytes)
  const typ = typeof parts === 'string' ? undefined : parts.header.typ
  return typeof typ === 'string' ? typ : undefined
}

/** What a signature is over; undefined of what is no message. Its own encoding, and the tag, are no part of what was said. */
export function signedPart(bytes: Uint8Array): string | undefined {
  const parts = partsOf(bytes)
  return typeof parts === 'string' ? undefined : parts.signed
}

interface Header {
  readonly alg?: unknown
  readonly kid?: unknown
  readonly typ?: unknown
}

interface Parts {
  readonly header: Header
  readonly body: string
  /** Header and payload, as they were signed. */
  readonly signed: string
  readonly signature: string
  readonly tag: string | undefined
}

/** Characters of 64 bytes in base64url: what has a signature of another length is no message, whoever sent it. */
export const SIGNATURE_LENGTH = 86

/** Lengths and form, or what is wrong with them. */
function partsOf(bytes: Uint8Array): Parts | SilentReason {
  if (bytes.length > AGENT_MESSAGE_LIMIT) return 'oversized'
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1').trimEnd()
  const [head, body, signature, tag, ...more] = text.split('.')
  if (head === undefined || body === undefined || signature?.length !== SIGNATURE_LENGTH) return 'malformed'
  if (more.length > 0 || (tag !== undefined && tag.length !== TAG_LENGTH)) return 'malformed'
  if (!BASE64URL.test(signature) || !BASE64URL.test(body)) return 'malformed'
  const header = headerOf(head)
  if (header === undefined) return 'malformed'
  return {header, body, signature, tag, signed: `${head}.${body}`}
}

/** Headers are few, and all messages of a key have the same. */
const headers = new Map<string, Header | undefined>()
const HEADERS_KEPT = 256

function headerOf(head: string): Header | undefined {
  if (headers.has(head)) return headers.get(head)
  const header = BASE64URL.test(head) ? decode(head) : undefined
  const known = header && Object.keys(header).every((name) => ['alg', 'kid', 'typ'].includes(name)) ? header : undefined
  if (headers.size >= HEADERS_KEPT) headers.clear()
  headers.set(head, known)
  return known
}

function decode(part: string): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

export type FieldCheck = (value: unknown) => boolean

export const oneOf =
  (words: readonly string[]): FieldCheck =>
  (value) =>
    typeof value === 'string' && words.includes(value)
export const textLike =
  (fits: (text: string) => boolean): FieldCheck =>
  (value) =>
    typeof value === 'string' && fits(value)
export const wholeTo =
  (max: number): FieldCheck =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
export const listOf =
  (max: number, fits: FieldCheck): FieldCheck =>
  (value) =>
    Array.isArray(value) && value.length <= max && value.every(fits)
export const isAddressText = (text: string): boolean => isIpv4(text) || isIpv6(text)

/** What the fields that several kinds have must be. */
export const COMMON_FIELDS: Readonly<Record<string, FieldCheck>> = {
  v: (value) => value === 1,
  vm: textLike(isAgentId),
  mac: textLike(isMac),
  seq: wholeTo(Number.MAX_SAFE_INTEGER),
  iat: wholeTo(1e11),
  exp: wholeTo(1e11),
  nonce: textLike((text) => NONCE.test(text)),
  site: textLike(isAgentId),
  gw4: textLike(isIpv4),
  gw6: textLike(isIpv6),
}

/** What is wrong with a message's fields. What is not listed is refused: what is not understood is not obeyed in part. */
function messageProblem({needs, may, also, checks}: MessageKind, value: object): string | undefined {
  const fields = value as Readonly<Record<string, unknown>>
  for (const name of needs) if (fields[name] === undefined) return `${name} is missing`
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue
    if (!needs.includes(name) && !may.includes(name)) return `${name.slice(0, 40)} is not a field of it`
    if (!checks[name]!(field)) return `${name} ${JSON.stringify(field)?.slice(0, 60)} is out of range`
  }
  return also?.(value)
}
