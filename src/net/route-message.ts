// rtnetlink (rtnetlink(7)) as bytes: default routes, policy rules, links, addresses and neighbours, and how to change them.
// A route that was read keeps its own bytes, so that it is written back with every attribute it had.
import {type Ipv4, ipv4Text, type Mac, macText, writeIpv4} from '../wire/address.ts'
import {ipv6Bytes, ipv6Text} from '../wire/ipv6-address.ts'

export type Family = 4 | 6

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const RTM_NEWLINK = 16
export const RTM_NEWADDR = 20
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
export const RTM_NEWNEIGH = 28
export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
export const RTM_GETLINK = 18
export const RTM_GETADDR = 22
export const RTM_GETROUTE = 26
export const RTM_GETNEIGH = 30
export const RTM_GETRULE = 34

const NLM_F_REQUEST = 1
const NLM_F_ACK = 4
const NLM_F_DUMP = 0x300
const NLM_F_REPLACE = 0x100
const NLM_F_EXCL = 0x200
const NLM_F_CREATE = 0x400
const NLM_F_APPEND = 0x800

export const RT_TABLE_MAIN = 254
const RTN_UNICAST = 1
const RTNH_F_ONLINK = 4
const FR_ACT_TO_TBL = 1

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
const FRA = {priority: 6, fwmark: 10, suppressPrefixlength: 14, table: 15, fwmask: 16, protocol: 21} as const
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_EVENT = 44
const IFLA_EVENT_NOTIFY_PEERS = 4
const HEADER = 16

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

/** A policy rule, as far as it may be ours. */
export interface PolicyRule {
  readonly family: Family
  readonly priority: number
  readonly table: number
  /** Only packets with this mark under this mask. */
  readonly mark?: {readonly value: number; readonly mask: number}
  /** Ignore routes of this prefix length or shorter. */
  readonly suppressPrefixLength?: number
}

/** Rules and routes that gwswitch makes carry this protocol number. */
export const OWN_PROTOCOL = 142

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

export interface NeighbourFacts {
  readonly interfaceIndex: number
  readonly ip: string
  readonly mac: Mac | undefined
  /** NUD state bits (neighbour.h). */
  readonly state: number
}
export const NUD_INCOMPLETE = 1
export const NUD_FAILED = 0x20

/** One message of a netlink datagram. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Buffer
}

/** Splits a datagram. The bodies are views of it. */
export function* netlinkMessages(datagram: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + HEADER <= datagram.length; ) {
    const length = datagram.readUInt32LE(at)
    if (length < HEADER || at + length > datagram.length) return
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + HEADER, at + length),
    }
    at += (length + 3) & ~3
  }
}

function request(type: number, flags: number, body: Uint8Array): Buffer {
  const out = Buffer.alloc(HEADER + body.length)
  out.writeUInt32LE(out.length, 0)
  out.writeUInt16LE(type, 4)
  out.writeUInt16LE(NLM_F_REQUEST | flags, 6)
  out.set(body, HEADER)
  return out
}

const af = (family: Family): number => (family === 4 ? 2 : 10)
const familyOf = (value: number): Family | undefined => (value === 2 ? 4 : value === 10 ? 6 : undefined)
const attributeLength = (data: Uint8Array): number => (data.length + 7) & ~3

function attribute(type: number, data: Uint8Array): Buffer {
  const out = Buffer.alloc(attributeLength(data))
  out.writeUInt16LE(data.length + 4, 0)
  out.writeUInt16LE(type, 2)
  out.set(data, 4)
  return out
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value >>> 0)
  return out
}

function* attributes(body: Buffer, from: number): Generator<{type: number; data: Buffer}> {
  for (let at = from; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at)
    if (length < 4 || at + length > body.length) return
    yield {type: body.readUInt16LE(at + 2) & 0x3fff, data: body.subarray(at + 4, at + length)}
    at += (length + 3) & ~3
  }
}

