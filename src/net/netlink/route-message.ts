// rtnetlink(7) as bytes: default routes, links and addresses, and how to change routes.
// A route that was read keeps its own bytes, so that it is written back with every attribute it had. What reads them throws
// `WireError`, layer `netlink`, for what is cut, or no address.
import {type Mac, macText} from '../../wire/address.ts'
import {
  addressBytes,
  addressText,
  af,
  attribute,
  attributeMap,
  attributes,
  type Family,
  familyOf,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  OWN_PROTOCOL,
  request,
  u32,
  u32In,
  whole,
} from './netlink-message.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
const RTM_GETLINK = 18
const RTM_GETADDR = 22
const RTM_GETROUTE = 26

const RTN_UNICAST = 1
const RTNH_F_ONLINK = 4
const RTA = {
  oif: 4,
  gateway: 5,
  priority: 6,
  prefsrc: 7,
  multipath: 9,
  cacheinfo: 12,
  table: 15,
  via: 18,
  expires: 23,
  nhId: 30,
} as const
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_EVENT = 44
const IFLA_EVENT_NOTIFY_PEERS = 4

/** A default route as the kernel has it. */
export interface DefaultRoute {
  readonly family: Family
  readonly table: number
  /** Who made it (rt_protos): 2 kernel, 3 boot, 4 static, 9 ra, 16 dhcp, ... */
  readonly protocol: number
  readonly metric: number
  /** Undefined for a route that needs none, or has several. */
  readonly gateway: string | undefined
  /** Interface index; 0 where there are several next hops. */
  readonly interfaceIndex: number
  readonly onlink: boolean
  /** Several next hops, a next hop object, or a gateway of another family: not to be rewritten by address. */
  readonly compound: boolean
  /** rtmsg and attributes as they were read, base64: what {@link replaceRoute} writes back. */
  readonly raw: string
}

export interface LinkFacts {
  readonly index: number
  readonly name: string
  readonly mac: Mac
  readonly up: boolean
}

export interface PrefixFacts {
  readonly family: Family
  readonly interfaceIndex: number
  readonly address: string
  readonly length: number
}

// rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags (u32).
const RTMSG = 12

/** Asks for every route of a table. Tables above 255 are named by attribute alone. */
export function dumpRoutes(family: Family, table: number): Buffer {
  const header = Buffer.alloc(RTMSG)
  header[0] = af(family)
  return request(RTM_GETROUTE, NLM_F_DUMP, Buffer.concat([header, attribute(RTA.table, u32(table))]))
}

/** The default route that a message of {@link dumpRoutes}, or a notification, tells of; undefined if it is another route. */
export function parseDefaultRoute(body: Buffer): DefaultRoute | undefined {
  const family = familyOf(body[0] ?? 0)
  if (family === undefined || body.length < RTMSG || body[1] !== 0 || body[2] !== 0 || body[7] !== RTN_UNICAST)
    return undefined
  const found = attributeMap(body, RTMSG)
  const gateway = found.get(RTA.gateway)
  return {
    family,
    table: u32In(found, RTA.table) ?? body[4]!,
    protocol: body[5]!,
    metric: u32In(found, RTA.priority) ?? 0,
    gateway: gateway && addressText(gateway),
    interfaceIndex: u32In(found, RTA.oif) ?? 0,
    onlink: (body.readUInt32LE(8) & RTNH_F_ONLINK) !== 0,
    compound: [RTA.multipath, RTA.via, RTA.nhId].some((type) => found.has(type)),
    raw: writable(body).toString('base64'),
  }
}

/** What of a dumped route may be written: flags that only the kernel sets go, a remaining lifetime stays a lifetime. */
function writable(body: Buffer): Buffer {
  const header = Buffer.from(body.subarray(0, RTMSG))
  header.writeUInt32LE(body.readUInt32LE(8) & RTNH_F_ONLINK, 8)
  const kept = [...attributes(body, RTMSG)].flatMap(({type, data}) => {
    if (type !== RTA.cacheinfo) return [attribute(type, data)]
    // rta_cacheinfo.rta_expires, in 1/100 s (USER_HZ); 0 is for ever.
    const expires = body[0] === 10 && data.length >= 12 ? Math.floor(data.readInt32LE(8) / 100) : 0
    return expires > 0 ? [attribute(RTA.expires, u32(expires))] : []
  })
  return Buffer.concat([header, ...kept])
}

/** The same route out of another interface: one that was replugged has another index. */
export function outOf(route: DefaultRoute, interfaceIndex: number): DefaultRoute {
  const body = Buffer.from(route.raw, 'base64')
  return {...route, interfaceIndex, raw: rewritten(body, [RTA.oif], [attribute(RTA.oif, u32(interfaceIndex))])}
}

/** The same route through another gateway. */
export function viaGateway(route: DefaultRoute, gateway: string): DefaultRoute {
  const body = Buffer.from(route.raw, 'base64')
  return {...route, gateway, raw: rewritten(body, [RTA.gateway], [gatewayOf(route.family, gateway)])}
}

