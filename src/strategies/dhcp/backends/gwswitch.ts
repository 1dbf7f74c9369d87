// Our own server, `gwswitch serve dhcp`, and our shim in front of another, by their control sockets.
import {
  type ControlAnswers,
  type ControlRequest,
  type ControlResponse,
  DEFAULT_CONTROL_SOCKET,
  DEFAULT_SHIM_SOCKET,
  type PeerStatus,
} from '../../../domain/dhcp/control.ts'
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../../errors.ts'
import {sharedJson} from '../../../net/stream/json-lines.ts'
import type {Ipv4} from '../../../wire/address.ts'
import type {DhcpBackend, DhcpClient} from './backend.ts'

const SERVER = 'gwswitch serve dhcp'
const SHIM = 'gwswitch serve dhcp-shim'

export const gwswitchBackend = ({control = DEFAULT_CONTROL_SOCKET}: SegmentDhcp, segment: string): DhcpBackend =>
  socketBackend('gwswitch', SERVER, control, segment)

/** Nothing is told to it: it gives the VMs at its host the gateway of its site. */
export function shimBackend({control = DEFAULT_SHIM_SOCKET}: SegmentDhcp, segment: string): DhcpBackend {
  const shim = socketBackend('shim', SHIM, control, segment)
  return {
    ...shim,
    portOf: async (client) => (await shimKnows(control, client))?.port ?? undefined,
    async setRouter(client, gateway) {
      // No order to refuse its next renewal stays behind, also where this cannot be done.
      await shim.restore(client, {router: null, own: null, legible: true})
      await shim.setRouter(client, gateway)
    },
    async check(client, to) {
      const wary = await shim.check(client, to)
      const {router} = await shim.statement(client)
      if (to !== undefined && router !== to.ip) {
        throw new Failure(
          'usage',
          `${SHIM} at ${control} gives ${client.name} ${router}, not ${to.ip} (site ${to.site}): a VM gets the gateway of the site that its hypervisor is in. Run this there`,
        )
      }
      // One of whom nothing is known yet may be here.
      if ((await shimKnows(control, client))?.port !== null) return wary
      throw new Failure(
        'usage',
        `${client.name} is at no port of this host, as far as ${SHIM} knows: run this where it is`,
      )
    },
  }
}

/** What the shim at a socket knows of a client: its port there, null for none, and the router that it gives; undefined if nothing. */
export async function shimKnows(
  control: string,
  {mac}: Pick<DhcpClient, 'mac'>,
): Promise<{readonly port: string | null; readonly router: Ipv4 | undefined} | undefined> {
  const answer = (await sharedJson(control, SHIM).ask({do: 'transaction', vm: mac})) as ControlResponse
  if (!answer.ok) return undefined
  const {port = null, nextRouter} = answer as unknown as ControlAnswers['transaction']
  return {port, router: nextRouter}
}

const away = ({peer}: PeerStatus): string => `the other DHCP server of the segment (${peer}) is out of reach`

function socketBackend(kind: 'gwswitch' | 'shim', what: string, control: string, segment: string): DhcpBackend {
  const server = sharedJson(control, what)
  async function ask<D extends ControlRequest['do']>(
    request: ControlRequest & {readonly do: D},
  ): Promise<ControlAnswers[D]> {
    const answer = (await server.ask(request)) as ControlResponse
    if (!answer.ok) throw new Failure(answer.error.kind, `${what}: ${answer.error.message}`)
    return answer as unknown as ControlAnswers[D]
  }
  /** Undefined if the server holds no lease for the client. */
  async function transaction(
    client: DhcpClient,
    reserveReplay = false,
  ): Promise<ControlAnswers['transaction'] | undefined> {
    try {
      return await ask({do: 'transaction', vm: client.mac, reserveReplay})
    } catch (error) {
      if (error instanceof Failure && error.kind === 'usage') return undefined
      throw error
    }
  }
  /** Of the other server, when something was last said. */
  let word: ControlAnswers['relocate']['peer']
  return {
    kind,
    reach: `${what} by ${control}`,
    async check(client) {
      const {segments, peer} = await ask({do: 'status'})
      if (segments.some((each) => each.segment === segment)) {
        const meanwhile = 'it is told when it is back, and a client that it answers until then gets what it gave before'
        return !peer || peer.connected ? [] : [`${away(peer)}: ${meanwhile}`]
      }
      throw new Failure('usage', `${what} at ${control} does not serve segment ${segment} of ${client.name}`)
    },
    async condition() {
      const {peer} = await ask({do: 'status'})
      return peer && (!peer.connected || word === 'unreachable') ? away(peer) : undefined
    },
    async setRouter(client, {site, ip}) {
      const {router, peer} = await ask({do: 'relocate', vm: client.mac, site, trigger: false})
      word = peer
      if (router === ip) return
      throw new Failure(
        'refused',
        `${what} gives ${client.name} the router ${router ?? 'none'} for site ${site}, not ${ip}: do its inventory and ours differ?`,
      )
    },
    async statement(client) {
      const {said = null, router = null} = await ask({do: 'site', vm: client.mac})
      return {router, own: said, legible: true}
    },
    async restore(client, {own}) {
      word = (await ask({do: 'relocate', vm: client.mac, site: own as string | null, trigger: false})).peer
    },
    async lastTransaction(client) {
      const found = await transaction(client)
      if (!found) return undefined
      return {
        xid: Number(found.xid),
        serial: found.lastSeen,
        router: found.router,
        acked: found.router,
        serverId: found.serverIdentifier,
        kind: found.kind,
        canListen: found.capable145,
        renewsNs: BigInt(Date.parse(found.renewsBy)) * 1_000_000n,
        renewS: found.renewsEvery,
      }
    },
    async nonce(client) {
      const hex = (await transaction(client))?.nonce
      return hex === undefined ? undefined : Uint8Array.from(Buffer.from(hex, 'hex'))
    },
    async nextReplay(client) {
      const found = await transaction(client, true)
      if (!found) throw new Failure('usage', `${what} holds no lease for ${client.name} (${client.mac})`)
      return BigInt(found.replay)
    },
    nakNext: async (client) => void (await ask({do: 'nak', vm: client.mac})),
    async clients() {
      const found: DhcpClient[] = []
      for (let after: number | undefined = 0; after !== undefined; ) {
        const page: ControlAnswers['leases'] = await ask({do: 'leases', segment, after})
        const bound = page.leases.filter(({state}) => state === 'bound')
        found.push(...bound.map(({vm, ip, mac}) => ({name: vm ?? ip, ip, mac})))
        after = page.next
      }
      return found
    },
  }
}
