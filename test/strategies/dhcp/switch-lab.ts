// The dhcp strategy's outside in memory: a VM, its server, both gateways and the time.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach} from 'vitest'
import type {NamedGateway} from '../../../src/domain/proof/gateway.ts'
import {type CarryOutOptions, carryOut, type SwitchStep} from '../../../src/strategies/carry-out.ts'
import {openClientStore} from '../../../src/strategies/dhcp/client-store.ts'
import {dhcp} from '../../../src/strategies/dhcp/dhcp.ts'
import type {DhcpPlan, PlannedTrigger} from '../../../src/strategies/dhcp/plan.ts'
import {arpFrame, parseFrame} from '../../../src/wire/frames.ts'
import {ethernetInterface, type FakeWorld, fakeWorld} from '../../support/world.ts'
import {type ControlDouble, controlDouble, type LeaseDouble, leaseDouble} from './control-double.ts'
import {CLIENT, clientsBehind, type FakeClient, gatewaysBehind, NONCE, vmBehind} from './support.ts'

export const RX: NamedGateway = {name: 'rx', site: 'x', ip: '10.0.0.1', mac: '02:00:00:00:0a:01'}
export const RY: NamedGateway = {name: 'ry', site: 'y', ip: '10.0.0.2', mac: '02:00:00:00:0b:01'}
export const FORCERENEW = {kind: 'forcerenew', attempts: 2, timeoutMs: 1000, longestMs: 10_000} as const
export const NAK = {kind: 'nak', longestMs: 9000} as const
export const WEEK_NS = 7n * 86_400_000_000_000n

/** What a test has; anew for each. */
export interface SwitchLab {
  dir: string
  server: ControlDouble
  lease: LeaseDouble
}

export const lab = {} as SwitchLab

/** A directory and a server that end with each test of a file. */
export function useSwitchLab(): void {
  beforeEach(() => {
    lab.dir = mkdtempSync(join(tmpdir(), 'gwswitch-switch-'))
  })
  afterEach(async () => {
    await lab.server.close()
    rmSync(lab.dir, {recursive: true, force: true})
  })
}

const FAR = '203.0.113.10'

export const planOf = (triggers: readonly PlannedTrigger[], to = RY): DhcpPlan => {
  const from = to === RY ? RX : RY
  const segment = {name: 'tenant-a', prefix: '10.0.0.0/24'}
  return {
    strategy: 'dhcp',
    interface: 'seg-a',
    vlan: null,
    sourceIp: '10.0.0.253',
    vm: CLIENT,
    segment,
    server: {server: 'gwswitch', control: join(lab.dir, 'control')},
    reach: 'the server',
    state: join(lab.dir, 'state.db'),
    from,
    to,
    client: null,
    triggers,
    longestMs: 10_000,
    scene: {
      interface: 'seg-a',
      vlan: null,
      vantage: 'host',
      own: null,
      ask: {interface: 'seg-a', source: '10.0.0.253'},
      vm: {...CLIENT, ip6: null},
      segment,
      gateways: [RX, RY],
      from,
      to,
      families: [4],
      destinations6: [],
      destinations: [FAR],
      strict: false,
      dciRttMs: null,
      keepsSessions: false,
    },
    before: null,
    statement: null,
    serial: null,
    cautions: [],
  }
}

export type OnSend = (bytes: Uint8Array, world: FakeWorld) => void

/** An interface somewhere on the segment, where both gateways serve. */
export const worldWith = (onSend: OnSend, dead: ReadonlySet<string> = new Set()): FakeWorld =>
  fakeWorld({
    interfaces: [
      ethernetInterface({name: 'seg-a', mac: '02:00:00:00:0c:01', addresses: [{ip: '10.0.0.253', prefixLength: 24}]}),
    ],
    onSend(bytes, world) {
      gatewaysBehind([RX, RY], dead)(bytes, world)
      onSend(bytes, world)
    },
  })

/** A VM that obeys, and uses the router that its server gives it. */
export function obedientVm(starts: NamedGateway, over: Partial<FakeClient> = {}): {onSend: OnSend; uses: NamedGateway} {
  const client: FakeClient = {...CLIENT, xid: 7, nonce: NONCE, ...over}
  const vm = {
    uses: starts,
    onSend(bytes: Uint8Array, world: FakeWorld) {
      client.router = over.router ?? (lab.server.said === 'y' ? RY.ip : RX.ip)
      const {xid} = client
      vmBehind(() => vm.uses.mac)(bytes, world)
      clientsBehind([client])(bytes, world)
      if (client.xid !== xid) {
        lab.lease.xid = client.xid
        vm.uses = client.router === RY.ip ? RY : RX
      }
    },
  }
  return vm
}

export const carry = (plan: DhcpPlan, world: FakeWorld, more: Partial<CarryOutOptions> = {}) =>
  carryOut(dhcp, plan, world, {signal: new AbortController().signal, ...more})

export const serve = async (
  over: Partial<LeaseDouble> = {},
  onAsked?: Parameters<typeof controlDouble>[2],
): Promise<void> => {
  lab.lease = leaseDouble(over)
  lab.server = await controlDouble(join(lab.dir, 'control'), [lab.lease], onAsked)
}

/** What the server was told, in order. */
export const orders = (): string[] => lab.server.asked.filter((each) => each === 'nak' || each.startsWith('relocate'))
export const wordsOf = (steps: readonly SwitchStep[], name: string): string[] =>
  steps.filter(({step}) => step === name).flatMap(({events}) => events.map(({text}) => text))
/** FORCERENEWs that left. */
export const forcerenews = ({sent}: FakeWorld): number =>
  sent.map((bytes) => parseFrame(bytes)).filter((frame) => frame.kind === 'udp').length

/** What another switch of this VM left in the file: an ACK with `router`, and the VM asking for it. */
export async function earlierSwitch(plan: DhcpPlan, router: string, atNs: bigint): Promise<void> {
  const store = await openClientStore(plan.state)
  const {ip, mac} = CLIENT
  store.beginSwitch(mac, atNs)
  store.learn({
    kind: 'ack',
    atNs,
    mac,
    xid: 7,
    ip,
    router,
    serverId: undefined,
    nonce: undefined,
    leaseS: 3600,
    renewS: 8,
  })
  store.learn({kind: 'arp-request', atNs: atNs + 1_000_000n, mac, target: router})
  store.close()
}

export const asks = (target: string) =>
  arpFrame(
    {destination: 'ff:ff:ff:ff:ff:ff', source: CLIENT.mac},
    {
      operation: 1,
      senderMac: CLIENT.mac,
      senderIp: CLIENT.ip,
      targetMac: '00:00:00:00:00:00',
      targetIp: target,
    },
  )
