// Kea (2.2 and later) by its control socket: one JSON command a connection.
import {isDeepStrictEqual} from 'node:util'
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../../errors.ts'
import {type Kept, readNamed} from '../../../net/file/text-file.ts'
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
import {postJson, type TlsFiles} from '../../../net/stream/http-request.ts'
import {askUnixSocket} from '../../../net/stream/unix-request.ts'
import type {Ipv4, Mac} from '../../../wire/address.ts'
import type {Json} from '../../strategy.ts'
import type {DhcpBackend, DhcpClient} from './backend.ts'
import {alone, type BackendStage, keaLock, nonceFrom} from './context.ts'
import {
  givenRouter,
  isHa,
  KEA_CONFIG,
  type KeaConfig,
  placeOf,
  type ReservedRouters,
  reservedRouters,
  withReservedRouter,
  withReservedRouters,
} from './kea-config.ts'
import {KEA_STATUS, type KeaStatus, nobodyAnswers, pairCautions, pairText} from './kea-ha.ts'
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
    const said = readJson(json, command, anything)
    // The control agent, and HTTP in general, answers with a list: one for each service that was asked.
    answer = shaped(Array.isArray(said) ? said[0] : said, command, ANSWER)
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

/** One Kea, by one of its control channels. */
function keaServer(control: string, dhcp: SegmentDhcp, world: BackendStage['world']) {
  async function ask<T>(command: string, shape: Shape<T>, args?: unknown): Promise<T> {
    const isUrl = !control.startsWith('/')
    const request = JSON.stringify({
      ...{command, ...(isUrl && {service: ['dhcp4']})},
      ...(args !== undefined && {arguments: args}),
    })
    const answer = await (isUrl ? postJson(control, request, WHAT, tlsOf(dhcp)) : askUnixSocket(control, request, WHAT))
    return readKeaAnswer(answer, control, command, shape)
  }
  let isPair: boolean | undefined
  const config = async (): Promise<KeaConfig> => (await ask('config-get', CONFIG_GET)).Dhcp4
  const canUpdate = async (): Promise<boolean> =>
    (await ask('list-commands', LIST_COMMANDS)).includes('reservation-update')

  async function setConfig(changed: KeaConfig): Promise<void> {
    if (isHa(changed)) throw new Failure('refused', `${control}: ${NO_CONFIG_SET}`)
    await ask('config-set', anything, {Dhcp4: changed})
  }

  async function turn(now: KeaConfig, changed: KeaConfig, client: DhcpClient): Promise<void> {
    const byReservation = await canUpdate()
    const place = placeOf(changed, client)
    if (byReservation && place?.subnet && placeOf(now, client)?.subnet) {
      const reservation = {...place.reservation, 'subnet-id': place.subnet.id}
      await ask('reservation-update', anything, {reservation, 'operation-target': 'memory'})
    } else await setConfig(changed)
  }

  /** `refused` sees to the memory where the file is not written, and says what became of it. */
  async function persist(refused: () => Promise<string>): Promise<void> {
    try {
      await ask('config-write', anything)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      throw new Failure(error.kind, `${control}: ${error.message} (persist): ${await refused()}`)
    }
  }

  return {
    config,
    /** Asked of one of a pair alone: what another one tells is not needed. */
    async status(): Promise<KeaStatus> {
      isPair ??= isHa(await config())
      return isPair ? ask('status-get', KEA_STATUS) : {}
    },
    async check(client: DhcpClient): Promise<void> {
      const now = await config()
      withReservedRouter(now, client, client.ip)
      const isUpdated = placeOf(now, client)?.subnet !== undefined
      if (isHa(now) && !(isUpdated && (await canUpdate()))) throw new Failure('refused', `${control}: ${NO_CONFIG_SET}`)
    },
    /** Its file is written even if its memory says so already, but where nothing is left to put back. */
    change: (client: DhcpClient, made: (now: KeaConfig) => KeaConfig, isBack: boolean): Promise<void> =>
      alone(keaLock(control), world, async () => {
        const now = await config()
        const changed = made(now)
        const same = isDeepStrictEqual(changed, now)
        if (same && isBack) return
        if (!same) await turn(now, changed, client)
        if (!dhcp.persist) return
        await persist(async () => {
          // A VM is rather given what it had, until a restart, than the new router for good.
          if (isBack) return 'its memory is as it was, its file is not'
          // A change that its file does not take is none: a restart would undo it.
          if (!same) await turn(changed, now, client)
          return 'put back'
        })
      }),
  }
}

