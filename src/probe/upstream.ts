// Does this host, as the gateway that it is, take packets on? Asked beyond it, through the next hop of its own routes.
import type {GatewaySeen} from '../domain/proof/gateway.ts'
import type {World} from '../net/world.ts'
import type {Ipv4, Mac} from '../wire/address.ts'
import {askGateways, MOST_DESTINATIONS, nobody} from './gateways.ts'
import {firstOf} from './together.ts'

export interface UpstreamQuestion {
  /** The leg on the segment. What is routed back to it does not go beyond. */
  readonly leg: string
  readonly mac: Mac
  readonly destinations: readonly Ipv4[]
  /** Only an answer of a destination itself counts. */
  readonly strict?: boolean | undefined
}

/** Sends echoes out of the upstream interface alone. Aborting ends it with the signal's reason. */
export async function askUpstream(
  {leg, mac, destinations, strict}: UpstreamQuestion,
  world: World,
  signal: AbortSignal,
): Promise<GatewaySeen> {
  const found = (beyond: GatewaySeen['beyond'], witness: string): GatewaySeen => ({
    ...{mac, resolved: 'self', claimedBy: [], rttMs: 0, beyond, witness},
  })
  if ((await world.forwards?.(leg)) === false)
    return found('refuses', `this host does not forward what comes in at ${leg} (net.ipv4.ip_forward)`)
  if (destinations.length === 0) return found('not-asked', nobody(destinations))
  const ways = await Promise.all(destinations.slice(0, MOST_DESTINATIONS).map((to) => wayTo(to, leg, world)))
  const open = ways.filter((way) => way !== undefined)
  if (open.length === 0) return found('refuses', `it has no route beyond ${leg} to ${destinations.join(', ')}`)
  const byHop = Map.groupBy(open, ({interfaceName, nextHop}) => `${interfaceName} ${nextHop}`)
  const witness = await firstOf(
    signal,
    [...byHop.values()].map((way) => (either: AbortSignal) => askWay(way, strict ?? false, world, either)),
  )
  return witness === undefined ? found('silent', nobody(destinations)) : found('answers', witness)
}

interface Way {
  readonly destination: Ipv4
  readonly interfaceName: string
  readonly nextHop: Ipv4
  readonly source: Ipv4
}

async function wayTo(destination: Ipv4, leg: string, world: World): Promise<Way | undefined> {
  const route = await world.routeTo(destination)
  if (route?.source === undefined || route.interface === leg || route.interface === 'lo') return undefined
  return {destination, interfaceName: route.interface, nextHop: route.gateway ?? destination, source: route.source}
}

/** Who answered of those that lie one way; undefined if nobody did. The next hop's own answer counts: it is beyond this host. */
async function askWay(
  ways: readonly Way[],
  strict: boolean,
  world: World,
  signal: AbortSignal,
): Promise<string | undefined> {
  const {interfaceName, nextHop, source} = ways[0]!
  const destinations = ways.map(({destination}) => destination)
  const facts = (await world.interfaces()).find(({name}) => name === interfaceName)
  if (!facts?.ethernet) {
    const answered = await world.echo?.(strict ? destinations : [...destinations, nextHop], signal)
    return answered === undefined ? undefined : `${answered} answers this host`
  }
  const neighbour = await world.resolveNeighbour(nextHop, interfaceName)
  if (neighbour?.mac === undefined) return undefined
  const gateways = [{ip: nextHop, mac: neighbour.mac}]
  const place = {interfaceName, source, vlan: undefined, known: [], hops: 0}
  const [seen] = await askGateways({...place, gateways, destinations, strict}, world, signal)
  if (seen === undefined || (seen.beyond !== 'answers' && (strict || seen.resolved !== 'yes'))) return undefined
  return seen.beyond === 'answers' ? seen.witness : `its next hop ${nextHop} answers`
}
