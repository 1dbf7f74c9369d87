// The interface through which a strategy acts on a segment and sees where a VM sends.
import type {Segment} from '../domain/inventory/site.ts'
import type {Switchover} from '../domain/inventory/switchover.ts'
import {Failure} from '../errors.ts'
import {ethernetIn, type InterfaceFacts, interfaceIn} from '../net/ip.ts'
import {type Mac, type Prefix, prefixContains} from '../wire/address.ts'

/** What to say where none fits: what to do instead, and where to run it if this is the VM itself. */
export interface InterfaceAdvice {
  readonly otherwise: string
  readonly where: string
}

/**
 * The one named, else the new gateway's own leg on the segment, else any leg on it.
 * @throws Failure `runtime` for a name that is not there, `usage` if none fits or it is the VM's own.
 */
export function chooseInterface(
  all: readonly InterfaceFacts[],
  {vm, segment, to}: Switchover,
  name: string | undefined,
  {otherwise, where}: InterfaceAdvice,
): InterfaceFacts {
  const usable = ethernetIn(all)
  const named = name === undefined ? undefined : interfaceIn(usable, name)
  const legs = legsOf(usable, to.mac, segment)
  if (named === undefined && legs.length > 1) {
    const names = legs.map((leg) => leg.name).join(', ')
    throw new Failure(
      'usage',
      `${names} all have ${to.name}'s MAC (${to.mac}): name the leg on segment ${segment.name} with -i`,
    )
  }
  const chosen = named ?? legs[0] ?? usable.find((each) => isOn(segment.prefix, each))
  if (!chosen) throw new Failure('usage', `no interface here is on segment ${segment.name}${otherwise}`)
  if (chosen.mac === vm.mac) throw new Failure('usage', `${chosen.name} is the VM itself: run this at ${where}`)
  return chosen
}

const isOn = (segment: Prefix, {addresses}: InterfaceFacts): boolean =>
  addresses.some(({ip, prefixLength}) => prefixLength < 32 && prefixContains(segment, ip))

/** Has addresses of networks, and none of the segment. */
const isElsewhere = (segment: Prefix, leg: InterfaceFacts): boolean =>
  !isOn(segment, leg) && leg.addresses.some(({prefixLength}) => prefixLength < 32)

/**
 * The legs of a gateway that this host is: of several interfaces with its MAC (VLANs) those on the segment, where tenants
 * have the same prefix those of its VLAN. One that is on another segment is none, one without an address may be.
 */
export function legsOf(
  all: readonly InterfaceFacts[],
  gateway: Mac,
  {prefix, vlan}: Pick<Segment, 'prefix' | 'vlan'>,
): readonly InterfaceFacts[] {
  const legs = ethernetIn(all).filter((leg) => leg.mac === gateway && !isElsewhere(prefix, leg))
  const here = legs.filter((leg) => isOn(prefix, leg))
  const likely = here.length > 0 ? here : legs
  const tagged = likely.filter((leg) => (leg.vlan ?? 'untagged') === vlan)
  return tagged.length > 0 ? tagged : likely
}

/**
 * Of several legs, which may be those of tenants with one prefix and one anycast MAC, the one at which the VM is seen:
 * `places`, the interface that is watched and its bridge. Undefined: nothing tells them apart.
 */
export const legAt = (legs: readonly InterfaceFacts[], places: readonly string[]): InterfaceFacts | undefined =>
  legs.length > 1 ? legs.find(({name}) => places.includes(name)) : legs[0]

/**
 * The interface by which this host, as a gateway, asks for hosts of the segment: where it holds the gateway's address on one
 * of another MAC (a redundancy protocol's macvlan with a /32), that is the one with the segment's prefix. Undefined: it is
 * not this gateway, or which of several it is cannot be told by `places` (see {@link legAt}).
 */
export function askingLeg(
  all: readonly InterfaceFacts[],
  gateway: Mac,
  segment: Pick<Segment, 'prefix' | 'vlan'>,
  places: readonly string[],
): InterfaceFacts | undefined {
  const legs = legsOf(all, gateway, segment)
  if (legs.length === 0) return undefined
  const own = legs.filter((leg) => isOn(segment.prefix, leg))
  return legAt(own.length > 0 ? own : ethernetIn(all).filter((leg) => isOn(segment.prefix, leg)), places)
}
