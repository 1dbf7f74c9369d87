// The lab as data: which namespaces, wires, addresses and routes there are. Nothing here touches the system.
//
//        user-x            user-y
//          |                  |
//         cx ==== relay ==== cy        WAN
//          |                  |
//         rx                 ry        a leg in each segment: seg-a, seg-b
//          |                  |
//        sw-x ==== relay ==== sw-y     DCI; a bridge a segment: br-a, br-b
//             \             /
//              hv -- VMs               one uplink at a time
import type {Ipv4, Mac} from '../wire/address.ts'
import type {DciKind, LabOptions, LabWireName} from './options.ts'
import {plainRule, type WireRule} from './wire-rules.ts'

export type LabSite = 'x' | 'y'
export const SITES: readonly LabSite[] = ['x', 'y']

/** A router's leg in a segment. */
export interface LabGateway {
  readonly name: string
  readonly site: LabSite
  readonly segment: string
  /** Namespace node and interface that carry it. */
  readonly node: string
  readonly interface: string
  /** What VMs use as their default gateway. */
  readonly ip: Ipv4
  readonly mac: Mac
  /** The router's own address in the segment, where `ip` is shared between sites. */
  readonly ownIp: Ipv4 | undefined
}

export interface LabSegment {
  readonly name: string
  readonly prefix: string
  /** Suffix of interface names: `br-a`, `seg-a`, `dci-a`. */
  readonly letter: 'a' | 'b'
  /** VXLAN network identifier. */
  readonly id: number
  readonly gateways: readonly LabGateway[]
}

export interface LabVm {
  /** Also the name of its node. */
  readonly name: string
  readonly segment: string
  readonly ip: Ipv4
  readonly mac: Mac
  /** Default gateway that it boots with, at site X. */
  readonly gatewayIp: Ipv4
  readonly strategies: readonly string[]
}

export interface LabUser {
  readonly name: string
  readonly site: LabSite
  readonly ip: Ipv4
  readonly prefix: string
}

/** The gateway IP that tenant-b has at both sites. */
export const SHARED_GATEWAY_IP: Ipv4 = '10.1.0.254'

export const SEGMENTS: readonly LabSegment[] = [
  {
    name: 'tenant-a',
    prefix: '10.0.0.0/24',
    letter: 'a',
    id: 100,
    gateways: [
      gateway('rx', 'x', 'tenant-a', 'a', '10.0.0.1', '02:00:00:00:0a:01', undefined),
      gateway('ry', 'y', 'tenant-a', 'a', '10.0.0.2', '02:00:00:00:0b:01', undefined),
    ],
  },
  {
    name: 'tenant-b',
    prefix: '10.1.0.0/24',
    letter: 'b',
    id: 200,
    gateways: [
      gateway('bx', 'x', 'tenant-b', 'b', SHARED_GATEWAY_IP, '02:00:00:00:0a:02', '10.1.0.252'),
      gateway('by', 'y', 'tenant-b', 'b', SHARED_GATEWAY_IP, '02:00:00:00:0b:02', '10.1.0.253'),
    ],
  },
]

function gateway(
  name: string,
  site: LabSite,
  segment: string,
  letter: string,
  ip: Ipv4,
  mac: Mac,
  ownIp: Ipv4 | undefined,
): LabGateway {
  return {name, site, segment, node: `r${site}`, interface: `seg-${letter}`, ip, mac, ownIp}
}

export const VMS: readonly LabVm[] = [
  {
    name: 'web-07',
    segment: 'tenant-a',
    ip: '10.0.0.10',
    mac: '02:00:00:00:00:10',
    gatewayIp: '10.0.0.1',
    strategies: ['agent', 'dhcp'],
  },
  {
    name: 'db-03',
    segment: 'tenant-b',
    ip: '10.1.0.10',
    mac: '02:00:00:00:01:10',
    gatewayIp: SHARED_GATEWAY_IP,
    strategies: ['arp'],
  },
]

