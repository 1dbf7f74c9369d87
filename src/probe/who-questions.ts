// Whom `who` asks, about what, and where each segment is at the ports.
import {type Inventory, neededSegment, neededSite, neededVms, type Segment, type Vm} from '../domain/inventory/site.ts'
import type {Found} from '../domain/who.ts'
import {learnedVlan, neededPlaces, type Place, placesOf, type SegmentPlaces} from '../domain/who-places.ts'
import {usage} from '../errors.ts'
import type {World} from '../net/world.ts'
import type {Ipv4} from '../wire/address.ts'
import {type Ipv6, isLinkLocal} from '../wire/ipv6-address.ts'
import {FAR_AWAY6} from './egress.ts'
import type {EchoIdentity} from './sighting.ts'

export interface WhoOrder {
  /** Names or addresses; empty: every VM of the inventory. */
  readonly vms: readonly string[]
  /** Segments; empty: all. */
  readonly segments: readonly string[]
  readonly ports: readonly string[]
  /** The site of these ports; undefined: that of a gateway on this machine, else what the inventory says of the VM. */
  readonly site: string | undefined
  /** The tag of the segment on these ports; undefined: by the inventory, and by what the ports are. */
  readonly vlanId: number | undefined
  /** An address off every segment that IPv4 echoes claim to come from. */
  readonly source: Ipv4
  /** ms to wait for answers after the last round. */
  readonly listenMs: number
  /** ms to listen for the traffic of those that did not answer. */
  readonly passiveMs: number
}

/** One address of a VM that is asked about. */
export interface Question {
  readonly vm: Vm
  readonly segment: Segment
  readonly ip: Ipv4 | Ipv6
  /** From off the segment: the answer takes the VM's way out. */
  readonly far: EchoIdentity
  /** From the address that the gateways share, if they do: the answer goes to the MAC in the VM's neighbour table. */
  readonly shared: EchoIdentity | undefined
  readonly places: readonly Place[]
  found: Found
  /** Where it was found. */
  at: Place | undefined
}

/** Asked for by name: whatever is not here is an error, or silent. */
export const isNamed = ({vms, segments}: WhoOrder): boolean => vms.length > 0 || segments.length > 0

/** @throws Failure `usage` for names that the inventory does not have. */
export function namedVms({vms, segments, site}: WhoOrder, inventory: Inventory): Vm[] {
  if (site !== undefined) neededSite(inventory, site)
  const wanted = segments.map((name) => neededSegment(inventory, name).name)
  if (inventory.vms.length === 0)
    throw usage(`${inventory.file}: has no VMs (want some under vms, or name gateways for them)`)
  const all = vms.length === 0 ? inventory.vms : vms.flatMap((name) => neededVms(inventory, name))
  const chosen = all.filter(({segment}) => wanted.length === 0 || wanted.includes(segment))
  if (chosen.length > 0) return chosen
  throw usage(`${inventory.file}: ${vms.length === 0 ? 'no VM' : vms.join(', ')} is on ${wanted.join(', ')}`)
}

/** Where the segments of these VMs are. @throws Failure `usage` for a segment that was asked for and is at no port. */
export async function segmentPlaces(
  order: WhoOrder,
  vms: readonly Vm[],
  inventory: Inventory,
  world: World,
): Promise<ReadonlyMap<string, SegmentPlaces>> {
  const host = (await world.hostLinks?.()) ?? []
  const aware = order.ports.flatMap((port) => {
    const link = host.find(({name}) => name === port)
    const bridge = host.find(({name}) => name === (link?.bridge ?? port))
    return bridge?.vlanAware ? bridge.name : []
  })
  const learned = (await Promise.all([...new Set(aware)].map((bridge) => world.learned?.(bridge) ?? []))).flat()
  const places = new Map<string, SegmentPlaces>()
  for (const segment of inventory.segments) {
    const own = vms.filter((vm) => vm.segment === segment.name)
    if (own.length === 0) continue
    const macs = new Set([...own, ...segment.gateways].map(({mac}) => mac))
    const vlan = segment.vlan ?? learnedVlan(macs, learned)
    places.set(segment.name, placesOf(vlan, segment, order.ports, host, order.vlanId))
  }
  const all = [...places]
  for (const [name, place] of all) {
    if (isNamed(order) || all.every(([, each]) => each.apart !== '')) neededPlaces(name, place)
  }
  return places
}

/** IPv4 always; IPv6 where the VM and a gateway of its segment have it. */
export function questionsOf(
  vm: Vm,
  {source}: WhoOrder,
  segment: Segment,
  places: readonly Place[],
  identifier: number,
): Question[] {
  const [first, ...others] = segment.gateways
  if (first === undefined || places.length === 0) return []
  const question = (ip: Ipv4 | Ipv6, from: Ipv4 | Ipv6, shared: Ipv4 | Ipv6 | undefined): Question => ({
    ...{vm, segment, ip, places, at: undefined},
    far: {gatewayIp: from, identifier, from},
    shared: shared === undefined ? undefined : {gatewayIp: shared, identifier: (identifier + 1) & 0xffff},
    found: {mac: undefined, by: undefined, entry: undefined, alive: false},
  })
  const shared4 = others.every(({ip}) => ip === first.ip) ? first.ip : undefined
  const shared6 = first.ip6?.find((ip) => others.every((gateway) => gateway.ip6?.includes(ip)))
  const ip6 = vm.ip6?.find((ip) => !isLinkLocal(ip))
  const hasIpv6 = ip6 !== undefined && segment.gateways.some((gateway) => (gateway.ip6?.length ?? 0) > 0)
  return [question(vm.ip, source, shared4), ...(hasIpv6 ? [question(ip6, FAR_AWAY6[0]!, shared6)] : [])]
}
