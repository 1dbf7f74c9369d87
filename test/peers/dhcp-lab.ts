// A segment with a DHCP server, two gateways and one client, all real: the programs of Debian, a namespace each.
//
//        beyond                  FAR_IP
//        /    \
//       rx     ry                10.9.0.2, 10.9.0.3
//         \    /
//          br0 ---- client       in the server's namespace: the VM's hypervisor, unless it is apart
//           |
//         server                 10.9.0.1
import type {ChildProcess} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import type {DhcpServerKind} from '../../src/domain/inventory/segment-dhcp.ts'
import {type CommandResult, runCommand, tryCommand} from '../../src/net/process/command.ts'
import {inNamespace, spawnIn} from '../../src/net/process/netns.ts'
import {type PairEnd, withPair} from '../support/namespaces.ts'

export const SERVER_IP = '10.9.0.1'
export const VM_IP = '10.9.0.10'
export const GATEWAYS = {
  rx: {ip: '10.9.0.2', mac: '02:00:00:00:0a:01'},
  ry: {ip: '10.9.0.3', mac: '02:00:00:00:0b:01'},
} as const
/** Beyond both gateways. */
export const FAR_IP = '203.0.113.10'
export const NONCE = '49f5494a9392438406bc35804a6f7342'

export interface DhcpLab {
  readonly server: PairEnd
  readonly client: PairEnd
  /** The namespace of the bridge. */
  readonly hypervisor: string
  /** Where FAR_IP is. */
  readonly beyond: string
  /** The namespace of a gateway. */
  gateway(name: keyof typeof GATEWAYS): string
  /** A directory that goes with the lab. */
  readonly dir: string
  readonly inventory: string
  /** Starts a program that ends with the lab; its output goes to `<dir>/<name>.log`. */
  start(end: PairEnd, name: string, ...argv: readonly string[]): ChildProcess
  /** Runs gwswitch at the server; in another namespace. */
  gwswitch(...args: readonly string[]): Promise<CommandResult>
  gwswitchIn(namespace: string, ...args: readonly string[]): Promise<CommandResult>
  /** The client's default router now. */
  router(): Promise<string | undefined>
  log(name: string): string
}

/** Keys of `segments.lan.dhcp` for each server, all in the lab's own directory. */
const controls = (dir: string): Readonly<Record<DhcpServerKind, string>> => ({
  gwswitch: `control: ${dir}/control`,
  shim: `control: ${dir}/shim-y.sock`,
  dnsmasq: `optsfile: ${dir}/opts, pidfile: ${dir}/dnsmasq.pid, log: ${dir}/server.log, nonces: ${dir}/nonces`,
  kea: `control: ${dir}/kea.sock, log: ${dir}/server.log, nonces: ${dir}/nonces`,
  isc: `omapi: "127.0.0.1:7911", omapiKey: ${dir}/omapi.key, leases: ${dir}/dhcpd.leases, config: ${dir}/dhcpd.conf, log: ${dir}/server.log, nonces: ${dir}/nonces`,
})

export interface DhcpLabOptions {
  /** More of inventory entries, `$DIR` in it the lab's directory. */
  readonly vm?: string
  readonly segment?: string
  /** More of each gateway's entry: `, ip6: [...]`. */
  readonly gateways?: Readonly<Record<keyof typeof GATEWAYS, string>>
  /** The server is a host of its own, past which the VM's traffic does not come. */
  readonly apart?: boolean
}

