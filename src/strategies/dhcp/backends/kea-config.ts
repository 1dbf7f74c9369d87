// What Kea's configuration says of one client's router, and the configuration that says something else of it. Pure.
import {Failure} from '../../../errors.ts'
import {list, number, optional, record, type Shaped, text} from '../../../net/json-shape.ts'
import {type Ipv4, type Mac, prefixContains, readPrefix} from '../../../wire/address.ts'
import type {DhcpClient} from './backend.ts'

const OPTION = record({name: optional(text), code: optional(number), data: optional(text)})
/** The parts of Kea's configuration that are looked at; the rest travels through untouched. */
const RESERVATION = record({
  'hw-address': optional(text),
  'ip-address': optional(text),
  hostname: optional(text),
  'option-data': optional(list(OPTION)),
})
const SUBNET = record({
  id: number,
  subnet: text,
  'option-data': optional(list(OPTION)),
  reservations: optional(list(RESERVATION)),
})
const NETWORK = {'option-data': optional(list(OPTION)), subnet4: optional(list(SUBNET))}
export const KEA_CONFIG = record({
  ...NETWORK,
  'shared-networks': optional(list(record(NETWORK))),
  reservations: optional(list(RESERVATION)),
})

type KeaOption = Shaped<typeof OPTION>
type KeaReservation = Shaped<typeof RESERVATION>
type KeaSubnet = Shaped<typeof SUBNET>
export type KeaConfig = Shaped<typeof KEA_CONFIG>

/** The router options of a reservation, and where they stand among its options. JSON. */
export type ReservedRouters = readonly Readonly<{at: number; option: KeaOption}>[]

const isRouters = ({name, code}: KeaOption): boolean => name === 'routers' || code === 3

function* subnets(config: KeaConfig): Iterable<KeaSubnet> {
  yield* config.subnet4 ?? []
  for (const network of config['shared-networks'] ?? []) yield* network.subnet4 ?? []
}

/** A client's reservation, and the subnet it stands in; none for a global one. */
export function placeOf(
  config: KeaConfig,
  mac: Mac,
): {readonly reservation: KeaReservation; readonly subnet?: KeaSubnet} | undefined {
  const of = (list: readonly KeaReservation[] | undefined): KeaReservation | undefined =>
    list?.find((each) => each['hw-address']?.toLowerCase() === mac)
  for (const subnet of subnets(config)) {
    const reservation = of(subnet.reservations)
    if (reservation) return {reservation, subnet}
  }
  const reservation = of(config.reservations)
  return reservation && {reservation}
}

const routerOf = (holder: {readonly 'option-data'?: readonly KeaOption[]} | undefined): Ipv4 | undefined =>
  holder?.['option-data']?.find(isRouters)?.data?.split(',')[0]?.trim()

/** The router that a client's reservation gives it. */
export const reservedRouter = (config: KeaConfig, mac: Mac): Ipv4 | undefined =>
  routerOf(placeOf(config, mac)?.reservation)

/** The router that a client gets: its reservation's, else its subnet's, its shared network's, that of all (classes left aside). */
export function givenRouter(config: KeaConfig, mac: Mac, ip: Ipv4): Ipv4 | undefined {
  const home = placeOf(config, mac)?.subnet ?? [...subnets(config)].find((subnet) => holds(subnet, ip))
  const network = config['shared-networks']?.find(({subnet4}) => home && subnet4?.includes(home))
  return reservedRouter(config, mac) ?? routerOf(home) ?? routerOf(network) ?? routerOf(config)
}

/** The router options of a client's reservation; null if it has no reservation. */
export function reservedRouters(config: KeaConfig, mac: Mac): ReservedRouters | null {
  const options = placeOf(config, mac)?.reservation
  return (
    (options && (options['option-data'] ?? []).flatMap((option, at) => (isRouters(option) ? [{at, option}] : []))) ??
    null
  )
}

const holds = ({subnet}: KeaSubnet, ip: Ipv4): boolean => {
  const prefix = readPrefix(subnet)
  return prefix !== undefined && prefixContains(prefix, ip)
}

const otherOptions = (reservation: KeaReservation | undefined): KeaOption[] =>
  (reservation?.['option-data'] ?? []).filter((option) => !isRouters(option))

/**
 * The configuration with the client's router in its reservation, which is added where there is none.
 * @throws Failure `usage` if no subnet holds the client's address.
 */
export const withReservedRouter = (config: KeaConfig, client: DhcpClient, router: Ipv4): KeaConfig =>
  withReservation(config, client, (old) => ({
    ...(old ?? {'hw-address': client.mac, 'ip-address': client.ip}),
    'option-data': [...otherOptions(old), {name: 'routers', data: router}],
  }))

/** The configuration with these router options in the client's reservation; null: without the reservation, if it says nothing else. */
export function withReservedRouters(config: KeaConfig, client: DhcpClient, routers: ReservedRouters | null): KeaConfig {
  if (placeOf(config, client.mac) === undefined && routers === null) return config
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
  const old = placeOf(config, client.mac)
  const changed = change(old?.reservation)
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
