// What the kernel would do with a packet (RTM_GETROUTE, rtnetlink(7)), and the routes that lead past the default one.
import {
  addressBytes,
  addressText,
  af,
  attribute,
  attributeMap,
  type Family,
  familyOf,
  request,
  u32,
  u32In,
  whole,
} from './netlink-message.ts'

const RTM_GETROUTE = 26
const RTN_UNICAST = 1
/** rtm_flags: tell the table; tell the route that matched, not the packet's own. */
const RTM_F_LOOKUP_TABLE = 0x1000
const RTM_F_FIB_MATCH = 0x2000
const RTCF_REDIRECTED = 0x40000
/** The clock of rta_expires, which comes after two other words of rta_cacheinfo. */
const USER_HZ = 100
const EXPIRES_AT = 8
const RTA = {
  ...{dst: 1, src: 2, iif: 3, oif: 4, gateway: 5, prefsrc: 7, multipath: 9, cacheinfo: 12},
  ...{table: 15, mark: 16, via: 18, uid: 25, ipProto: 27, sport: 28, dport: 29},
} as const
const RTMSG = 12
/** rtnexthop: len (u16), flags, hops, ifindex (s32). */
const NEXTHOP = 8

/** A packet that nobody sends: only what is said of it counts. */
export interface RouteQuery {
  readonly family: Family
  readonly destination: string
  /** An address of the VM; or with `incoming`, of whoever's packet it forwards. Undefined: not chosen yet. */
  readonly source?: string
  readonly mark?: number
  /** Who sends it. Undefined: who asks. */
  readonly uid?: number
  readonly tos?: number
  readonly ipProtocol?: number
  readonly sourcePort?: number
  readonly port?: number
  /** Interfaces: that its socket is bound to, that it came in by. */
  readonly outgoing?: number
  readonly incoming?: number
  /** Whether the route that matches is wanted, in place of what is known of this destination (redirects, say). */
  readonly match?: boolean
  /** Whether what is for this host itself, or for a group, is answered too. */
  readonly own?: boolean
}

/** Where the kernel would send it. */
export interface RouteAnswer {
  /** Undefined for what is on-link. */
  readonly gateway: string | undefined
  readonly interfaceIndex: number
  readonly table: number
  /** The address that it would be sent from. */
  readonly source: string | undefined
  /** With `match`: prefix length of the route; 0 is the default route. */
  readonly length: number
  /** An ICMP redirect leads it elsewhere than the table. */
  readonly redirected: boolean
  /** Seconds until that ends, or what else is known of the way; undefined: it has no end. */
  readonly expiresS: number | undefined
}

/** Asks for the way of one packet. Answered by one message for {@link parseAnswer}, or an error. */
export function routeQuery(query: RouteQuery): Buffer {
  const {family, destination, source, match = false, tos = 0} = query
  const bits = family === 4 ? 32 : 128
  const header = Buffer.alloc(RTMSG)
  header.set([af(family), bits, source === undefined ? 0 : bits, tos])
  // IPv6 tells the table unasked, and refuses to be asked (inet6_rtm_valid_getroute_req).
  header.writeUInt32LE((family === 4 ? RTM_F_LOOKUP_TABLE : 0) | (match ? RTM_F_FIB_MATCH : 0), 8)
  const number = (type: number, value: number | undefined): Buffer[] =>
    value === undefined ? [] : [attribute(type, u32(value))]
  const port = (type: number, value: number | undefined): Buffer[] =>
    value === undefined ? [] : [attribute(type, Uint8Array.of(value >> 8, value & 0xff))]
  return request(
    RTM_GETROUTE,
    0,
    Buffer.concat([
      header,
      attribute(RTA.dst, addressBytes(family, destination)),
      ...(source === undefined ? [] : [attribute(RTA.src, addressBytes(family, source))]),
      ...number(RTA.oif, query.outgoing),
      ...number(RTA.iif, query.incoming),
      ...number(RTA.mark, query.mark),
      ...number(RTA.uid, query.uid),
      ...(query.ipProtocol === undefined ? [] : [attribute(RTA.ipProto, Uint8Array.of(query.ipProtocol))]),
      ...port(RTA.sport, query.sourcePort),
      ...port(RTA.dport, query.port),
    ]),
  )
}

/** Undefined for what is not sent to anybody: unreachable and, without `own`, this host's own. @throws WireError */
export function parseAnswer(body: Buffer, {own = false}: Pick<RouteQuery, 'own'> = {}): RouteAnswer | undefined {
  whole(body, 0, RTMSG)
  if (familyOf(body[0]!) === undefined || !(own || body[7] === RTN_UNICAST)) return undefined
  const found = attributeMap(body, RTMSG)
  const text = (type: number): string | undefined => {
    const data = found.get(type)
    return data && addressText(data)
  }
  // Of several next hops, the first stands for all.
  const [hop] = nextHops(found.get(RTA.multipath))
  // Of IPv4 by an IPv6 next hop (RFC 8950): its family, and the address.
  const via = found.get(RTA.via)
  const cached = found.get(RTA.cacheinfo)
  const expires = cached === undefined ? 0 : whole(cached, EXPIRES_AT, 4).readInt32LE(EXPIRES_AT)
  return {
    gateway: text(RTA.gateway) ?? (via && addressText(via.subarray(2))) ?? hop?.gateway,
    interfaceIndex: u32In(found, RTA.oif) ?? hop?.interfaceIndex ?? 0,
    table: u32In(found, RTA.table) ?? body[4]!,
    source: text(RTA.prefsrc),
    length: body[1]!,
    redirected: (body.readUInt32LE(8) & RTCF_REDIRECTED) !== 0,
    expiresS: expires > 0 ? Math.floor(expires / USER_HZ) : undefined,
  }
}

/** A route to less than everything, through gateways. */
export interface PrefixRoute {
  readonly family: Family
  readonly table: number
  readonly address: string
  readonly length: number
  readonly gateways: readonly string[]
}

/** The route that a message of a dump tells of; undefined for a default route, and for one without a gateway. @throws WireError */
export function parsePrefixRoute(body: Buffer): PrefixRoute | undefined {
  const family = familyOf(body[0] ?? 0)
  if (family === undefined || body.length < RTMSG || body[1] === 0 || body[7] !== RTN_UNICAST) return undefined
  const found = attributeMap(body, RTMSG)
  const [destination, gateway] = [found.get(RTA.dst), found.get(RTA.gateway)]
  const gateways = [
    ...(gateway === undefined ? [] : [addressText(gateway)]),
    ...nextHops(found.get(RTA.multipath)).flatMap((hop) => hop.gateway ?? []),
  ]
  if (destination === undefined || gateways.length === 0) return undefined
  const table = u32In(found, RTA.table) ?? body[4]!
  return {family, table, address: addressText(destination), length: body[1]!, gateways}
}

function nextHops(data: Buffer | undefined): {gateway: string | undefined; interfaceIndex: number}[] {
  const hops: {gateway: string | undefined; interfaceIndex: number}[] = []
  for (let at = 0; data !== undefined && at + NEXTHOP <= data.length; ) {
    const length = data.readUInt16LE(at)
    if (length < NEXTHOP || at + length > data.length) break
    const gateway = attributeMap(data.subarray(at, at + length), NEXTHOP).get(RTA.gateway)
    hops.push({gateway: gateway && addressText(gateway), interfaceIndex: data.readInt32LE(at + 4)})
    at += (length + 3) & ~3
  }
  return hops
}
