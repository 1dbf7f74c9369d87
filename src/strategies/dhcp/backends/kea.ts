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
import type {Ipv4, Mac} from '../../../wire/address.ts'
import type {Json} from '../../strategy.ts'
import type {DhcpBackend, DhcpClient} from './backend.ts'
import {alone, type BackendStage, nonceFrom} from './context.ts'
import {
  givenRouter,
  isHa,
  KEA_CONFIG,
  type KeaConfig,
  placeOf,
  type ReservedRouters,
  reservedRouter,
  reservedRouters,
  withReservedRouter,
  withReservedRouters,
} from './kea-config.ts'
import {type LogReader, transactionLog} from './transaction-log.ts'

/** Where Debian's kea-dhcp4 listens. */
export const KEA_CONTROL = '/run/kea/kea4-ctrl-socket'
const WHAT = 'kea-dhcp4'

/** A new configuration makes the pair begin its states anew, during which neither answers. */
const NO_CONFIG_SET =
  'this Kea is one of a high-availability pair (libdhcp_ha), and without reservation-update (libdhcp_host_cmds, and a reservation of the VM in its subnet) only config-set is left, which stops DHCP for everybody until the pair has agreed again: not done'

const ANSWER = record({result: number, text: optional(text), arguments: anything})

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
export const CONFIG_GET = record({Dhcp4: KEA_CONFIG})
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

  async function change(client: DhcpClient, made: (now: KeaConfig) => KeaConfig): Promise<void> {
    await alone(`${control}.gwswitch`, world, async () => {
      const now = await config()
      const changed = made(now)
      if (changed === now) return
      const byReservation = await canUpdate()
      const place = placeOf(changed, client.mac)
      if (byReservation && place?.subnet && placeOf(now, client.mac)?.subnet) {
        const reservation = {...place.reservation, 'subnet-id': place.subnet.id}
        await ask('reservation-update', anything, {reservation, 'operation-target': 'memory'})
      } else await setConfig(changed)
    })
  }

  const canUpdate = async (): Promise<boolean> =>
    (await ask('list-commands', LIST_COMMANDS)).includes('reservation-update')

  async function setConfig(changed: KeaConfig): Promise<void> {
    if (isHa(changed)) throw new Failure('refused', `${control}: ${NO_CONFIG_SET}`)
    await ask('config-set', anything, {Dhcp4: changed})
  }

  return {
    kind: 'kea',
    reach: `${WHAT} by ${control}`,
    async check(client) {
      const now = await config()
      withReservedRouter(now, client, client.ip)
      if (isHa(now) && !(await canUpdate())) throw new Failure('refused', `${control}: ${NO_CONFIG_SET}`)
    },
    setRouter: (client, {ip}) => change(client, (now) => withReservedRouter(now, client, ip)),
    async statement({mac, ip}) {
      const now = await config()
      return {router: givenRouter(now, mac, ip) ?? null, own: reservedRouters(now, mac) as Json, legible: true}
    },
    restore: (client, {own}) =>
      change(client, (now) => withReservedRouters(now, client, own as ReservedRouters | null)),
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

/** At severity INFO already Kea writes a line with the xid for every lease it gives or renews. @internal */
export const keaLine: LogReader = (line) => {
  const found = /DHCP4_LEASE_(?:ALLOC|REUSE) \[hwtype=1 ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\].*?tid=0x([0-9a-f]+)/.exec(
    line,
  )
  return found ? {mac: found[1]!, xid: Number.parseInt(found[2]!, 16), acked: true} : undefined
}
