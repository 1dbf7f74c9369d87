// A bridge of a hypervisor at site y: ports of VMs that come and go, and one to the other site. Whoever is behind a port is a
// raw socket.
import {bridgeFdb} from '../../src/net/bridge-ports.ts'
import {interfaces} from '../../src/net/ip.ts'
import {libc} from '../../src/net/libc.ts'
import {watchFdb} from '../../src/net/netlink/fdb-watch.ts'
import {watchLinks} from '../../src/net/netlink/route-socket.ts'
import {anyOf} from '../../src/net/packet/bpf.ts'
import {hearEverywhere} from '../../src/net/packet/everywhere.ts'
import {openPacketSocket, type PacketSocket} from '../../src/net/packet/packet-socket.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {inNamespace, namespaces} from '../../src/net/process/netns.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import type {World} from '../../src/net/world.ts'
import {ANY_IPV4, BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../../src/wire/address.ts'
import {ARP_REQUEST, RARP_REQUEST, serializeArp} from '../../src/wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_RARP, serializeEthernet, vlanTag} from '../../src/wire/ethernet.ts'
import {withPrefix} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

/** The port that leads to the other site. */
export const DCI = 'dci0'

export const INVENTORY_YAML = `version: 1
sites: {x: {}, y: {}}
segments:
  tenant-b:
    prefix: 10.1.0.0/16
    ports: [${DCI}]
    vlan: 20
    gateways:
      - {name: bx, site: x, ip: 10.1.0.254, mac: 02:00:00:00:0a:02}
      - {name: by, site: y, ip: 10.1.0.254, mac: 02:00:00:00:0b:02}
vms:
  db-03: {segment: tenant-b, ip: 10.1.0.10, mac: 02:00:00:00:01:10, site: x, strategies: [arp]}
  db-04: {segment: tenant-b, ip: 10.1.0.11, mac: 02:00:00:00:01:11, site: y, strategies: [arp]}
`

export interface ArrivalsLab {
  /** The namespace of the bridge br0. */
  readonly switch: string
  /** Its world. */
  readonly world: World
  /** A new port of the bridge, up; the bridge takes some time until it forwards there. */
  addPort(name: string): Promise<void>
  forwards(port: string): Promise<void>
  removePort(name: string): Promise<void>
  /** Runs a program beside the bridge. */
  run(...argv: readonly string[]): Promise<string>
  /** Runs a program beside those who are behind the ports; the interface behind `vnet1` is called `vnet1`, too. */
  beyond(...argv: readonly string[]): Promise<string>
  /** A socket of whoever is behind a port. */
  behind(port: string): PacketSocket
}

export async function withArrivalsLab<T>(ports: readonly string[], fn: (lab: ArrivalsLab) => Promise<T>): Promise<T> {
  return withPrefix(remove, async (prefix) => {
    const [sw, far] = [`${prefix}-sw`, `${prefix}-far`]
    const sockets = new Map<string, PacketSocket>()
    const run = (...argv: readonly string[]) => runCommand('ip', ['netns', 'exec', sw, ...argv])
    const beyond = (...argv: readonly string[]) => runCommand('ip', ['netns', 'exec', far, ...argv])
    const lab: ArrivalsLab = {
      ...{switch: sw, world: worldIn(sw), run, beyond},
      async addPort(name) {
        await run(
          'sh',
          '-ec',
          `ip link add ${name} type veth peer name ${name} netns ${far}; ip link set ${name} master br0 up`,
        )
        await beyond('ip', 'link', 'set', name, 'up')
      },
      forwards: (name) =>
        until(
          async () => (await run('bridge', 'link', 'show', 'dev', name)).includes('forwarding'),
          5000,
          `${name} forwards`,
        ),
      removePort: async (name) => {
        sockets.get(name)?.close()
        sockets.delete(name)
        await run('ip', 'link', 'del', name)
      },
      behind(port) {
        const open = sockets.get(port) ?? inNamespace(far, () => socketOn(port))
        sockets.set(port, open)
        return open
      },
    }
    await runCommand('sh', ['-ec', `ip netns add ${sw}; ip netns add ${far}`])
    for (const each of [run, beyond]) await each('sysctl', '-qw', 'net/ipv6/conf/default/disable_ipv6=1')
    await run(
      'ip',
      'link',
      'add',
      'br0',
      'type',
      'bridge',
      'stp_state',
      '0',
      'forward_delay',
      '0',
      'mcast_snooping',
      '0',
    )
    await run('ip', 'link', 'set', 'br0', 'up')
    for (const port of ports) await lab.addPort(port)
    for (const port of ports) await lab.forwards(port)
    try {
      return await fn(lab)
    } finally {
      for (const socket of sockets.values()) socket.close()
    }
  })
}

function socketOn(port: string): PacketSocket {
  const interfaceIndex = libc().if_nametoindex(port)
  if (interfaceIndex === 0) throw new Error(`nobody is behind ${port}`)
  return openPacketSocket({interfaceIndex, filter: anyOf([])})
}

async function remove(prefix: string): Promise<void> {
  for (const name of namespaces().filter((each) => each === `${prefix}-sw` || each === `${prefix}-far`))
    await runCommand('ip', ['netns', 'del', name])
}

/** The world of a namespace, in this process. */
function worldIn(namespace: string): World {
  const inside = <T>(fn: () => T): T => inNamespace(namespace, fn)
  return {
    ...systemWorld(() => {}),
    interfaces: () => inside(interfaces),
    learned: (bridge) => inside(() => bridgeFdb(bridge)),
    linkChanges: async (onChanged) => inside(() => watchLinks(onChanged)),
    hearEverywhere: async (filter, onFrame) => inside(() => hearEverywhere(filter, onFrame)),
    learnedChanges: async (onLearned, onLost) => inside(() => watchFdb(onLearned, onLost)),
  }
}

const framed = (source: Mac, etherType: number, payload: Uint8Array, vlan?: number): Uint8Array => {
  const tag = vlanTag(vlan)
  return serializeEthernet({destination: BROADCAST, source, etherType, payload, ...(tag && {vlan: tag})})
}

/** As QEMU sends it. */
export const rarp = (mac: Mac, vlan?: number): Uint8Array =>
  framed(
    mac,
    ETHERTYPE_RARP,
    serializeArp({operation: RARP_REQUEST, senderMac: mac, senderIp: ANY_IPV4, targetMac: mac, targetIp: ANY_IPV4}),
    vlan,
  )

export const gratuitousArp = (mac: Mac, ip: Ipv4): Uint8Array =>
  framed(
    mac,
    ETHERTYPE_ARP,
    serializeArp({operation: ARP_REQUEST, senderMac: mac, senderIp: ip, targetMac: ZERO_MAC, targetIp: ip}),
  )

/** IEEE 802 local experimental: no packet filter takes it for a packet that is broken. */
const ETHERTYPE_EXPERIMENTAL = 0x88b5

/** Any other frame. */
export const data = (mac: Mac): Uint8Array => framed(mac, ETHERTYPE_EXPERIMENTAL, new Uint8Array(64))
