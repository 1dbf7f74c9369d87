// Which stations of a LAN are gateways of a prefix, and what says so.
import {type Ipv4, type Mac, type Prefix, prefixContains} from '../../wire/address.ts'
import {virtualMacProtocol} from '../filter/fhrp.ts'
import type {Because, DraftGatewayKind} from './draft.ts'
import type {Lan, Station} from './notebook.ts'
import {usualAddresses} from './questions.ts'

export interface Router {
  readonly station: Station
  readonly kind: Exclude<DraftGatewayKind, 'anycast'>
  readonly ip: Ipv4
  readonly ownIp: Ipv4 | undefined
  readonly seen: boolean
  readonly because: readonly Because[]
}

/** `prefixes` are all of the LAN's: what lies in none of them is elsewhere. */
export function routersOf(lan: Lan, prefix: Prefix, prefixes: readonly Prefix[]): readonly Router[] {
  const isElsewhere = (ip: Ipv4): boolean => unicast(ip) && !prefixes.some((each) => prefixContains(each, ip))
  const found = [...lan.stations.values()].flatMap((station) => {
    const ips = addressesIn(station, prefix)
    const because = evidenceOf(station, lan, prefix, isElsewhere)
    const guess = ips.find((ip) => isEnd(ip, prefix))
    if (ips.length === 0 || (because.length === 0 && guess === undefined)) return []
    const guessed = {seen: false, text: `it has the address ${guess}, where gateways usually are`}
    return [{station, ips, seen: because.length > 0, because: because.length > 0 ? because.map(asSeen) : [guessed]}]
  })
  const routers = found.map((each) => {
    const virtual = virtualIps(each.station, lan)
    const shared = each.ips.filter((ip) => found.some(({station, ips}) => station !== each.station && ips.includes(ip)))
    const ip = first(each.ips, virtual) ?? first(each.ips, shared) ?? mostAsked(each.ips, lan, prefix)
    const kind = virtual.includes(ip) ? ('fhrp' as const) : shared.includes(ip) ? ('shared' as const) : ('own' as const)
    const ownIp = kind === 'own' ? undefined : ownAddress(each.station, ip, each.ips, shared)
    const together = kind === 'shared' ? [`${countOf(found, ip)} MACs answer for ${ip}`] : []
    const others = each.ips.filter((other) => other !== ip && other !== ownIp)
    const more = others.length > 0 ? [`it has ${others.join(', ')} too`] : []
    return {...each, kind, ip, ownIp, because: [...each.because, ...[...together, ...more].map(asSeen)]}
  })
  // A router with a virtual MAC answers for its own address by its own MAC: one router, not two.
  const owned = new Set(routers.filter(({station}) => virtualMacProtocol(station.mac)).map(({ownIp}) => ownIp))
  return routers.filter(({ip}) => !owned.has(ip)).sort((a, b) => (a.ip + a.station.mac < b.ip + b.station.mac ? -1 : 1))
}

const asSeen = (text: string): Because => ({seen: true, text})

export const addressesIn = ({ips}: Station, prefix: Prefix): readonly Ipv4[] =>
  [...ips].filter((ip) => prefixContains(prefix, ip)).sort()

/** Multicast, broadcast and the addresses that hosts give themselves are nowhere else. */
const unicast = (ip: Ipv4): boolean => !/^(?:0|127|169\.254|22[4-9]|2[3-5]\d)\./.test(ip)

/** The first and the last address of a prefix. */
const isEnd = (ip: Ipv4, prefix: Prefix): boolean => {
  const usual = usualAddresses(prefix)
  return ip === usual[0] || ip === usual[3]
}

const first = (ips: readonly Ipv4[], among: readonly Ipv4[]): Ipv4 | undefined => ips.find((ip) => among.includes(ip))

const countOf = (found: readonly {readonly ips: readonly Ipv4[]}[], ip: Ipv4): number =>
  found.filter(({ips}) => ips.includes(ip)).length

/** Addresses that a redundancy protocol moves between routers: by hellos, whoever's, or by the MAC that speaks for them. */
function virtualIps(station: Station, lan: Lan): readonly Ipv4[] {
  if (virtualMacProtocol(station.mac) !== undefined) return [...station.ips]
  return [...lan.stations.values()].flatMap(({hellos}) => [...hellos.values()].flatMap(({hello}) => hello.addresses))
}

/** The address that most stations ask for, else one where gateways usually are. */
function mostAsked(ips: readonly Ipv4[], lan: Lan, prefix: Prefix): Ipv4 {
  const weight = (ip: Ipv4): number =>
    [...lan.stations.values()].filter(({asksFor}) => asksFor.has(ip)).length + (isEnd(ip, prefix) ? 0.5 : 0)
  return ips.toSorted((a, b) => weight(b) - weight(a))[0]!
}

function ownAddress(station: Station, ip: Ipv4, ips: readonly Ipv4[], shared: readonly Ipv4[]): Ipv4 | undefined {
  const hello = [...station.hellos.values()].find((each) => each.hello.addresses.includes(ip) && each.ip !== ip)
  return hello?.ip ?? ips.find((each) => each !== ip && !shared.includes(each))
}

/** What says that a station is a router, in the order of its weight. */
function evidenceOf(station: Station, lan: Lan, prefix: Prefix, isElsewhere: (ip: Ipv4) => boolean): string[] {
  const {mac, hellos, advertisements, sends, gets, routesAs, ips} = station
  const out: string[] = []
  const protocol = virtualMacProtocol(mac)
  if (protocol !== undefined) out.push(`its MAC is a virtual one of ${protocol}`)
  for (const {ip, hello} of hellos.values())
    out.push(
      `${hello.protocol} hellos of group ${hello.group} from ${ip}, priority ${hello.priority}, for ${hello.addresses.join(', ')}`,
    )
  for (const [ip, {lifetime, preference}] of advertisements)
    out.push(`router advertisements from ${ip}: lifetime ${lifetime} s, preference ${preference}`)
  if (routesAs !== undefined) out.push(`it took a packet on that was for elsewhere, and gave it back as ${routesAs}`)
  const users = [...gets].filter(
    ([, {source, destinations}]) => prefixContains(prefix, source) && [...destinations].some(isElsewhere),
  )
  if (users.length > 0)
    out.push(`${stations(users.length)} it what is for elsewhere (${userWords(users, isElsewhere)})`)
  const forwarded = [...sends].find(([source, to]) => isElsewhere(source) && prefixContains(prefix, to))
  if (forwarded !== undefined) out.push(`it brought a packet from ${forwarded[0]} to ${forwarded[1]}`)
  for (const {server, routers} of lan.offers.values()) {
    const offered = routers.find((ip) => ips.has(ip))
    if (offered !== undefined) out.push(`the DHCP server ${server} offers ${offered} as router`)
  }
  return out
}

const stations = (count: number): string => (count === 1 ? '1 station sends' : `${count} stations send`)
const SHOWN = 3
const userWords = (
  users: readonly (readonly [Mac, {readonly source: Ipv4; readonly destinations: ReadonlySet<Ipv4>}])[],
  isElsewhere: (ip: Ipv4) => boolean,
): string =>
  users
    .slice(0, SHOWN)
    .map(([, {source, destinations}]) => `${source} to ${[...destinations].find(isElsewhere)}`)
    .join(', ') + (users.length > SHOWN ? ', …' : '')
