// The tables by which this host, as a router, finds a VM: its neighbour entry, and the route that its packets take.
import {Failure} from '../errors.ts'
import type {Ipv4, Mac} from '../wire/address.ts'
import {type Ipv6, isVersion6} from '../wire/ipv6-address.ts'
import type {InterfaceMessage} from './netlink/interface-message.ts'
import {NUD_FAILED, NUD_INCOMPLETE} from './netlink/neighbour-message.ts'
import type {Family} from './netlink/netlink-message.ts'
import {openRouteSocket, RouteError, type RouteSocket} from './netlink/route-socket.ts'

/** What the kernel has of an address at an interface. */
export interface NeighbourEntry {
  readonly mac: Mac
  /** A routing daemon wrote it, and has it from elsewhere. */
  readonly external: boolean
}

export interface NeighbourTables {
  /** Undefined: none, or one that was asked for and not answered. */
  entry(leg: string, ip: Ipv4 | Ipv6): NeighbourEntry | undefined
  /** A reachable entry, over whatever is there. @throws Failure `privilege` without CAP_NET_ADMIN, else `runtime` */
  write(leg: string, ip: Ipv4 | Ipv6, mac: Mac): void
  /** The interface by which a packet for an address leaves, in the VRF of `leg`; undefined: none. */
  wayTo(leg: string, ip: Ipv4 | Ipv6): string | undefined
  close(): void
}

/** @throws Failure `runtime` if there is no netlink here. */
export function openNeighbourTables(): NeighbourTables {
  const socket = openRouteSocket()
  const linkOf = rememberedLinks(socket)
  return {
    entry(leg, ip) {
      const found = socket.neighbour({family: familyOf(ip), interfaceIndex: linkOf(leg).index, ip})
      if (found?.mac === undefined || (found.state & (NUD_FAILED | NUD_INCOMPLETE)) !== 0) return undefined
      return {mac: found.mac, external: found.external}
    },
    write(leg, ip, mac) {
      const interfaceIndex = linkOf(leg).index
      try {
        socket.replaceNeighbour({family: familyOf(ip), interfaceIndex, ip, mac})
      } catch (error) {
        if (!(error instanceof RouteError)) throw error
        if (error.code === 'EPERM')
          throw new Failure(
            'privilege',
            'writing a neighbour needs CAP_NET_ADMIN: run as root, or setcap cap_net_raw,cap_net_admin+ep on the node binary',
          )
        throw new Failure('runtime', `the neighbour entry of ${ip} at ${leg} cannot be written: ${error.message}`)
      }
    },
    wayTo(leg, ip) {
      const {vrf} = linkOf(leg)
      const answer = socket.routeTo({
        family: familyOf(ip),
        destination: ip,
        ...(vrf !== undefined && {outgoing: vrf}),
      })
      return answer && linkOf.nameAt(answer.interfaceIndex)
    },
    close: () => socket.close(),
  }
}

const familyOf = (ip: Ipv4 | Ipv6): Family => (isVersion6(ip) ? 6 : 4)

/** How long an interface is taken for what it was, ms: many entries are looked at again and again. */
const KNOWN_MS = 1000

function rememberedLinks(socket: RouteSocket) {
  let [links, atMs] = [[] as readonly InterfaceMessage[], Number.NEGATIVE_INFINITY]
  const all = (): readonly InterfaceMessage[] => {
    if (performance.now() - atMs > KNOWN_MS) {
      links = socket.interfaces()
      atMs = performance.now()
    }
    return links
  }
  const linkOf = (called: string): InterfaceMessage => {
    const link = all().find(({name}) => name === called)
    if (link === undefined) throw new Failure('runtime', `no interface ${called} here`)
    return link
  }
  const nameAt = (at: number): string | undefined => all().find(({index}) => index === at)?.name
  return Object.assign(linkOf, {nameAt})
}
