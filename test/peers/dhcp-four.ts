// Four DHCP servers that get the same packets from one relay: dnsmasq, Kea and ISC dhcpd as Debian has them, and ours.
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {DhcpServerKind} from '../../src/domain/inventory/segment-dhcp.ts'
import {type DhcpSocket, openDhcpSocket} from '../../src/net/dhcp/dhcp-socket.ts'
import {ANY_IPV4} from '../../src/wire/address.ts'
import {BOOTREPLY, BOOTREQUEST, type Dhcp, parseDhcp, serializeDhcp} from '../../src/wire/dhcp.ts'
import {DHCPDISCOVER, type DhcpOption, dhcpOptions, writeOption} from '../../src/wire/dhcp-options.ts'
import {type DhcpLab, SERVER_IP, textOf, until, withDhcpLab} from './dhcp-lab.ts'
import {startServer} from './dhcp-server-lab.ts'

/** On the server's segment, and the loopback address that anycast gateways relay from. */
export const RELAY_IP = '10.9.0.7'
export const LOOPBACK_IP = '10.33.33.33'
/** A segment that only relays reach. */
export const FAR_GATEWAY = '10.51.0.1'

export interface Relay {
  /**
   * Sends a packet as a client's and returns what comes back for its xid; undefined where the server has answered what
   * was sent after it, and not this.
   */
  ask(packet: Uint8Array, xid: number): Promise<Dhcp | undefined>
}

/** A client's message as it leaves a relay. */
export const relayed = (xid: number, options: readonly DhcpOption[], header: Partial<Dhcp> = {}): Dhcp => ({
  ...{op: BOOTREQUEST, htype: 1, hops: 1, xid, secs: 0, flags: 0, sname: '', file: ''},
  ...{ciaddr: ANY_IPV4, yiaddr: ANY_IPV4, siaddr: ANY_IPV4, giaddr: RELAY_IP},
  chaddr: `02:00:00:00:00:${(0x20 + (xid & 0x3f)).toString(16)}`,
  options,
  ...header,
})

export const discoverOptions = (...more: readonly DhcpOption[]): DhcpOption[] => [
  writeOption(dhcpOptions.messageType, DHCPDISCOVER),
  ...more,
]

/** Runs `fn` with one of the servers and a relay that it knows. */
export async function withServer(
  kind: Exclude<DhcpServerKind, 'shim'>,
  fn: (relay: Relay) => Promise<void>,
): Promise<void> {
  await withDhcpLab(kind, async (lab) => {
    const {client, server} = lab
    await client.run('ip', 'link', 'set', 'lo', 'up')
    await client.run('ip', 'address', 'add', `${RELAY_IP}/24`, 'dev', client.interface)
    await client.run('ip', 'address', 'add', `${LOOPBACK_IP}/32`, 'dev', 'lo')
    await server.run('ip', 'route', 'add', `${LOOPBACK_IP}/32`, 'via', RELAY_IP)
    const stop = await START[kind](lab)
    const relay = openRelay(lab)
    try {
      await fn(relay)
    } finally {
      await relay.socket.close()
      await stop()
    }
  })
}

function openRelay({client}: DhcpLab): Relay & {readonly socket: DhcpSocket} {
  const replies = new Map<number, Dhcp>()
  const socket = client.inside(() =>
    openDhcpSocket(client.interface, 67, (batch) => {
      for (const {payload} of batch) {
        const message = parseDhcp(payload)
        if (message.op === BOOTREPLY) replies.set(message.xid, message)
      }
    }),
  )
  const send = (payload: Uint8Array) => socket.send([{payload, ip: SERVER_IP, port: 67}])
  let fences = 0xfe00_0000
  /** An ordinary DISCOVER, and its answer. */
  const fence = async (): Promise<void> => {
    const xid = ++fences
    send(serializeDhcp(relayed(xid, discoverOptions(), {chaddr: '02:00:00:00:00:ff'})))
    await until(
      () => replies.has(xid),
      () => 'no answer to an ordinary DISCOVER',
      10_000,
    )
  }
  return {
    socket,
    async ask(packet, xid) {
      replies.delete(xid)
      send(packet)
      // All four answer one batch after another; within one, what has to be on the disk may come behind an offer.
      for (let i = 0; i < 2 && !replies.has(xid); i++) await fence()
      return replies.get(xid)
    },
  }
}

