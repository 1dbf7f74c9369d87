// Interfaces as rtnetlink(7) tells of them, neighbours and routes as iproute2 shows them (`ip -json`); read only.
import {createSocket} from 'node:dgram'
import {readFile} from 'node:fs/promises'
import {setTimeout as delay} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import type {Ipv4, Mac} from '../wire/address.ts'
import {type Ipv6, isVersion6} from '../wire/ipv6-address.ts'
import {list, listed, number, optional, record, text} from './json-shape.ts'
import {NUD_FAILED} from './netlink/neighbour-message.ts'
import {openRouteSocket} from './netlink/route-socket.ts'
import {runCommand, tryCommand} from './process/command.ts'

/** An address of an interface. */
export interface InterfaceAddress {
  readonly ip: Ipv4
  readonly prefixLength: number
}

/** What the kernel says of one network interface. */
export interface InterfaceFacts {
  readonly name: string
  readonly index: number
  readonly mac: Mac
  readonly mtu: number
  /** Administratively up. */
  readonly up: boolean
  /** Up, and the other end of the wire is too. */
  readonly carrier: boolean
  /** False for interfaces without Ethernet framing (loopback, tunnels). */
  readonly ethernet: boolean
  /** IPv4 addresses, primary first. */
  readonly addresses: readonly InterfaceAddress[]
  /** IPv6 addresses, the link-local one too. */
  readonly addresses6?: readonly InterfaceAddress[]
  /** The VLAN that it takes out of the device below it. */
  readonly vlan?: number | undefined
  /** Index of the bridge that it is a port of. */
  readonly bridge?: number | undefined
  /** ip-link(8)'s (`bridge`, `veth`, `tun`, ...); empty for a card's own. */
  readonly kind?: string
}

/** One entry of the neighbour table. `state` is the NUD state, `REACHABLE`, `PERMANENT`, ... (ip-neighbour(8)). */
export interface Neighbour {
  readonly ip: Ipv4
  readonly mac: Mac | undefined
  readonly state: string
}

/** What selects a route beside the destination (ip-route(8), `get`). */
export interface RouteKey {
  readonly interfaceName?: string | undefined
  /** Source address that the packets will bear. */
  readonly source?: Ipv4 | undefined
  /** Their fwmark. */
  readonly mark?: number | undefined
}

/** The route the kernel would use now (`ip route get`). */
export interface Route {
  /** Next hop, an IPv6 address for `via inet6` (RFC 8950); undefined where the destination is on-link. */
  readonly gateway: Ipv4 | undefined
  readonly interface: string
  readonly source: Ipv4 | undefined
  /** An ICMP redirect overrides the routing table for this destination. */
  readonly redirected: boolean
  /** Seconds until that override ends. */
  readonly expiresS: number | undefined
}

const RAW_NEIGHBOUR = record({dst: text, lladdr: optional(text), state: optional(list(text))})
const NEXT_HOP = record({
  gateway: optional(text),
  via: optional(record({host: text})),
  weight: optional(number),
})
const TABLE_ROUTE = record({dst: text, gateway: optional(text), metric: optional(number)})
const MATCHED_ROUTE = record({nexthops: optional(list(NEXT_HOP))})
const DEFAULT_ROUTE = record({gateway: optional(text), dev: optional(text), metric: optional(number)})

const ipJson = (...args: string[]): Promise<string> => runCommand('ip', ['-json', ...args])

/** Every interface of this network namespace. Asked of the kernel itself: what a switch waits for first starts no program. */
export async function interfaces(): Promise<InterfaceFacts[]> {
  const socket = openRouteSocket()
  try {
    const addresses = socket.localAddresses()
    const addresses6 = socket.addresses().filter(({family}) => family === 6)
    return socket.interfaces().map(({name, index, mac, mtu, up, carrier, ethernet, vlan, bridge, kind}) => ({
      ...{name, index, mac, mtu, up, carrier, ethernet, vlan, bridge, kind},
      addresses: addresses
        .filter(({interfaceIndex}) => interfaceIndex === index)
        .map(({ip, prefixLength}) => ({ip, prefixLength})),
      addresses6: addresses6
        .filter(({interfaceIndex}) => interfaceIndex === index)
        .map(({address, length}) => ({ip: address, prefixLength: length})),
    }))
  } finally {
    socket.close()
  }
}

