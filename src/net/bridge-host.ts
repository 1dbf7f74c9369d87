// The interfaces of this host as a bridge filter sees them, and many changes to bridges in one process a program.
import {Failure} from '../errors.ts'
import type {Ipv4, Mac} from '../wire/address.ts'
import type {Ipv6} from '../wire/ipv6-address.ts'
import {flag, list, listed, number, optional, record, text} from './json-shape.ts'
import {commandFailure, runCommand, tryCommand} from './process/command.ts'

export interface HostLink {
  readonly name: string
  /** The bridge that it is a port of. */
  readonly bridge: string | undefined
  /** The bridge answers ARP and neighbour solicitations for hosts behind this port, from its neighbour table. */
  readonly neighSuppress: boolean
  /** A port of Open vSwitch, or one of its own: no rule for bridges sees its frames. */
  readonly openVswitch: boolean
  /** A bridge that keeps VLANs apart itself (vlan_filtering 1). */
  readonly vlanAware: boolean
  /** What it sends goes to another host, under an outer header. */
  readonly tunnel: boolean
  /** The VLAN that it takes out of the device below it. */
  readonly vlanDevice: number | undefined
  /** VLANs that a VLAN-aware bridge has at this port, or is in itself; none elsewhere, where they mean nothing. */
  readonly vlans: readonly number[]
  /** Those of them whose frames come and go without a tag here. */
  readonly untaggedVlans: readonly number[]
}

const RAW_LINK = record({
  ifname: text,
  master: optional(text),
  linkinfo: optional(
    record({
      info_kind: optional(text),
      info_data: optional(record({vlan_filtering: optional(number), id: optional(number)})),
      info_slave_kind: optional(text),
      info_slave_data: optional(record({neigh_suppress: optional(flag)})),
    }),
  ),
})
const RAW_VLANS = record({ifname: text, vlans: list(record({vlan: number, flags: optional(list(text))}))})

/** Kinds of ip-link(8) that carry Ethernet in IP. */
export const TUNNELS: ReadonlySet<string> = new Set(['vxlan', 'geneve', 'gretap', 'ip6gretap', 'erspan', 'ip6erspan'])

/** Every interface of this network namespace. */
export async function hostLinks(): Promise<HostLink[]> {
  const [links, vlans] = await Promise.all([
    runCommand('ip', ['-json', '-d', 'link', 'show']),
    runCommand('bridge', ['-json', 'vlan', 'show']),
  ])
  return readHostLinks(links, vlans)
}

/** @internal */
export function readHostLinks(links: string, vlans: string): HostLink[] {
  const raw = listed(links, 'ip link show', RAW_LINK)
  const aware = new Set(raw.filter(({linkinfo}) => linkinfo?.info_data?.vlan_filtering === 1).map(({ifname}) => ifname))
  const members = new Map(listed(vlans, 'bridge vlan show', RAW_VLANS).map((each) => [each.ifname, each.vlans]))
  return raw.map(({ifname, master, linkinfo}) => {
    const bridge = linkinfo?.info_slave_kind === 'bridge' ? master : undefined
    const isAware = aware.has(bridge ?? ifname)
    const own = isAware ? (members.get(ifname) ?? []) : []
    return {
      name: ifname,
      bridge,
      openVswitch: linkinfo?.info_slave_kind === 'openvswitch' || linkinfo?.info_kind === 'openvswitch',
      neighSuppress: linkinfo?.info_slave_data?.neigh_suppress === true,
      vlanAware: aware.has(ifname),
      tunnel: TUNNELS.has(linkinfo?.info_kind ?? ''),
      vlanDevice: linkinfo?.info_kind === 'vlan' ? linkinfo.info_data?.id : undefined,
      vlans: own.map(({vlan}) => vlan),
      untaggedVlans: own.filter(({flags}) => flags?.includes('Egress Untagged')).map(({vlan}) => vlan),
    }
  })
}

export interface HostNeighbour {
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
  readonly permanent: boolean
}

const RAW_NEIGHBOUR = record({dst: text, lladdr: optional(text), state: optional(list(text))})

