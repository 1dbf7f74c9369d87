// What Kea's configuration says of one client's router, and the configuration that says something else of it. Pure.
import {Failure} from '../../../errors.ts'
import {list, number, optional, record, type Shaped, text} from '../../../net/json-shape.ts'
import {type Ipv4, ipv4Value, isIpv4, type Mac, prefixContains, readPrefix} from '../../../wire/address.ts'
import type {DhcpClient} from './backend.ts'
import {defaultRouter, withDefaultRouter} from './kea-routes.ts'

const OPTION = record({name: optional(text), code: optional(number), data: optional(text)})
/** The parts of Kea's configuration that are looked at; the rest travels through untouched. */
const RESERVATION = record({
  'hw-address': optional(text),
  'client-id': optional(text),
  duid: optional(text),
  'circuit-id': optional(text),
  'flex-id': optional(text),
  'ip-address': optional(text),
  hostname: optional(text),
  'option-data': optional(list(OPTION)),
})
const SUBNET = record({
  id: number,
  subnet: text,
  'option-data': optional(list(OPTION)),
  reservations: optional(list(RESERVATION)),
  pools: optional(list(record({pool: text, 'option-data': optional(list(OPTION))}))),
})
const NETWORK = {'option-data': optional(list(OPTION)), subnet4: optional(list(SUBNET))}
export const KEA_CONFIG = record({
  ...NETWORK,
  'shared-networks': optional(list(record(NETWORK))),
  reservations: optional(list(RESERVATION)),
  'host-reservation-identifiers': optional(list(text)),
  'hooks-libraries': optional(list(record({library: text}))),
})

type KeaOption = Shaped<typeof OPTION>
type KeaReservation = Shaped<typeof RESERVATION>
type KeaSubnet = Shaped<typeof SUBNET>
export type KeaConfig = Shaped<typeof KEA_CONFIG>

/** Whether this Kea is one of a high-availability pair. */
export const isHa = (config: KeaConfig): boolean =>
  (config['hooks-libraries'] ?? []).some(({library}) => library.includes('libdhcp_ha'))

/** The options of a reservation that say its gateway (3, 121), and where they stand among its options. JSON. */
export type ReservedRouters = readonly Readonly<{at: number; option: KeaOption}>[]

const isRouters = ({name, code}: KeaOption): boolean => name === 'routers' || code === 3
/** By its code, or by the name of newer versions; older ones have none of their own for it. */
const isRoutes = ({name, code}: KeaOption): boolean => code === 121 || /classless-static-route/.test(name ?? '')
const saysGateway = (option: KeaOption): boolean => isRouters(option) || isRoutes(option)

function* subnets(config: KeaConfig): Iterable<KeaSubnet> {
  yield* config.subnet4 ?? []
  for (const network of config['shared-networks'] ?? []) yield* network.subnet4 ?? []
}

/** What Kea knows a client's reservation by, in the order in which it looks where nothing else is set. */
const IDENTIFIERS = ['hw-address', 'duid', 'circuit-id', 'client-id'] as const
type Identifier = (typeof IDENTIFIERS)[number] | 'flex-id'

/** A client as its reservations are found: by its MAC, or by its address under an identifier that is not known here. */
type ReservedClient = Pick<DhcpClient, 'mac' | 'ip'>

/** Hexadecimal digits as Kea writes them, and as people do. */
const digits = (identifier: string): string => identifier.replaceAll(/[:\s]/g, '').toLowerCase()

/** By its hardware address, or by the client identifier that is made of that (RFC 2132 section 9.14). */
const isByMac = (each: KeaReservation, mac: Mac): boolean =>
  each['hw-address']?.toLowerCase() === mac || digits(each['client-id'] ?? '') === `01${digits(mac)}`

const isOf = (each: KeaReservation, {mac, ip}: ReservedClient): boolean =>
  isByMac(each, mac) || (each['ip-address'] === ip && each['hw-address'] === undefined)

