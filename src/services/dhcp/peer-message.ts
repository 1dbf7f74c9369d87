// What two DHCP servers of one segment say to each other, a line of JSON each: here is what I was told, and taken.
import type {Directive} from '../../domain/dhcp/lease.ts'
import {MOST_SEQUENCE} from '../../domain/dhcp/replication.ts'
import type {Share} from '../../domain/dhcp/serve-request.ts'
import {Failure} from '../../errors.ts'
import {flag, list, optional, readJson, record, type Shape, shaped, text} from '../../net/json-shape.ts'
import {type Ipv4, isIpv4, isMac} from '../../wire/address.ts'

/** Bytes; a page of directives with the longest names is a quarter of it. */
export const PEER_LINE_LIMIT = 1 << 20
/** Directives in one message. */
export const PEER_PAGE = 200

/** Who speaks: two servers that share directives agree on the segment, and on nothing else. */
export interface PeerSelf {
  readonly server: Ipv4
  readonly segment: string
  /** The half of the pools that it gives out; undefined: it has none. */
  readonly share?: Share | undefined
}

/** A directive as it goes to the other server. */
export interface Told {
  readonly directive: Directive
  /**
   * Make the client ask if your lease is younger: when it last asked the sender, ms since 1970, 0 if its lease is of no
   * use for that. Undefined: do not.
   */
  readonly askSinceMs?: number | undefined
}

export interface PeerRequest {
  readonly self: PeerSelf
  readonly told: readonly Told[]
}

/** All of it is durable; or why it was not taken. */
export type PeerAnswer = {readonly ok: true} | {readonly ok: false; readonly error: string}

const like =
  (holds: (value: string) => boolean, want: string): Shape<string> =>
  (value) =>
    typeof value === 'string' && holds(value) ? undefined : ` is no ${want}`
const name = like((value) => value !== '' && value.length < 256, 'name of 1 to 255 characters')
const site = like((value) => value.length < 256, 'name of 255 characters at most')
/** A sequence, or ms since 1970: other numbers do not come back from JSON as they were. */
const whole: Shape<number> = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_SEQUENCE
    ? undefined
    : ' is no whole number'
const ipv4 = like(isIpv4, 'IPv4 address')

const REQUEST = record({
  self: record({server: ipv4, segment: name, share: optional(like((value) => /^[12]\/2$/.test(value), 'share'))}),
  told: list(
    record({
      directive: record({
        ...{segment: name, mac: like(isMac, 'MAC'), site: optional(name), inventorySite: optional(site), nak: flag},
        version: record({sequence: whole, origin: ipv4}),
      }),
      askSinceMs: optional(whole),
    }),
  ),
})

/** @throws Failure `runtime` that says what is wrong with it. */
export function readPeerRequest(line: string): PeerRequest {
  const {self, told} = readJson(line, 'the peer', REQUEST)
  if (told.length > PEER_PAGE) throw new Failure('runtime', `the peer: more than ${PEER_PAGE} directives`)
  return {
    self: self as PeerSelf,
    told: told.map(({directive: {segment, mac, site: place, inventorySite, nak, version}, askSinceMs}) => ({
      // What else it has is not ours to store: where the sender's inventory had it is of the sender alone.
      directive: {segment, mac, site: place, inventorySite, nak, version},
      askSinceMs,
    })),
  }
}

const ANSWER = record({ok: flag, error: optional(text)})

/** @throws Failure `refused` if it did not take what it was told, `runtime` for no answer of ours. */
export function checkPeerAnswer(answer: unknown): void {
  const {ok, error = ''} = shaped(answer, 'the peer', ANSWER)
  if (!ok) throw new Failure('refused', `it takes nothing: ${error}`)
}

/** Why two servers cannot be the two of a segment; undefined if they can. */
export function misfit(own: PeerSelf, other: PeerSelf): string | undefined {
  if (own.server === other.server) return `both call themselves ${own.server}`
  if (own.segment !== other.segment)
    return `one serves segment ${own.segment}, the other ${other.segment}: name it with --segment`
  if (own.share !== undefined && own.share === other.share) return `both give out the share ${own.share} of the pools`
  return undefined
}
