// Which first hops are compared: the one this host uses, and those it could use.
import {type CandidateEvidence, type HostRouting, type MacSource, PLAIN_ROUTING} from '../../domain/trace/evidence.ts'
import {Failure} from '../../errors.ts'
import type {InterfaceAddress, InterfaceFacts, Neighbour, RouteKey} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {type Ipv4, isGroupMac, type Mac, prefixText, ZERO_MAC} from '../../wire/address.ts'
import {addressBits, ipPrefixContains, ipPrefixOf} from '../../wire/ip-prefix.ts'
import {type Ipv6, isLinkLocal, isVersion6} from '../../wire/ipv6-address.ts'
import {askArp} from './arp-ask.ts'
import {askNd} from './nd-ask.ts'

/** A first hop before anything was measured. */
export type Candidate = Pick<CandidateEvidence, 'name' | 'ip' | 'mac' | 'macSource'>

/** A first hop as the user or the inventory names it. */
export interface NamedHop {
  readonly name: string | null
  readonly ip: Ipv4
  /** Undefined: to be resolved. */
  readonly mac: Mac | undefined
  readonly macSource: MacSource
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
  readonly routing: HostRouting
}

/** Which packets are asked about. */
export interface HopQuestion extends RouteKey {
  readonly destination: {readonly ip: Ipv4}
  readonly gateways: readonly GatewayFact[]
}

/**
 * The route that the kernel takes to a destination, and the gateway of it.
 * @throws Failure `runtime` without a route, `usage` for an on-link destination.
 */
export async function gatewayInUse(world: World, question: HopQuestion) {
  const {destination, interfaceName} = question
  const route = await world.routeTo(destination.ip, keyOf(question))
  if (!route)
    throw new Failure('runtime', `no route to ${destination.ip}${interfaceName ? ` out of ${interfaceName}` : ''}`)
  // Behind a redirect stands the gateway that every other destination still uses: that one is to be judged.
  const gateway = route.redirected ? await world.tableGateway(destination.ip, route.interface) : route.gateway
  if (gateway === undefined) {
    throw new Failure('usage', `${destination.ip} is on-link on ${route.interface}: no gateway is used to reach it`)
  }
  return {route, gateway}
}

/**
 * The first hop in use, from the routing table and the neighbour table; nothing is asked of the network unless the
 * kernel does not know the MAC itself.
 * @throws Failure `runtime` without a route or a MAC, `usage` for an on-link destination or a source that is not the host's.
 */
export async function currentHop(world: World, question: HopQuestion): Promise<CurrentHop> {
  const {destination, gateways} = question
  const all = await world.interfaces()
  checkSource(all, question.source)
  const {route, gateway} = await gatewayInUse(world, question)
  const facts = all.find((candidate) => candidate.name === route.interface)
  const source = question.source ?? route.source ?? (facts && addressesLike(destination.ip, facts)[0]?.ip)
  if (!facts || source === undefined) throw new Failure('runtime', `${route.interface} has no address to probe from`)
  if (!facts.ethernet)
    throw new Failure('usage', `${facts.name} carries no Ethernet frames: there is no first hop to choose`)
  const entry = await world.resolveNeighbour(gateway, route.interface)
  // The kernel asks once a second; on a lossy segment it takes more than that.
  const mac = entry?.mac ?? (await ask(gateway)(world, facts.name, source, gateway))[0]
  if (mac === undefined) {
    const protocol = isVersion6(gateway) ? 'ND' : 'ARP'
    throw new Failure('runtime', `the gateway ${gateway} does not answer ${protocol} on ${route.interface}`)
  }
  const known = gateways.find((candidate) => candidate.mac === mac)
  return {
    ...{facts, source},
    candidate: {name: known?.name ?? null, ip: gateway, mac, macSource: entry?.mac ? 'neigh' : 'arp'},
    routing: {
      ...PLAIN_ROUTING,
      ...(await world.routingFacts?.(destination.ip, keyOf(question))),
      otherSources: addressesLike(destination.ip, facts)
        .filter(({ip}) => !isLinkLocal(ip))
        .map(({ip}) => ip)
        .filter((ip) => ip !== source),
    },
  }
}

