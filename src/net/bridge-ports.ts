// Bridge ports: which there are, and where a bridge has learned a MAC (bridge(8)).
import type {Mac} from '../wire/address.ts'
import {list, listed, number, optional, record, text} from './json-shape.ts'
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
const RAW_FDB = record({mac: text, ifname: text, master: optional(text), vlan: optional(number), state: optional(text)})

/** Every bridge port of this network namespace. */
export const bridgePorts = async (): Promise<BridgePort[]> => readBridgePorts(await json('ip', '-d', 'link', 'show'))

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

/** The forwarding table of a bridge; of every one here if none is named. */
export const bridgeFdb = async (bridge?: string): Promise<FdbEntry[]> =>
  readFdb(await json('bridge', 'fdb', 'show', ...(bridge === undefined ? [] : ['br', bridge])))

/** What a bridge has learned, or was told for good; not its and its ports' own MACs. */
export const learnedOf = (fdb: readonly FdbEntry[]): FdbEntry[] => fdb.filter(({own}) => !own)

/** @internal */
export const readFdb = (output: string): FdbEntry[] =>
  listed(output, 'bridge fdb show', RAW_FDB).flatMap(({mac, ifname, master, vlan, state}) =>
    // Without a master it is the port's own table: a VXLAN's still has hosts that have moved here.
    master === undefined ? [] : {mac, port: ifname, vlan, own: state === 'permanent', fixed: state === 'static'},
  )

const json = (command: string, ...args: string[]): Promise<string> => runCommand(command, ['-json', ...args])