/** What was said of the client at each server. Plans of earlier versions have what the one server said. */
function ownOf(own: Json): readonly (ReservedRouters | null)[] | null {
  const said = own as unknown as ReservedRouters | readonly (ReservedRouters | null)[] | null
  const isOfOne = (all: NonNullable<typeof said>): all is ReservedRouters =>
    all.every((each) => each !== null && !Array.isArray(each))
  return said && isOfOne(said) ? [said] : said
}

function tlsOf({ca, cert, key}: SegmentDhcp): TlsFiles {
  const pem = (file: string | undefined, kept?: Kept) => file && readNamed(file, 'want a PEM file', kept)
  return {ca: pem(ca), cert: pem(cert), key: pem(key, 'private')}
}

export function keaBackend(dhcp: SegmentDhcp, {world}: BackendStage): DhcpBackend {
  const {control = KEA_CONTROL, controls = [control], log: logFile} = dhcp
  const servers = controls.map((each) => keaServer(each, dhcp, world))
  const log = logFile === undefined ? undefined : transactionLog(logFile, keaLine)
  const statuses = (): Promise<KeaStatus[]> => Promise.all(servers.map(({status}) => status()))
  const answering = async (): Promise<readonly KeaStatus[]> => {
    const all = await statuses()
    const why = nobodyAnswers(all)
    if (why !== undefined) throw new Failure('refused', `${WHAT}: ${why}: not done`)
    return all
  }
  const routers = new Map<Mac, {readonly serial: string; readonly router: Ipv4 | undefined}>()

  return {
    kind: 'kea',
    reach: `${WHAT} by ${controls.join(' and ')}`,
    async check(client) {
      for (const server of servers) await server.check(client)
      return pairCautions(await answering())
    },
    async condition() {
      const words = pairText(await statuses())
      return words && `high-availability states: ${words}`
    },
    async setRouter(client, {ip}) {
      await answering()
      for (const server of servers) await server.change(client, (now) => withReservedRouter(now, client, ip), false)
    },
    async statement(client) {
      const all = await Promise.all(servers.map(({config}) => config()))
      const [router, ...others] = new Set(all.map((now) => givenRouter(now, client)))
      const own = all.map((now) => reservedRouters(now, client))
      return {
        // Servers that do not agree: which one answers is not known.
        router: others.length > 0 ? null : (router ?? null),
        own: own.every((each) => each === null) ? null : (own as Json),
        legible: true,
      }
    },
    async restore(client, {own}) {
      const before = ownOf(own)
      if (before && before.length !== servers.length)
        throw new Failure(
          'refused',
          `${WHAT}: what was there before is known of ${before.length}, and there are ${servers.length} servers`,
        )
      let wrong: Failure | undefined
      for (const [i, server] of servers.entries()) {
        const routersThere = before?.[i] ?? null
        try {
          await server.change(client, (now) => withReservedRouters(now, client, routersThere), true)
        } catch (error) {
          if (!(error instanceof Failure)) throw error
          // One that is out of reach keeps none of the others on the new router.
          wrong ??= error
        }
      }
      if (wrong) throw wrong
    },
    async lastTransaction(client) {
      const found = log?.last(client.mac)
      if (!found) return undefined
      let known = routers.get(client.mac)
      if (known?.serial !== found.serial) {
        known = {serial: found.serial, router: givenRouter(await servers[0]!.config(), client)}
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
