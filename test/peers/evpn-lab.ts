// An EVPN fabric of FRR in network namespaces: leaves A and B with an anycast gateway (symmetric IRB), a border leaf C that
// has the VM's host route alone, and one VM. The L3VNI lies in the default VRF: not every kernel that runs tests has VRFs.
import type {ChildProcess} from 'node:child_process'
import {chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {namespaces, spawnIn} from '../../src/net/process/netns.ts'
import {ETHERTYPE_RARP} from '../../src/wire/ethernet.ts'
import {arpFrame} from '../../src/wire/frames.ts'
import {withPrefix} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {linkIn} from './arp-link.ts'

export const GATEWAY = {ip: '10.1.0.254', mac: '02:00:00:00:0e:01'} as const
export const VM = {ip: '10.1.0.10', mac: '02:00:00:00:01:10'} as const
const DAEMONS = '/usr/lib/frr'

export type Leaf = 'a' | 'b'
const NUMBERS = {a: 1, b: 2, c: 3} as const
const underlay = (leaf: keyof typeof NUMBERS): string => `172.31.0.${NUMBERS[leaf]}`

export interface EvpnOptions {
  /** The VM is not at a leaf itself, but at a hypervisor with a bridge of its own behind each. */
  readonly apart: boolean
}

export interface EvpnLab {
  /** The namespace of the host that the VM's port is on, beside a leaf. */
  host(leaf: Leaf): string
  ns(node: string): string
  run(node: string, command: string): Promise<string>
  inventory: string
  /** Takes the VM's port over, without a word of the VM, and says it by one RARP, as its hypervisor does. */
  move(to: Leaf): Promise<void>
  /** The leaf that the border leaf sends the VM's packets to by its host route; undefined: it has none. */
  hostRoute(): Promise<Leaf | undefined>
}

export const noEvpn: string | undefined = await whyNot()

async function whyNot(): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return 'network namespaces need root'
  if ((await tryCommand('test', ['-x', join(DAEMONS, 'bgpd')])).code !== 0) return 'frr is not installed (package frr)'
  const probe = `gwvx${process.pid}`
  const {code} = await tryCommand('ip', ['link', 'add', probe, 'type', 'vxlan', 'id', '1', 'dstport', '4789'])
  await tryCommand('ip', ['link', 'del', probe])
  return code === 0 ? undefined : 'this kernel has no VXLAN'
}

/** Up when the border leaf has the VM's host route by leaf A; `fn` gets it there. */
export async function withEvpn<T>({apart}: EvpnOptions, fn: (lab: EvpnLab) => Promise<T>): Promise<T> {
  return withPrefix(removeNamespaces, async (prefix) => {
    const files = mkdtempSync(join(tmpdir(), 'gwswitch-evpn-'))
    const ns = (node: string): string => `${prefix}-${node}`
    const run = (node: string, command: string): Promise<string> =>
      runCommand('ip', ['netns', 'exec', ns(node), 'sh', '-ec', command])
    const host = (leaf: Leaf): string => (apart ? `h${leaf}` : leaf)
    let at: Leaf = 'a'
    const children: ChildProcess[] = []
    try {
      await build({ns, run, apart})
      for (const leaf of ['a', 'b', 'c'] as const) children.push(...startFrr(files, ns(leaf), leaf))
      const lab: EvpnLab = {
        ns,
        run,
        host: (leaf) => ns(host(leaf)),
        inventory: writeInventory(files),
        async move(to) {
          await runCommand('ip', ['-n', ns(host(at)), 'link', 'set', 'vnet0', 'netns', ns(host(to))])
          await run(host(to), `ip link set vnet0 master ${apart ? 'br0' : 'br100'} up`)
          at = to
          await saysRarp(ns('vm'))
        },
        async hostRoute() {
          const [route] = JSON.parse((await run('c', `ip -json route show ${VM.ip}/32`)) || '[]') as {
            gateway?: string
          }[]
          return (['a', 'b'] as const).find((leaf) => underlay(leaf) === route?.gateway)
        },
      }
      const known = async (): Promise<boolean> => {
        // The VM speaks, until the fabric has begun to listen.
        await tryCommand('ip', ['netns', 'exec', ns('vm'), 'ping', '-c1', '-W1', GATEWAY.ip])
        return (await lab.hostRoute()) === 'a'
      }
      await until(known, 60_000, 'the border leaf has the host route of the VM')
      // From now on it says nothing by itself, and answers nothing but ARP.
      await run('vm', `nft 'table ip mute { chain i { type filter hook input priority 0; ip protocol icmp drop; }; }'`)
      return await fn(lab)
    } finally {
      for (const child of children) child.kill('SIGKILL')
      rmSync(files, {recursive: true, force: true})
    }
  })
}

async function removeNamespaces(prefix: string): Promise<void> {
  for (const name of namespaces().filter((each) => each.startsWith(`${prefix}-`)))
    await runCommand('ip', ['netns', 'del', name])
}

interface Site {
  ns(node: string): string
  run(node: string, command: string): Promise<string>
  readonly apart: boolean
}

