// How a VM learns where it is, and says so: the beacon that a site's controller broadcasts, and the note by which an agent
// asks for the gateway of the site it finds itself in. Neither is an order: an agent obeys commands only.
import type {Ipv4, Mac} from './address.ts'
import {
  type Admission,
  COMMON_FIELDS,
  type FieldCheck,
  isAgentId,
  type KeyLookup,
  listOf,
  type MessageKind,
  NOTE_PORT,
  type Opened,
  oneOf,
  openMessage,
  type SigningKey,
  signMessage,
  textLike,
} from './agent-jws.ts'
import {readEndpoint} from './endpoint.ts'

export const BEACON_TYP = 'gwsw-bcn+jws'
/** @internal */
export const NOTE_TYP = 'gwsw-note+jws'
/** Controllers that one beacon may name. */
const ASK_LIMIT = 2

/** What a site says of itself on a segment, signed by the site's key. Field names are those on the wire. */
export interface SiteBeacon {
  readonly v: 1
  readonly site: string
  readonly segment?: string
  /** Issued at and expires, in whole seconds since 1970. `exp - iat` is for how long it says that the site is here. */
  readonly iat: number
  readonly exp: number
  /** Grows from beacon to beacon under one key. */
  readonly seq: number
  /** The site's gateways on this segment; one of them at least. */
  readonly gw4?: Ipv4
  readonly gw6?: string
  /** Where notes go, `address:port`; the first one that answers by a command is enough. */
  readonly ask?: readonly string[]
}

export const NOTE_REASONS = ['notify_peers', 'beacons', 'gateway_lost'] as const
/**
 * `notify_peers`: the VM's NIC announced itself. `beacons`: another site than before is the only or the nearest one.
 * `gateway_lost`: the gateway that was confirmed is not the one in use any more.
 */
export type NoteReason = (typeof NOTE_REASONS)[number]

/** What a VM that was moved says, signed by its own key. */
export interface AgentNote {
  readonly v: 1
  readonly vm: string
  /** The NIC of its default route. */
  readonly mac?: Mac
  /** Grows from note to note. */
  readonly seq: number
  /** Seconds since 1970, by the VM's clock. */
  readonly iat: number
  /** 96 bits, base64url: 16 characters. */
  readonly nonce: string
  /** The gateways in use. */
  readonly gw4?: Ipv4
  readonly gw6?: string
  readonly why: NoteReason
  /** Where it believes to be; absent if it could not find out. */
  readonly site?: string
}

/** Compact JWS of a beacon. Throws {@link WireError}: `out-of-range` for a field that is none, or if it is too long. */
export const signBeacon = (beacon: SiteBeacon, key: SigningKey): string => signMessage(BEACON, beacon, key)

/** Compact JWS of a note. Throws {@link WireError} like {@link signBeacon}. */
export const signNote = (note: AgentNote, key: SigningKey): string => signMessage(NOTE, note, key)

/** Reads and verifies a beacon, as the agent does. Whether it is fresh, and may say so, is for the caller. */
export const openBeacon = (bytes: Uint8Array, keyOf: KeyLookup, admits?: Admission): Opened<SiteBeacon> =>
  openMessage(BEACON, bytes, keyOf, admits)

/** Reads and verifies a note, as a controller does. The caller compares `vm` with whose key it was. */
export const openNote = (bytes: Uint8Array, keyOf: KeyLookup, admits?: Admission): Opened<AgentNote> =>
  openMessage(NOTE, bytes, keyOf, admits)

const CHECKS: Readonly<Record<string, FieldCheck>> = {
  ...COMMON_FIELDS,
  segment: textLike(isAgentId),
  ask: listOf(
    ASK_LIMIT,
    textLike((text) => readEndpoint(text, NOTE_PORT) !== undefined),
  ),
  why: oneOf(NOTE_REASONS),
}

const BEACON: MessageKind = {
  typ: BEACON_TYP,
  needs: ['v', 'site', 'iat', 'exp', 'seq'],
  may: ['segment', 'gw4', 'gw6', 'ask'],
  checks: CHECKS,
  also(value) {
    const {gw4, gw6} = value as SiteBeacon
    return gw4 === undefined && gw6 === undefined ? 'a beacon names gw4 or gw6' : undefined
  },
}
const NOTE: MessageKind = {
  typ: NOTE_TYP,
  needs: ['v', 'vm', 'seq', 'iat', 'nonce', 'why'],
  may: ['mac', 'gw4', 'gw6', 'site'],
  checks: CHECKS,
}
