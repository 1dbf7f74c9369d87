// Kea (2.2 and later) by its control socket: one JSON command a connection.
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../../errors.ts'
import {
  anything,
  list,
  number,
  optional,
  readJson,
  record,
  type Shape,
  type Shaped,
  shaped,
  text,
} from '../../../net/json-shape.ts'
import {askUnixSocket} from '../../../net/stream/unix-request.ts'
import {type Ipv4, type Mac, prefixContains, readPrefix} from '../../../wire/address.ts'
import type {DhcpBackend, DhcpClient} from './backend.ts'
import {alone, type BackendStage, nonceFrom} from './context.ts'
import {type LogReader, transactionLog} from './transaction-log.ts'

/** Where Debian's kea-dhcp4 listens. */
export const KEA_CONTROL = '/run/kea/kea4-ctrl-socket'
const WHAT = 'kea-dhcp4'

const OPTION = record({name: optional(text), code: optional(number), data: optional(text)})
/** The parts of Kea's configuration that are looked at; the rest travels through untouched. */
const RESERVATION = record({
  'hw-address': optional(text),
  'ip-address': optional(text),
  'option-data': optional(list(OPTION)),
})
const SUBNET = record({id: number, subnet: text, reservations: optional(list(RESERVATION))})
const CONFIG = record({
  subnet4: optional(list(SUBNET)),
  'shared-networks': optional(list(record({subnet4: optional(list(SUBNET))}))),
  reservations: optional(list(RESERVATION)),
})
const ANSWER = record({result: number, text: optional(text), arguments: anything})

type KeaOption = Shaped<typeof OPTION>
type KeaReservation = Shaped<typeof RESERVATION>
type KeaSubnet = Shaped<typeof SUBNET>
export type KeaConfig = Shaped<typeof CONFIG>

/**
 * What Kea answers to `command`. @throws Failure `refused` with its words if it did not do it, `runtime` if that is no
 * answer of Kea's. `control` names the socket.
 * @internal
 */
export function readKeaAnswer<T>(json: string, control: string, command: string, shape: Shape<T>): T {
  let answer: Shaped<typeof ANSWER>
  try {
    answer = readJson(json, command, ANSWER)
  } catch {
    throw new Failure('runtime', `${control}: what answers there is not ${WHAT}`)
  }
  if (answer.result === 0) return shaped(answer.arguments, `${WHAT}: ${command}`, shape)
  throw new Failure('refused', `${WHAT}: ${command}: ${answer.text ?? `result ${answer.result}`}`)
}

/**
 * Kea 2.4 and later add a hash beside Dhcp4, which config-set would not take back.
 * @internal
 */
export const CONFIG_GET = record({Dhcp4: CONFIG})
/** @internal */
export const LIST_COMMANDS = list(text)

export function keaBackend(dhcp: SegmentDhcp, {world}: BackendStage): DhcpBackend {
  const {control = KEA_CONTROL, log: logFile} = dhcp
  const log = logFile === undefined ? undefined : transactionLog(logFile, keaLine)
  const routers = new Map<Mac, {readonly serial: string; readonly router: Ipv4 | undefined}>()

  async function ask<T>(command: string, shape: Shape<T>, args?: unknown): Promise<T> {
    const request = JSON.stringify({command, ...(args !== undefined && {arguments: args})})
    return readKeaAnswer(await askUnixSocket(control, request, WHAT), control, command, shape)
  }
  const config = async (): Promise<KeaConfig> => (await ask('config-get', CONFIG_GET)).Dhcp4

  return {
    kind: 'kea',
    reach: `${WHAT} by ${control}`,
    async check(client) {
      withReservedRouter(await config(), client, client.ip)
    },
    async setRouter(client, {ip}) {
      await alone(`${control}.gwswitch`, world, async () => {
        const now = await config()
        const changed = withReservedRouter(now, client, ip)
        const commands = await ask('list-commands', LIST_COMMANDS)
        const place = placeOf(changed, client.mac)
        if (commands.includes('reservation-update') && place?.subnet && placeOf(now, client.mac)?.subnet) {
          const reservation = {...place.reservation, 'subnet-id': place.subnet.id}
          await ask('reservation-update', anything, {reservation, 'operation-target': 'memory'})
        } else await ask('config-set', anything, {Dhcp4: changed})
      })
    },
    async lastTransaction(client) {
      const found = log?.last(client.mac)
      if (!found) return undefined
      let known = routers.get(client.mac)
      if (known?.serial !== found.serial) {
        known = {serial: found.serial, router: reservedRouter(await config(), client.mac)}
        routers.set(client.mac, known)
      }
      return {...found, router: known.router, serverId: dhcp.address}
    },
    nonce: nonceFrom(dhcp),
  }
}

const isRouters = ({name, code}: KeaOption): boolean => name === 'routers' || code === 3

function* subnets(config: KeaConfig): Iterable<KeaSubnet> {
  yield* config.subnet4 ?? []
  for (const network of config['shared-networks'] ?? []) yield* network.subnet4 ?? []
}

function placeOf(
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

/** The router that a client's reservation gives it. @internal */
export const reservedRouter = (config: KeaConfig, mac: Mac): Ipv4 | undefined =>
  placeOf(config, mac)?.reservation['option-data']?.find(isRouters)?.data?.split(',')[0]?.trim()

/**
 * The configuration with the client's router in its reservation, which is added where there is none.
 * @throws Failure `usage` if no subnet holds the client's address.
 * @internal
 */
export function withReservedRouter(config: KeaConfig, client: DhcpClient, router: Ipv4): KeaConfig {
  const old = placeOf(config, client.mac)
  const reservation: KeaReservation = {
    ...(old?.reservation ?? {'hw-address': client.mac, 'ip-address': client.ip}),
    'option-data': [
      ...(old?.reservation['option-data'] ?? []).filter((option) => !isRouters(option)),
      {name: 'routers', data: router},
    ],
  }
  const put = (list: readonly KeaReservation[] = []): readonly KeaReservation[] =>
    old ? list.map((each) => (each === old.reservation ? reservation : each)) : [...list, reservation]
  if (old && !old.subnet) return {...config, reservations: put(config.reservations)}
  const holds = ({subnet}: KeaSubnet): boolean => {
    const prefix = readPrefix(subnet)
    return prefix !== undefined && prefixContains(prefix, client.ip)
  }
  const home = old?.subnet ?? [...subnets(config)].find(holds)
  if (!home) throw new Failure('usage', `${WHAT} has no subnet that holds ${client.ip} of ${client.name}`)
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

/** At severity INFO already Kea writes a line with the xid for every lease it gives or renews. @internal */
export const keaLine: LogReader = (line) => {
  const found = /DHCP4_LEASE_(?:ALLOC|REUSE) \[hwtype=1 ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\].*?tid=0x([0-9a-f]+)/.exec(
    line,
  )
  return found ? {mac: found[1]!, xid: Number.parseInt(found[2]!, 16), acked: true} : undefined
}