async function build({ns, run, apart}: Site): Promise<void> {
  const nodes = ['u', 'a', 'b', 'c', 'vm', ...(apart ? ['ha', 'hb'] : [])]
  for (const node of nodes) {
    await runCommand('ip', ['netns', 'add', ns(node)])
    await run(node, 'sysctl -qw net.ipv6.conf.default.disable_ipv6=1; ip link set lo up')
  }
  await run('u', 'ip link add br0 type bridge; ip link set br0 up')
  for (const leaf of ['a', 'b', 'c'] as const) {
    await run('u', `ip link add p${leaf} type veth peer name up0 netns ${ns(leaf)}; ip link set p${leaf} master br0 up`)
    await run(
      leaf,
      `sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_accept=0 net.ipv4.conf.default.rp_filter=0
       ip address add ${underlay(leaf)}/24 dev up0; ip link set up0 up
       ip link add br5000 address 02:00:00:00:50:0${NUMBERS[leaf]} type bridge
       ip link add vx5000 type vxlan id 5000 local ${underlay(leaf)} dstport 4789 nolearning
       ip link set vx5000 master br5000; ip link set br5000 up; ip link set vx5000 up`,
    )
  }
  for (const leaf of ['a', 'b'] as const) {
    await run(
      leaf,
      `ip link add br100 address ${GATEWAY.mac} type bridge
       ip link add vx100 type vxlan id 100 local ${underlay(leaf)} dstport 4789 nolearning
       ip link set vx100 master br100; ip link set vx100 type bridge_slave neigh_suppress on learning off
       ip address add ${GATEWAY.ip}/24 dev br100; ip link set br100 up; ip link set vx100 up`,
    )
    if (!apart) continue
    await run(
      `h${leaf}`,
      `ip link add br0 type bridge; ip link set br0 up
       ip link add uplink type veth peer name hv netns ${ns(leaf)}; ip link set uplink master br0 up`,
    )
    await run(leaf, 'ip link set hv master br100 up')
  }
  await run(
    apart ? 'ha' : 'a',
    `ip link add vnet0 type veth peer name eth0 address ${VM.mac} netns ${ns('vm')}
     ip link set vnet0 master ${apart ? 'br0' : 'br100'} up`,
  )
  await run('vm', `ip address add ${VM.ip}/24 dev eth0; ip link set eth0 up; ip route add default via ${GATEWAY.ip}`)
}

function startFrr(files: string, namespace: string, leaf: keyof typeof NUMBERS): ChildProcess[] {
  const folder = join(files, leaf)
  mkdirSync(folder)
  // FRR gives its rights up for a user of its own.
  chmodSync(files, 0o755)
  chmodSync(folder, 0o777)
  writeFileSync(join(folder, 'zebra.conf'), 'vni 5000\n')
  writeFileSync(join(folder, 'bgpd.conf'), bgp(leaf))
  return ['zebra', 'bgpd'].map((daemon) =>
    spawnIn(
      namespace,
      [
        ...[join(DAEMONS, daemon), '-f', join(folder, `${daemon}.conf`), '-z', join(folder, 'zserv')],
        ...['-i', join(folder, `${daemon}.pid`), '--vty_socket', folder, '-u', 'frr', '-g', 'frr'],
        ...(daemon === 'bgpd' ? ['-l', underlay(leaf)] : []),
      ],
      {stdio: 'ignore'},
    ),
  )
}

function bgp(leaf: keyof typeof NUMBERS): string {
  const others = (['a', 'b', 'c'] as const).filter((each) => each !== leaf).map(underlay)
  const isBorder = leaf === 'c'
  return [
    'router bgp 65000',
    ` bgp router-id ${underlay(leaf)}`,
    ' no bgp default ipv4-unicast',
    ...others.flatMap((ip) => [` neighbor ${ip} remote-as 65000`, ` neighbor ${ip} timers connect 1`]),
    ...(isBorder
      ? []
      : [' address-family ipv4 unicast', '  redistribute connected route-map SEGMENT', ' exit-address-family']),
    ' address-family l2vpn evpn',
    ...others.map((ip) => `  neighbor ${ip} activate`),
    '  advertise-all-vni',
    ...(isBorder ? [] : ['  advertise ipv4 unicast']),
    ' exit-address-family',
    'route-map SEGMENT permit 10',
    ' match interface br100',
    '',
  ].join('\n')
}

function writeInventory(files: string): string {
  const file = join(files, 'gwswitch.yaml')
  const gateway = (name: string, site: string): string =>
    `      - { name: ${name}, site: ${site}, ip: ${GATEWAY.ip}, mac: "${GATEWAY.mac}" }`
  writeFileSync(
    file,
    [
      'version: 1',
      'sites: {a: {}, b: {}}',
      'segments:',
      '  tenant:',
      '    prefix: 10.1.0.0/24',
      '    gateways:',
      gateway('ga', 'a'),
      gateway('gb', 'b'),
      'vms:',
      `  db-03: { segment: tenant, ip: ${VM.ip}, mac: "${VM.mac}" }`,
      '',
    ].join('\n'),
    {mode: 0o600},
  )
  return file
}

/** What QEMU says of a guest that does not announce itself: a MAC, and no address. */
async function saysRarp(namespace: string): Promise<void> {
  await until(
    async () =>
      JSON.parse(await runCommand('ip', ['-n', namespace, '-json', 'link', 'show', 'eth0']))[0].operstate === 'UP',
    10_000,
    'the port carries frames',
  )
  await using link = await linkIn(namespace, 'eth0')
  const nobody = '0.0.0.0'
  link.send(
    arpFrame(
      {destination: 'ff:ff:ff:ff:ff:ff', source: VM.mac},
      {operation: 3, senderMac: VM.mac, senderIp: nobody, targetMac: VM.mac, targetIp: nobody},
      ETHERTYPE_RARP,
    ),
  )
}