/** A client's reservation, and the subnet it stands in; none for a global one. The one that Kea finds first, of several. */
export function placeOf(
  config: KeaConfig,
  client: ReservedClient,
): {readonly reservation: KeaReservation; readonly subnet?: KeaSubnet} | undefined {
  const order: readonly string[] = config['host-reservation-identifiers'] ?? IDENTIFIERS
  const rank = (each: KeaReservation): number => {
    const at = order.findIndex((identifier) => each[identifier as Identifier] !== undefined)
    return at < 0 ? order.length : at
  }
  const of = (list: readonly KeaReservation[] = []): KeaReservation | undefined =>
    list.filter((each) => isOf(each, client)).toSorted((one, other) => rank(one) - rank(other))[0]
  // A MAC may be reserved in the subnets of others as well: Kea looks in the client's own, and those on its shared network.
  const home = (subnet: KeaSubnet): boolean => holds(subnet, client.ip)
  const network = config['shared-networks']?.find(({subnet4}) => subnet4?.some(home))?.subnet4 ?? []
  const all = new Set([...[...subnets(config)].filter(home), ...network])
  for (const subnet of all) {
    const reservation = of(subnet.reservations)
    if (reservation) return {reservation, subnet}
  }
  const reservation = of(config.reservations)
  return reservation && {reservation}
}

const routerOf = (holder: Holder): Ipv4 | undefined =>
  holder?.['option-data']?.find(isRouters)?.data?.split(',')[0]?.trim()

/** The router that a client's reservation gives it. @internal */
export const reservedRouter = (config: KeaConfig, client: ReservedClient): Ipv4 | undefined =>
  routerOf(placeOf(config, client)?.reservation)

type Holder = {readonly 'option-data'?: readonly KeaOption[]} | undefined

/** What says a client's options, the first word counting: its reservation, pool, subnet, shared network, all (classes left aside). */
function holdersOf(config: KeaConfig, client: ReservedClient): readonly Holder[] {
  const {ip} = client
  const place = placeOf(config, client)
  const home = place?.subnet ?? [...subnets(config)].find((subnet) => holds(subnet, ip))
  const network = config['shared-networks']?.find(({subnet4}) => home && subnet4?.includes(home))
  return [place?.reservation, home?.pools?.find(({pool}) => isIn(pool, ip)), home, network, config]
}

/** `10.0.0.100-10.0.0.199`, or a prefix. */
function isIn(pool: string, ip: Ipv4): boolean {
  const prefix = readPrefix(pool.trim())
  if (prefix) return prefixContains(prefix, ip)
  const [first, last] = pool.split('-').map((part) => part.trim())
  return isIpv4(first ?? '') && isIpv4(last ?? '') && between(first!, ip, last!)
}

const between = (first: Ipv4, ip: Ipv4, last: Ipv4): boolean =>
  ipv4Value(first) <= ipv4Value(ip) && ipv4Value(ip) <= ipv4Value(last)

/** The option 121 that a client gets. */
const routesOf = (config: KeaConfig, client: ReservedClient): KeaOption | undefined =>
  holdersOf(config, client)
    .map((holder) => holder?.['option-data']?.find(isRoutes))
    .find((option) => option !== undefined)

/**
 * The router that a client gets: by the default route of its option 121, for whoever takes that ignores option 3. Where
 * the two differ, only its clients could say which one they take: the one of option 121 is told.
 */
export function givenRouter(config: KeaConfig, client: ReservedClient): Ipv4 | undefined {
  const routes = routesOf(config, client)?.data
  const router = routes === undefined ? undefined : defaultRouter(routes)
  return (
    router ??
    holdersOf(config, client)
      .map(routerOf)
      .find((found) => found !== undefined)
  )
}

/** The options of a client's reservation that say its gateway; null if it has no reservation. */
export function reservedRouters(config: KeaConfig, client: ReservedClient): ReservedRouters | null {
  const options = placeOf(config, client)?.reservation
  return (
    (options && (options['option-data'] ?? []).flatMap((option, at) => (saysGateway(option) ? [{at, option}] : []))) ??
    null
  )
}

const holds = ({subnet}: KeaSubnet, ip: Ipv4): boolean => {
  const prefix = readPrefix(subnet)
  return prefix !== undefined && prefixContains(prefix, ip)
}