/** Brings the segment up, without server and client programs, for as long as `fn` runs. */
export async function withDhcpLab<T>(
  kind: DhcpServerKind,
  fn: (lab: DhcpLab) => Promise<T>,
  options: DhcpLabOptions = {},
): Promise<T> {
  return withPair(async (pairA, client) => {
    const prefix = pairA.namespace.slice(0, -2)
    const dir = mkdtempSync(join(tmpdir(), 'gwswitch-dhcp-'))
    const running: ChildProcess[] = []
    const others = [...PLACES, ...(options.apart ? ['o'] : [])].map((place) => `${prefix}-${place}`)
    try {
      await segment(pairA, prefix, options.apart ?? false)
      await client.run('ip', 'address', 'flush', 'dev', client.interface)
      const server = options.apart ? apartEnd(`${prefix}-o`) : {...pairA, interface: 'br0'}
      // Kea opens no socket on an interface without a carrier, and does not try again.
      const state = () => server.run('cat', `/sys/class/net/${server.interface}/operstate`)
      await until(
        async () => (await state()).trim() === 'up',
        () => `${server.interface} is not up`,
      )
      const inventory = join(dir, 'gwswitch.yaml')
      writeFileSync(inventory, inventoryText(kind, dir, client.mac, options).replaceAll('$DIR', dir))
      writeFileSync(join(dir, 'nonces'), `${client.mac} ${NONCE}\n`)
      const log = (name: string): string => readFileSync(join(dir, `${name}.log`), 'utf8')
      const gwswitchIn: DhcpLab['gwswitchIn'] = (namespace, ...args) =>
        tryCommand('ip', ['netns', 'exec', namespace, process.execPath, CLI, ...args, '-f', inventory])
      return await fn({
        ...{server, client, dir, inventory, log, gwswitchIn},
        hypervisor: pairA.namespace,
        beyond: `${prefix}-n`,
        gateway: (name) => `${prefix}-${name.slice(-1)}`,
        start(end, name, ...argv) {
          const command = ['sh', '-c', `exec "$@" >>${dir}/${name}.log 2>&1`, 'sh', ...argv]
          const child = spawnIn(end.namespace, command, {stdio: 'ignore'})
          running.push(child)
          return child
        },
        gwswitch: (...args) => gwswitchIn(server.namespace, ...args),
        router: async () =>
          (await client.run('ip', '-4', 'route', 'show', 'default')).match(/^default via (\S+)/m)?.[1],
      })
    } finally {
      for (const child of running.reverse()) child.kill('SIGTERM')
      await Promise.all(running.map((child) => gone(child)))
      await killAll([pairA.namespace, client.namespace, ...others])
      for (const name of others) await tryCommand('ip', ['netns', 'del', name])
      rmSync(dir, {recursive: true, force: true})
    }
  })
}

const CLI = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

async function gone(child: ChildProcess): Promise<void> {
  for (let waited = 0; waited < 3000 && child.exitCode === null && child.signalCode === null; waited += 20)
    await sleep(20)
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
}

/** Daemons that went into the background. */
export async function killAll(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const {stdout} = await tryCommand('ip', ['netns', 'pids', name])
    for (const pid of stdout.split('\n').filter((line) => line !== '')) {
      try {
        process.kill(Number(pid), 'SIGKILL')
      } catch {
        // It ended by itself.
      }
    }
  }
}

const inventoryText = (
  kind: DhcpServerKind,
  dir: string,
  mac: string,
  {vm = '', segment: more = '', gateways = {rx: '', ry: ''}}: DhcpLabOptions,
): string => `version: 1
sites: {x: {}, y: {prefixes: [203.0.113.0/24], probes: [${FAR_IP}]}}
segments:
  lan:
    prefix: 10.9.0.0/24
    gateways:
      - {name: rx, site: x, ip: ${GATEWAYS.rx.ip}, mac: "${GATEWAYS.rx.mac}"${gateways.rx}}
      - {name: ry, site: y, ip: ${GATEWAYS.ry.ip}, mac: "${GATEWAYS.ry.mac}"${gateways.ry}}
    dhcp: {server: ${kind}, address: ${SERVER_IP}, state: ${dir}/state.db, ${controls(dir)[kind]}${more}}
vms:
  web-07: {segment: lan, ip: ${VM_IP}, mac: "${mac}", site: x, strategies: [dhcp]${vm}}
`