const keyOf = ({interfaceName, source, mark}: RouteKey): RouteKey => ({interfaceName, source, mark})

/** The addresses of an interface that are of one family with `ip`. */
export const addressesLike = (ip: Ipv4, {addresses, addresses6 = []}: InterfaceFacts): readonly InterfaceAddress[] =>
  isVersion6(ip) ? addresses6 : addresses

function checkSource(all: readonly InterfaceFacts[], source: Ipv4 | undefined): void {
  const own = all.flatMap(({addresses, addresses6 = []}) => [...addresses, ...addresses6].map(({ip}) => ip))
  if (source === undefined || own.includes(source)) return
  throw new Failure('usage', `--source ${source} is no address of this host; it has ${own.join(', ')}`)
}

/** The alternatives with their MACs, and who answered ARP for those that had to be asked for. */
export interface FoundHops {
  readonly candidates: readonly Candidate[]
  readonly arpAnswers: readonly {readonly ip: Ipv4; readonly macs: readonly Mac[]}[]
}

/**
 * Finds the MACs of the alternatives that were named by address alone. Of those that the inventory offers, the one in use
 * is left out; one that was asked for (`named`) stays, so that the verdict can say why it is no alternative.
 * @throws Failure `usage` for one that is not on the segment, `runtime` for one that does not answer.
 */
export async function alternativeHops(
  world: World,
  hops: readonly NamedHop[],
  current: CurrentHop,
  named: boolean,
): Promise<FoundHops> {
  const found: Candidate[] = []
  const arpAnswers: {ip: Ipv4; macs: readonly Mac[]}[] = []
  for (const hop of hops) {
    if (hop.mac === undefined && hop.ip === current.candidate.ip) {
      throw new Failure('usage', `${hop.ip} is the gateway in use: name another one, or its MAC with ${hop.ip}=MAC`)
    }
    if (named) checkOnSegment(hop, current)
    let {mac} = hop
    if (mac === undefined) {
      const macs = await macsOf(world, hop.ip, current)
      arpAnswers.push({ip: hop.ip, macs})
      mac = macs[0]!
    }
    if (isGroupMac(mac) || mac === ZERO_MAC) throw new Failure('usage', `${mac} is no station's MAC`)
    const repeated = (!named && mac === current.candidate.mac) || found.some((other) => other.mac === mac)
    if (!repeated) found.push({name: hop.name, ip: hop.ip, mac, macSource: hop.mac ? hop.macSource : 'arp'})
  }
  return {candidates: found, arpAnswers: arpAnswers.filter(({macs}) => macs.length > 1)}
}

/** A host with a /32 does not know its segment: then nothing is refused. */
function checkOnSegment({name, ip}: NamedHop, {facts}: CurrentHop): void {
  const prefixes = addressesLike(ip, facts)
    .filter(({prefixLength}) => prefixLength < addressBits(ip))
    .map((each) => ipPrefixOf(each.ip, each.prefixLength))
  if (prefixes.length === 0 || prefixes.some((prefix) => ipPrefixContains(prefix, ip))) return
  const what = name === null || name === ip ? ip : `${name} (${ip})`
  throw new Failure(
    'usage',
    `--via ${what} is not on the segment of ${facts.name} (${prefixes.map(prefixText).join(', ')}): no frame can be addressed to it from here`,
  )
}

async function macsOf(world: World, ip: Ipv4, {facts, source}: CurrentHop): Promise<readonly Mac[]> {
  const known = (await world.neighbours(facts.name)).find((entry) => entry.ip === ip && isGood(entry))?.mac
  if (known !== undefined) return [known]
  const macs = await ask(ip)(world, facts.name, source, ip)
  if (macs.length > 0) return macs
  const protocol = isVersion6(ip) ? 'ND' : 'ARP'
  throw new Failure('runtime', `${ip} does not answer ${protocol} on ${facts.name}: is it on this segment, and up?`)
}

const ask = (ip: Ipv4 | Ipv6) => (isVersion6(ip) ? askNd : askArp)

/** States in which the kernel itself would send (ip-neighbour(8)). */
const isGood = ({mac, state}: Neighbour): boolean => mac !== undefined && !/FAILED|INCOMPLETE/.test(state)
