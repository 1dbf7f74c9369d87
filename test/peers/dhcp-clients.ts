// Debian's DHCP clients, with files of their own, and what an application notices while they renew.
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import type {SessionReport} from '../../src/lab/session.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import {type DhcpLab, FAR_IP, textOf, until} from './dhcp-lab.ts'

/** Runs a shell line at the client in a mount namespace of its own, where /etc/resolv.conf is nobody's. */
function inOwnFiles(lab: DhcpLab, name: string, line: string): void {
  const own = `touch ${lab.dir}/resolv.conf && mount --bind ${lab.dir}/resolv.conf /etc/resolv.conf && ${line}`
  lab.start(lab.client, name, 'unshare', '-m', 'sh', '-c', own)
}

export async function startUdhcpc(lab: DhcpLab): Promise<void> {
  inOwnFiles(lab, 'udhcpc', `exec busybox udhcpc -f -i ${lab.client.interface} -s /etc/udhcpc/default.script`)
  await leased(lab, 'udhcpc')
}

/** A guest of its own, as far as processes go: udhcpc, and the QEMU guest agent on a socket instead of a virtio port. */
export async function startGuest(lab: DhcpLab, program: 'udhcpc' | 'dhcpcd' = 'udhcpc'): Promise<void> {
  const {dir, client} = lab
  const run = 'mount -t tmpfs none /run && mkdir -p /run/dhcpcd && mount -t tmpfs none /var/lib/dhcpcd'
  const set = `touch ${dir}/resolv.conf && mount --bind ${dir}/resolv.conf /etc/resolv.conf && ${run}`
  const start = {
    udhcpc: `udhcpc -f -i ${client.interface} -s /etc/udhcpc/default.script`,
    dhcpcd: `dhcpcd -B --nodev -4 ${client.interface}`,
  }[program]
  const programs = `${start} & exec qemu-ga -m unix-listen -p ${dir}/qga -t ${dir} -f ${dir}/qga.pid`
  lab.start(
    client,
    'guest',
    'unshare',
    '-m',
    '-p',
    '-f',
    '--kill-child',
    '--mount-proc',
    'sh',
    '-c',
    `${set} && { ${programs}; }`,
  )
  await leased(lab, 'guest')
}

/** The exit hook of docs/dhcp.md. */
export const EXIT_HOOK = `case "$reason" in
RENEW|REBIND)
  if [ -n "$new_routers" ] && [ "$new_routers" != "$old_routers" ]; then
    ip -4 route replace default via "\${new_routers%% *}" dev "$interface"
  fi;;
esac
`

export async function startDhclient(lab: DhcpLab, hook: boolean): Promise<void> {
  const hooks = join(lab.dir, 'hooks')
  mkdirSync(hooks)
  if (hook) writeFileSync(join(hooks, 'gateway'), EXIT_HOOK)
  const mount = `mount --bind ${hooks} /etc/dhcp/dhclient-exit-hooks.d`
  inOwnFiles(
    lab,
    'dhclient',
    `${mount} && exec dhclient -4 -d -lf ${lab.dir}/dhclient.leases -pf ${lab.dir}/dhclient.pid ${lab.client.interface}`,
  )
  await leased(lab, 'dhclient')
}

/** Alone, without systemd: it wants its directories, and /sys read-only or it waits for udev. */
export async function startNetworkd(lab: DhcpLab): Promise<void> {
  const {client} = lab
  const setUp = [
    'mount -t tmpfs none /run',
    'mkdir -p /run/systemd/network /run/systemd/netif/leases /run/systemd/netif/links /run/systemd/netif/lldp',
    'chown -R systemd-network /run/systemd/netif',
    'mount -o remount,ro /sys',
    `printf '[Match]\\nName=${client.interface}\\n[Network]\\nDHCP=ipv4\\nLinkLocalAddressing=no\\n' >/run/systemd/network/1.network`,
    'exec /lib/systemd/systemd-networkd',
  ]
  lab.start(client, 'networkd', 'unshare', '-m', 'sh', '-c', setUp.join(' && '))
  await leased(lab, 'networkd')
}

/** With a system bus of its own, for this interface alone; it keeps its hands off everything else. */
export async function startNetworkManager(lab: DhcpLab): Promise<void> {
  const {dir, client} = lab
  writeFileSync(
    join(dir, 'nm.conf'),
    '[main]\nplugins=keyfile\ndhcp=internal\ndns=none\nrc-manager=unmanaged\nno-auto-default=*\n[logging]\nlevel=INFO\n',
  )
  const profile = [
    '[connection]',
    'id=lan',
    'uuid=11111111-2222-3333-4444-555555555555',
    'type=ethernet',
    `interface-name=${client.interface}`,
    '[ipv4]',
    'method=auto',
    '[ipv6]',
    'method=disabled',
    '',
  ]
  const setUp = [
    'mount -t tmpfs none /run',
    'mkdir -p /run/dbus /run/NetworkManager/system-connections',
    'mount -t tmpfs none /var/lib/NetworkManager',
    'mount -t tmpfs none /etc/NetworkManager/system-connections',
    'mount -o remount,ro /sys',
    `printf '%s' "$1" >/etc/NetworkManager/system-connections/lan.nmconnection`,
    'chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection',
    'dbus-daemon --system --fork --nopidfile',
    `exec NetworkManager --no-daemon --config ${dir}/nm.conf --config-dir /run/none --pid-file /run/nm.pid`,
  ]
  lab.start(client, 'networkmanager', 'unshare', '-m', 'sh', '-c', setUp.join(' && '), 'sh', profile.join('\n'))
  await leased(lab, 'networkmanager')
}

