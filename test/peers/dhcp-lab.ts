// A segment with a DHCP server, two gateways and one client, all real: the programs of Debian in two namespaces.
import type {ChildProcess} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import type {DhcpServerKind} from '../../src/domain/inventory/segment-dhcp.ts'
import {type CommandResult, runCommand, tryCommand} from '../../src/net/process/command.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
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
  /** A directory that goes with the lab. */
  readonly dir: string
  readonly inventory: string
  /** Starts a program that ends with the lab; its output goes to `<dir>/<name>.log`. */
  start(end: PairEnd, name: string, ...argv: readonly string[]): ChildProcess
  /** Runs gwswitch at the server. */
  gwswitch(...args: readonly string[]): Promise<CommandResult>
  /** The client's default router now. */
  router(): Promise<string | undefined>
  log(name: string): string
}

/** Keys of `segments.lan.dhcp` for each server, all in the lab's own directory. */
const controls = (dir: string): Readonly<Record<DhcpServerKind, string>> => ({
  gwswitch: `control: ${dir}/control`,
  dnsmasq: `optsfile: ${dir}/opts, pidfile: ${dir}/dnsmasq.pid, log: ${dir}/server.log, nonces: ${dir}/nonces`,
  kea: `control: ${dir}/kea.sock, log: ${dir}/server.log, nonces: ${dir}/nonces`,
  isc: `omapi: "127.0.0.1:7911", omapiKey: ${dir}/omapi.key, log: ${dir}/server.log, nonces: ${dir}/nonces`,
})

/** Brings the segment up, without server and client programs, for as long as `fn` runs. `more` is more of inventory entries, `$DIR` in it the lab's directory. */
export async function withDhcpLab<T>(
  kind: DhcpServerKind,
  fn: (lab: DhcpLab) => Promise<T>,
  more: {vm?: string; segment?: string} = {},
): Promise<T> {
  return withPair(async (server, client) => {
    const dir = mkdtempSync(join(tmpdir(), 'gwswitch-dhcp-'))
    const running: ChildProcess[] = []
    try {
      await gateways(server)
      await client.run('ip', 'address', 'flush', 'dev', client.interface)
      const inventory = join(dir, 'gwswitch.yaml')
      writeFileSync(inventory, inventoryText(kind, dir, client.mac, more).replaceAll('$DIR', dir))
      writeFileSync(join(dir, 'nonces'), `${client.mac} ${NONCE}\n`)
      const log = (name: string): string => readFileSync(join(dir, `${name}.log`), 'utf8')
      return await fn({
        server,
        client,
        dir,
        inventory,
        log,
        start(end, name, ...argv) {
          const command = ['sh', '-c', `exec "$@" >>${dir}/${name}.log 2>&1`, 'sh', ...argv]
          const child = spawnIn(end.namespace, command, {stdio: 'ignore'})
          running.push(child)
          return child
        },
        gwswitch: (...args) =>
          tryCommand('ip', ['netns', 'exec', server.namespace, process.execPath, CLI, ...args, '-f', inventory]),
        router: async () =>
          (await client.run('ip', '-4', 'route', 'show', 'default')).match(/^default via (\S+)/m)?.[1],
      })
    } finally {
      for (const child of running.reverse()) child.kill('SIGTERM')
      await Promise.all(running.map((child) => gone(child)))
      await killAll([server.namespace, client.namespace])
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
  {vm = '', segment = ''}: {vm?: string; segment?: string},
): string => `version: 1
sites: {x: {}, y: {prefixes: [203.0.113.0/24]}}
segments:
  lan:
    prefix: 10.9.0.0/24
    gateways:
      - {name: rx, site: x, ip: ${GATEWAYS.rx.ip}, mac: "${GATEWAYS.rx.mac}"}
      - {name: ry, site: y, ip: ${GATEWAYS.ry.ip}, mac: "${GATEWAYS.ry.mac}"}
    dhcp: {server: ${kind}, address: ${SERVER_IP}, state: ${dir}/state.db, ${controls(dir)[kind]}${segment}}
vms:
  web-07: {segment: lan, ip: ${VM_IP}, mac: "${mac}", site: x, strategies: [dhcp]${vm}}
`

/** Two routers with a MAC each, beside the server on the same wire, and an address beyond them. */
async function gateways(server: PairEnd): Promise<void> {
  const {interface: lan} = server
  const settings = [
    'all/arp_ignore=1',
    'all/arp_announce=2',
    'all/rp_filter=0',
    'default/rp_filter=0',
    `${lan}/rp_filter=0`,
    'all/send_redirects=0',
    'all/forwarding=1',
  ]
  await server.run('sysctl', '-qw', ...settings.map((each) => `net/ipv4/conf/${each}`))
  const lines = Object.entries(GATEWAYS).flatMap(([name, {ip, mac}]) => [
    `link add ${name} link ${lan} address ${mac} type macvlan mode bridge`,
    `address add ${ip}/32 dev ${name}`,
    `link set ${name} up`,
  ])
  await runCommand('ip', ['-n', server.namespace, '-batch', '-'], {
    input: `${[...lines, `address add ${FAR_IP}/32 dev lo`].join('\n')}\n`,
  })
}

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
