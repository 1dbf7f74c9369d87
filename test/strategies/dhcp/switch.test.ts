// The dhcp strategy from execute to rollback, with a VM, its server and the time in memory.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {openClientStore} from '../../../src/strategies/dhcp/client-store.ts'
import {dhcp} from '../../../src/strategies/dhcp/dhcp.ts'
import type {DhcpPlan, PlannedTrigger} from '../../../src/strategies/dhcp/plan.ts'
import {carryOut} from '../../../src/strategies/switch.ts'
import {DHCPACK, dhcpOptions, writeOption} from '../../../src/wire/dhcp-options.ts'
import {arpFrame} from '../../../src/wire/frames.ts'
import {ethernetInterface, type FakeWorld, fakeWorld} from '../../support/world.ts'
import {type ControlDouble, controlDouble, leaseDouble} from './control-double.ts'
import {answerFrame, CLIENT, clientsBehind, type FakeClient, NONCE, requestFrame, vmBehind} from './support.ts'

const RX = {name: 'rx', site: 'x', ip: '10.0.0.1', mac: '02:00:00:00:0a:01'}
const RY = {name: 'ry', site: 'y', ip: '10.0.0.2', mac: '02:00:00:00:0b:01'}
const FORCERENEW = {kind: 'forcerenew', attempts: 2, timeoutMs: 1000, longestMs: 10_000} as const
const NAK = {kind: 'nak', longestMs: 9000} as const
const WEEK_NS = 7n * 86_400_000_000_000n

let dir: string
let server: ControlDouble
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-switch-'))
})
afterEach(async () => {
  await server.close()
  rmSync(dir, {recursive: true, force: true})
})

const planOf = (...triggers: PlannedTrigger[]): DhcpPlan => ({
  strategy: 'dhcp',
  interface: 'seg-a',
  vlan: null,
  sourceIp: '10.0.0.253',
  vm: CLIENT,
  segment: {name: 'tenant-a', prefix: '10.0.0.0/24'},
  server: {server: 'gwswitch', control: join(dir, 'control')},
  reach: 'the server',
  state: join(dir, 'state.db'),
  from: RX,
  to: RY,
  client: null,
  triggers,
  longestMs: 10_000,
})

/** An interface somewhere on the segment, or at a gateway's leg. */
const worldWith = (onSend: (bytes: Uint8Array, world: FakeWorld) => void, mac = '02:00:00:00:0c:01'): FakeWorld =>
  fakeWorld({
    interfaces: [ethernetInterface({name: 'seg-a', mac, addresses: [{ip: '10.0.0.253', prefixLength: 24}]})],
    onSend,
  })

const carry = (plan: DhcpPlan, world: FakeWorld, signal = new AbortController().signal) =>
  carryOut(dhcp, plan, world, signal)

