// Which first hops are compared: the one this host uses, and those it could use.
import type {CandidateEvidence} from '../../domain/trace/evidence.ts'
import {Failure} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {type Ipv4, isGroupMac, type Mac, ZERO_MAC} from '../../wire/address.ts'

/** A first hop before anything was measured. */
export type Candidate = Pick<CandidateEvidence, 'name' | 'ip' | 'mac' | 'macSource'>

/** A first hop as the user or the inventory names it. */
export interface NamedHop {
  readonly name: string | null
  readonly ip: Ipv4
  /** Undefined: to be resolved. */
  readonly mac: Mac | undefined
  readonly macSource: 'inventory' | 'flag'
}

/** A gateway that the inventory has on this segment. */
export interface GatewayFact {
  readonly name: string
  readonly ip: Ipv4
  readonly mac: Mac
}

/** What the kernel would do with a packet for `destination` now. */
export interface CurrentHop {
  readonly facts: InterfaceFacts
  readonly source: Ipv4
  readonly candidate: Candidate
}

/**
 * The first hop in use, from the routing table and the neighbour table; nothing is asked of the network unless the
 * kernel does not know the MAC itself.
 * @throws Failure `runtime` without a route or a MAC, `usage` for an on-link destination.
 */
export async function currentHop(
  world: World,
  destination: Ipv4,
  interfaceName: string | undefined,
  gateways: readonly GatewayFact[],
): Promise<CurrentHop> {
  const route = await world.routeTo(destination, interfaceName)
  if (!route)
    throw new Failure('runtime', `no route to ${destination}${interfaceName ? ` out of ${interfaceName}` : ''}`)
  // Behind a redirect stands the gateway that every other destination still uses: that one is to be judged.
  const gateway = route.redirected ? await world.tableGateway(destination, route.interface) : route.gateway
  if (gateway === undefined) {
    throw new Failure('usage', `${destination} is on-link on ${route.interface}: no gateway is used to reach it`)
  }
  const facts = (await world.interfaces()).find((candidate) => candidate.name === route.interface)
  const source = route.source ?? facts?.addresses[0]?.ip
  if (!facts || source === undefined)
    throw new Failure('runtime', `${route.interface} has no IPv4 address to probe from`)
  const entry = await world.resolveNeighbour(gateway, route.interface)
  if (!entry?.mac) throw new Failure('runtime', `the gateway ${gateway} does not answer ARP on ${route.interface}`)
  const known = gateways.find((candidate) => candidate.mac === entry.mac)
  return {facts, source, candidate: {name: known?.name ?? null, ip: gateway, mac: entry.mac, macSource: 'neigh'}}
}

/**
 * Finds the MACs of the alternatives that were named by address alone. Of those that the inventory offers, the one in use
 * is left out; one that was asked for (`named`) stays, so that the verdict can say why it is no alternative.
 */
export async function alternativeHops(
  world: World,
  hops: readonly NamedHop[],
  current: CurrentHop,
  named: boolean,
): Promise<Candidate[]> {
  const found: Candidate[] = []
  for (const hop of hops) {
    if (hop.mac === undefined && hop.ip === current.candidate.ip) {
      throw new Failure('usage', `${hop.ip} is the gateway in use: name another one, or its MAC with ${hop.ip}=MAC`)
    }
    const mac = hop.mac ?? (await world.resolveNeighbour(hop.ip, current.facts.name))?.mac
    if (mac === undefined)
      throw new Failure('runtime', `${hop.ip} does not answer ARP on ${current.facts.name}: is it on this segment?`)
    if (isGroupMac(mac) || mac === ZERO_MAC) throw new Failure('usage', `${mac} is no station's MAC`)
    const repeated = (!named && mac === current.candidate.mac) || found.some((other) => other.mac === mac)
    if (!repeated) found.push({name: hop.name, ip: hop.ip, mac, macSource: hop.mac ? hop.macSource : 'arp'})
  }
  return found
}