const attributeMap = (body: Buffer, from: number): Map<number, Buffer> =>
  new Map([...attributes(body, from)].map(({type, data}) => [type, data]))

const addressText = (data: Buffer): string => (data.length === 4 ? ipv4Text(data.readUInt32BE(0)) : ipv6Text(data))

function addressBytes(family: Family, text: string): Uint8Array {
  if (family === 6) return ipv6Bytes(text)
  const out = new Uint8Array(4)
  writeIpv4(text as Ipv4, out, 0)
  return out
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
    table: found.get(RTA.table)?.readUInt32LE(0) ?? body[4]!,
    protocol: body[5]!,
    metric: found.get(RTA.priority)?.readUInt32LE(0) ?? 0,
    gateway: gateway && addressText(gateway),
    interfaceIndex: found.get(RTA.oif)?.readUInt32LE(0) ?? 0,
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

/** The same route through another gateway. */
export function viaGateway(route: DefaultRoute, gateway: string): DefaultRoute {
  const body = Buffer.from(route.raw, 'base64')
  const kept = [...attributes(body, RTMSG)]
    .filter(({type}) => type !== RTA.gateway)
    .map(({type, data}) => attribute(type, data))
  const own = attribute(RTA.gateway, addressBytes(route.family, gateway))
  return {...route, gateway, raw: Buffer.concat([body.subarray(0, RTMSG), own, ...kept]).toString('base64')}
}

/** A default route of our own, in a table of our own. */
export function ownRoute(
  family: Family,
  table: number,
  gateway: string,
  interfaceIndex: number,
  onlink: boolean,
): DefaultRoute {
  const header = Buffer.from([af(family), 0, 0, 0, table < 256 ? table : 0, OWN_PROTOCOL, 0, RTN_UNICAST, 0, 0, 0, 0])
  if (onlink) header.writeUInt32LE(RTNH_F_ONLINK, 8)
  const parts = [
    attribute(RTA.gateway, addressBytes(family, gateway)),
    attribute(RTA.oif, u32(interfaceIndex)),
    attribute(RTA.table, u32(table)),
  ]
  const raw = Buffer.concat([header, ...parts]).toString('base64')
  return {family, table, protocol: OWN_PROTOCOL, metric: 0, gateway, interfaceIndex, onlink, compound: false, raw}
}

/** Writes the route over the one of the same key (table, metric). `create`: also if there is none. */
export const replaceRoute = (route: DefaultRoute, create: boolean): Buffer =>
  request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_REPLACE | (create ? NLM_F_CREATE : 0), Buffer.from(route.raw, 'base64'))

/** Adds the route behind those of the same key: it is used when they are gone. IPv4 only; IPv6 makes one of both. */
export const appendRoute = (route: DefaultRoute): Buffer =>
  request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, Buffer.from(route.raw, 'base64'))

export const deleteRoute = (route: DefaultRoute): Buffer =>
  request(RTM_DELROUTE, NLM_F_ACK, Buffer.from(route.raw, 'base64'))

// fib_rule_hdr: family, dst_len, src_len, tos, table, res1, res2, action, flags (u32).
const RULE = 12

export function dumpRules(family: Family): Buffer {
  const header = Buffer.alloc(RULE)
  header[0] = af(family)
  return request(RTM_GETRULE, NLM_F_DUMP, header)
}

/** A rule of our own protocol; undefined for everybody else's. */
export function parseOwnRule(body: Buffer): PolicyRule | undefined {
  const family = familyOf(body[0] ?? 0)
  const found = attributeMap(body, RULE)
  if (family === undefined || found.get(FRA.protocol)?.[0] !== OWN_PROTOCOL) return undefined
  const value = found.get(FRA.fwmark)?.readUInt32LE(0)
  const suppress = found.get(FRA.suppressPrefixlength)?.readInt32LE(0) ?? -1
  return {
    family,
    priority: found.get(FRA.priority)?.readUInt32LE(0) ?? 0,
    table: found.get(FRA.table)?.readUInt32LE(0) ?? body[4]!,
    ...(value === undefined ? {} : {mark: {value, mask: found.get(FRA.fwmask)?.readUInt32LE(0) ?? 0xffffffff}}),
    ...(suppress < 0 ? {} : {suppressPrefixLength: suppress}),
  }
}