const leased = (lab: DhcpLab, name: string): Promise<void> =>
  until(
    async () => (await lab.router()) !== undefined,
    () => `${textOf(join(lab.dir, `${name}.log`))}\n${textOf(join(lab.dir, 'serve.log'))}`,
  )

/** Our own server; resolves when it serves. */
export async function startServer(lab: DhcpLab, ...flags: readonly string[]): Promise<void> {
  const cli = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
  const own = [
    '--store',
    join(lab.dir, 'leases.db'),
    '--control',
    join(lab.dir, 'control'),
    '--user',
    'root',
    '--probe-wait',
    '0',
  ]
  lab.start(
    lab.server,
    'serve',
    process.execPath,
    cli,
    'serve',
    'dhcp',
    '-i',
    lab.server.interface,
    '-f',
    lab.inventory,
    ...own,
    ...flags,
  )
  await until(
    () => textOf(join(lab.dir, 'serve.log')).includes('event=ready'),
    () => textOf(join(lab.dir, 'serve.log')),
  )
}

/** What happened at the client from `watchClient` on. */
export interface Noticed {
  /** Times that its address was taken away, and for how long in all, ms. */
  readonly addressGone: readonly number[]
  /** Times without a default route, ms: from its deletion to its return. */
  readonly routeGaps: readonly number[]
  readonly session: SessionReport
}

/** Watches addresses, routes and a TCP and UDP session through the gateway, until told to stop. */
export async function watchClient(lab: DhcpLab): Promise<{stop(): Promise<Noticed>}> {
  const {client, beyond} = lab
  const monitor = lab.start(client, 'monitor', 'stdbuf', '-oL', 'ip', '-ts', '-4', 'monitor', 'address', 'route')
  const far = script(beyond, 'session-server', [FAR_IP])
  const {tcpPort, udpPort} = (await far.answer()) as {tcpPort: number; udpPort: number}
  const near = script(client.namespace, 'session-client', [FAR_IP, tcpPort, udpPort, 10].map(String))
  await near.answer()
  return {
    async stop() {
      near.tell({do: 'finish'})
      const session = (await near.answer()) as SessionReport
      near.end()
      far.end()
      monitor.kill('SIGTERM')
      return {...monitored(lab.log('monitor')), session}
    },
  }
}

/** Reads `ip -ts monitor`: "[2026-01-02T03:04:05.678901] Deleted default via ...". */
function monitored(text: string): Pick<Noticed, 'addressGone' | 'routeGaps'> {
  const gone: number[] = []
  const gaps: number[] = []
  let addressAt: number | undefined
  let routeAt: number | undefined
  let routes = 1
  for (const line of text.split('\n')) {
    const found = /^\[([^\]]+)\]\s*(Deleted )?(.*)/.exec(line)
    if (!found) continue
    const at = microseconds(found[1]!) / 1000
    const [, , deleted, what = ''] = found
    if (/\binet 10\.9\.0\.10\//.test(what)) {
      if (deleted) {
        addressAt = at
        // The routes through it go with it, and nobody says so.
        if (routes > 0) routeAt = at
        routes = 0
      } else if (addressAt !== undefined) {
        gone.push(at - addressAt)
        addressAt = undefined
      }
    } else if (what.startsWith('default ')) {
      routes += deleted ? -1 : 1
      if (deleted && routes === 0) routeAt = at
      else if (!deleted && routeAt !== undefined) {
        gaps.push(at - routeAt)
        routeAt = undefined
      }
    }
  }
  return {addressGone: gone, routeGaps: gaps}
}

const microseconds = (stamp: string): number => Date.parse(`${stamp.slice(0, 19)}Z`) * 1000 + Number(stamp.slice(20))

function script(namespace: string, name: string, args: readonly string[]) {
  const path = fileURLToPath(new URL(`../../src/lab/${name}.ts`, import.meta.url))
  const env = {...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1'}
  const child = spawnIn(namespace, [process.execPath, path, ...args], {stdio: ['pipe', 'pipe', 'inherit'], env})
  const lines = createInterface({input: child.stdout!})[Symbol.asyncIterator]()
  return {
    tell: (order: object) => void child.stdin!.write(`${JSON.stringify(order)}\n`),
    async answer(): Promise<unknown> {
      const line = await lines.next()
      if (line.done) throw new Error(`${name} ended`)
      return JSON.parse(line.value)
    },
    end: () => void child.stdin!.end(),
  }
}