/** The gateways, and what is beyond. */
const PLACES = ['x', 'y', 'n']

/** A bridge where the server is, two routers with a wire to it each, and one address beyond both. */
async function segment(server: PairEnd, prefix: string, apart: boolean): Promise<void> {
  const [x, y, n, o] = [...PLACES, 'o'].map((place) => `${prefix}-${place}`)
  const batch = (args: readonly string[], lines: readonly string[]): Promise<string> =>
    runCommand('ip', [...args, '-batch', '-'], {input: `${lines.join('\n')}\n`})
  const places = [x, y, n, ...(apart ? [o] : [])]
  await batch(
    [],
    places.map((name) => `netns add ${name}`),
  )
  for (const name of [server.namespace, ...places]) {
    const settings = ['all/rp_filter=0', 'default/rp_filter=0', 'all/send_redirects=0', 'default/send_redirects=0']
    const four = [...settings, 'all/forwarding=1', 'default/forwarding=1'].map((each) => `net/ipv4/conf/${each}`)
    await runCommand('ip', ['netns', 'exec', name!, 'sysctl', '-qw', ...four, 'net/ipv6/conf/default/disable_ipv6=1'])
  }
  await batch(
    ['-n', server.namespace],
    [
      'link add br0 address 02:00:00:00:0f:fe type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      `address flush dev ${server.interface}`,
      ...[...Object.entries(GATEWAYS)].map(
        ([name, {mac}]) => `link add ${name} type veth peer name seg address ${mac} netns ${name === 'rx' ? x : y}`,
      ),
      ...(apart ? [`link add srv type veth peer name eth0 address ${APART_MAC} netns ${o}`] : []),
      ...[server.interface, 'rx', 'ry', ...(apart ? ['srv'] : [])].flatMap((port) => [
        `link set ${port} master br0`,
        `link set ${port} up`,
      ]),
      ...(apart ? [] : [`address add ${SERVER_IP}/24 dev br0`]),
      'link set br0 up',
    ],
  )
  if (apart) await batch(['-n', o!], ['link set lo up', `address add ${SERVER_IP}/24 dev eth0`, 'link set eth0 up'])
  for (const [i, name] of [x, y].entries()) {
    await batch(
      ['-n', name!],
      [
        'link set lo up',
        `address add ${Object.values(GATEWAYS)[i]!.ip}/24 dev seg`,
        'link set seg up',
        `link add wan type veth peer name u${i} netns ${n}`,
        `address add 10.61.${i}.1/30 dev wan`,
        'link set wan up',
        `route add default via 10.61.${i}.2`,
      ],
    )
    await batch(['-n', n!], [`address add 10.61.${i}.2/30 dev u${i}`, `link set u${i} up`])
  }
  await batch(['-n', n!], ['link set lo up', `address add ${FAR_IP}/32 dev lo`, 'route add 10.9.0.0/24 via 10.61.0.1'])
}

const APART_MAC = '02:00:00:00:0f:01'

const apartEnd = (namespace: string): PairEnd => ({
  ...{namespace, interface: 'eth0', index: 0, mac: APART_MAC, ip: SERVER_IP},
  inside: (fn) => inNamespace(namespace, fn),
  run: (...argv) => runCommand('ip', ['netns', 'exec', namespace, ...argv]),
})

/** Waits until `what` holds; `why` tells what was there instead. */
export async function until(
  what: () => boolean | Promise<boolean>,
  why: () => string,
  timeoutMs = 30_000,
): Promise<void> {
  for (let waited = 0; waited < timeoutMs; waited += 50) {
    if (await what()) return
    await sleep(50)
  }
  throw new Error(`not within ${timeoutMs} ms: ${why()}`)
}

/** Text of a file of the lab; '' if it is not there yet. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

export const inventoryOf = (lab: DhcpLab) => parseInventory(readFileSync(lab.inventory, 'utf8'), lab.inventory)
