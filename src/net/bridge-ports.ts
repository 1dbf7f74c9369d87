// Bridge ports: which there are, where a bridge has learned a MAC, and answering ARP in a port's stead (bridge(8)).
import {Failure} from '../errors.ts'
import type {Ipv4, Mac} from '../wire/address.ts'
import type {Ipv6} from '../wire/ipv6-address.ts'
import {flag, list, listed, number, optional, record, text} from './json-shape.ts'
import {commandFailure, runCommand, tryCommand} from './process/command.ts'

/** A port of a bridge. */
export interface BridgePort {
  readonly name: string
  readonly bridge: string
  readonly mac: Mac
  /** Up, and the other end of the wire is too. */
  readonly up: boolean
  /** The bridge answers ARP and neighbour solicitations for hosts behind this port, from its neighbour table. */
  readonly neighSuppress: boolean
}

const RAW_BRIDGE = record({
  ifname: text,
  linkinfo: optional(record({info_data: optional(record({vlan_filtering: optional(number)}))})),
})
const RAW_PORT = record({
  ifname: text,
  master: optional(text),
  address: optional(text),
  flags: list(text),
  linkinfo: optional(
    record({info_slave_kind: optional(text), info_slave_data: optional(record({neigh_suppress: optional(flag)}))}),
  ),
})
const RAW_FDB = record({mac: text, ifname: text, master: optional(text), vlan: optional(number), state: optional(text)})
const RAW_NEIGHBOUR = record({dst: text, lladdr: optional(text)})

/** Bridges that keep VLANs apart themselves (vlan_filtering 1). */
export const vlanAwareBridges = async (): Promise<string[]> =>
  readVlanAwareBridges(await json('ip', '-d', 'link', 'show', 'type', 'bridge'))

/** @internal */
export const readVlanAwareBridges = (output: string): string[] =>
  listed(output, 'ip link show', RAW_BRIDGE)
    .filter(({linkinfo}) => linkinfo?.info_data?.vlan_filtering === 1)
    .map(({ifname}) => ifname)

/** Every bridge port of this network namespace. */
export const bridgePorts = async (): Promise<BridgePort[]> => readBridgePorts(await json('ip', '-d', 'link', 'show'))

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
          neighSuppress: linkinfo.info_slave_data?.neigh_suppress === true,
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

/** The forwarding table of a bridge. */
export const bridgeFdb = async (bridge: string): Promise<FdbEntry[]> =>
  readFdb(await json('bridge', 'fdb', 'show', 'br', bridge))

/** @internal */
export const readFdb = (output: string): FdbEntry[] =>
  listed(output, 'bridge fdb show', RAW_FDB).flatMap(({mac, ifname, master, vlan, state}) =>
    // Without a master it is the port's own table: a VXLAN's still has hosts that have moved here.
    master === undefined ? [] : {mac, port: ifname, vlan, own: state === 'permanent', fixed: state === 'static'},
  )

const json = (command: string, ...args: string[]): Promise<string> => runCommand(command, ['-json', ...args])

/** @throws Failure `runtime` if it is no bridge port; the message lists those there are. */
export function portOf(name: string, ports: readonly BridgePort[]): BridgePort {
  const found = ports.find((port) => port.name === name)
  if (found) return found
  const names = ports.map((port) => port.name).join(', ')
  throw new Failure('runtime', `${name} is no port of a bridge here; bridge ports are: ${names || 'none'}`)
}

/** Fixes a MAC behind a port; it still moves when its frames come in elsewhere. */
export async function fixFdb(mac: Mac, port: string): Promise<void> {
  await runCommand('bridge', ['fdb', 'replace', mac, 'dev', port, 'master', 'static'])
}

/** Forgets a MAC behind a port; harmless if it is not there. */
export async function forgetFdb(mac: Mac, port: string): Promise<void> {
  const result = await tryCommand('bridge', ['fdb', 'del', mac, 'dev', port, 'master'])
  if (result.code !== 0 && !/No such|Cannot find/.test(result.stderr))
    throw commandFailure(`bridge fdb del ${mac} dev ${port}`, result)
}

export async function setNeighSuppress(port: string, on: boolean): Promise<void> {
  await runCommand('bridge', ['link', 'set', 'dev', port, 'neigh_suppress', on ? 'on' : 'off'])
}

/**
 * A permanent neighbour entry on a bridge device, from which the bridge answers. Replaces what was there.
 * @throws Failure `runtime`, for an IPv6 address also where the device has IPv6 disabled.
 */
export async function setNeighbour(ip: Ipv4 | Ipv6, mac: Mac, device: string): Promise<void> {
  const result = await tryCommand('ip', ['neigh', 'replace', ip, 'lladdr', mac, 'dev', device, 'nud', 'permanent'])
  if (result.code === 0) return
  if (/IPv6 is disabled/.test(result.stderr)) {
    throw new Failure(
      'runtime',
      `${device} has IPv6 disabled and cannot answer for ${ip}: sysctl -w net.ipv6.conf.${device}.disable_ipv6=0`,
    )
  }
  throw commandFailure(`ip neigh replace ${ip} dev ${device}`, result)
}

/** Removes a neighbour entry; harmless if there is none. */
export async function deleteNeighbour(ip: Ipv4 | Ipv6, device: string): Promise<void> {
  const result = await tryCommand('ip', ['neigh', 'del', ip, 'dev', device])
  if (result.code !== 0 && !/No such|Cannot find/.test(result.stderr)) {
    throw commandFailure(`ip neigh del ${ip} dev ${device}`, result)
  }
}

/** Permanent neighbour entries of a device, as `address mac`. */
export async function permanentNeighbours(device: string): Promise<string[]> {
  return readPermanentNeighbours(await json('ip', 'neigh', 'show', 'dev', device, 'nud', 'permanent'))
}

/** @internal */
export const readPermanentNeighbours = (output: string): string[] =>
  listed(output, 'ip neigh show', RAW_NEIGHBOUR).flatMap(({dst, lladdr}) =>
    lladdr === undefined ? [] : `${dst} ${lladdr}`,
  )
