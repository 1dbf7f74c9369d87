// Who of an inventory answers ARP at this host's interfaces, and as whom.
import {type AgainstRow, againstNetwork, type PortOf} from '../../domain/inventory/against-network.ts'
import type {Inventory, Segment} from '../../domain/inventory/site.ts'
import {type Place, placesOf} from '../../domain/who-places.ts'
import {usage} from '../../errors.ts'
import {ethernetIn, type InterfaceFacts, interfaceIn} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {type SweepAnswer, type Swept, sweep} from '../../probe/sweep.ts'
import {type Mac, prefixContains} from '../../wire/address.ts'

export interface NetworkOrder {
  /** Empty: every interface here with an address on a segment. */
  readonly ports: readonly string[]
  /** The site of this host; undefined: that of a gateway that it is. */
  readonly site: string | undefined
  /** Questions a second. */
  readonly rate: number
  /** ms to wait for answers, three times. */
  readonly waitMs: number
}

/** A segment of which nothing can be said from here. */
export interface Unasked {
  readonly segment: string
  readonly text: string
}

interface NetworkSeen {
  readonly ports: readonly string[]
  readonly rows: readonly AgainstRow[]
  readonly unasked: readonly Unasked[]
  /** This host's site, by segment. */
  readonly sites: ReadonlyMap<string, string | undefined>
}

/** @throws Failure `usage` where no interface is on a segment, `runtime` and `privilege` from the interfaces. */
export async function askNetwork(
  inventory: Inventory,
  order: NetworkOrder,
  world: World,
  signal: AbortSignal,
): Promise<NetworkSeen> {
  const interfaces = ethernetIn(await world.interfaces())
  const legs = portsOf(inventory, order, interfaces)
  const ports = legs.map(({name}) => name)
  const host = (await world.hostLinks?.()) ?? []
  const placed = inventory.segments.map((segment) => {
    const here = legs.filter((leg) => mayBeOn(segment, leg)).map(({name}) => name)
    const {places, apart} = placesOf(segment.vlan, segment, here, host, undefined)
    return {segment, places, apart: here.length === 0 ? `${ports.join(', ')} is on other networks` : apart}
  })
  const answers = await sweep(
    placed.flatMap(({segment, places}) => sweptOf(inventory, segment, places)),
    order,
    world,
    signal,
  )
  const portOf = await learnedPorts(ports, world)
  const own = new Set(interfaces.map(({mac}) => mac))
  const unasked: Unasked[] = []
  const sites = new Map<string, string | undefined>()
  const rows = placed.flatMap(({segment, places, apart}) => {
    const {name} = segment
    const heard = answers.filter((answer) => answer.segment === name)
    const self = segment.gateways.find(({mac, ip}) => isOwn(interfaces, mac, ip))
    const foreign = gatewaysElsewhere(inventory, segment)
    const reason = whyUnknown(places, apart, heard, self !== undefined, foreign)
    if (reason !== undefined) {
      unasked.push({segment: name, text: reason})
      return []
    }
    const site = order.site ?? self?.site
    sites.set(name, site)
    const vms = inventory.vms.filter((vm) => vm.segment === name)
    return againstNetwork(segment, vms, {answers: heard, own, portOf, site})
  })
  return {ports, rows, unasked, sites}
}

function portsOf(inventory: Inventory, {ports}: NetworkOrder, interfaces: readonly InterfaceFacts[]): InterfaceFacts[] {
  if (ports.length > 0) return ports.map((name) => interfaceIn(interfaces, name))
  const legs = interfaces.filter(
    (leg) =>
      leg.carrier && inventory.segments.some(({prefix}) => leg.addresses.some(({ip}) => prefixContains(prefix, ip))),
  )
  if (legs.length > 0) return legs
  throw usage(`no interface here has an address on a segment of ${inventory.file}: name one with -i`)
}

/** What has addresses of other networks alone is on those. */
const mayBeOn = ({prefix}: Segment, {addresses}: InterfaceFacts): boolean =>
  addresses.length === 0 || addresses.some(({ip}) => prefixContains(prefix, ip))

const isOwn = (interfaces: readonly InterfaceFacts[], mac: string, ip: string): boolean =>
  interfaces.some((each) => each.mac === mac && each.addresses.some((address) => address.ip === ip))

function sweptOf({vms}: Inventory, segment: Segment, places: readonly Place[]): Swept[] {
  const members = vms.filter((vm) => vm.segment === segment.name)
  const pairs = [
    ...segment.gateways.map(({ip, mac}) => ({ip, mac})),
    ...members.flatMap(({ip, ips = [], mac}) => [ip, ...ips].map((each) => ({ip: each, mac}))),
  ]
  return pairs.map((pair) => ({segment: segment.name, places, ...pair}))
}

const gatewaysElsewhere = ({segments}: Inventory, segment: Segment): ReadonlySet<Mac> => {
  const its = segment.gateways.map(({mac}) => mac)
  const all = segments.filter((each) => each !== segment).flatMap(({gateways}) => gateways.map(({mac}) => mac))
  return new Set(all.filter((mac) => !its.includes(mac)))
}

/**
 * Where nobody at all answered, the segment is somewhere else: its VMs are not silent. Nor is it here where gateways of
 * other segments alone answered: Linux answers at any leg for the addresses of all of them (arp_ignore in ip-sysctl).
 */
function whyUnknown(
  places: readonly Place[],
  apart: string,
  heard: readonly SweepAnswer[],
  isSelf: boolean,
  foreign: ReadonlySet<Mac>,
): string | undefined {
  if (places.length === 0) return apart
  if (isSelf || heard.some(({mac}) => !foreign.has(mac))) return undefined
  const where = [...new Set(places.map(({port}) => port))].join(', ')
  return heard.length === 0
    ? `neither a gateway nor a VM of it answered at ${where}`
    : `gateways of other segments alone answered for it at ${where}, as routers do for the addresses of their other legs`
}

/** Of the bridges that these interfaces are, or are ports of. */
async function learnedPorts(ports: readonly string[], world: World): Promise<PortOf> {
  const places = await Promise.all(ports.map(async (port) => ({port, place: await world.bridgeOf?.(port)})))
  const bridges = new Set(places.flatMap(({port, place}) => place?.portOf ?? (place?.isBridge ? port : [])))
  const tables = await Promise.all([...bridges].map((bridge) => world.learned?.(bridge) ?? []))
  const ofMac = new Map(tables.flat().map(({mac, port}) => [mac, port]))
  return (mac) => ofMac.get(mac)
}
