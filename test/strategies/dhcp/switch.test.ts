// The dhcp strategy from look to verify, with a VM, its server and the time in memory.
import {existsSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {openClientStore} from '../../../src/strategies/dhcp/client-store.ts'
import {CLIENT, clientsBehind, type FakeClient, NONCE, vmBehind} from './support.ts'
import {
  asks,
  carry,
  earlierSwitch,
  FORCERENEW,
  forcerenews,
  lab,
  type OnSend,
  obedientVm,
  orders,
  planOf,
  RX,
  RY,
  serve,
  useSwitchLab,
  WEEK_NS,
  wordsOf,
  worldWith,
} from './switch-lab.ts'

useSwitchLab()

describe('a switch', () => {
  it('is one when the VM leaves through the new gateway, something comes back, and its lease agrees', async () => {
    await serve()
    const vm = obedientVm(RX)
    const outcome = await carry(planOf([FORCERENEW]), worldWith(vm.onSend))
    expect(outcome).toMatchObject({
      end: 'switched',
      before: RX,
      verdict: {ok: true, code: 'served', uses: RY},
      plan: {before: {uses: RX}, statement: {router: RX.ip, own: null, legible: true}},
    })
    expect(outcome.verdict!.evidence).toEqual([
      'its last ACK gave it 10.0.0.2',
      `web-07 leaves through ry (${RY.mac})`,
      expect.stringContaining(`ry (${RY.mac}) takes packets on`),
    ])
    expect(orders()).toEqual(['relocate y'])
  })

  it('is none where the VM is there already and its server would keep it there: nobody is told anything', async () => {
    await serve({router: RY.ip})
    lab.server.said = 'y'
    const world = worldWith(obedientVm(RY).onSend)
    expect(await carry(planOf([FORCERENEW]), world)).toMatchObject({
      end: 'already',
      verdict: {code: 'already', uses: RY},
    })
    expect([orders(), forcerenews(world)]).toEqual([[], 0])
    expect(existsSync(join(lab.dir, 'state.db'))).toBe(false)
  })

  it('tells the server alone where the VM is there already and would be moved away at its next renewal', async () => {
    await serve()
    const world = worldWith(obedientVm(RY).onSend)
    const outcome = await carry(planOf([FORCERENEW]), world)
    expect(outcome).toMatchObject({end: 'switched', verdict: {code: 'served', uses: RY}})
    expect(outcome.verdict!.evidence).toContain(
      'it used ry already, and its server would have given it 10.0.0.1 at its next renewal',
    )
    expect(wordsOf(outcome.steps, 'look')).toContain(
      'the server: would move web-07 away from ry: it is told to keep it there',
    )
    expect([orders(), forcerenews(world)]).toEqual([['relocate y'], 0])
  })

  it('is not begun where the VM is silent: its server says what it said', async () => {
    await serve()
    const outcome = await carry(
      planOf([FORCERENEW], RX),
      worldWith(() => {}),
    )
    expect(outcome).toMatchObject({end: 'not-begun', verdict: {code: 'silent'}, plan: {statement: {own: null}}})
    expect(orders()).toEqual([])
  })

  it('is not begun where the new gateway is dead', async () => {
    await serve()
    const world = worldWith(obedientVm(RX).onSend, new Set([RY.mac]))
    expect(await carry(planOf([FORCERENEW]), world)).toMatchObject({end: 'not-begun', verdict: {code: 'target-dead'}})
    expect(orders()).toEqual([])
  })

  it('is not believed where an ACK gave the VM another router than it uses', async () => {
    await serve({}, (request) => {
      // It changes its route at once, whatever it is given.
      if (request.do === 'relocate') vm.uses = RY
    })
    const vm = obedientVm(RX, {router: RX.ip})
    const stubborn: OnSend = (bytes, world) => {
      const {uses} = vm
      vm.onSend(bytes, world)
      vm.uses = uses
    }
    const {verdict} = await carry(planOf([FORCERENEW]), worldWith(stubborn))
    expect(verdict).toMatchObject({ok: false, code: 'elsewhere'})
    expect(verdict!.evidence).toEqual([
      'its last ACK gave it 10.0.0.1, not 10.0.0.2',
      `web-07 leaves through ry (${RY.mac})`,
      expect.any(String),
    ])
  })

  it.each([
    ['is asked again where its route comes 3 s after its ACK', 3_000_000_000n, 'served', 'switched'],
    ['is taken back where no route comes', 60_000_000_000n, 'elsewhere', 'rolled-back'],
  ] as const)('%s', async (_, afterNs, code, end) => {
    await serve()
    const vm = obedientVm(RX)
    let followsNs: bigint | undefined
    const slow: OnSend = (bytes, world) => {
      if (followsNs !== undefined && world.now() >= followsNs) vm.uses = RY
      const {uses} = vm
      vm.onSend(bytes, world)
      if (vm.uses === uses) return
      followsNs ??= world.now() + afterNs
      vm.uses = uses
    }
    expect(await carry(planOf([FORCERENEW]), worldWith(slow))).toMatchObject({end, verdict: {code}})
  })

  it('is not believed where somebody told the server otherwise meanwhile', async () => {
    await serve()
    const vm = obedientVm(RX)
    const world = worldWith((bytes, there) => {
      vm.onSend(bytes, there)
      if (vm.uses === RY) lab.server.said = 'x'
    })
    const {verdict, end} = await carry(planOf([FORCERENEW]), world)
    expect(verdict).toMatchObject({ok: false, code: 'elsewhere'})
    expect(verdict!.evidence).toContain('its server gives it 10.0.0.1 next, not 10.0.0.2')
    expect([end, vm.uses]).toEqual(['rolled-back', RX])
  })
})

describe("where the VM's traffic cannot be seen", () => {
  const unseen =
    (client: FakeClient): OnSend =>
    (bytes, world) => {
      vmBehind()(bytes, world)
      const {xid} = client
      client.router = lab.server.said === 'y' ? RY.ip : RX.ip
      clientsBehind([client])(bytes, world)
      if (client.xid === xid) return
      Object.assign(lab.lease, {xid: client.xid, heard: lab.lease.heard + 1, router: client.router})
      // Once it has another router, it asks for that.
      world.deliver(asks(client.router), 2)
    }
  const obeys = (): FakeClient => ({...CLIENT, xid: 7, nonce: NONCE})

  it('an ACK and a question for the gateway prove nothing, and the words say where it could be seen', async () => {
    await serve()
    const plan = planOf([FORCERENEW])
    const world = worldWith(unseen(obeys()))
    await earlierSwitch(plan, RX.ip, world.now() - WEEK_NS)
    const outcome = await carry(plan, world, {acceptUnverified: true})
    expect(outcome).toMatchObject({end: 'accepted', verdict: {ok: false, code: 'unverified', uses: null}})
    expect(outcome.verdict!.evidence.slice(0, 3)).toEqual([
      'its last ACK gave it 10.0.0.2',
      'web-07 asked the segment where 10.0.0.2 is',
      "web-07 answers ARP, but where it sends cannot be seen at seg-a: run this at ry or on the VM's own port",
    ])
    expect(orders()).toEqual(['relocate y'])
  })

  it('it is taken back, and the end says that it is not known whether that came about', async () => {
    await serve()
    const outcome = await carry(planOf([FORCERENEW]), worldWith(unseen(obeys())))
    expect(outcome).toMatchObject({end: 'unknown', rollback: {ok: false, code: 'unverified', uses: null}})
    expect(outcome.rollback!.evidence[0]).toBe('its last ACK gave it 10.0.0.1')
    // The server is as it was: nothing is said of the VM alone.
    expect([orders(), lab.server.said]).toEqual([['relocate y', 'relocate null'], null])
  })

  it.each([
    [false, 'not-begun'],
    [true, 'accepted'],
  ] as const)('one that was given the gateway already is left alone (to be accepted: %s)', async (accept, end) => {
    await serve()
    const world = worldWith(unseen(obeys()))
    const outcome = await carry(planOf([FORCERENEW], RX), world, {acceptUnverified: accept})
    expect(outcome).toMatchObject({end, verdict: {ok: false, code: 'unverified', uses: null}})
    expect(outcome.verdict!.evidence[0]).toBe(
      'its server gives web-07 10.0.0.1 (rx) already, and its last ACK gave it that',
    )
    expect([orders(), forcerenews(world)]).toEqual([[], 0])
  })

  it.each([
    ['a week ago', -WEEK_NS],
    ['when the clock was ahead', WEEK_NS],
  ])('what was seen %s is no evidence: a VM that takes no notice has not moved', async (_, offset) => {
    await serve()
    const plan = planOf([FORCERENEW])
    const world = worldWith(vmBehind())
    await earlierSwitch(plan, RY.ip, world.now() + offset)
    const {verdict, rollback, end} = await carry(plan, world)
    expect(verdict).toMatchObject({
      ok: false,
      code: 'silent',
      evidence: [
        'no new ACK to it was seen',
        expect.stringContaining('where it sends cannot be seen'),
        expect.any(String),
      ],
    })
    // Its server answered no request of it: it was never told of another router.
    expect([end, rollback?.ok]).toEqual(['rolled-back', true])
    expect(rollback!.evidence[0]).toBe('no new ACK to it was seen, so that web-07 was not made to ask again')
    expect(orders()).toEqual(['relocate y', 'relocate null'])
  })
})

describe('the evidence of a switch', () => {
  it('is none of what another process writes down late', async () => {
    const store = await openClientStore(join(lab.dir, 'state.db'))
    await serve()
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
})