/** What makes a route another one: its place, its next hops, its lifetime. The rest is how packets are sent by it. */
const NO_TRAITS: readonly number[] = [
  RTA.oif,
  RTA.gateway,
  RTA.priority,
  RTA.multipath,
  RTA.table,
  RTA.via,
  RTA.expires,
  RTA.nhId,
]

/** Whether packets are sent by both in the same way: source, MTU, ... */
export function sameTraits(a: DefaultRoute, b: DefaultRoute): boolean {
  const traits = ({raw}: DefaultRoute): string =>
    [...attributes(Buffer.from(raw, 'base64'), RTMSG)]
      .filter(({type}) => !NO_TRAITS.includes(type))
      .map(({type, data}) => `${type} ${data.toString('hex')}`)
      .toSorted()
      .join()
  return traits(a) === traits(b)
}

/**
 * The same route in a table of our own, through another gateway: whoever made it wants its source, its MTU and the rest for
 * what leaves by that interface. Its lifetime stays with it, for nobody prolongs ours.
 */
export function inOwnTable(route: DefaultRoute, table: number, gateway: string): DefaultRoute {
  const {family, interfaceIndex, onlink} = route
  const body = Buffer.from(route.raw, 'base64')
  body[4] = table < 256 ? table : 0
  body[5] = OWN_PROTOCOL
  const raw = rewritten(body, NO_TRAITS, [
    gatewayOf(family, gateway),
    attribute(RTA.oif, u32(interfaceIndex)),
    attribute(RTA.table, u32(table)),
  ])
  return {family, table, protocol: OWN_PROTOCOL, metric: 0, gateway, interfaceIndex, onlink, compound: false, raw}
}

const gatewayOf = (family: Family, gateway: string): Buffer => attribute(RTA.gateway, addressBytes(family, gateway))

/** rtmsg and attributes, base64, with some attributes in place of others. */
function rewritten(body: Buffer, dropped: readonly number[], added: readonly Buffer[]): string {
  const kept = [...attributes(body, RTMSG)].filter(({type}) => !dropped.includes(type))
  const parts = [body.subarray(0, RTMSG), ...added, ...kept.map(({type, data}) => attribute(type, data))]
  return Buffer.concat(parts).toString('base64')
}

/** Writes the route over the one of the same key (table, metric). `create`: also if there is none. */
export const replaceRoute = (route: DefaultRoute, create: boolean): Buffer =>
  request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_REPLACE | (create ? NLM_F_CREATE : 0), Buffer.from(route.raw, 'base64'))

/** Adds the route behind those of the same key: it is used when they are gone. IPv4 only; IPv6 makes one of both. */
export const appendRoute = (route: DefaultRoute): Buffer =>
  request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, Buffer.from(route.raw, 'base64'))

export const deleteRoute = (route: DefaultRoute): Buffer =>
  request(RTM_DELROUTE, NLM_F_ACK, Buffer.from(route.raw, 'base64'))

/** Bytes of the headers of links and addresses, which are zero in a request for all. */
const IFINFOMSG = 16
const IFADDRMSG = 8
export const dumpLinks = (): Buffer => request(RTM_GETLINK, NLM_F_DUMP, Buffer.alloc(IFINFOMSG))
export const dumpAddresses = (): Buffer => request(RTM_GETADDR, NLM_F_DUMP, Buffer.alloc(IFADDRMSG))

/** ifinfomsg: family, pad, type (u16), index (s32), flags, change. */
export function parseLink(body: Buffer): LinkFacts {
  const found = attributeMap(whole(body, 0, IFINFOMSG), IFINFOMSG)
  const mac = found.get(IFLA_ADDRESS)
  return {
    index: body.readInt32LE(4),
    name: (found.get(IFLA_IFNAME)?.toString('latin1') ?? '').replace(/\0.*$/s, ''),
    mac: mac?.length === 6 ? macText(mac.readUInt16BE(0), mac.readUInt32BE(2)) : '00:00:00:00:00:00',
    up: (body.readUInt32LE(8) & 1) !== 0,
  }
}

/** Whether a link notification says NOTIFY PEERS: the interface has moved, and tells its neighbours. */
export const isNotifyPeers = (body: Buffer): boolean =>
  u32In(attributeMap(body, IFINFOMSG), IFLA_EVENT) === IFLA_EVENT_NOTIFY_PEERS

/** ifaddrmsg: family, prefixlen, flags, scope, index (u32). The prefix is that of IFA_ADDRESS. */
export function parseAddress(body: Buffer): PrefixFacts | undefined {
  const family = familyOf(body[0] ?? 0)
  const address = attributeMap(whole(body, 0, IFADDRMSG), IFADDRMSG).get(1)
  if (family === undefined || address === undefined) return undefined
  return {family, interfaceIndex: body.readUInt32LE(4), address: addressText(address), length: body[1]!}
}
