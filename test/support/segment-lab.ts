// One segment with everything that a switch looks at, in namespaces: a bridge, the VM behind a port of it, two gateways with
// their upstreams, and somewhere beyond both. Smaller than the lab, and without its inter-site link.
import {writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {removeNamespaceFiles} from '../../src/net/namespace-file.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {inNamespace, namespaces} from '../../src/net/process/netns.ts'
import {withPrefix} from './namespaces.ts'
import {useAround} from './use-around.ts'

export const VM_MAC = '02:00:00:00:01:10'
export const X_MAC = '02:00:00:00:0a:02'
export const Y_MAC = '02:00:00:00:0b:02'
/** What answers beyond both gateways. */
export const BEYOND = '203.0.113.1'
/** The same over IPv6. */
export const BEYOND6 = '2001:db8:ffff::1'

export type SegmentNode = 'sw' | 'vm' | 'gx' | 'gy' | 'net'
const NODES: readonly SegmentNode[] = ['sw', 'vm', 'gx', 'gy', 'net']

export interface SegmentLab {
  /** Of `gwswitch.yaml`: sites x and y, gateways bx and by, the VM db-03. */
  readonly inventoryFile: string
  readonly inventory: string
  ns(node: SegmentNode): string
  /** Runs a shell script in a node; throws if it fails. */
  run(node: SegmentNode, script: string): Promise<string>
  /** The VM's way to its gateway: its IPv4 default route and the MAC behind it. */
  gateway(): Promise<string>
  /** The MAC of the gateway that what the VM sends to {@link BEYOND} really comes to: who says that its time is over. */
  leavesBy(): Promise<string>
  /** Rules and routes of the VM, packet filters of the VM and the bridge: to compare. */
  kept(): Promise<string>
  /** Processes in its namespaces. */
  processes(): Promise<readonly string[]>
  /** As it was built, whatever was done to addresses, routes, neighbours, filters and links that were there then. */
  restore(): Promise<void>
}

export interface SegmentOptions {
  /** The gateways share 10.1.0.254; else they are 10.1.0.1 and 10.1.0.2. */
  readonly shared?: boolean
  /** IPv6 addresses of both gateways, shared or not, and of the VM. */
  readonly ip6?: {readonly x: string; readonly y: string; readonly vm: string}
  /** Keys of the VM and the segment in the inventory, as YAML. */
  readonly vmKeys?: string
  readonly segmentKeys?: string
}

/** Builds it, calls `fn`, and takes it away, also after a failure or a signal. The VM begins at gateway X. */
export async function withSegmentLab<T>(options: SegmentOptions, fn: (lab: SegmentLab) => Promise<T>): Promise<T> {
  return withPrefix(remove, async (prefix) => {
    const ns = (node: SegmentNode): string => `${prefix}-${node}`
    const run = (node: SegmentNode, script: string) =>
      runCommand('ip', ['netns', 'exec', ns(node), 'sh', '-ec', script])
    await runCommand('sh', ['-ec', script(ns, options)])
    const inventoryFile = join(tmpdir(), `${prefix}-gwswitch.yaml`)
    const inventory = inventoryOf(options)
    writeFileSync(inventoryFile, inventory)
    const gateway = async (): Promise<string> => {
      const [, , ip] = (await run('vm', 'ip -4 route show default')).split(' ')
      return (await run('vm', `ip neigh show ${ip} dev eth0`)).split(' ')[2] ?? 'nobody'
    }
    const leavesBy = async (): Promise<string> => {
      const said = await run('vm', `ping -c1 -W2 -t1 ${BEYOND} || true`)
      const from = /From (\S+) .*Time to live exceeded/.exec(said)?.[1]
      return [X_MAC, Y_MAC][addressesOf(options).own.findIndex((own) => own.split('/')[0] === from)] ?? 'nobody'
    }
    const kept = async (): Promise<string> => {
      const parts = await Promise.all([run('vm', KEPT_BY_VM), run('sw', 'nft -s list ruleset')])
      return parts.join('').replace(/ +$/gm, '')
    }
    const processes = async (): Promise<readonly string[]> => {
      const pids = await Promise.all(NODES.map((node) => runCommand('ip', ['netns', 'pids', ns(node)])))
      return pids.join('').split('\n').filter(Boolean)
    }
    const restore = async (): Promise<void> => {
      inNamespace(ns('sw'), removeNamespaceFiles)
      await Promise.all(NODES.map((node) => run(node, restoring(node, options))))
      await Promise.all((['vm', 'gx', 'gy'] as const).map((node) => run(node, carries(BEYOND))))
      await Promise.all((['gx', 'gy'] as const).map((node) => run(node, carries('10.1.0.10'))))
    }
    return fn({inventoryFile, inventory, ns, run, gateway, leavesBy, kept, processes, restore})
  })
}

/** A lab for all tests of a block: up before the first, gone after the last. */
export const useSegmentLab = (options: SegmentOptions): (() => SegmentLab) =>
  useAround((fn) => withSegmentLab(options, fn))

async function remove(prefix: string): Promise<void> {
  for (const name of namespaces().filter((each) => NODES.some((node) => each === `${prefix}-${node}`))) {
    inNamespace(name, removeNamespaceFiles)
    await runCommand('ip', ['netns', 'del', name])
  }
}

const addressesOf = ({shared = true}: SegmentOptions) =>
  shared
    ? {x: '10.1.0.254', y: '10.1.0.254', own: ['10.1.0.252/24', '10.1.0.253/24']}
    : {x: '10.1.0.1', y: '10.1.0.2', own: ['10.1.0.1/24', '10.1.0.2/24']}

const KEPT_BY_VM =
  'ip rule; ip -6 rule; ip route show table all; ip -6 route show table all default; nft -s list ruleset'

/** A link that comes up again carries nothing until the kernel has noticed. */
const carries = (to: string): string =>
  `for i in $(seq 100); do ping -c1 -W1 ${to} >/dev/null && exit 0; sleep 0.05; done; echo "no way to ${to}" >&2; exit 1`

function restoring(node: SegmentNode, options: SegmentOptions): string {
  const {x} = addressesOf(options)
  const up = (...links: string[]): string => links.map((link) => `ip link set ${link} up`).join('; ')
  const router = (upNet: string, upNet6: string): string =>
    `nft flush ruleset; sysctl -qw net.ipv4.ip_forward=1; ${up('up0')}; ip route replace default via ${upNet}` +
    (options.ip6 ? `; sysctl -qw net.ipv6.conf.all.forwarding=1; ip -6 route replace default via ${upNet6}` : '')
  switch (node) {
    case 'sw':
      return `nft flush ruleset; ${up('p-gx', 'p-gy', 'vnet0')}`
    case 'gx':
      return router('172.16.1.2', '2001:db8:f1::2')
    case 'gy':
      return router('172.16.2.2', '2001:db8:f2::2')
    case 'net':
      return `${up('gx', 'gy')}; ip route flush exact default; ip route replace 10.1.0.0/24 via 172.16.1.1${options.ip6 ? `; ${BACK6}` : ''}`
    case 'vm':
      return `nft flush ruleset; ${up('eth0')}; ip neigh flush all nud all; ip route flush proto boot
ip route flush exact default; ${wayOut(x)}; ${options.ip6 ? `ip address replace ${options.ip6.vm}/64 dev eth0 nodad; ip -6 route flush exact default; ip -6 route flush proto boot; ${wayOut6(options.ip6.x)}` : ''}`
  }
}

const BACK6 = 'ip -6 route replace 2001:db8:1::/64 via 2001:db8:f1::1'

/** The VM's way to gateway X, as routes and neighbours say it. */
const wayOut = (ip: string): string =>
  `ip route replace default via ${ip}; ip neigh replace ${ip} lladdr ${X_MAC} dev eth0 nud reachable`
const wayOut6 = (ip: string): string =>
  `ip -6 route replace default via ${ip} dev eth0; ip neigh replace ${ip} lladdr ${X_MAC} dev eth0 nud reachable`

/** In the order in which each namespace is ready before something is put into it. */
function script(ns: (node: SegmentNode) => string, options: SegmentOptions): string {
  const {x, y, own} = addressesOf(options)
  const {ip6, shared = true} = options
  const leg = (
    node: 'gx' | 'gy',
    mac: string,
    address: string,
    gatewayIp: string,
    up: string,
    upNet: string,
  ): string => `
ip link add eth0 netns ${ns(node)} address ${mac} type veth peer name p-${node} netns ${ns('sw')}
ip -n ${ns('sw')} link set p-${node} master br0 up
ip -n ${ns(node)} address add ${address} dev eth0
${shared ? `ip -n ${ns(node)} address add ${gatewayIp}/24 dev eth0` : ''}
ip -n ${ns(node)} link set eth0 up
ip link add up0 netns ${ns(node)} type veth peer name ${node} netns ${ns('net')}
ip -n ${ns(node)} address add ${up} dev up0; ip -n ${ns(node)} link set up0 up
ip -n ${ns('net')} address add ${upNet}/30 dev ${node}; ip -n ${ns('net')} link set ${node} up
ip -n ${ns(node)} route add default via ${upNet}`
  const six = (node: 'gx' | 'gy', ip: string, own: string, up: string): string => `
ip -n ${ns(node)} address add ${ip}/64 dev eth0 nodad; ip -n ${ns(node)} address add ${own}/64 dev eth0 nodad
ip -n ${ns(node)} address add ${up}::1/64 dev up0 nodad; ip -n ${ns('net')} address add ${up}::2/64 dev ${node} nodad
ip -n ${ns(node)} -6 route add default via ${up}::2`
  // An address that goes with its link would not come back with it.
  const forwards6 = 'net.ipv6.conf.all.forwarding=1 net.ipv6.icmp.ratelimit=0 net.ipv6.conf.all.keep_addr_on_down=1'
  return `
for n in ${NODES.map(ns).join(' ')}; do
  ip netns add $n; ip -n $n link set lo up
  ip netns exec $n sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.all.disable_ipv6=${ip6 ? 0 : 1} net.ipv6.conf.default.disable_ipv6=${ip6 ? 0 : 1} net.ipv6.conf.default.accept_dad=0 net.ipv4.icmp_ratelimit=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
done
for n in ${[ns('gx'), ns('gy'), ns('net')].join(' ')}; do ip netns exec $n sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.default.arp_announce=2; done
ip -n ${ns('sw')} link add br0 type bridge; ip -n ${ns('sw')} link set br0 type bridge forward_delay 0; ip -n ${ns('sw')} link set br0 up
ip link add eth0 netns ${ns('vm')} address ${VM_MAC} type veth peer name vnet0 netns ${ns('sw')}
ip -n ${ns('sw')} link set vnet0 master br0 up
ip -n ${ns('vm')} address add 10.1.0.10/24 dev eth0; ip -n ${ns('vm')} link set eth0 up
${leg('gx', X_MAC, own[0]!, x, '172.16.1.1/30', '172.16.1.2')}
${leg('gy', Y_MAC, own[1]!, y, '172.16.2.1/30', '172.16.2.2')}
ip -n ${ns('net')} address add ${BEYOND}/32 dev lo; ip -n ${ns('net')} route add 10.1.0.0/24 via 172.16.1.1
${
  ip6
    ? `for n in ${[ns('gx'), ns('gy'), ns('net')].join(' ')}; do ip netns exec $n sysctl -qw ${forwards6}; done
${six('gx', ip6.x, '2001:db8:1::2', '2001:db8:f1')}
${six('gy', ip6.y, '2001:db8:1::3', '2001:db8:f2')}
ip -n ${ns('net')} address add ${BEYOND6}/128 dev lo nodad; ip netns exec ${ns('net')} ${BACK6}
ip -n ${ns('vm')} address add ${ip6.vm}/64 dev eth0 nodad`
    : ''
}
ip netns exec ${ns('vm')} sh -ec '${wayOut(x)}${ip6 ? `; ${wayOut6(ip6.x)}` : ''}'
for i in $(seq 50); do ip netns exec ${ns('vm')} ping -c1 -W1 ${BEYOND} >/dev/null && exit 0; sleep 0.1; done; echo "the segment does not carry" >&2; exit 1`
}

function inventoryOf(options: SegmentOptions): string {
  const {x, y} = addressesOf(options)
  const {ip6, vmKeys, segmentKeys} = options
  const six = (ip: string | undefined): string => (ip === undefined ? '' : `, ip6: ["${ip}"]`)
  return `version: 1
sites:
  x: { prefixes: [198.51.100.0/24] }
  y: { prefixes: [203.0.113.0/24] }
segments:
  tenant-b:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: ${x}, mac: "${X_MAC}"${six(ip6?.x)} }
      - { name: by, site: y, ip: ${y}, mac: "${Y_MAC}"${six(ip6?.y)} }
${segmentKeys ?? ''}
vms:
  db-03: { segment: tenant-b, ip: 10.1.0.10, mac: "${VM_MAC}"${six(ip6?.vm)}${vmKeys === undefined ? '' : `, ${vmKeys}`} }
`
}
