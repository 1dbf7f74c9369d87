// A site of many VMs in namespaces: the gateway of site y is a bridge's own leg, behind one port of it are the VMs that
// have come, behind the other site x with its gateway and those that are there still. Beyond both is one more address.
import {existsSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {runCommand} from '../../src/net/process/command.ts'
import {namespaces} from '../../src/net/process/netns.ts'
import type {FakeVm} from '../../src/testing/vm.ts'
import {newPrivateKey, privateKeyText, publicKeyText, readPublicKey} from '../../src/wire/agent-message.ts'
import {withPrefix} from './namespaces.ts'
import {withPlayedVms} from './played-vms.ts'

const SHARED_IP = '10.19.255.254'
/** The address that gateways of a second segment share; that of site y is not there. */
const LOST_IP = '10.32.255.254'
export const BX = '02:00:00:00:0a:02'
export const BY = '02:00:00:00:0b:02'
const NODES = ['gw', 'here', 'far', 'net'] as const
type Node = (typeof NODES)[number]
const byte = (n: number): string => n.toString(16).padStart(2, '0')

/**
 * `off`: it answers nothing. `static`: its entry is permanent. `away`: it is still at site x. `lost`: of the second segment.
 * `agent`: of a third one, whose gateways have addresses of their own.
 */
export type Kind = 'good' | 'off' | 'static' | 'away' | 'lost' | 'agent'

export interface ManySegment {
  readonly vms: readonly {readonly name: string; readonly kind: Kind}[]
  readonly inventory: string
  /** Where gwswitch runs. */
  readonly namespace: string
  run(node: Node, script: string): Promise<string>
  /** The MAC that each VM has for its gateway, by its name. */
  gateways(): Promise<ReadonlyMap<string, string>>
}

/** Builds it, calls `fn`, and takes it away. All VMs begin at the gateway of site x. */
export async function withManySegment<T>(
  count: number,
  kindOf: (i: number) => Kind,
  fn: (segment: ManySegment) => Promise<T>,
): Promise<T> {
  using _room = withRoom()
  return withPrefix(remove, async (prefix) => {
    const ns = (node: string): string => `${prefix}-${node}`
    await runCommand('sh', ['-ec', built(ns)])
    const vms = Array.from({length: count}, (_, i) => vmOf(i, kindOf(i)))
    const key = privateKeyText(newPrivateKey())
    const keyFile = join(tmpdir(), `${prefix}-site-y.key`)
    writeFileSync(keyFile, key, {mode: 0o600})
    const agents = {key, macs: {'10.48.0.1': BX, '10.48.0.2': BY}}
    const [near, away] = [vms.filter(({kind}) => kind !== 'away'), vms.filter(({kind}) => kind === 'away')]
    return withPlayedVms(ns('here'), {interface: 'eth0', vms: near, agents}, (here) =>
      withPlayedVms(ns('far'), {interface: 'eth0', vms: away}, (far) =>
        fn({
          ...{vms, inventory: inventoryOf(vms, keyFile, publicKeyText(readPublicKey(key)!)), namespace: ns('gw')},
          run: (node, script) => runCommand('ip', ['netns', 'exec', ns(node), 'sh', '-ec', script]),
          async gateways() {
            const macs = [...(await here.gateways()), ...(await far.gateways())]
            return new Map([...near, ...away].map(({name}, i) => [name, macs[i]!]))
          },
        }),
      ),
    )
  })
}

function vmOf(i: number, kind: Kind): FakeVm & {name: string; kind: Kind; gatewayIp: string} {
  const [high, low] = [((i + 1) >> 8) + 1, (i + 1) & 255]
  return {
    ...{name: `vm-${i}`, kind, mac: `02:00:00:01:${byte(high)}:${byte(low)}`, gatewayMac: BX},
    ...{ip: `10.${segmentOf(kind) === 'big' ? 16 : kind === 'lost' ? 32 : 48}.${high}.${low}`},
    gatewayIp: kind === 'lost' ? LOST_IP : SHARED_IP,
    ...{silent: kind === 'off', permanent: kind === 'static'},
  }
}

const segmentOf = (kind: Kind): string => (kind === 'lost' ? 'lost' : kind === 'agent' ? 'own' : 'big')

const inventoryOf = (vms: readonly (FakeVm & {name: string; kind: Kind})[], keyFile: string, key: string): string =>
  `
version: 1
sites: {x: {}, y: {probes: [203.0.113.1], agentKey: ${keyFile}}}
segments:
  big:
    prefix: 10.16.0.0/14
    ports: [vx0]
    gateways:
      - { name: bx, site: x, ip: ${SHARED_IP}, mac: "${BX}" }
      - { name: by, site: y, ip: ${SHARED_IP}, mac: "${BY}" }
  lost:
    prefix: 10.32.0.0/16
    gateways:
      - { name: cx, site: x, ip: ${LOST_IP}, mac: "${BX}" }
      - { name: cy, site: y, ip: ${LOST_IP}, mac: "02:00:00:00:0c:02" }
  own:
    prefix: 10.48.0.0/16
    gateways:
      - { name: ox, site: x, ip: 10.48.0.1, mac: "${BX}" }
      - { name: oy, site: y, ip: 10.48.0.2, mac: "${BY}" }
vms:
${vms
  .map(({name, ip, mac, kind}) => {
    const agent = kind === 'agent' ? `, strategies: [agent], agent: { key: "${key}" }` : ''
    return `  ${name}: { segment: ${segmentOf(kind)}, ip: ${ip}, mac: "${mac}", site: x${agent} }`
  })
  .join('\n')}
`

const NEIGHBOURS = '/proc/sys/net/ipv4/neigh/default/gc_thresh3'

/**
 * The kernel has one table of neighbours for all namespaces, 1,024 by default, in which none can be replaced that is younger
 * than 5 s: what is beyond it hears nothing, and nobody is told. Its size is for the first namespace to say: elsewhere it is
 * as it is.
 */
function withRoom(): Disposable {
  if (!existsSync(NEIGHBOURS)) return {[Symbol.dispose]: () => {}}
  const before = readFileSync(NEIGHBOURS, 'latin1')
  writeFileSync(NEIGHBOURS, String(Math.max(Number(before), 16_384)))
  return {[Symbol.dispose]: () => writeFileSync(NEIGHBOURS, before)}
}

/** What site x asks for by ARP stays there: its own neighbour checks would move VMs back. */
const KEPT_AT_X = `table netdev keep { chain out { type filter hook egress device eth0 priority 0; arp operation request drop; }; }`

function built(ns: (node: string) => string): string {
  const quiet = 'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1'
  const veth = (port: string, index: number, node: string): string =>
    `ip link add ${port} index ${index} netns ${ns('gw')} type veth peer name eth0 index ${index - 10} netns ${ns(node)}`
  return `for n in ${NODES.map(ns).join(' ')}; do ip netns add $n; ip -n $n link set lo up; ip netns exec $n ${quiet}; done
${veth('loc', 31, 'here')}; ${veth('vx0', 32, 'far')}; ${veth('up0', 33, 'net')}
ip -n ${ns('far')} link set eth0 address ${BX}
for n in here far net; do ip -n ${ns('')}$n link set eth0 up; done
ip netns exec ${ns('far')} nft '${KEPT_AT_X}'
ip -n ${ns('far')} address add ${SHARED_IP}/14 dev eth0; ip -n ${ns('far')} address add ${LOST_IP}/16 dev eth0
ip -n ${ns('far')} address add 203.0.113.1/32 dev lo
ip -n ${ns('gw')} link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
for p in loc vx0; do ip -n ${ns('gw')} link set $p master br0; ip -n ${ns('gw')} link set $p up; done
ip -n ${ns('gw')} link set br0 address ${BY}; ip -n ${ns('gw')} link set br0 up; ip -n ${ns('gw')} link set up0 up
ip -n ${ns('gw')} address add ${SHARED_IP}/14 dev br0; ip -n ${ns('gw')} address add 10.32.255.250/16 dev br0
ip -n ${ns('gw')} address add 10.48.0.2/16 dev br0
ip -n ${ns('gw')} address add 172.16.2.1/24 dev up0; ip -n ${ns('gw')} route add default via 172.16.2.2
ip netns exec ${ns('gw')} sysctl -qw net.ipv4.ip_forward=1
ip -n ${ns('net')} address add 172.16.2.2/24 dev eth0; ip -n ${ns('net')} address add 203.0.113.1/32 dev lo
ip -n ${ns('net')} route add 10.0.0.0/8 via 172.16.2.1
for i in $(seq 100); do ip netns exec ${ns('gw')} ping -c1 -W1 172.16.2.2 >/dev/null && exit 0; done; exit 1`
}

async function remove(prefix: string): Promise<void> {
  for (const name of namespaces().filter((each) => NODES.some((node) => each === `${prefix}-${node}`)))
    await runCommand('ip', ['netns', 'del', name])
  rmSync(join(tmpdir(), `${prefix}-site-y.key`), {force: true})
}
