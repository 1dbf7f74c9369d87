// The two ways a FORCERENEW leaves: as a frame on the client's own segment, or as a datagram from somewhere else.
import type {Link} from '../../net/packet/link.ts'
import {openDatagram} from '../../net/stream/datagram.ts'
import type {World} from '../../net/world.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {DHCP_CLIENT_PORT} from '../../wire/dhcp.ts'
import {vlanTag} from '../../wire/ethernet.ts'
import type {DhcpClient} from './backends/backend.ts'
import {type ClientSighting, dhcpFilter, readClientSighting} from './client-watch.ts'
import {forcerenewFrame} from './forcerenew.ts'
import type {ClientWatch} from './reconfigure.ts'

/** How messages leave, and what is seen of the client; holds sockets. */
export interface OpenSender extends ClientWatch {
  /** Sends one message; returns when, in CLOCK_REALTIME ns. */
  send(client: DhcpClient, message: Uint8Array): Promise<bigint>
  /** Sees what passes between client and server. */
  readonly sees: boolean
  close(): Promise<void>
}

export interface FrameSenderOptions {
  readonly interfaceName: string
  /** Source address of what is sent: our own on the segment, or the server's. */
  readonly sourceIp: (client: DhcpClient) => Ipv4
  readonly vlanId?: number | undefined
  readonly clients: readonly DhcpClient[]
  /** Told of everything seen, of other clients too. */
  readonly learn: (sighting: ClientSighting) => void
}

/** The first ports that the kernel hands out to nobody (ip_local_port_range begins at 32768). */
const PORTS = {from: 20_000, count: 10_000}

/**
 * Frames straight onto the segment. Frames of this host are watched too: it may be the DHCP server's. The source port is
 * none that a socket could be bound to by chance, and never 67, which is the server's.
 */
export async function frameSender(world: World, options: FrameSenderOptions): Promise<OpenSender> {
  const {clients, vlanId} = options
  const link: Link = await world.openLink(options.interfaceName, {
    filter: dhcpFilter(clients.map(({mac}) => mac)),
    promiscuous: true,
    outgoing: true,
  })
  const port = PORTS.from + Math.floor(world.random() * PORTS.count)
  const vlan = vlanTag(vlanId)
  const listeners = new Map<Mac, Set<(sighting: ClientSighting) => void>>()
  link.onFrame((received) => {
    const sighting = readClientSighting(received, vlanId)
    if (!sighting || (sighting.kind === 'unreachable' && sighting.sourcePort !== port)) return
    options.learn(sighting)
    for (const listener of listeners.get(sighting.mac) ?? []) listener(sighting)
  })
  return {
    sees: true,
    async send(client, message) {
      return link.send(forcerenewFrame(message, client, {mac: link.mac, ip: options.sourceIp(client), port, vlan}))
    },
    watch(client, listener) {
      const own = listeners.get(client.mac) ?? new Set()
      listeners.set(client.mac, own.add(listener))
      return () => void own.delete(listener)
    },
    close: () => link.close(),
  }
}

/** Datagrams through the routing table. Of what the client does only "port unreachable" comes back. */
export function datagramSender(world: World): OpenSender {
  const peers = new Map<Ipv4, Awaited<ReturnType<typeof openDatagram>>>()
  const listeners = new Map<Mac, (sighting: ClientSighting) => void>()
  return {
    sees: false,
    async send(client, message) {
      let peer = peers.get(client.ip)
      if (!peer) {
        peer = await openDatagram(client.ip, DHCP_CLIENT_PORT)
        const sourcePort = peer.port
        peer.onRefused(() =>
          listeners.get(client.mac)?.({
            kind: 'unreachable',
            atNs: world.now(),
            mac: client.mac,
            ip: client.ip,
            sourcePort,
          }),
        )
        peers.set(client.ip, peer)
      }
      const atNs = world.now()
      await peer.send(message)
      return atNs
    },
    watch(client, listener) {
      listeners.set(client.mac, listener)
      return () => void listeners.delete(client.mac)
    },
    async close() {
      for (const peer of peers.values()) peer.close()
    },
  }
}
