import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {arp} from '../../../src/strategies/arp/arp.ts'
import {carryOut} from '../../../src/strategies/switch.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {type FakeVm, vmBehind} from '../../support/vm.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const switchover = (vm: string, to: string) => switchoverFrom(resolveSwitchover(inventory, {vm, to}))
const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'

async function switchVm(over: Partial<FakeVm>) {
  const vm: FakeVm = {ip: '10.1.0.10', mac: '02:00:00:00:01:10', gatewayMac: BX, ...over}
  const world = fakeWorld({onSend: vmBehind(vm, '10.1.0.254')})
  const plan = await arp.plan(switchover('db-03', 'y'), {}, world)
  expect(world.sent).toHaveLength(0)
  const outcome = await carryOut(arp, plan, world, new AbortController().signal)
  expect(world.openLinks).toBe(0)
  return {vm, plan, outcome, steps: outcome.steps.map(({step}) => step)}
}

describe('the arp strategy', () => {
  it('plans in JSON and by the interface that is the gateway', async () => {
    const world = fakeWorld({
      interfaces: [ethernetInterface({name: 'eth7', mac: '02:00:00:00:00:07', addresses: []}), ethernetInterface()],
    })
    const plan = await arp.plan(switchover('db-03', 'y'), {}, world)
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    expect(plan).toMatchObject({
      interface: 'eth0',
      gatewayIp: '10.1.0.254',
      from: {name: 'bx'},
      to: {name: 'by', mac: BY},
    })
  })

  it('switches, and the network agrees', async () => {
    const {vm, outcome, steps} = await switchVm({})
    expect(vm.gatewayMac).toBe(BY)
    expect(steps).toEqual(['execute', 'verify'])
    expect(outcome.verdict).toEqual({ok: true, evidence: [`db-03 sends to by (${BY})`]})
  })

  it.each<[string, Partial<FakeVm>, RegExp, boolean]>([
    ['that keeps a permanent entry', {permanent: true}, /sends to bx/, true],
    [
      'that keeps it and is watched from the gateway',
      {permanent: true, heard: (to) => to === BY},
      /none of its echo answers come to by/,
      true,
    ],
    ['that is silent', {silent: true}, /is silent/, false],
  ])('takes it back for a VM %s', async (_name, over, evidence, confirmed) => {
    const {vm, outcome, steps} = await switchVm(over)
    expect(vm.gatewayMac).toBe(BX)
    expect(steps).toEqual(['execute', 'verify', 'rollback'])
    expect(outcome.verdict.evidence.join()).toMatch(evidence)
    expect(outcome.rollback?.ok).toBe(confirmed)
  })

  it('takes back a switch that the check does not confirm', async () => {
    // It follows at first, then somebody at the old site wins it back.
    const vm: FakeVm = {ip: '10.1.0.10', mac: '02:00:00:00:01:10', gatewayMac: BX}
    const behind = vmBehind(vm, '10.1.0.254')
    let echoes = 0
    const world = fakeWorld({
      onSend(frame, fake) {
        if (frame[12] === 0x08 && frame[13] === 0x00 && ++echoes === 2) vm.gatewayMac = BX
        behind(frame, fake)
      },
    })
    const plan = await arp.plan(switchover('db-03', 'y'), {}, world)
    const outcome = await carryOut(arp, plan, world, new AbortController().signal)
    expect(outcome.verdict.ok).toBe(false)
    expect(outcome.rollback?.ok).toBe(true)
  })

  it('holds the VM for as long as it was asked to, and leaves a verified switch where that is cut short', async () => {
    const run = async (stopAfterMs: number | undefined) => {
      const vm: FakeVm = {ip: '10.1.0.10', mac: '02:00:00:00:01:10', gatewayMac: BX}
      const world = fakeWorld({onSend: vmBehind(vm, '10.1.0.254')})
      const plan = await arp.plan(switchover('db-03', 'y'), {guardMs: 60_000}, world)
      const stop = new AbortController()
      if (stopAfterMs !== undefined)
        void world.sleep(stopAfterMs).then(() => stop.abort(new Error('stopped by SIGINT')))
      const startedNs = world.now()
      const {verdict, rollback} = await carryOut(arp, plan, world, stop.signal)
      expect(world.openLinks).toBe(0)
      expect(vm.gatewayMac).toBe(BY)
      return {verdict, rollback, ms: Number(world.now() - startedNs) / 1e6}
    }
    const whole = await run(undefined)
    expect(whole.ms).toBeGreaterThan(60_000)
    expect(whole.verdict).toEqual({
      ok: true,
      evidence: [expect.any(String), expect.stringMatching(/nothing moved it back in 60\.\d s/)],
    })
    const cut = await run(5000)
    expect(cut.ms).toBeLessThan(6000)
    expect(cut.rollback).toBeUndefined()
    expect(cut.verdict).toEqual({ok: true, evidence: [expect.any(String), 'no longer guarded: stopped by SIGINT']})
  })

  it('can be rolled back twice', async () => {
    const {vm, plan} = await switchVm({})
    const world = fakeWorld({onSend: vmBehind(vm, '10.1.0.254')})
    const stage = {world, signal: new AbortController().signal, observe: () => {}}
    for (let i = 0; i < 2; i++) expect((await arp.rollback(plan, stage)).ok).toBe(true)
    expect(vm.gatewayMac).toBe(BX)
  })

  it.each<[string, string, object, RegExp]>([
    [
      'where the gateway IP would change',
      'web-07',
      {},
      /keeps the gateway IP, but rx is 10\.0\.0\.1 and ry is 10\.0\.0\.2/,
    ],
    ['without an interface on the segment', 'db-03', {}, /no interface here is on segment tenant-b/],
    ['on the VM itself', 'db-03', {interfaceName: 'vm0'}, /is the VM itself/],
  ])('refuses %s', async (_name, vm, options, message) => {
    const interfaces = [
      ethernetInterface({name: 'eth5', mac: '02:00:00:00:00:05', addresses: [{ip: '192.0.2.5', prefixLength: 24}]}),
      ethernetInterface({name: 'vm0', mac: '02:00:00:00:01:10', addresses: []}),
    ]
    await expect(arp.plan(switchover(vm, 'y'), options, fakeWorld({interfaces}))).rejects.toThrow(message)
  })
})