const RANGES = {lan: ['10.9.0.100', '10.9.0.199'], far: ['10.51.0.100', '10.51.0.199']} as const

const START: Readonly<Record<Exclude<DhcpServerKind, 'shim'>, (lab: DhcpLab) => Promise<() => Promise<unknown>>>> = {
  async dnsmasq(lab) {
    const {dir, server} = lab
    writeFileSync(
      join(dir, 'dnsmasq.conf'),
      `port=0
interface=${server.interface}
bind-interfaces
no-ping
dhcp-authoritative
dhcp-range=${RANGES.lan.join()},255.255.255.0,1h
dhcp-range=${RANGES.far.join()},255.255.255.0,1h
log-facility=-
log-dhcp
pid-file=${dir}/dnsmasq.pid
dhcp-leasefile=${dir}/dnsmasq.leases
user=root
`,
    )
    lab.start(server, 'dnsmasq', 'dnsmasq', '--keep-in-foreground', '-C', join(dir, 'dnsmasq.conf'))
    await started(lab, 'dnsmasq', 'DHCP, sockets bound')
    return () => Promise.resolve()
  },
  async kea(lab) {
    const {dir, server} = lab
    const subnets = Object.values(RANGES).map(([first, last], i) => ({
      id: i + 1,
      subnet: first.replace('.100', '.0/24'),
      pools: [{pool: `${first}-${last}`}],
    }))
    const config = {
      'interfaces-config': {interfaces: [server.interface], 'dhcp-socket-type': 'raw'},
      'lease-database': {type: 'memfile', name: `${dir}/kea.leases`},
      loggers: [{name: 'kea-dhcp4', severity: 'DEBUG', debuglevel: 40, output_options: [{output: 'stdout'}]}],
      subnet4: subnets,
    }
    writeFileSync(join(dir, 'kea.conf'), JSON.stringify({Dhcp4: config}))
    const environment = [`KEA_PIDFILE_DIR=${dir}`, `KEA_LOCKFILE_DIR=${dir}`]
    lab.start(server, 'kea', 'env', ...environment, 'kea-dhcp4', '-c', join(dir, 'kea.conf'))
    await started(lab, 'kea', 'DHCP4_STARTED')
    return () => Promise.resolve()
  },
  async isc(lab) {
    const {dir, server} = lab
    const subnets = Object.values(RANGES).map(
      ([first, last]) => `subnet ${first.replace('.100', '.0')} netmask 255.255.255.0 { range ${first} ${last}; }`,
    )
    writeFileSync(join(dir, 'dhcpd.conf'), `authoritative;\nping-check false;\n${subnets.join('\n')}\n`)
    writeFileSync(join(dir, 'dhcpd.leases'), '')
    const files = ['-cf', join(dir, 'dhcpd.conf'), '-lf', join(dir, 'dhcpd.leases')]
    lab.start(server, 'dhcpd', '/usr/sbin/dhcpd', '-4', '-d', '--no-pid', ...files, server.interface)
    await started(lab, 'dhcpd', 'Server starting service')
    return () => Promise.resolve()
  },
  async gwswitch(lab) {
    const {dir, server} = lab
    await server.run('chmod', '755', dir)
    const inventory = `version: 1
sites: {x: {}}
segments:
  lan: {prefix: 10.9.0.0/24}
  far:
    prefix: 10.51.0.0/24
    gateways: [{name: rx, site: x, ip: ${FAR_GATEWAY}, mac: "02:00:00:00:0a:01"}]
`
    writeFileSync(join(dir, 'four.yaml'), inventory)
    const pools = Object.values(RANGES).flatMap((range) => ['--pool', range.join('-')])
    const running = await startServer(server.namespace, {interfaceName: server.interface, dir}, [
      ...['-f', join(dir, 'four.yaml'), '--probe-wait', '0', ...pools],
    ])
    return () => running.end('SIGTERM')
  },
}

const started = ({dir}: DhcpLab, name: string, word: string): Promise<void> =>
  until(
    () => textOf(join(dir, `${name}.log`)).includes(word),
    () => textOf(join(dir, `${name}.log`)),
  )
