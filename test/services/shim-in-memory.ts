// Shims without interfaces and a kernel: frames go where the test has them go, and the control socket is a real one.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach} from 'vitest'
import {shimClients} from '../../src/domain/dhcp/shim-clients.ts'
import {shimScope} from '../../src/domain/dhcp/shim-scope.ts'
import type {FdbEntry} from '../../src/net/bridge-ports.ts'
import {watchers} from '../../src/services/dhcp/control.ts'
import {openControl} from '../../src/services/dhcp-shim/control.ts'
import {shimHolder} from '../../src/services/dhcp-shim/holder.ts'
import {NO_REPLIES} from '../../src/services/dhcp-shim/order.ts'
import {shimPeers} from '../../src/services/dhcp-shim/peers.ts'
import type {VmPort} from '../../src/services/dhcp-shim/ports.ts'
import {passReply, type Traffic} from '../../src/services/dhcp-shim/traffic.ts'
import {BOOTREPLY, type Dhcp, serializeDhcp} from '../../src/wire/dhcp.ts'
import {DHCPACK, DHCPREQUEST} from '../../src/wire/dhcp-options.ts'
import {udpFrame} from '../../src/wire/frames.ts'
import {clientMessage, inventory, NOW, type Options, SERVER, VM_IP, VM_MAC} from '../domain/dhcp/maker.ts'

/** A folder for sockets and what is to be closed, anew for each test of a file. */
export function useScratch(): {readonly dir: string; readonly open: AsyncDisposableStack} {
  const scratch = {dir: '', open: new AsyncDisposableStack()}
  beforeEach(() => {
    scratch.dir = mkdtempSync(join(tmpdir(), 'gwswitch-shim-'))
    scratch.open = new AsyncDisposableStack()
  })
  afterEach(async () => {
    await scratch.open.disposeAsync()
    rmSync(scratch.dir, {recursive: true, force: true})
  })
  return scratch
}

export const PORT: VmPort = {name: 'vnet0', index: 7, mtu: 1500, mac: '02:00:00:00:ff:07'}
export const UPLINK: VmPort = {name: 'vx0', index: 3, mtu: 1500, mac: '02:00:00:00:ff:03'}
export const SECRET = new TextEncoder().encode('a secret that all sites share, 32')

export interface Sent {
  readonly index: number
  readonly frame: Uint8Array
}

/** A shim of a site, without a key if that is null. Its clock stands, but for what the test does to it. */
export function shimInMemory(site: 'x' | 'y', key: Uint8Array | null = SECRET) {
  const secret = key ?? undefined
  const scope = shimScope(inventory, site)
  const clock = {nowMs: NOW}
  const sent: Sent[] = []
  const said: Readonly<Record<string, unknown>>[] = []
  const fdb: FdbEntry[] = []
  const state = {ports: [PORT] as readonly VmPort[], sending: undefined as string | undefined}
  const clients = shimClients(scope.vms, secret)
  const holder = shimHolder(scope, clients, {
    nowMs: () => clock.nowMs,
    onForcerenew: () => {},
    portName: (index) => state.ports.find((port) => port.index === index)?.name,
  })
  const now = (): bigint => BigInt(clock.nowMs) * 1_000_000n
  const watching = watchers()
  const sender = {
    send(index: number, frame: Uint8Array) {
      if (state.sending === undefined) sent.push({index, frame})
      return state.sending
    },
    close: () => {},
  }
  const traffic: Traffic = {
    ...{clients, holder, sender, counters: {...NO_REPLIES}, now, report: watching.tell, rules: () => scope},
    ports: () => state.ports,
    say: (fields) => void said.push(fields),
  }
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, Math.min(ms, 20))
      signal?.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(signal.reason)
      })
    })
  const peers = shimPeers({
    ...{clients, sender, secret, ports: traffic.ports, uplinks: () => [UPLINK], scope: () => scope},
    ...{world: {now, sleep}, learned: async () => fdb},
  })
  return {
    ...{clients, traffic, sent, said, fdb, state, clock, peers},
    listen: (path: string, open: AsyncDisposableStack): Promise<void> =>
      openControl(traffic, {path, world: {now}, watching, peers, log: () => {}}, open),
    /** The VM asks at its port and gets an ACK. */
    lease(xid: number, options: Options = {forcerenewNonceCapable: [1]}, header: Partial<Dhcp> = {ciaddr: VM_IP}) {
      const udp = (sourcePort: number, destinationPort: number, message: Dhcp) => ({
        ...{sourcePort, destinationPort},
        payload: serializeDhcp(message),
      })
      const request = clientMessage(DHCPREQUEST, options, {chaddr: VM_MAC, xid, ...header})
      const there = {source: VM_IP, destination: SERVER}
      const asking = udpFrame({destination: '02:00:00:00:00:fe', source: VM_MAC}, there, udp(68, 67, request))
      clients.heard(asking, PORT.index)
      const given = {router: ['10.0.0.1'], leaseTime: 3600, renewalTime: 30, serverIdentifier: SERVER}
      const ack = clientMessage(DHCPACK, given, {op: BOOTREPLY, yiaddr: VM_IP, chaddr: VM_MAC, xid})
      const back = {source: SERVER, destination: VM_IP}
      const bytes = udpFrame({destination: VM_MAC, source: '02:00:00:00:00:fe'}, back, udp(67, 68, ack))
      passReply(traffic, {bytes, inIndex: undefined, outIndex: PORT.index})
    },
  }
}

export type ShimInMemory = ReturnType<typeof shimInMemory>

/** What each sends by its uplink from now on is heard by the other, until the test has it otherwise. */
export function wire(one: ShimInMemory, other: ShimInMemory): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    const {push} = from.sent
    from.sent.push = (...frames) => {
      for (const {index, frame} of frames) if (index === UPLINK.index) to.peers.heard(frame, UPLINK.index)
      return push.apply(from.sent, frames)
    }
  }
}
