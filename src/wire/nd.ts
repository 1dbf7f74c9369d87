// Neighbour Discovery for IPv6 (RFC 4861): solicitations, advertisements, redirects. What they ride on is in icmpv6.ts.

import {expectWhole} from './error.ts'
import {type Ipv6, ipv6Bytes, ipv6Text} from './ipv6-address.ts'
import {type NdOption, ndOptionsLength, parseNdOptions, serializeNdOptions} from './nd-options.ts'
import {bytes as raw, table, u8, u16, u32} from './table.ts'

const ND_ROUTER_SOLICITATION = 133
const ND_ROUTER_ADVERTISEMENT = 134
const ND_NEIGHBOUR_SOLICITATION = 135
const ND_NEIGHBOUR_ADVERTISEMENT = 136
export const ND_REDIRECT = 137
/** RFC 4861: a message with any other hop limit came from off the link, and is ignored. */
export const ND_HOP_LIMIT = 255

export interface RouterSolicitation {
  readonly kind: 'router-solicitation'
  readonly options: readonly NdOption[]
}

export interface RouterAdvertisement {
  readonly kind: 'router-advertisement'
  /** 0: unspecified by this router. */
  readonly currentHopLimit: number
  /** Addresses by DHCPv6 (M). */
  readonly managed: boolean
  /** Other configuration by DHCPv6 (O). */
  readonly otherConfiguration: boolean
  /** RFC 4191: default router preference. */
  readonly preference: 'low' | 'medium' | 'high'
  /** Seconds as a default router; 0: no default router (any more). */
  readonly routerLifetime: number
  /** Milliseconds; 0: unspecified. */
  readonly reachableTime: number
  /** Milliseconds; 0: unspecified. */
  readonly retransmitTimer: number
  readonly options: readonly NdOption[]
}

export interface NeighbourSolicitation {
  readonly kind: 'neighbour-solicitation'
  readonly target: Ipv6
  readonly options: readonly NdOption[]
}

export interface NeighbourAdvertisement {
  readonly kind: 'neighbour-advertisement'
  /** R: the sender is a router. Going from 1 to 0, it removes the receiver's default route. */
  readonly router: boolean
  /** S: answers a solicitation. */
  readonly solicited: boolean
  /** O: overrides the link-layer address that the receiver holds. */
  readonly override: boolean
  readonly target: Ipv6
  readonly options: readonly NdOption[]
}

export interface NdRedirect {
  readonly kind: 'redirect'
  /** A better first hop (its link-local address), or the destination itself where that is on-link. */
  readonly target: Ipv6
  readonly destination: Ipv6
  readonly options: readonly NdOption[]
}

export type NdMessage =
  | RouterSolicitation
  | RouterAdvertisement
  | NeighbourSolicitation
  | NeighbourAdvertisement
  | NdRedirect

interface Head {
  readonly type: number
  readonly code: number
  readonly checksum: number
}

const head = {type: u8, code: u8, checksum: u16}
const solicitation = table<Head & {reserved: number}>('nd', {...head, reserved: u32})
const routerAdvertisement = table<
  Head & {
    currentHopLimit: number
    flags: number
    routerLifetime: number
    reachableTime: number
    retransmitTimer: number
  }
>('nd', {...head, currentHopLimit: u8, flags: u8, routerLifetime: u16, reachableTime: u32, retransmitTimer: u32})
const neighbour = table<Head & {flags: number; target: Uint8Array}>('nd', {...head, flags: u32, target: raw(16)})
const redirect = table<Head & {reserved: number; target: Uint8Array; destination: Uint8Array}>('nd', {
  ...head,
  reserved: u32,
  target: raw(16),
  destination: raw(16),
})

const MANAGED = 0x80
const OTHER = 0x40
const ROUTER = 0x8000_0000
const SOLICITED = 0x4000_0000
const OVERRIDE = 0x2000_0000
/** RFC 4191 2.2: 11 is low, 10 reserved and to be read as medium. */
const PREFERENCES = ['medium', 'high', 'medium', 'low'] as const

/** The kind of a message of this type; undefined if it is none of Neighbour Discovery. */
export const ndKind = (type: number): NdMessage['kind'] | undefined => KINDS.get(type)

/** Whether a message of ICMPv6 is one of Neighbour Discovery. */
export const isNd = ({kind}: {readonly kind: string}): boolean => Object.hasOwn(TYPES, kind)