export const USERS: readonly LabUser[] = [
  {name: 'user-x', site: 'x', ip: '198.51.100.10', prefix: '198.51.100.0/24'},
  {name: 'user-y', site: 'y', ip: '203.0.113.10', prefix: '203.0.113.0/24'},
]

/** Addresses of the links that are no tenant's. */
const CORE = {
  x: {user: '198.51.100.1', gatewayLeg: '172.16.1.1', leg: '172.16.1.2', wan: '172.16.0.1', underlay: '192.0.2.1'},
  y: {user: '203.0.113.1', gatewayLeg: '172.16.2.1', leg: '172.16.2.2', wan: '172.16.0.2', underlay: '192.0.2.2'},
} as const

/** What a namespace is in the lab. */
export type NodeRole = 'switch' | 'gateway' | 'core' | 'user' | 'vm' | 'hypervisor' | 'relay'

export interface LabNode {
  readonly name: string
  readonly role: NodeRole
  readonly routes: readonly {readonly to: string; readonly via: Ipv4}[]
}

/** An interface. Indexes are unique in the whole lab, see {@link labTopology}. */
export interface LabInterface {
  readonly node: string
  readonly name: string
  readonly mac: Mac
  readonly index: number
  /** `10.0.0.1/24`, primary first. */
  readonly addresses: readonly string[]
  /** The bridge it is a port of, from the start. */
  readonly bridge: string | undefined
}

/** A veth pair. */
export interface LabWire {
  readonly ends: readonly [LabInterface, LabInterface]
  readonly mtu: number
}

/** A segment's way into a VXLAN DCI, on top of the switch's `dci` port. A plain DCI has a wire a segment instead. */
export interface LabTunnel extends LabInterface {
  readonly id: number
  readonly local: Ipv4
  readonly remote: Ipv4
}

export interface Topology {
  readonly options: LabOptions
  readonly nodes: readonly LabNode[]
  readonly wires: readonly LabWire[]
  readonly bridges: readonly LabInterface[]
  readonly tunnels: readonly LabTunnel[]
  /** The wires that pass through the relay, as its two interfaces and what becomes of frames from either. */
  readonly relayed: readonly RelayedWire[]
}

export interface RelayedWire {
  readonly ends: readonly [string, string]
  readonly rules: readonly [readonly WireRule[], readonly WireRule[]]
}

const MTU = 1500
/** Room for VXLAN (50 bytes) and an 802.1Q tag or two around a full tenant frame. */
const UNDERLAY_MTU = 1600

/** The namespace of a node. */
export const namespaceOf = (prefix: string, node: string): string => `${prefix}-${node}`

export const segmentOf = (vm: LabVm): LabSegment => SEGMENTS.find((segment) => segment.name === vm.segment)!
export const vmBridge = (vm: string): string => `br-${vm}`
/** The hypervisor's uplink to a site's switch, and the name of the port at the other end. */
export const uplink = (vm: string, site: LabSite): string => `${vm}-${site}`

interface EndSpec {
  readonly node: string
  readonly name: string
  readonly mac?: Mac
  readonly addresses?: readonly string[]
  readonly bridge?: string
}

/**
 * Where everything is before the first move.
 *
 * No two interfaces of a lab have the same index. A veth end takes its peer's index for the device it stands on, and the
 * kernel reports changes of an interface that stands on itself with up to a second's delay: two ends with the same index
 * in their namespaces look like that.
 */