const otherOptions = (reservation: KeaReservation | undefined): KeaOption[] =>
  (reservation?.['option-data'] ?? []).filter((option) => !saysGateway(option))

/**
 * The configuration with the client's router in its reservation, which is added where there is none: in option 3, and in
 * 121 where it gets one with a default route, whose other routes stay.
 * @throws Failure `usage` if no subnet holds the client's address, `refused` for an option 121 that cannot be read.
 */
export function withReservedRouter(config: KeaConfig, client: DhcpClient, router: Ipv4): KeaConfig {
  const routes = routesOf(config, client)
  const now = routes && defaultRouter(routes.data ?? '')
  if (routes && now === undefined)
    throw new Failure(
      'refused',
      `kea-dhcp4 gives ${client.name} option 121, which outweighs the router, and its data cannot be read: ${routes.data}`,
    )
  const own = !routes ? [] : [now === null ? routes : {...routes, data: withDefaultRouter(routes.data!, router)}]
  return withReservation(config, client, (old) => ({
    ...(old ?? {'hw-address': client.mac, 'ip-address': client.ip}),
    'option-data': [...otherOptions(old), {name: 'routers', data: router}, ...own],
  }))
}

/** The configuration with these router options in the client's reservation; null: without the reservation, if it says nothing else. */
export function withReservedRouters(config: KeaConfig, client: DhcpClient, routers: ReservedRouters | null): KeaConfig {
  if (placeOf(config, client) === undefined && routers === null) return config
  return withReservation(config, client, (old) => {
    const options = otherOptions(old)
    if (routers === null && options.length === 0 && !old?.hostname) return undefined
    for (const {at, option} of routers ?? []) options.splice(at, 0, option)
    return {...(old ?? {'hw-address': client.mac, 'ip-address': client.ip}), 'option-data': options}
  })
}

function withReservation(
  config: KeaConfig,
  client: DhcpClient,
  change: (old: KeaReservation | undefined) => KeaReservation | undefined,
): KeaConfig {
  const old = placeOf(config, client)
  const changed = change(old?.reservation)
  if (!old && changed) checkNew(config, client)
  const made = changed === undefined ? [] : [changed]
  const put = (list: readonly KeaReservation[] = []): readonly KeaReservation[] =>
    old ? list.flatMap((each) => (each === old.reservation ? made : [each])) : [...list, ...made]
  if (old && !old.subnet) return {...config, reservations: put(config.reservations)}
  const home = old?.subnet ?? [...subnets(config)].find((subnet) => holds(subnet, client.ip))
  if (!home) throw new Failure('usage', `kea-dhcp4 has no subnet that holds ${client.ip} of ${client.name}`)
  const inSubnets = (list: readonly KeaSubnet[]): readonly KeaSubnet[] =>
    list.map((each) => (each === home ? {...each, reservations: put(each.reservations)} : each))
  return {
    ...config,
    ...(config.subnet4 && {subnet4: inSubnets(config.subnet4)}),
    ...(config['shared-networks'] && {
      'shared-networks': config['shared-networks'].map((network) => ({
        ...network,
        ...(network.subnet4 && {subnet4: inSubnets(network.subnet4)}),
      })),
    }),
  }
}

/** @throws Failure `refused` where Kea would not take the reservation, or never look at it. */
function checkNew(config: KeaConfig, {name, ip}: DhcpClient): void {
  const identifiers = config['host-reservation-identifiers']
  if (identifiers && !identifiers.includes('hw-address'))
    throw new Failure(
      'refused',
      `kea-dhcp4 has no reservation of ${name} (${ip}), and looks for none by hw-address (host-reservation-identifiers: ${identifiers.join(', ')}): write one with its address`,
    )
  const other = [...subnets(config)]
    .flatMap(({reservations = []}) => reservations)
    .find((each) => each['ip-address'] === ip)
  if (other)
    throw new Failure('refused', `kea-dhcp4 reserves ${ip} of ${name} for another hw-address, ${other['hw-address']}`)
}
