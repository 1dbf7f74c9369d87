// What the interfaces of a host are to the segments of an inventory.
import {prefixContains} from '../../wire/address.ts'
import {allGateways, type Gateway, type Segment} from '../inventory/site.ts'
import type {DoctorFacts, DoctorInterface} from './facts.ts'

/** An interface by which this host is a gateway of the inventory. */
export interface Leg {
  readonly gateway: Gateway
  readonly interface: DoctorInterface
}

/** By the gateway's MAC on an interface here, else by the address that it alone has (a virtual MAC is on no interface, or another). */
export function legsOf({interfaces, inventory}: Pick<DoctorFacts, 'interfaces' | 'inventory'>): readonly Leg[] {
  const known = inventory?.inventory
  if (!known) return []
  const candidates = interfaces.filter(({addresses}) => addresses.length > 0)
  return allGateways(known).flatMap((gateway) => {
    const segment = known.segments.find(({name}) => name === gateway.segment)!
    const on = candidates.filter(({addresses}) => addresses.some(({ip}) => prefixContains(segment.prefix, ip)))
    const found = on.find(({mac}) => mac === gateway.mac) ?? on.find((each) => hasOwn(each, gateway, segment))
    return found ? [{gateway, interface: found}] : []
  })
}

function hasOwn({addresses}: DoctorInterface, {name, ip, ownIp}: Gateway, {gateways}: Segment): boolean {
  const shared = gateways.some((other) => other.name !== name && other.ip === ip)
  const own = ownIp ?? (shared ? undefined : ip)
  return addresses.some((address) => address.ip === own)
}

/** The segments that this host has an address on, and by which interfaces. */
export function stationsOf({interfaces, inventory}: Pick<DoctorFacts, 'interfaces' | 'inventory'>): readonly {
  readonly segment: Segment
  readonly on: readonly DoctorInterface[]
}[] {
  return (inventory?.inventory?.segments ?? []).flatMap((segment) => {
    const on = interfaces.filter(
      ({up, addresses}) => up && addresses.some(({ip}) => prefixContains(segment.prefix, ip)),
    )
    return on.length > 0 ? [{segment, on}] : []
  })
}

/** Bridges with anything on them. */
export const bridgesOf = ({interfaces}: Pick<DoctorFacts, 'interfaces'>): readonly DoctorInterface[] =>
  interfaces.filter(({isBridge, name}) => isBridge && interfaces.some(({bridge}) => bridge === name))