/** A hypervisor has hundreds. */
const MOST_NAMED = 8

/**
 * One interface. @throws Failure `usage` if there is none of that name; the message lists some of those there are.
 * @internal
 */
export const interfaceByName = async (name: string): Promise<InterfaceFacts> => interfaceIn(await interfaces(), name)

/** The same of those that are known already. */
export function interfaceIn(all: readonly InterfaceFacts[], name: string): InterfaceFacts {
  const found = all.find((candidate) => candidate.name === name)
  if (found) return found
  const names = ethernetIn(all).map((candidate) => candidate.name)
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : ''
  const some = names.slice(0, MOST_NAMED).join(', ') || 'none'
  throw new Failure('usage', `no interface ${name} here; Ethernet interfaces are: ${some}${more}`)
}

/** Those that carry Ethernet frames. */
export const ethernetIn = (all: readonly InterfaceFacts[]): readonly InterfaceFacts[] =>
  all.filter(({ethernet}) => ethernet)

/** An interface that can carry frames now. @throws Failure `runtime` if it is missing, not Ethernet, or down. */
export async function readyInterface(name: string): Promise<InterfaceFacts> {
  const found = await interfaceByName(name)
  if (!found.ethernet) throw new Failure('runtime', `${name} carries no Ethernet frames`)
  if (!found.up) throw new Failure('runtime', `${name} is down: ip link set ${name} up`)
  if (!found.carrier) throw new Failure('runtime', `${name} is up but has no carrier: its other end is down`)
  return found
}

/** The neighbour table of one interface, of both families. Entries without ARP (NOARP) are not shown by ip(8). */
export async function neighbours(interfaceName: string): Promise<Neighbour[]> {
  return readNeighbours(await ipJson('neigh', 'show', 'dev', interfaceName))
}

/**
 * The entries in the output of `ip -json neigh show dev ...`. @throws Failure `runtime` if it is something else.
 * @internal
 */
export const readNeighbours = (output: string): Neighbour[] =>
  listed(output, 'ip neigh show', RAW_NEIGHBOUR).map((entry) => ({
    ip: entry.dst,
    mac: entry.lladdr,
    state: entry.state?.join(',') ?? 'NONE',
  }))

/** ip(8)'s word for the family of an address. */
const familyOf = (ip: Ipv4 | Ipv6): '-4' | '-6' => (isVersion6(ip) ? '-6' : '-4')

const keyArgs = ({interfaceName, source, mark}: RouteKey): string[] => [
  ...(source === undefined ? [] : ['from', source]),
  ...(interfaceName === undefined ? [] : ['oif', interfaceName]),
  ...(mark === undefined ? [] : ['mark', `${mark}`]),
]

/**
 * The route to `destination`, by `key` if given: an interface, or more. Undefined if there is none. Asking creates no
 * neighbour entry and sends nothing; a switch of many asks often, so that no program is started.
 * @throws Failure `runtime` for an interface that is not here
 */
export async function routeTo(destination: Ipv4, key: string | RouteKey = {}): Promise<Route | undefined> {
  const {interfaceName, source, mark} = typeof key === 'string' ? {interfaceName: key} : key
  const socket = openRouteSocket()
  try {
    const links = socket.interfaces()
    const outgoing = links.find(({name}) => name === interfaceName)?.index
    if (interfaceName !== undefined && outgoing === undefined)
      throw new Failure('runtime', `no interface ${interfaceName} here`)
    const family = isVersion6(destination) ? 6 : 4
    const from = {...(source && {source}), ...(mark !== undefined && {mark}), ...(outgoing && {outgoing})}
    const answer = socket.routeTo({family, destination, own: true, ...from})
    const name = links.find(({index}) => index === answer?.interfaceIndex)?.name
    if (answer === undefined || name === undefined) return undefined
    const {gateway, redirected, expiresS} = answer
    return {gateway, interface: name, source: answer.source, redirected, expiresS}
  } finally {
    socket.close()
  }
}