/** What another switch of this VM left in the file: an ACK with `router`, and the VM asking for it. */
async function earlierSwitch(plan: DhcpPlan, router: string, atNs: bigint): Promise<void> {
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

const asks = (target: string) =>
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

const obeys = (): FakeClient => ({...CLIENT, xid: 7, nonce: NONCE, router: RY.ip})

describe('the evidence of a switch', () => {
  it.each([
    ['a week ago', -WEEK_NS],
    ['when the clock was ahead', WEEK_NS],
  ])('is none of what was seen %s: a VM that takes no notice has not moved', async (_, offset) => {
    server = await controlDouble(join(dir, 'control'), [leaseDouble()])
    const plan = planOf(FORCERENEW)
    const world = worldWith(vmBehind())
    await earlierSwitch(plan, RY.ip, world.now() + offset)
    const {verdict, rollback} = await carry(plan, world)
    expect(verdict).toEqual({
      ok: false,
      evidence: ['no new ACK to it was seen', expect.stringContaining('where its traffic goes cannot be seen')],
    })
    expect(rollback).toMatchObject({ok: false})
    expect(server.asked.filter((each) => each.startsWith('relocate'))).toEqual(['relocate y', 'relocate x'])
  })

  it('is an ACK and a question of the VM since it began', async () => {
    server = await controlDouble(join(dir, 'control'), [leaseDouble()])
    const plan = planOf(FORCERENEW)
    const client = obeys()
    const world = worldWith((bytes, there) => {
      vmBehind()(bytes, there)
      clientsBehind([client])(bytes, there)
      // Once it has another router, it asks for that.
      if (client.xid === 8) there.deliver(asks(RY.ip), 2)
    })
    await earlierSwitch(plan, RX.ip, world.now() - WEEK_NS)
    expect(await carry(plan, world)).toMatchObject({
      verdict: {ok: true, evidence: ['its last ACK gave it 10.0.0.2', 'web-07 asked the segment where 10.0.0.2 is']},
    })
  })

  it('is none of what another process writes down late', async () => {
    const store = await openClientStore(join(dir, 'state.db'))
    server = await controlDouble(join(dir, 'control'), [])
    const ack = {kind: 'ack', mac: CLIENT.mac, xid: 7, ip: CLIENT.ip, router: RY.ip} as const
    const more = {serverId: undefined, nonce: undefined, leaseS: undefined, renewS: undefined}
    expect(store.evidence(CLIENT.mac)).toBeUndefined()
    store.beginSwitch(CLIENT.mac, 1000n)
    store.learn({...ack, ...more, atNs: 999n})
    store.learn({kind: 'arp-request', atNs: 999n, mac: CLIENT.mac, target: RY.ip})
    expect(store.evidence(CLIENT.mac)).toEqual({})
    // The record itself is of whatever was seen.
    expect(store.read(CLIENT.mac)).toMatchObject({router: RY.ip, ackedNs: 999n})
    store.learnTold(CLIENT, RX.ip, 1000n)
    expect(store.evidence(CLIENT.mac)).toEqual({router: RX.ip, ackedNs: 1000n})
    store.beginSwitch(CLIENT.mac, 500n)
    expect(store.evidence(CLIENT.mac)).toEqual({})
    store.close()
  })

  it('of a rollback is what was seen since the rollback began', async () => {
    server = await controlDouble(join(dir, 'control'), [leaseDouble()])
    const plan = planOf(FORCERENEW)
    const world = worldWith(vmBehind())
    // Before it took the new router it renewed once, with the old one.
    await earlierSwitch(plan, RX.ip, world.now())
    await world.sleep(10)
    const back = await dhcp.rollback(plan, {world, signal: new AbortController().signal, observe: () => {}})
    expect(back).toMatchObject({ok: false, evidence: ['no new ACK to it was seen', expect.any(String)]})
  })

  it('spares a VM that never moved a second trigger', async () => {
    server = await controlDouble(join(dir, 'control'), [leaseDouble()])
    const plan = planOf(FORCERENEW)
    const world = worldWith(vmBehind(() => RX.mac))
    await earlierSwitch(plan, RY.ip, world.now() - WEEK_NS)
    const {verdict, rollback, steps} = await carry(plan, world)
    expect(verdict.ok).toBe(false)
    expect(rollback).toEqual({
      ok: true,
      evidence: ['no new ACK to it was seen', `web-07 leaves through rx (${RX.mac})`],
    })
    expect(steps.at(-1)!.events.map(({text}) => text)).toEqual(['the server: the router of web-07 is 10.0.0.1 (rx)'])
  })
})

describe('an order to refuse a renewal', () => {
  /** Nothing stands after the last order. */
  const expectTakenBack = (site: string): void => {
    const orders = server.asked.filter((each) => each === 'nak' || each.startsWith('relocate'))
    expect(orders).toContain('nak')
    expect(orders.at(-1)).toBe(`relocate ${site}`)
  }

  it('is taken back when the client did not ask in time, and again after the rollback', async () => {
    server = await controlDouble(join(dir, 'control'), [leaseDouble({nonce: undefined})])
    const {verdict, rollback} = await carry(planOf(NAK), worldWith(vmBehind()))
    expect([verdict.ok, rollback?.ok]).toEqual([false, false])
    expectTakenBack('x')
    // Of the switch's own order too, before it was judged.
    expect(server.asked.slice(0, server.asked.indexOf('relocate x'))).toContain('nak')
    expect(server.asked.filter((each) => each === 'relocate y')).toHaveLength(2)
  })

  it('is taken back after Ctrl-C while it waits', async () => {
    const stop = new AbortController()
    server = await controlDouble(join(dir, 'control'), [leaseDouble({nonce: undefined})], (request) => {
      if (request.do === 'nak') setImmediate(() => stop.abort(new Failure('runtime', 'stopped by SIGINT')))
    })
    const world = worldWith(vmBehind(() => RX.mac))
    await expect(carry(planOf(NAK), world, stop.signal)).rejects.toThrow('stopped by SIGINT')
    expectTakenBack('x')
    expect(server.asked.filter((each) => each === 'nak')).toHaveLength(1)
  })

  it('is taken back when the client began anew by itself, and got its ACK', async () => {
    let world: FakeWorld | undefined
    let through = RX.mac
    server = await controlDouble(join(dir, 'control'), [leaseDouble({nonce: undefined})], (request) => {
      if (request.do !== 'nak') return
      through = RY.mac
      world!.deliver(requestFrame({...CLIENT, xid: 8, options: []}), 50)
      world!.deliver(answerFrame({...CLIENT, xid: 8}, DHCPACK, [writeOption(dhcpOptions.router, [RY.ip])]), 51)
    })
    world = worldWith(vmBehind(() => through))
    expect(await carry(planOf(NAK), world)).toMatchObject({verdict: {ok: true}})
    expectTakenBack('y')
  })

  it('is taken back when the server did not answer the order', async () => {
    let hungUp = false
    server = await controlDouble(join(dir, 'control'), [leaseDouble({nonce: undefined})], (request) => {
      if (request.do !== 'nak' || hungUp) return undefined
      hungUp = true
      return 'hang up'
    })
    await carry(planOf(NAK), worldWith(vmBehind(() => RX.mac)))
    expectTakenBack('x')
  })
})
