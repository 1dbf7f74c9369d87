// Interfaces as rtnetlink(7) tells of them, neighbours and routes as iproute2 shows them (`ip -json`); read only.
import {createSocket} from 'node:dgram'
import {readFile} from 'node:fs/promises'
import {setTimeout as delay} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import type {Ipv4, Mac} from '../wire/address.ts'
import {list, listed, number, optional, record, text} from './json-shape.ts'
import {openRouteSocket} from './netlink/route-socket.ts'
import {commandFailure, runCommand, tryCommand} from './process/command.ts'

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
}

/** One entry of the neighbour table. `state` is the NUD state, `REACHABLE`, `PERMANENT`, ... (ip-neighbour(8)). */
export interface Neighbour {
  readonly ip: Ipv4
  readonly mac: Mac | undefined
  readonly state: string
}

/** The route the kernel would use now (`ip route get`). */
export interface Route {
  /** Next hop; undefined where the destination is on-link. */
  readonly gateway: Ipv4 | undefined
  readonly interface: string
  readonly source: Ipv4 | undefined
  /** An ICMP redirect overrides the routing table for this destination. */
  readonly redirected: boolean
  /** Seconds until that override ends. */
  readonly expiresS: number | undefined
}

const RAW_NEIGHBOUR = record({dst: text, lladdr: optional(text), state: optional(list(text))})
const RAW_ROUTE = record({
  gateway: optional(text),
  dev: text,
  prefsrc: optional(text),
  flags: optional(list(text)),
  cache: optional(list(text)),
  expires: optional(number),
})
const TABLE_ROUTE = record({dst: text, gateway: optional(text), metric: optional(number)})

const ipJson = (...args: string[]): Promise<string> => runCommand('ip', ['-json', ...args])

/** Every interface of this network namespace. Asked of the kernel itself: what a switch waits for first starts no program. */
export async function interfaces(): Promise<InterfaceFacts[]> {
  const socket = openRouteSocket()
  try {
    const addresses = socket.localAddresses()
    return socket.interfaces().map(({name, index, mac, mtu, up, carrier, ethernet}) => ({
      ...{name, index, mac, mtu, up, carrier, ethernet},
      addresses: addresses
        .filter(({interfaceIndex}) => interfaceIndex === index)
        .map(({ip, prefixLength}) => ({ip, prefixLength})),
    }))
  } finally {
    socket.close()
  }
}

/**
 * One interface. @throws Failure `runtime` if there is none of that name; the message lists those there are.
 * @internal
 */
export const interfaceByName = async (name: string): Promise<InterfaceFacts> => interfaceIn(await interfaces(), name)

/** The same of those that are known already. */
export function interfaceIn(all: readonly InterfaceFacts[], name: string): InterfaceFacts {
  const found = all.find((candidate) => candidate.name === name)
  if (found) return found
  const names = ethernetIn(all).map((candidate) => candidate.name)
  throw new Failure('runtime', `no interface ${name} here; Ethernet interfaces are: ${names.join(', ') || 'none'}`)
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

/** The IPv4 neighbour table of one interface. Entries without ARP (NOARP) are not shown by ip(8). */
export async function neighbours(interfaceName: string): Promise<Neighbour[]> {
  return readNeighbours(await ipJson('-4', 'neigh', 'show', 'dev', interfaceName))
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

/**
 * The route to `destination`, out of `interfaceName` if given. Undefined if there is none.
 * Asking creates no neighbour entry and sends nothing.
 */
export async function routeTo(destination: Ipv4, interfaceName?: string): Promise<Route | undefined> {
  const through = interfaceName === undefined ? [] : ['oif', interfaceName]
  const args = ['-json', '-4', 'route', 'get', destination, ...through]
  const result = await tryCommand('ip', args)
  if (result.code === 0) return readRoute(result.stdout)
  if (/unreachable|No route|RTNETLINK answers/i.test(result.stderr)) return undefined
  throw commandFailure(`ip ${args.join(' ')}`, result)
}

/**
 * The route in the output of `ip -json route get ...`. @throws Failure `runtime` if it is something else.
 * @internal
 */
export function readRoute(output: string): Route | undefined {
  const route = listed(output, 'ip route get', RAW_ROUTE)[0]
  if (!route) return undefined
  const marks = [...(route.flags ?? []), ...(route.cache ?? [])]
  return {
    gateway: route.gateway,
    interface: route.dev,
    source: route.prefsrc,
    redirected: marks.includes('redirected'),
    expiresS: route.expires,
  }
}

/**
 * The next hop that the routing table itself names for `destination`, whatever an ICMP redirect says: the longest
 * prefix, then the lowest metric.
 */
export async function tableGateway(destination: Ipv4, interfaceName: string): Promise<Ipv4 | undefined> {
  return readTableGateway(await ipJson('-4', 'route', 'show', 'match', destination, 'dev', interfaceName))
}

/**
 * The gateway of the first of the routes in the output of `ip -json route show match ...`. @throws Failure `runtime`
 * @internal
 */
export function readTableGateway(output: string): Ipv4 | undefined {
  const routes = listed(output, 'ip route show', TABLE_ROUTE)
  const length = (dst: string): number => (dst === 'default' ? 0 : Number(dst.split('/')[1] ?? 32))
  return routes.toSorted((a, b) => length(b.dst) - length(a.dst) || (a.metric ?? 0) - (b.metric ?? 0))[0]?.gateway
}

/**
 * Makes the kernel resolve the MAC of an on-link address, as its own traffic would, by one empty datagram to the
 * discard port (RFC 863) there. Resolves to the entry, or undefined if it stayed unresolved for a second.
 */
export async function resolveNeighbour(ip: Ipv4, interfaceName: string): Promise<Neighbour | undefined> {
  const known = async (): Promise<Neighbour | undefined> =>
    (await neighbours(interfaceName)).find(
      (entry) => entry.ip === ip && entry.mac !== undefined && entry.state !== 'FAILED',
    )
  const before = await known()
  if (before) return before
  const socket = createSocket('udp4')
  try {
    socket.on('error', () => {})
    socket.send(new Uint8Array(0), 9, ip)
    for (let waited = 0; waited < 1000; waited += 50) {
      await delay(50)
      const entry = await known()
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

export async function redirectFacts(interfaceName: string): Promise<RedirectFacts> {
  const flag = async (path: string): Promise<boolean> =>
    (await readFile(`/proc/sys/net/ipv4/conf/${path}`, 'utf8')).trim() !== '0'
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

/** Whether this host forwards IPv4 packets from an interface (ip-sysctl, `forwarding`). */
export async function forwards(interfaceName: string): Promise<boolean | undefined> {
  const text = await readFile(`/proc/sys/net/ipv4/conf/${interfaceName}/forwarding`, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : text.trim() !== '0'
}