/** How this host's own traffic to `destination` may go otherwise than `routeTo` says. */
export interface RoutingFacts {
  /** Next hops that the route shares its flows among; empty if it has one. */
  readonly nextHops: readonly {readonly gateway: Ipv4; readonly weight: number}[]
  /** Default routes of the main table beside the first, as ip(8) would write them. */
  readonly otherDefaults: readonly string[]
  /** Rules beside the three that every host has (ip-rule(8)). */
  readonly rules: readonly string[]
}

/** Reads rules and routes; what cannot be read is left out. */
export async function routingFacts(destination: Ipv4, key: RouteKey = {}): Promise<RoutingFacts> {
  const family = familyOf(destination)
  const [matched, defaults, rules] = await Promise.all([
    tryCommand('ip', ['-json', family, 'route', 'get', 'fibmatch', destination, ...keyArgs(key)]),
    tryCommand('ip', ['-json', family, 'route', 'show', 'default']),
    tryCommand('ip', [family, 'rule', 'show']),
  ])
  return {
    nextHops: matched.code === 0 ? readNextHops(matched.stdout) : [],
    otherDefaults: defaults.code === 0 ? readOtherDefaults(defaults.stdout) : [],
    rules: rules.code === 0 ? readRules(rules.stdout) : [],
  }
}

/**
 * The next hops in the output of `ip -json route get fibmatch ...`. @throws Failure `runtime` if it is something else.
 * @internal
 */
export function readNextHops(output: string): RoutingFacts['nextHops'] {
  const hops = listed(output, 'ip route get fibmatch', MATCHED_ROUTE)[0]?.nexthops ?? []
  return hops.length < 2
    ? []
    : hops.flatMap(({gateway, via, weight = 1}) => {
        const ip = gateway ?? via?.host
        return ip === undefined ? [] : [{gateway: ip, weight}]
      })
}

/**
 * All but the first of the output of `ip -json route show default`. @throws Failure `runtime` if it is something else.
 * @internal
 */
export function readOtherDefaults(output: string): readonly string[] {
  const routes = listed(output, 'ip route show', DEFAULT_ROUTE)
  return routes
    .toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))
    .slice(1)
    .map(({gateway, dev, metric}) =>
      [...(gateway ? [gateway] : []), ...(dev ? [`dev ${dev}`] : []), ...(metric ? [`metric ${metric}`] : [])].join(
        ' ',
      ),
    )
}

/** The lines of `ip rule show` that not every host has, without their preference. @internal */
export const readRules = (output: string): readonly string[] =>
  output
    .split('\n')
    .map((line) => line.replace(/^\d+:\s*/, '').trim())
    .filter((rule) => rule !== '' && !/^from all lookup (local|main|default)$/.test(rule))

/**
 * The next hop that the routing table itself names for `destination`, whatever an ICMP redirect says: the longest
 * prefix, then the lowest metric.
 */
export async function tableGateway(destination: Ipv4, interfaceName: string): Promise<Ipv4 | undefined> {
  return readTableGateway(
    await ipJson(familyOf(destination), 'route', 'show', 'match', destination, 'dev', interfaceName),
  )
}

/**
 * The gateway of the first of the routes in the output of `ip -json route show match ...`. @throws Failure `runtime`
 * @internal
 */
export function readTableGateway(output: string): Ipv4 | undefined {
  const routes = listed(output, 'ip route show', TABLE_ROUTE)
  const length = (dst: string): number => (dst === 'default' ? 0 : Number(dst.split('/')[1] ?? 128))
  return routes.toSorted((a, b) => length(b.dst) - length(a.dst) || (a.metric ?? 0) - (b.metric ?? 0))[0]?.gateway
}

/** ip-neighbour(8)'s words for the bits of neighbour.h. */
const NUD_NAMES = ['INCOMPLETE', 'REACHABLE', 'STALE', 'DELAY', 'PROBE', 'FAILED', 'NOARP', 'PERMANENT'] as const

/** An entry that has a MAC and did not fail; of the kernel itself, for who waits for it. */
function neighbourAt(ip: Ipv4 | Ipv6, interfaceName: string): Neighbour | undefined {
  const socket = openRouteSocket()
  try {
    const index = socket.interfaces().find(({name}) => name === interfaceName)?.index
    const family = isVersion6(ip) ? 6 : 4
    const found = index === undefined ? undefined : socket.neighbour({family, interfaceIndex: index, ip})
    if (found?.mac === undefined || (found.state & NUD_FAILED) !== 0) return undefined
    return {ip, mac: found.mac, state: NUD_NAMES.filter((_, bit) => found.state & (1 << bit)).join(',')}
  } finally {
    socket.close()
  }
}

