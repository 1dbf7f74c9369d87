// What gateways were seen to do, each family by itself. A VM that sends to a dead router is cut off, not switched.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

export type Family = 4 | 6

export const familyOf = (ip: Ipv4 | Ipv6): Family => (ip.includes(':') ? 6 : 4)

/** A gateway of the segment, as evidence names it. */
export interface NamedGateway {
  readonly name: string
  readonly site: string
  readonly ip: Ipv4
  readonly mac: Mac
}

/** What one gateway did when it was asked. JSON. */
export interface GatewaySeen {
  readonly mac: Mac
  /** `self`: it is this host. `elsewhere`: its address is at MACs that the inventory does not know, and its own is silent. */
  readonly resolved: 'yes' | 'self' | 'silent' | 'elsewhere'
  readonly claimedBy: readonly Mac[]
  /**
   * `answers`: an answer came from at least one router beyond it. `refuses`: it says itself that it has no way.
   * `not-asked`: nothing was known to ask for.
   */
  readonly beyond: 'answers' | 'refuses' | 'silent' | 'not-asked'
  /** Who answered, or what was asked for in vain; for people. */
  readonly witness: string
  /** The shortest round trip to the gateway itself, ms. */
  readonly rttMs: number | null
}

/** What a gateway does with the packets of one family. */
export type Beyond = Pick<GatewaySeen, 'beyond' | 'witness'>

/** What the new gateway and the one that is left did when they were asked. JSON. */
export interface GatewaysSeen {
  readonly target: GatewaySeen
  /** The gateway that is left; null where it was not asked. */
  readonly old: GatewaySeen | null
  /** What both do with IPv6 packets; absent where IPv6 is not to move, null where the old one was not asked. */
  readonly target6?: Beyond | undefined
  readonly old6?: Beyond | null | undefined
}

/** Nobody is at its MAC. */
const isAbsent = ({resolved, beyond}: GatewaySeen): boolean =>
  beyond !== 'answers' && (resolved === 'silent' || resolved === 'elsewhere')

/** Whether the gateway is out of order, as far as it was asked: not only silent beyond where nobody answers through any. */
export function isDead(gateway: GatewaySeen, other: GatewaySeen | null): boolean {
  if (gateway.beyond === 'answers') return false
  return (
    isAbsent(gateway) || gateway.beyond === 'refuses' || (gateway.beyond === 'silent' && other?.beyond === 'answers')
  )
}

/** The same of IPv6. What neither of them takes on is no worse than before: it is not called dead, and not served either. */
export function isDead6({target, target6, old6}: GatewaysSeen): boolean {
  if (target6 === undefined || target6.beyond === 'answers') return false
  if (isAbsent(target)) return true
  if (old6?.beyond === 'refuses') return false
  return target6.beyond === 'refuses' || (target6.beyond === 'silent' && old6?.beyond === 'answers')
}

/** Whether a VM that sends one family to the new gateway is served, as far as that gateway goes. */
export function gatewayCode(family: Family, seen: GatewaysSeen): 'served' | 'unverified' | 'target-dead' {
  const beyond = family === 4 ? seen.target.beyond : seen.target6?.beyond
  if (beyond === 'answers') return 'served'
  return (family === 4 ? isDead(seen.target, seen.old) : isDead6(seen)) ? 'target-dead' : 'unverified'
}

/** What the new gateway does with IPv6, for people; empty where that was not asked. */
export function gatewayText6({target6, old6}: GatewaysSeen, {name}: Pick<NamedGateway, 'name'>): string[] {
  if (target6 === undefined) return []
  if (target6.beyond === 'answers') return [`${name} takes IPv6 on: ${target6.witness}`]
  const says = target6.beyond === 'refuses' ? 'takes no IPv6 on' : 'was not seen to take IPv6 on'
  const before = old6
    ? ` (the gateway that is left ${old6.beyond === 'answers' ? 'does' : 'was not seen to either'})`
    : ''
  return [`${name} ${says}: ${target6.witness}${before}`]
}

/** It was seen to take packets on. */
export const forwards = (gateway: GatewaySeen): boolean => gateway.beyond === 'answers'

/** What a gateway did, for people. */
export function gatewayText(gateway: GatewaySeen, {name, ip, mac}: NamedGateway): string {
  if (gateway.resolved === 'elsewhere')
    return `${ip} is at ${gateway.claimedBy.join(' and ')} here, and nobody answers at ${mac}, which the inventory gives ${name}`
  if (gateway.resolved === 'silent' && gateway.beyond !== 'answers')
    return `${name} (${mac}) does not answer: no ARP for ${ip}, nothing beyond it`
  switch (gateway.beyond) {
    case 'answers':
      return `${name} (${mac}) takes packets on: ${gateway.witness}`
    case 'refuses':
      return `${name} (${mac}) takes nothing on: ${gateway.witness}`
    case 'silent':
      return `${name} (${mac}) answers, but nothing beyond it does: ${gateway.witness}`
    case 'not-asked':
      return `nothing beyond ${name} (${mac}) could be asked for: ${gateway.witness}`
  }
}