const TYPES: Readonly<Record<NdMessage['kind'], number>> = {
  'router-solicitation': ND_ROUTER_SOLICITATION,
  'router-advertisement': ND_ROUTER_ADVERTISEMENT,
  'neighbour-solicitation': ND_NEIGHBOUR_SOLICITATION,
  'neighbour-advertisement': ND_NEIGHBOUR_ADVERTISEMENT,
  redirect: ND_REDIRECT,
}
const KINDS = new Map(Object.entries(TYPES).map(([kind, type]) => [type, kind as NdMessage['kind']]))
const LAYOUTS = {
  'router-solicitation': solicitation,
  'router-advertisement': routerAdvertisement,
  'neighbour-solicitation': neighbour,
  'neighbour-advertisement': neighbour,
  redirect,
} as const

/**
 * Reads a message whose checksum is right. Throws `WireError`: `truncated`, `malformed` (an option of length 0), their
 * offsets counted from the start of the message, or of its options.
 */
export function parseNd(kind: NdMessage['kind'], bytes: Uint8Array): NdMessage {
  LAYOUTS[kind].parse(bytes)
  const options = parseNdOptions(bytes.subarray(LAYOUTS[kind].size))
  switch (kind) {
    case 'router-solicitation':
      return {kind, options}
    case 'router-advertisement': {
      const {currentHopLimit, flags, routerLifetime, reachableTime, retransmitTimer} = routerAdvertisement.parse(bytes)
      const [managed, otherConfiguration] = [(flags & MANAGED) !== 0, (flags & OTHER) !== 0]
      const preference = PREFERENCES[(flags >>> 3) & 3]!
      return {
        kind,
        currentHopLimit,
        managed,
        otherConfiguration,
        preference,
        routerLifetime,
        reachableTime,
        retransmitTimer,
        options,
      }
    }
    case 'neighbour-solicitation':
      return {kind, target: ipv6Text(neighbour.parse(bytes).target), options}
    case 'neighbour-advertisement': {
      const {flags, target} = neighbour.parse(bytes)
      const has = (bit: number): boolean => (flags & bit) !== 0
      return {
        kind,
        router: has(ROUTER),
        solicited: has(SOLICITED),
        override: has(OVERRIDE),
        target: ipv6Text(target),
        options,
      }
    }
    case 'redirect': {
      const {target, destination} = redirect.parse(bytes)
      return {kind, target: ipv6Text(target), destination: ipv6Text(destination), options}
    }
  }
}

/** Bytes that {@link writeNd} fills. */
export const ndLength = (message: NdMessage): number => LAYOUTS[message.kind].size + ndOptionsLength(message.options)

/** Writes a message, its checksum 0; the caller has made {@link ndLength} bytes of room. */
export function writeNd(message: NdMessage, out: Uint8Array, offset: number): void {
  const type = TYPES[message.kind]
  const start = {type, code: 0, checksum: 0}
  switch (message.kind) {
    case 'router-solicitation':
      solicitation.write({...start, reserved: 0}, out, offset)
      break
    case 'router-advertisement': {
      const {currentHopLimit, managed, otherConfiguration, preference, routerLifetime, reachableTime, retransmitTimer} =
        message
      const flags =
        (managed ? MANAGED : 0) | (otherConfiguration ? OTHER : 0) | ({low: 3, medium: 0, high: 1}[preference] << 3)
      routerAdvertisement.write(
        {...start, currentHopLimit, flags, routerLifetime, reachableTime, retransmitTimer},
        out,
        offset,
      )
      break
    }
    case 'neighbour-solicitation':
      neighbour.write({...start, flags: 0, target: ipv6Bytes(message.target)}, out, offset)
      break
    case 'neighbour-advertisement': {
      const flags =
        (message.router ? ROUTER : 0) + (message.solicited ? SOLICITED : 0) + (message.override ? OVERRIDE : 0)
      expectWhole('nd', 'flags', flags, 0xffff_ffff)
      neighbour.write({...start, flags, target: ipv6Bytes(message.target)}, out, offset)
      break
    }
    case 'redirect': {
      const [target, destination] = [ipv6Bytes(message.target), ipv6Bytes(message.destination)]
      redirect.write({...start, reserved: 0, target, destination}, out, offset)
    }
  }
  out.set(serializeNdOptions(message.options), offset + LAYOUTS[message.kind].size)
}
