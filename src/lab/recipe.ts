// What has to be written where for a topology to come alive: input for ip(8), sysctl(8) and nft(8). Pure.
import {
  type LabInterface,
  type LabNode,
  type LabTunnel,
  type LabVm,
  type LabWire,
  namespaceOf,
  SEGMENTS,
  SHARED_GATEWAY_IP,
  segmentOf,
  type Topology,
  VMS,
} from './topology.ts'

/** Lines for `ip -batch` that make every namespace. */
export const namespaceLines = ({options, nodes}: Topology): string[] =>
  nodes.map((node) => `netns add ${namespaceOf(options.prefix, node.name)}`)

/** Lines for `ip -batch`, run anywhere: bridges and wires come into being inside their namespaces. */
export function linkLines({options, wires, bridges}: Topology): string[] {
  const at = (end: LabInterface): string =>
    `index ${end.index} name ${end.name} address ${end.mac} netns ${namespaceOf(options.prefix, end.node)}`
  return [
    ...bridges.map((bridge) => `link add ${at(bridge)} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`),
    ...wires.map(({ends: [a, b], mtu}: LabWire) => `link add ${at(a)} mtu ${mtu} type veth peer ${at(b)} mtu ${mtu}`),
  ]
}

/** Lines for `ip -batch` inside a node's namespace: ports into bridges, addresses, everything up, routes. */
export function nodeLines(topology: Topology, node: LabNode): string[] {
  const here = (link: LabInterface): boolean => link.node === node.name
  const tunnels = topology.tunnels.filter(here)
  const ends = topology.wires.flatMap((wire) => wire.ends).filter(here)
  const bridges = topology.bridges.filter(here)
  return [
    'link set lo up',
    ...tunnels.map(tunnelLine),
    ...[...ends, ...tunnels].flatMap(({name, bridge}) => (bridge ? [`link set ${name} master ${bridge}`] : [])),
    ...ends.flatMap(({name, addresses}) => addresses.map((address) => `address add ${address} dev ${name}`)),
    // No offload survives user space inside a tunnel: frames are cut to size before they enter it.
    ...ends.flatMap(({name}) => (name === 'dci' ? [`link set ${name} gso_max_segs 1`] : [])),
    ...[...bridges, ...ends, ...tunnels].map(({name}) => `link set ${name} up`),
    ...node.routes.map(({to, via}) => `route add ${to} via ${via}`),
    ...VMS.filter(({name}) => name === node.name).map(neighbourLine),
  ]
}

/** A VM that has run for a while knows its gateway, that of the site it is at. It moves with what it knows. */
function neighbourLine(vm: LabVm): string {
  const gateway = segmentOf(vm).gateways.find(({site, ip}) => site === 'x' && ip === vm.gatewayIp)!
  return `neigh replace ${gateway.ip} lladdr ${gateway.mac} dev eth0 nud stale`
}

/** Made inside its namespace: a VXLAN keeps its UDP socket where it was made. */
const tunnelLine = ({name, index, mac, id, local, remote}: LabTunnel): string =>
  `link add index ${index} name ${name} address ${mac} mtu 1500 type vxlan id ${id} local ${local} remote ${remote} dstport 4789 dev dci`

/** Settings under /proc/sys/net for a node, to be written before it has any interface. */
export function sysctls({role}: LabNode): readonly (readonly [path: string, value: string])[] {
  const quiet = [
    ['ipv6/conf/all/disable_ipv6', '1'],
    ['ipv6/conf/default/disable_ipv6', '1'],
    // Probes must not starve: by default one "time exceeded" or "unreachable" a second goes to a host.
    ['ipv4/icmp_ratelimit', '0'],
    ['ipv4/icmp_msgs_per_sec', '100000'],
  ] as const
  if (role === 'switch' || role === 'hypervisor') {
    return [...quiet, ['bridge/bridge-nf-call-iptables', '0'], ['bridge/bridge-nf-call-arptables', '0']]
  }
  if (role !== 'gateway' && role !== 'core') return quiet
  return [
    ...quiet,
    ['ipv4/ip_forward', '1'],
    ...['all', 'default'].flatMap((scope) => [
      [`ipv4/conf/${scope}/rp_filter`, '0'] as const,
      [`ipv4/conf/${scope}/send_redirects`, '0'] as const,
      // A router asks for a neighbour with its own address in that segment, never with the shared one.
      [`ipv4/conf/${scope}/arp_announce`, '2'] as const,
    ]),
  ]
}

/** Settings that a kernel may lack without harm to the lab. */
export const isOptionalSysctl = (path: string): boolean => /^bridge\/|icmp_msgs_per_sec$|^ipv6\//.test(path)

/** Input for `nft -f` in a node's namespace; undefined if it needs none. */
export function nftRules({role}: LabNode): string | undefined {
  if (role === 'switch') return siteLocalArp()
  if (role === 'gateway') return forwardCounters()
  return undefined
}

/** ARP about the shared gateway IP stays inside its site: it may neither come in from the DCI nor leave through it. */
function siteLocalArp(): string {
  const ports = SEGMENTS.map(({letter}) => `"dci-${letter}"`).join(', ')
  // "meta protocol", not "ether type": it holds for 802.1Q-tagged frames too.
  return `table bridge lab {
  chain gateway_arp {
    meta protocol arp arp daddr ip ${SHARED_GATEWAY_IP} counter drop
    meta protocol arp arp saddr ip ${SHARED_GATEWAY_IP} counter drop
  }
  chain from_dci {
    type filter hook prerouting priority -300; policy accept;
    iifname { ${ports} } jump gateway_arp
  }
  chain to_dci {
    type filter hook postrouting priority 300; policy accept;
    oifname { ${ports} } jump gateway_arp
  }
}
`
}

/** Names of the two counters of a gateway's leg. */
export const egressCounter = (letter: string): string => `egress_${letter}`
export const inboundCounter = (letter: string): string => `inbound_${letter}`

function forwardCounters(): string {
  const letters = SEGMENTS.map(({letter}) => letter)
  const counters = letters.flatMap((letter) => [egressCounter(letter), inboundCounter(letter)])
  return `table inet lab {
  ${counters.map((name) => `counter ${name} { }`).join('\n  ')}
  chain forward {
    type filter hook forward priority 0; policy accept;
    ${letters
      .flatMap((letter) => [
        `iifname "seg-${letter}" counter name ${egressCounter(letter)}`,
        `oifname "seg-${letter}" counter name ${inboundCounter(letter)}`,
      ])
      .join('\n    ')}
  }
}
`
}
