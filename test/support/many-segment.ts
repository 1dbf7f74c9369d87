// A site of many VMs in namespaces: the gateway of site y is a bridge's own leg, behind one port of it are the VMs that
// have come, behind the other those that are at site x still. Beyond the gateway is one more host.
import {runCommand} from '../../src/net/process/command.ts'
import {namespaces} from '../../src/net/process/netns.ts'
import type {FakeVm} from '../../src/testing/vm.ts'
import {withPrefix} from './namespaces.ts'
import {type PlayedVms, withPlayedVms} from './played-vms.ts'

export const SHARED_IP = '10.19.255.254'
export const BX = '02:00:00:00:0a:02'
export const BY = '02:00:00:00:0b:02'
const NODES = ['gw', 'here', 'far', 'net'] as const
const byte = (n: number): string => n.toString(16).padStart(2, '0')

/** `off`: it answers nothing. `static`: its entry is permanent. `away`: it is still at site x. */
export type Kind = 'good' | 'off' | 'static' | 'away'

export interface ManySegment {
  readonly vms: readonly (FakeVm & {readonly name: string; readonly kind: Kind})[]
  readonly inventory: string
  /** Where gwswitch runs. */
  readonly namespace: string
  run(node: (typeof NODES)[number], script: string): Promise<string>
  /** Each VM's gateway by its name. */
  gateways(): Promise<Readonly<Record<string, string>>>
}

/** Builds it, calls `fn`, and takes it away. All VMs begin at gateway bx. */
export async function withManySegment<T>(
  count: number,
  kindOf: (i: number) => Kind,
  fn: (segment: ManySegment) => Promise<T>,
): Promise<T> {
  return withPrefix(remove, async (prefix) => {
    const ns = (node: string): string => `${prefix}-${node}`
    const run = (node: string, script: string) => runCommand('ip', ['netns', 'exec', ns(node), 'sh', '-ec', script])
    await runCommand('sh', ['-ec', built(ns)])
    const vms = Array.from({length: count}, (_, i) => {
      const kind = kindOf(i)
      return {
        ...{
          name: `vm-${i}`,
          ip: `10.16.${(i + 1) >> 8}.${(i + 1) & 255}`,
          mac: `02:00:00:01:${byte(i >> 8)}:${byte(i & 255)}`,
        },
        ...{kind, gatewayMac: BX, silent: kind === 'off', permanent: kind === 'static'},
      }
    })
    const play = <R>(node: string, isThere: (kind: Kind) => boolean, then: (played: PlayedVms) => Promise<R>) =>
      withPlayedVms(
        ns(node),
        {interface: 'eth0', gatewayIp: SHARED_IP, vms: vms.filter(({kind}) => isThere(kind))},
        then,
      )
    return play(
      'here',
      (kind) => kind !== 'away',
      (here) =>
        play(
          'far',
          (kind) => kind === 'away',
          (far) =>
            fn({
              ...{vms, inventory: inventoryOf(vms), namespace: ns('gw'), run},
              async gateways() {
                const [near, away] = await Promise.all([here.gateways(), far.gateways()])
                const names = (isAway: boolean) =>
                  vms.filter(({kind}) => (kind === 'away') === isAway).map(({name}) => name)
                const pairs = [
                  ...names(false).map((name, i) => [name, near[i]!]),
                  ...names(true).map((name, i) => [name, away[i]!]),
                ]
                return Object.fromEntries(pairs)
              },
            }),
        ),
    )
  })
}

const inventoryOf = (vms: readonly {name: string; ip: string; mac: string}[]): string =>
  [
    'version: 1\nsites: {x: {}, y: {probes: [203.0.113.1]}}\nsegments:\n  big:\n    prefix: 10.16.0.0/14\n    ports: [vx0]\n    gateways:',
    `      - { name: bx, site: x, ip: ${SHARED_IP}, mac: "${BX}" }`,
    `      - { name: by, site: y, ip: ${SHARED_IP}, mac: "${BY}" }`,
    '  gone:\n    prefix: 10.32.0.0/16\n    gateways:',
    `      - { name: cx, site: x, ip: 10.32.255.254, mac: "02:00:00:00:0c:01" }`,
    `      - { name: cy, site: y, ip: 10.32.255.254, mac: "02:00:00:00:0c:02" }`,
    'vms:',
    ...vms.map(({name, ip, mac}) => `  ${name}: { segment: big, ip: ${ip}, mac: "${mac}", site: x }`),
  ].join('\n')

function built(ns: (node: string) => string): string {
  const quiet = 'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1'
  return `for n in ${NODES.map(ns).join(' ')}; do ip netns add $n; ip -n $n link set lo up; ip netns exec $n ${quiet}; done
ip link add loc index 31 netns ${ns('gw')} type veth peer name eth0 index 21 netns ${ns('here')}
ip link add vx0 index 32 netns ${ns('gw')} type veth peer name eth0 index 22 netns ${ns('far')}
ip link add up0 index 33 netns ${ns('gw')} type veth peer name eth0 index 23 netns ${ns('net')}
ip -n ${ns('gw')} link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
for p in loc vx0; do ip -n ${ns('gw')} link set $p master br0; ip -n ${ns('gw')} link set $p up; done
ip -n ${ns('gw')} link set br0 address ${BY}; ip -n ${ns('gw')} link set br0 up; ip -n ${ns('gw')} link set up0 up
ip -n ${ns('gw')} address add ${SHARED_IP}/14 dev br0; ip -n ${ns('gw')} address add 172.16.2.1/24 dev up0
ip -n ${ns('gw')} route add default via 172.16.2.2
ip netns exec ${ns('gw')} sysctl -qw net.ipv4.ip_forward=1
for n in ${ns('here')} ${ns('far')} ${ns('net')}; do ip -n $n link set eth0 up; done
ip -n ${ns('net')} address add 172.16.2.2/24 dev eth0; ip -n ${ns('net')} address add 203.0.113.1/32 dev lo; ip -n ${ns('net')} route add 10.16.0.0/14 via 172.16.2.1
for i in $(seq 100); do ip netns exec ${ns('gw')} ping -c1 -W1 172.16.2.2 >/dev/null && exit 0; done; exit 1`
}

async function remove(prefix: string): Promise<void> {
  for (const name of namespaces().filter((each) => NODES.some((node) => each === `${prefix}-${node}`)))
    await runCommand('ip', ['netns', 'del', name])
}
