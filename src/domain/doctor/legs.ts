// What the interfaces of a host are to the segments of an inventory.
import {prefixContains} from '../../wire/address.ts'
import {allGateways, type Gateway, type Segment} from '../inventory/site.ts'
import type {DoctorFacts, DoctorInterface} from './facts.ts'

/** An interface by which this host is a gateway of the inventory. */
export interface Leg {
  readonly gateway: Gateway
  readonly interface: DoctorInterface
}

/** By the gateway's MAC on an interface here, else by its address (a virtual MAC is on another interface, or none). */
export function legsOf({interfaces, inventory}: Pick<DoctorFacts, 'interfaces' | 'inventory'>): readonly Leg[] {
  const known = inventory?.inventory
  if (!known) return []
  const candidates = interfaces.filter(({addresses}) => addresses.length > 0)
  return allGateways(known).flatMap((gateway) => {
    const segment = known.segments.find(({name}) => name === gateway.segment)!
    const on = candidates.filter(({addresses}) => addresses.some(({ip}) => prefixContains(segment.prefix, ip)))
    const found = on.find(({mac}) => mac === gateway.mac) ?? on.find((each) => hasOwn(each, gateway))
    return found ? [{gateway, interface: found}] : []
  })
}

const hasOwn = ({addresses}: DoctorInterface, {ip, ownIp}: Gateway): boolean =>
  addresses.some((address) => address.ip === (ownIp ?? ip))

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
