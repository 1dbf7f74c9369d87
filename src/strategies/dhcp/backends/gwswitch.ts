// Our own server, `gwswitch serve dhcp`, by its control socket.
import {
  type ControlAnswers,
  type ControlRequest,
  type ControlResponse,
  DEFAULT_CONTROL_SOCKET,
} from '../../../domain/dhcp/control.ts'
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../../errors.ts'
import {sharedJson} from '../../../net/stream/json-lines.ts'
import type {DhcpBackend, DhcpClient} from './backend.ts'

const WHAT = 'gwswitch serve dhcp'

export function gwswitchBackend({control = DEFAULT_CONTROL_SOCKET}: SegmentDhcp, segment: string): DhcpBackend {
  const server = sharedJson(control, WHAT)
  async function ask<D extends ControlRequest['do']>(
    request: ControlRequest & {readonly do: D},
  ): Promise<ControlAnswers[D]> {
    const answer = (await server.ask(request)) as ControlResponse
    if (!answer.ok) throw new Failure(answer.error.kind, `${WHAT}: ${answer.error.message}`)
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
  return {
    kind: 'gwswitch',
    reach: `${WHAT} by ${control}`,
    async check(client) {
      const {segments} = await ask({do: 'status'})
      if (segments.some((each) => each.segment === segment)) return []
      throw new Failure('usage', `${WHAT} at ${control} does not serve segment ${segment} of ${client.name}`)
    },
    async setRouter(client, {site, ip}) {
      const {router} = await ask({do: 'relocate', vm: client.mac, site, trigger: false})
      if (router === ip) return
      throw new Failure(
        'refused',
        `${WHAT} gives ${client.name} the router ${router ?? 'none'} for site ${site}, not ${ip}: do its inventory and ours differ?`,
      )
    },
    async statement(client) {
      const {said = null, router = null} = await ask({do: 'site', vm: client.mac})
      return {router, own: said, legible: true}
    },
    restore: async (client, {own}) =>
      void (await ask({do: 'relocate', vm: client.mac, site: own as string | null, trigger: false})),
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
      if (!found) throw new Failure('usage', `${WHAT} holds no lease for ${client.name} (${client.mac})`)
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
