// Bridge ports: which there are, and where a bridge has learned a MAC.
import {Failure} from '../errors.ts'
import type {Mac} from '../wire/address.ts'
import {list, listed, optional, record, text} from './json-shape.ts'
import type {InterfaceMessage} from './netlink/interface-message.ts'
import {openRouteSocket} from './netlink/route-socket.ts'
import {runCommand} from './process/command.ts'

/** A port of a bridge. */
export interface BridgePort {
  readonly name: string
  readonly bridge: string
  readonly mac: Mac
  /** Up, and the other end of the wire is too. */
  readonly up: boolean
}

const RAW_PORT = record({
  ifname: text,
  master: optional(text),
  address: optional(text),
  flags: list(text),
  linkinfo: optional(record({info_slave_kind: optional(text)})),
})

/** Every bridge port of this network namespace. */
export const bridgePorts = async (): Promise<BridgePort[]> =>
  readBridgePorts(await runCommand('ip', ['-json', '-d', 'link', 'show']))

/** The same from the kernel itself and of bridges too, for who looks often: no program is started. */
export function bridgeInterfaces(): InterfaceMessage[] {
  const socket = openRouteSocket()
  try {
    return socket.interfaces().filter(({bridge, isBridge}) => bridge !== undefined || isBridge)
  } finally {
    socket.close()
  }
}

/** @internal */
export const readBridgePorts = (output: string): BridgePort[] =>
  listed(output, 'ip link show', RAW_PORT).flatMap(({ifname, master, address, flags, linkinfo}) =>
    linkinfo?.info_slave_kind !== 'bridge' || master === undefined
      ? []
      : {
          name: ifname,
          bridge: master,
          mac: address ?? '00:00:00:00:00:00',
          up: flags.includes('UP') && flags.includes('LOWER_UP'),
        },
  )

/** Where a bridge has a MAC. */
export interface FdbEntry {
  readonly mac: Mac
  /** The port, or the bridge itself for its own MAC. */
  readonly port: string
  /** Undefined outside a VLAN-aware bridge. */
  readonly vlan: number | undefined
  /** The MAC of the port (or the bridge) itself, not of a host behind it. */
  readonly own: boolean
  /** Set by hand: it does not age. */
  readonly fixed: boolean
}

/**
 * The forwarding table of a bridge; of every one here if none is named. Asked of the kernel itself: switches ask often.
 * @throws Failure `runtime` if there is no bridge of that name.
 */
export async function bridgeFdb(bridge?: string): Promise<FdbEntry[]> {
  const socket = openRouteSocket()
  try {
    const names = new Map(socket.interfaces().map(({index, name}) => [index, name]))
    if (bridge !== undefined && ![...names.values()].includes(bridge))
      throw new Failure('runtime', `no interface ${bridge} here`)
    return socket.fdb().flatMap(({mac, interfaceIndex, bridge: of, vlan, own, fixed}) => {
      const port = names.get(interfaceIndex)
      return port === undefined || (bridge !== undefined && names.get(of) !== bridge)
        ? []
        : {mac, port, vlan, own, fixed}
    })
  } finally {
    socket.close()
  }
}

/** What a bridge has learned, or was told for good; not its and its ports' own MACs. */
export const learnedOf = (fdb: readonly FdbEntry[]): FdbEntry[] => fdb.filter(({own}) => !own)