/**
 * Makes the kernel resolve the MAC of an on-link address, as its own traffic would, by one empty datagram to the
 * discard port (RFC 863) there. Resolves to the entry, or undefined if it stayed unresolved for a second.
 */
export async function resolveNeighbour(ip: Ipv4, interfaceName: string): Promise<Neighbour | undefined> {
  const known = (): Neighbour | undefined => neighbourAt(ip, interfaceName)
  const before = known()
  if (before) return before
  const version6 = isVersion6(ip)
  const socket = createSocket(version6 ? 'udp6' : 'udp4')
  try {
    socket.on('error', () => {})
    socket.send(new Uint8Array(0), 9, version6 ? `${ip}%${interfaceName}` : ip)
    for (let waited = 0; waited < 1000; waited += 50) {
      await delay(50)
      const entry = known()
      if (entry) return entry
    }
    return undefined
  } finally {
    socket.close()
  }
}

/** What decides whether ICMP redirects change this host's routes. */
export interface RedirectFacts {
  /** The effective accept_redirects of the interface (ip-sysctl: either switch for a host, both for a router). */
  readonly acceptRedirects: boolean | undefined
  /** Raw and ping sockets open here: through any of them the kernel applies redirects that raw probes cause. */
  readonly rawSocketsOpen: number
}

/** For IPv4, unless `family` says otherwise. IPv6 redirects are applied without any socket (RFC 4861 section 8.3). */
export async function redirectFacts(interfaceName: string, family: 4 | 6 = 4): Promise<RedirectFacts> {
  const flag = async (path: string): Promise<boolean> =>
    (await readFile(`/proc/sys/net/ipv${family}/conf/${path}`, 'utf8')).trim() !== '0'
  if (family === 6) {
    const own = await flag(`${interfaceName}/accept_redirects`).catch(() => undefined)
    return {acceptRedirects: own && !(await flag(`${interfaceName}/forwarding`)), rawSocketsOpen: 0}
  }
  const rows = async (name: string): Promise<number> =>
    readFile(`/proc/net/${name}`, 'utf8').then(
      (text) => text.trim().split('\n').length - 1,
      () => 0,
    )
  const rawSocketsOpen = (await rows('raw')) + (await rows('icmp'))
  try {
    const all = await flag('all/accept_redirects')
    const own = await flag(`${interfaceName}/accept_redirects`)
    return {acceptRedirects: (await flag(`${interfaceName}/forwarding`)) ? all && own : all || own, rawSocketsOpen}
  } catch {
    return {acceptRedirects: undefined, rawSocketsOpen}
  }
}

/** What an interface is to a bridge. */
export interface BridgePlace {
  /** The bridge that it is a port of. */
  readonly portOf: string | undefined
  readonly isBridge: boolean
}

/** Not asked of sysfs: that shows the network namespace in which it was mounted, which need not be ours. */
export async function bridgeOf(interfaceName: string): Promise<BridgePlace> {
  const socket = openRouteSocket()
  try {
    const all = socket.interfaces()
    const link = all.find(({name}) => name === interfaceName)
    return {
      portOf: all.find(({index}) => index === link?.bridge)?.name,
      isBridge: link?.isBridge === true,
    }
  } finally {
    socket.close()
  }
}

/** Whether this host forwards packets of a family from an interface (ip-sysctl, `forwarding`). */
export async function forwards(interfaceName: string, family: 4 | 6 = 4): Promise<boolean | undefined> {
  const text = await readFile(`/proc/sys/net/ipv${family}/conf/${interfaceName}/forwarding`, 'utf8').catch(
    () => undefined,
  )
  return text === undefined ? undefined : text.trim() !== '0'
}

/**
 * How often the carrier of an interface came or went since it was made (sysfs, `carrier_changes`); undefined if it cannot
 * be read, as where sysfs shows another network namespace.
 */
export async function carrierChanges(interfaceName: string): Promise<number | undefined> {
  const text = await readFile(`/sys/class/net/${interfaceName}/carrier_changes`, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text)
}
