// How a switch by DHCP is taken back, with a VM, its server and the time in memory.
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import type {NamedGateway} from '../../../src/domain/proof/gateway.ts'
import {Failure} from '../../../src/errors.ts'
import {dhcp} from '../../../src/strategies/dhcp/dhcp.ts'
import type {Stage} from '../../../src/strategies/strategy.ts'
import {DHCPACK, dhcpOptions, writeOption} from '../../../src/wire/dhcp-options.ts'
import type {FakeWorld} from '../../support/world.ts'
import {answerFrame, CLIENT, requestFrame, vmBehind} from './support.ts'
import {
  carry,
  earlierSwitch,
  FORCERENEW,
  forcerenews,
  lab,
  NAK,
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

describe('a rollback', () => {
  const stage = (world: FakeWorld): Stage => ({world, signal: new AbortController().signal, observe: () => {}})
  /** The network stops to agree once the VM has moved. */
  const failing =
    (vm: {onSend: OnSend; uses: NamedGateway}, dead: Set<string>, mac: string): OnSend =>
    (bytes, world) => {
      vm.onSend(bytes, world)
      if (vm.uses === RY) dead.add(mac)
    }

  it.each([null, 'x'])('puts back what was said before (%s), and brings the VM back', async (said) => {
    await serve()
    lab.server.said = said
    const vm = obedientVm(RX)
    const dead = new Set<string>()
    const outcome = await carry(planOf([FORCERENEW]), worldWith(failing(vm, dead, RY.mac), dead))
    expect(outcome).toMatchObject({end: 'rolled-back', verdict: {code: 'target-dead'}, rollback: {ok: true, uses: RX}})
    expect([orders(), vm.uses]).toEqual([['relocate y', `relocate ${said}`], RX])
  })

  it('brings the VM back to what it used, and the server to what it said, where the two differed', async () => {
    await serve()
    lab.server.said = 'y'
    const vm = obedientVm(RX)
    const dead = new Set<string>()
    const outcome = await carry(planOf([FORCERENEW]), worldWith(failing(vm, dead, RY.mac), dead))
    expect(outcome).toMatchObject({end: 'rolled-back', rollback: {ok: true, uses: RX}})
    expect([orders(), lab.server.said]).toEqual([['relocate y', 'relocate x', 'relocate y'], 'y'])
  })

  it('goes to no gateway that does not serve any more: the VM stays, its server too, and that is said', async () => {
    await serve()
    const vm = obedientVm(RX)
    const dead = new Set<string>()
    const world = worldWith(failing(vm, dead, RX.mac), dead)
    const stop = new AbortController()
    const outcome = await carry(planOf([FORCERENEW]), world, {
      signal: stop.signal,
      onStep: (step) => step === 'verify' && stop.abort(new Failure('runtime', 'stopped by SIGINT')),
    })
    expect(outcome).toMatchObject({end: 'unknown', rollback: {ok: false, uses: RY}})
    expect(outcome.error?.message).toBe('stopped by SIGINT')
    expect(outcome.rollback!.evidence[0]).toContain(
      'rx (02:00:00:00:0a:01), which web-07 used before, does not serve any more',
    )
    expect([orders(), vm.uses]).toEqual([['relocate y'], RY])
  })

  it('makes nobody ask again whom a shim would tell the same', async () => {
    await serve()
    const vm = obedientVm(RX)
    const dead = new Set<string>()
    const plan = planOf([FORCERENEW])
    const world = worldWith(failing(vm, dead, RY.mac), dead)
    const server = {...plan.server, server: 'shim'}
    const outcome = await carry({...plan, server}, world)
    expect(outcome).toMatchObject({end: 'unknown', rollback: {ok: false, uses: RY}})
    expect(outcome.rollback!.evidence[0]).toContain('web-07 was not made to ask again')
    // An order to refuse its renewal is withdrawn.
    expect([orders(), forcerenews(world)]).toEqual([['relocate null', 'relocate y', 'relocate null'], 1])
  })

  it('tells of what was seen since it began', async () => {
    await serve()
    const plan = {...planOf([FORCERENEW]), ...lookedAt(RX), serial: '-1'}
    const world = worldWith(vmBehind())
    // Before it took the new router it renewed once, with the old one; later frames did not pass here.
    await earlierSwitch(plan, RY.ip, world.now())
    await world.sleep(10)
    const back = await dhcp.rollback(plan, stage(world))
    expect(back).toMatchObject({ok: false, uses: null, evidence: expect.arrayContaining(['no new ACK to it was seen'])})
  })

  it('spares a VM that never moved a second trigger', async () => {
    await serve()
    const plan = planOf([FORCERENEW])
    const world = worldWith(vmBehind(() => RX.mac))
    await earlierSwitch(plan, RY.ip, world.now() - WEEK_NS)
    const {verdict, rollback, steps} = await carry(plan, world)
    expect(verdict).toMatchObject({ok: false, code: 'elsewhere', uses: RX})
    expect(rollback).toMatchObject({ok: true, uses: RX})
    expect(rollback!.evidence.slice(0, 2)).toEqual([
      'no new ACK to it was seen, so that web-07 was not made to ask again',
      `web-07 leaves through rx (${RX.mac})`,
    ])
    expect(wordsOf(steps, 'rollback').filter((text) => text.startsWith('the server'))).toEqual([
      'the server: nothing is said of it alone, as before',
    ])
  })

  it('may be done twice', async () => {
    await serve()
    const vm = obedientVm(RX)
    const world = worldWith(vm.onSend)
    const {plan} = await carry(planOf([FORCERENEW]), world)
    expect(vm.uses).toBe(RY)
    expect(await dhcp.rollback(plan, stage(world))).toMatchObject({ok: true, uses: RX})
    expect(await dhcp.rollback(plan, stage(world))).toMatchObject({ok: true, uses: RX})
    expect([lab.server.said, vm.uses, forcerenews(world)]).toEqual([null, RX, 2])
  })

  it('that cannot reach the server says so, and what the VM uses', async () => {
    await serve()
    const vm = obedientVm(RX)
    const world = worldWith(vm.onSend)
    const {plan} = await carry(planOf([FORCERENEW]), world)
    await lab.server.close()
    const back = await dhcp.rollback(plan, stage(world))
    expect(back).toMatchObject({ok: false, uses: RY})
    expect(back.evidence[0]).toContain('is gwswitch serve dhcp running?')
  })

  it('says that a link may still be down where its hypervisor does not answer, and takes silence for nothing else', async () => {
    await serve()
    const link = {mac: CLIENT.mac, qmp: join(lab.dir, 'no-qmp')}
    const plan = {...planOf([{kind: 'carrier', link, longestMs: 1000}]), ...lookedAt(RX), serial: '-1'}
    const back = await dhcp.rollback({...plan, before: {uses: null, away: true}}, stage(worldWith(vmBehind())))
    expect(back).toMatchObject({ok: false, uses: null})
    expect(back.evidence[0]).toMatch(
      /^the link of 02:00:00:00:00:10 may still be down, put it up by hand \(QMP .*no such socket/,
    )
    const seen = await dhcp.rollback(plan, stage(worldWith(vmBehind(() => RX.mac))))
    expect(seen).toMatchObject({ok: true, uses: RX})
    expect(seen.evidence.join()).not.toContain('may still be down')
  })

  it('makes the VM ask also where the server took it and could not say so, which is said', async () => {
    await serve({}, ({do: what, site}) => {
      if (what !== 'relocate' || site !== null) return undefined
      lab.server.said = null
      return 'hang up'
    })
    const vm = obedientVm(RX)
    const world = worldWith(vm.onSend)
    const {plan} = await carry(planOf([FORCERENEW]), world)
    expect(vm.uses).toBe(RY)
    const back = await dhcp.rollback(plan, stage(world))
    expect([vm.uses, forcerenews(world)]).toEqual([RX, 2])
    expect(back).toMatchObject({ok: false, uses: RX})
    expect(back.evidence[0]).toContain('went away')
  })

  /** As `look` leaves it. */
  const lookedAt = (uses: NamedGateway | null) => ({
    before: {uses, away: uses?.mac === RX.mac},
    statement: {router: RX.ip, own: null, legible: true},
  })
})

describe('an order to refuse a renewal', () => {
  /** Nothing stands after the last order. */
  const expectTakenBack = (site: string | null): void => {
    expect(orders()).toContain('nak')
    expect(orders().at(-1)).toBe(`relocate ${site}`)
  }
  /** One that begins anew as soon as it is refused, and takes what its server gives it. */
  const refused = (world: () => FakeWorld, vm: {uses: NamedGateway}) => (request: {readonly do: string}) => {
    if (request.do !== 'nak') return
    const next = lab.server.said === 'y' ? RY : RX
    vm.uses = next
    lab.lease.xid++
    world().deliver(requestFrame({...CLIENT, xid: lab.lease.xid, options: []}), 50)
    world().deliver(
      answerFrame({...CLIENT, xid: lab.lease.xid}, DHCPACK, [writeOption(dhcpOptions.router, [next.ip])]),
      51,
    )
  }

  it('is taken back when the client did not ask in time', async () => {
    await serve({nonce: undefined})
    const {verdict, rollback} = await carry(planOf([NAK]), worldWith(vmBehind()))
    // It was never given another router: it is as it was.
    expect([verdict!.code, rollback?.ok]).toEqual(['silent', true])
    expect(orders()).toEqual(['relocate y', 'nak', 'relocate y', 'relocate null'])
  })

  it('is taken back after Ctrl-C while it waits', async () => {
    const stop = new AbortController()
    await serve({nonce: undefined}, (request) => {
      if (request.do === 'nak') setImmediate(() => stop.abort(new Failure('runtime', 'stopped by SIGINT')))
    })
    const world = worldWith(vmBehind(() => RX.mac))
    const outcome = await carry(planOf([NAK]), world, {signal: stop.signal})
    expect(outcome).toMatchObject({end: 'rolled-back', error: {message: 'stopped by SIGINT'}})
    expectTakenBack(null)
    expect(lab.server.asked.filter((each) => each === 'nak')).toHaveLength(1)
  })

  it('is taken back when the client began anew by itself, and got its ACK', async () => {
    const vm = {uses: RX}
    let world: FakeWorld | undefined
    await serve(
      {nonce: undefined},
      refused(() => world!, vm),
    )
    world = worldWith(vmBehind(() => vm.uses.mac))
    expect(await carry(planOf([NAK]), world)).toMatchObject({end: 'switched', verdict: {ok: true}})
    expectTakenBack('y')
  })

  it('is taken back when the client was made to go back by one, too', async () => {
    const vm = {uses: RX}
    const dead = new Set<string>()
    let world: FakeWorld | undefined
    await serve(
      {nonce: undefined},
      refused(() => world!, vm),
    )
    world = worldWith((bytes, there) => {
      vmBehind(() => vm.uses.mac)(bytes, there)
      if (vm.uses === RY) dead.add(RY.mac)
    }, dead)
    expect(await carry(planOf([NAK]), world)).toMatchObject({end: 'rolled-back', rollback: {ok: true, uses: RX}})
    expect(orders()).toEqual(['relocate y', 'nak', 'relocate y', 'relocate null', 'nak', 'relocate null'])
  })

  it('is taken back when the server did not answer the order', async () => {
    let hungUp = false
    await serve({nonce: undefined}, (request) => {
      if (request.do !== 'nak' || hungUp) return undefined
      hungUp = true
      return 'hang up'
    })
    await carry(planOf([NAK]), worldWith(vmBehind(() => RX.mac)))
    expectTakenBack(null)
  })
})