export function labTopology(options: LabOptions): Topology {
  let index = 10
  const made = (spec: EndSpec): LabInterface => {
    index++
    const mac = spec.mac ?? `02:00:00:01:00:${index.toString(16).padStart(2, '0')}`
    return {node: spec.node, name: spec.name, mac, index, addresses: spec.addresses ?? [], bridge: spec.bridge}
  }
  const wire = (a: EndSpec, b: EndSpec, mtu = MTU): LabWire => ({ends: [made(a), made(b)], mtu})
  /** One wire, or two with the relay between them if it has rules. */
  const named = (name: LabWireName, a: EndSpec, b: EndSpec): LabWire[] =>
    options.wires[name] === undefined
      ? [wire(a, b)]
      : [wire(a, {node: 'relay', name: `${name}-${a.node}`}), wire(b, {node: 'relay', name: `${name}-${b.node}`})]

  const bridges = [
    ...SITES.flatMap((site) => SEGMENTS.map(({letter}) => made({node: `sw-${site}`, name: `br-${letter}`}))),
    ...VMS.map((vm) => made({node: 'hv', name: vmBridge(vm.name)})),
  ]
  const wires = [
    ...SITES.flatMap((site) => [...siteWires(site, wire, named), ...dciWires(site, options.dci, wire)]),
    ...VMS.flatMap((vm) => vmWires(vm, wire)),
  ]
  const tunnel = (site: LabSite, {letter, id}: LabSegment): LabTunnel => {
    const end = made({node: `sw-${site}`, name: `dci-${letter}`, bridge: `br-${letter}`})
    return {...end, id, local: CORE[site].underlay, remote: CORE[other(site)].underlay}
  }
  const tunnels =
    options.dci === 'vxlan' ? SITES.flatMap((site) => SEGMENTS.map((segment) => tunnel(site, segment))) : []
  return {options, nodes: labNodes(), wires, bridges, tunnels, relayed: relayedWires(options)}
}

type MakeWire = (a: EndSpec, b: EndSpec, mtu?: number) => LabWire
type MakeNamedWire = (name: LabWireName, a: EndSpec, b: EndSpec) => LabWire[]

function siteWires(site: LabSite, wire: MakeWire, named: MakeNamedWire): LabWire[] {
  const core = CORE[site]
  const user = USERS.find((candidate) => candidate.site === site)!
  return [
    ...SEGMENTS.flatMap((segment) => {
      const leg = segment.gateways.find((candidate) => candidate.site === site)!
      const ends = [
        {node: leg.node, name: leg.interface, mac: leg.mac, addresses: legAddresses(leg)},
        {node: `sw-${site}`, name: `gw-${segment.letter}`, bridge: `br-${segment.letter}`},
      ] as const
      return segment.letter === 'a' ? named(`gateway-${site}`, ...ends) : [wire(...ends)]
    }),
    ...named(
      `core-${site}`,
      {node: `r${site}`, name: 'core', addresses: [`${core.gatewayLeg}/30`]},
      {node: `c${site}`, name: 'gw', addresses: [`${core.leg}/30`]},
    ),
    ...named(
      `user-${site}`,
      {node: `c${site}`, name: 'user', addresses: [`${core.user}/24`]},
      {node: user.name, name: 'eth0', addresses: [`${user.ip}/24`]},
    ),
    wire({node: `c${site}`, name: 'wan', addresses: [`${core.wan}/30`]}, {node: 'relay', name: `wan-${site}`}),
  ]
}

/** One wire with an IP underlay, or a wire a segment, which is then the bridge's port itself. */
function dciWires(site: LabSite, dci: DciKind, wire: MakeWire): LabWire[] {
  const node = `sw-${site}`
  if (dci === 'plain') {
    return SEGMENTS.map(({letter}) =>
      wire({node, name: `dci-${letter}`, bridge: `br-${letter}`}, {node: 'relay', name: `dci-${letter}-${site}`}),
    )
  }
  const addresses = [`${CORE[site].underlay}/30`]
  return [wire({node, name: 'dci', addresses}, {node: 'relay', name: `dci-${site}`}, UNDERLAY_MTU)]
}

/** The nodes at the ends of each wire that may be relayed, as the relay's interfaces are named by them. */
const WIRE_ENDS: Readonly<Record<Exclude<LabWireName, 'dci' | 'wan'>, readonly [string, string]>> = {
  'gateway-x': ['rx', 'sw-x'],
  'gateway-y': ['ry', 'sw-y'],
  'core-x': ['rx', 'cx'],
  'core-y': ['ry', 'cy'],
  'user-x': ['cx', 'user-x'],
  'user-y': ['cy', 'user-y'],
}