/** What a device has in its neighbour table, IPv4 and IPv6; also what EVPN put there, which ip(8) leaves out by itself (NOARP). */
export const neighboursOf = async (device: string): Promise<HostNeighbour[]> =>
  readNeighbours(await runCommand('ip', ['-json', 'neigh', 'show', 'dev', device, 'nud', 'all']))

/** @internal */
export const readNeighbours = (output: string): HostNeighbour[] =>
  listed(output, 'ip neigh show', RAW_NEIGHBOUR).flatMap(({dst, lladdr, state = []}) =>
    lladdr === undefined || state.includes('FAILED')
      ? []
      : {ip: dst, mac: lladdr, permanent: state.includes('PERMANENT')},
  )

/** A neighbour entry of a bridge device, from which the bridge answers. */
export interface BridgeNeighbour {
  readonly bridge: string
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
}

/** Where a MAC is fixed in the forwarding table. */
export interface FixedMac {
  readonly port: string
  readonly mac: Mac
}

/**
 * Permanent neighbour entries; each replaces what was there.
 * @throws Failure `runtime`, for an IPv6 address also where the bridge has IPv6 disabled.
 */
export async function setNeighbours(all: readonly BridgeNeighbour[]): Promise<void> {
  const lines = all.map(({bridge, ip, mac}) => `neigh replace ${ip} lladdr ${mac} dev ${bridge} nud permanent`)
  const {code, stderr, failed} = await batch('ip', lines)
  if (code === 0) return
  const entry = all[failed ?? 0]!
  if (!/IPv6 is disabled/.test(stderr)) throw commandFailure(`ip ${lines[failed ?? 0]}`, {code, stderr, stdout: ''})
  throw new Failure(
    'runtime',
    `${entry.bridge} has IPv6 disabled and cannot answer for ${entry.ip}: sysctl -w net.ipv6.conf.${entry.bridge}.disable_ipv6=0`,
  )
}

/** Harmless for entries that are not there. */
export const deleteNeighbours = (all: readonly BridgeNeighbour[]): Promise<void> =>
  withdraw(
    'ip',
    all.map(({bridge, ip}) => `neigh del ${ip} dev ${bridge}`),
  )

/** Fixes MACs behind ports; each still moves when its frames come in elsewhere. */
export async function fixMacs(all: readonly FixedMac[]): Promise<void> {
  const lines = all.map(({port, mac}) => `fdb replace ${mac} dev ${port} master static`)
  const {code, stderr, failed} = await batch('bridge', lines)
  if (code !== 0) throw commandFailure(`bridge ${lines[failed ?? 0]}`, {code, stderr, stdout: ''})
}

/** Harmless for MACs that are not there. */
export const forgetMacs = (all: readonly FixedMac[]): Promise<void> =>
  withdraw(
    'bridge',
    all.map(({port, mac}) => `fdb del ${mac} dev ${port} master`),
  )

export async function suppressNeighbours(ports: readonly string[], on: boolean): Promise<void> {
  const lines = ports.map((port) => `link set dev ${port} neigh_suppress ${on ? 'on' : 'off'}`)
  const {code, stderr, failed} = await batch('bridge', lines)
  if (code !== 0) throw commandFailure(`bridge ${lines[failed ?? 0]}`, {code, stderr, stdout: ''})
}

/** ip(8) and bridge(8) read a command a line and end at the first that fails, whose number they name. */
async function batch(program: 'ip' | 'bridge', lines: readonly string[], options: readonly string[] = []) {
  if (lines.length === 0) return {code: 0, stderr: '', failed: undefined}
  const {code, stderr} = await tryCommand(program, [...options, '-batch', '-'], {input: `${lines.join('\n')}\n`})
  const line = /Command failed -:(\d+)/.exec(stderr)?.[1]
  return {code, stderr, failed: line === undefined ? undefined : Number(line) - 1}
}

const NOT_THERE = /No such|Cannot find|Command failed/

async function withdraw(program: 'ip' | 'bridge', lines: readonly string[]): Promise<void> {
  const {code, stderr} = await batch(program, lines, ['-force'])
  const others = stderr.split('\n').filter((line) => line.trim() !== '' && !NOT_THERE.test(line))
  if (code !== 0 && others.length > 0)
    throw commandFailure(`${program} -batch`, {code, stderr: others.join('\n'), stdout: ''})
}