function ruleBody(rule: PolicyRule): Buffer {
  const header = Buffer.from([
    af(rule.family),
    0,
    0,
    0,
    rule.table < 256 ? rule.table : 0,
    0,
    0,
    FR_ACT_TO_TBL,
    0,
    0,
    0,
    0,
  ])
  const parts = [
    attribute(FRA.priority, u32(rule.priority)),
    attribute(FRA.table, u32(rule.table)),
    attribute(FRA.protocol, Uint8Array.of(OWN_PROTOCOL)),
  ]
  if (rule.mark) parts.push(attribute(FRA.fwmark, u32(rule.mark.value)), attribute(FRA.fwmask, u32(rule.mark.mask)))
  if (rule.suppressPrefixLength !== undefined)
    parts.push(attribute(FRA.suppressPrefixlength, u32(rule.suppressPrefixLength)))
  return Buffer.concat([header, ...parts])
}

/** Fails with EEXIST if the very rule is there. */
export const addRule = (rule: PolicyRule): Buffer =>
  request(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ruleBody(rule))
/** Fails with ENOENT if there is no such rule. */
export const deleteRule = (rule: PolicyRule): Buffer => request(RTM_DELRULE, NLM_F_ACK, ruleBody(rule))

/** Links, addresses and neighbours have headers that are zero in a request for all. */
export const dumpLinks = (): Buffer => request(RTM_GETLINK, NLM_F_DUMP, Buffer.alloc(16))
export const dumpAddresses = (): Buffer => request(RTM_GETADDR, NLM_F_DUMP, Buffer.alloc(8))
export const dumpNeighbours = (): Buffer => request(RTM_GETNEIGH, NLM_F_DUMP, Buffer.alloc(12))

/** ifinfomsg: family, pad, type (u16), index (s32), flags, change. */
export function parseLink(body: Buffer): LinkFacts {
  const found = attributeMap(body, 16)
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
  attributeMap(body, 16).get(IFLA_EVENT)?.readUInt32LE(0) === IFLA_EVENT_NOTIFY_PEERS

/** ifaddrmsg: family, prefixlen, flags, scope, index (u32). The prefix is that of IFA_ADDRESS. */
export function parseAddress(body: Buffer): PrefixFacts | undefined {
  const family = familyOf(body[0] ?? 0)
  const address = attributeMap(body, 8).get(1)
  if (family === undefined || address === undefined) return undefined
  return {family, interfaceIndex: body.readUInt32LE(4), address: addressText(address), length: body[1]!}
}

/** ndmsg: family, pad, pad, ifindex (s32), state (u16), flags, type. */
export function parseNeighbour(body: Buffer): NeighbourFacts | undefined {
  const found = attributeMap(body, 12)
  const ip = found.get(1)
  const mac = found.get(2)
  if (familyOf(body[0] ?? 0) === undefined || ip === undefined) return undefined
  return {
    interfaceIndex: body.readInt32LE(4),
    ip: addressText(ip),
    mac: mac?.length === 6 ? macText(mac.readUInt16BE(0), mac.readUInt32BE(2)) : undefined,
    state: body.readUInt16LE(8),
  }
}

/** errno (positive) and the kernel's own words from an NLMSG_ERROR body; errno 0 is an acknowledgement. */
export function parseError(message: NetlinkMessage): {readonly errno: number; readonly text: string | undefined} {
  const errno = -message.body.readInt32LE(0)
  // With NETLINK_CAP_ACK only the header of the request is repeated; the attributes of NETLINK_EXT_ACK follow.
  const text = attributeMap(message.body, 4 + HEADER)
    .get(1)
    ?.toString('utf8')
    .replace(/\0.*$/s, '')
  return {errno, text}
}