function relayedWires({dci, dciDelayMs, wanDelayMs, wires}: LabOptions): Topology['relayed'] {
  const dciNames = dci === 'plain' ? SEGMENTS.map(({letter}) => `dci-${letter}`) : ['dci']
  const between = (name: string, rules: readonly WireRule[], nodes: readonly [string, string]): RelayedWire => ({
    ends: [`${name}-x`, `${name}-y`],
    rules: directed(rules, nodes),
  })
  return [
    between('wan', wires.wan ?? [plainRule(wanDelayMs)], ['cx', 'cy']),
    ...dciNames.map((name) => between(name, wires.dci ?? [plainRule(dciDelayMs)], ['sw-x', 'sw-y'])),
    ...Object.entries(WIRE_ENDS).flatMap(([name, [a, b]]): RelayedWire[] => {
      const rules = wires[name as LabWireName]
      return rules === undefined ? [] : [{ends: [`${name}-${a}`, `${name}-${b}`], rules: directed(rules, [a, b])}]
    }),
  ]
}

const directed = (rules: readonly WireRule[], [a, b]: readonly [string, string]): RelayedWire['rules'] => [
  rules.filter(({from}) => from === undefined || from === a),
  rules.filter(({from}) => from === undefined || from === b),
]

/** A shared gateway IP stands behind the router's own address, which its ARP requests therefore carry. */
const legAddresses = ({ip, ownIp}: LabGateway): string[] =>
  ownIp === undefined ? [`${ip}/24`] : [`${ownIp}/24`, `${ip}/32`]

function vmWires(vm: LabVm, wire: MakeWire): LabWire[] {
  const {letter} = segmentOf(vm)
  return [
    wire(
      {node: vm.name, name: 'eth0', mac: vm.mac, addresses: [`${vm.ip}/24`]},
      {node: 'hv', name: vm.name, bridge: vmBridge(vm.name)},
    ),
    ...SITES.map((site) => {
      const attached = site === 'x' ? {bridge: vmBridge(vm.name)} : {}
      return wire(
        {node: 'hv', name: uplink(vm.name, site), ...attached},
        {node: `sw-${site}`, name: vm.name, bridge: `br-${letter}`},
      )
    }),
  ]
}

const other = (site: LabSite): LabSite => (site === 'x' ? 'y' : 'x')

function labNodes(): LabNode[] {
  const tenants = SEGMENTS.map((segment) => segment.prefix)
  return [
    ...SITES.flatMap((site): LabNode[] => {
      const here = CORE[site]
      const there = CORE[other(site)]
      const farUsers = USERS.find((user) => user.site !== site)!.prefix
      const farLeg = site === 'x' ? '172.16.2.0/30' : '172.16.1.0/30'
      return [
        {name: `sw-${site}`, role: 'switch', routes: []},
        {name: `r${site}`, role: 'gateway', routes: [{to: 'default', via: here.leg}]},
        {
          name: `c${site}`,
          role: 'core',
          routes: [
            ...tenants.map((to) => ({to, via: here.gatewayLeg})),
            {to: farUsers, via: there.wan},
            {to: farLeg, via: there.wan},
          ],
        },
        {name: `user-${site}`, role: 'user', routes: [{to: 'default', via: here.user}]},
      ]
    }),
    {name: 'relay', role: 'relay', routes: []},
    {name: 'hv', role: 'hypervisor', routes: []},
    ...VMS.map((vm): LabNode => ({name: vm.name, role: 'vm', routes: [{to: 'default', via: vm.gatewayIp}]})),
  ]
}

/** The names of every namespace that a lab of this prefix has. */
export const labNamespaces = (prefix: string): string[] => labNodes().map((node) => namespaceOf(prefix, node.name))

/** An interface of the lab. There must be one of that name. */
export function interfaceIn(topology: Topology, node: string, name: string): LabInterface {
  const all = [...topology.wires.flatMap((wire) => wire.ends), ...topology.bridges, ...topology.tunnels]
  return all.find((candidate) => candidate.node === node && candidate.name === name)!
}
