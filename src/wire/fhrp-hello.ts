// Hellos of first-hop redundancy protocols, as far as they tell who serves which address: VRRP (RFC 3768 section 5.1, RFC
// 5798 section 5.1) and HSRP version 1 (RFC 2281 section 5.1). Read only: gwswitch speaks neither.
import type {Ipv4} from './address.ts'
import {WireError} from './error.ts'
import {ipv4, table, u8, u16} from './table.ts'

/** IP protocol number of VRRP; CARP uses it too. */
export const PROTOCOL_VRRP = 112
/** UDP port of HSRP, version 1 and 2. */
export const HSRP_PORT = 1985

export interface FhrpHello {
  readonly protocol: 'VRRP' | 'HSRP'
  /** VRID or group number. */
  readonly group: number
  readonly priority: number
  /** The addresses that its sender serves, or would serve (HSRP standby). */
  readonly addresses: readonly Ipv4[]
}

interface Vrrp {
  readonly versionType: number
  readonly group: number
  readonly priority: number
  readonly count: number
}
const vrrp = table<Vrrp>('vrrp', {versionType: u8, group: u8, priority: u8, count: u8})
/** Where the addresses begin, in both versions. */
const VRRP_HEADER = 8
/** Of version 2, behind the addresses: RFC 3768 section 5.3.10. */
const VRRP2_AUTHENTICATION = 8

/**
 * Reads a VRRP advertisement in an IPv4 packet. Throws `WireError`: `truncated`, `unsupported` for another version or
 * type, and `malformed` where the length is no advertisement's (CARP: it has the same first byte).
 */
export function parseVrrp(bytes: Uint8Array): FhrpHello {
  const {versionType, group, priority, count} = vrrp.parse(bytes)
  if (versionType !== 0x21 && versionType !== 0x31)
    throw new WireError('vrrp', 'unsupported', 0, `version and type are 0x${versionType.toString(16)}`)
  const length = VRRP_HEADER + 4 * count + (versionType === 0x21 ? VRRP2_AUTHENTICATION : 0)
  if (bytes.length < length) throw new WireError('vrrp', 'truncated', bytes.length, `has ${count} addresses`)
  if (versionType === 0x21 && bytes.length !== length)
    throw new WireError(
      'vrrp',
      'malformed',
      vrrp.offsets.count,
      `${bytes.length} bytes are not those of ${count} addresses`,
    )
  const addresses = Array.from({length: count}, (_, i) => address.parse(bytes.subarray(VRRP_HEADER + 4 * i)).ip)
  return {protocol: 'VRRP', group, priority, addresses}
}

const address = table<{ip: Ipv4}>('vrrp', {ip: ipv4})

interface Hsrp {
  readonly version: number
  readonly opcode: number
  readonly state: number
  readonly helloTime: number
  readonly holdTime: number
  readonly priority: number
  readonly group: number
  readonly reserved: number
  readonly authenticationHigh: number
  readonly authenticationMiddle: number
  readonly authenticationLower: number
  readonly authenticationLow: number
  readonly virtualIp: Ipv4
}
const hsrp = table<Hsrp>('hsrp', {
  ...{version: u8, opcode: u8, state: u8, helloTime: u8, holdTime: u8, priority: u8, group: u8, reserved: u8},
  ...{authenticationHigh: u16, authenticationMiddle: u16, authenticationLower: u16, authenticationLow: u16},
  virtualIp: ipv4,
})

/** Reads a hello of HSRP version 1. Throws `WireError`: `truncated`, `unsupported` for another version or message. */
export function parseHsrp(bytes: Uint8Array): FhrpHello {
  const {version, opcode, priority, group, virtualIp} = hsrp.parse(bytes)
  if (version !== 0 || opcode !== 0) throw new WireError('hsrp', 'unsupported', 0, 'no hello of version 1')
  return {protocol: 'HSRP', group, priority, addresses: [virtualIp]}
}
