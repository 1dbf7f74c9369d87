import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {Failure} from '../../../src/errors.ts'
import type {NeighbourEntry, NeighbourTables} from '../../../src/net/neighbour-tables.ts'
import {systemVantage} from '../../../src/net/vantage-world.ts'
import type {World} from '../../../src/net/world.ts'
import {arp} from '../../../src/strategies/arp/arp.ts'
import {carryOut, type SwitchEnd} from '../../../src/strategies/carry-out.ts'
import {BROADCAST} from '../../../src/wire/address.ts'
import {parseFrame} from '../../../src/wire/frames.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {type FakeGateway, segmentOf} from '../../support/segment.ts'
import type {FakeVm} from '../../support/vm.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const switchover = (vm: string, to: string) => switchoverFrom(resolveSwitchover(inventory, {vm, to}))
const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'

interface Situation extends Partial<FakeVm> {
  readonly x?: Partial<FakeGateway>
  readonly y?: Partial<FakeGateway>
  /** Where it is run: at the new gateway, or on the VM's own port of a bridge. */
  readonly at?: 'gateway' | 'port'
  readonly acceptUnverified?: boolean
}

const VM_MAC = '02:00:00:00:01:10'
const STILL = `by still has db-03 at eth0: 10.1.0.10 is at ${VM_MAC} (ip neigh del 10.1.0.10 dev eth0 takes that away)`

const AT_GATEWAY = [
  ethernetInterface(),
  ethernetInterface({name: 'core', mac: '02:00:00:00:ee:01', addresses: [{ip: '172.16.2.1', prefixLength: 30}]}),
]
const AT_PORT = [
  ethernetInterface({name: 'vnet0', mac: '02:00:00:00:fe:01', addresses: []}),
  ethernetInterface({name: 'br0', mac: '02:00:00:00:fe:02', addresses: []}),
]

/** The segment with a VM on it, at one of the places from which a switch can be run. */
function placed({x = {}, y = {}, at = 'gateway', acceptUnverified: _, ...over}: Situation) {
  const vm: FakeVm = {ip: '10.1.0.10', mac: VM_MAC, gatewayMac: BX, ...over}
  const gateways: FakeGateway[] = [
    {ip: '10.1.0.254', mac: BX, ...x},
    // At its own leg nobody answers for it but this host.
    {ip: '10.1.0.254', mac: BY, ...(at === 'gateway' && {dead: true}), ...y},
    // What is upstream of the new gateway.
    {ip: '172.16.2.2', mac: '02:00:00:00:ee:02', ...(y.beyond && {beyond: y.beyond})},
  ]
  const world = fakeWorld({
    interfaces: at === 'gateway' ? AT_GATEWAY : AT_PORT,
    onSend: segmentOf(vm, gateways, '10.1.0.254'),
    routes: y.beyond === 'refuses' ? [] : [{gateway: '172.16.2.2', interface: 'core', source: '172.16.2.1'}],
    neighbours: {'172.16.2.2': '02:00:00:00:ee:02'},
    bridges: {vnet0: 'br0'},
  })
  return {vm, world, options: at === 'port' ? {interfaceName: 'vnet0'} : {}}
}

async function switchVm(situation: Situation, signal = new AbortController().signal) {
  const {vm, world, options} = placed(situation)
  const plan = await arp.plan(switchover('db-03', 'y'), options, world)
  expect(world.sent).toHaveLength(0)
  const {acceptUnverified} = situation
  const outcome = await carryOut(arp, plan, world, {signal, acceptUnverified})
  expect(world.openLinks).toBe(0)
  /** Frames that told the VM, or everybody, where its gateway is. */
  const told = world.sent
    .map((bytes) => parseFrame(bytes))
    .filter((frame) => frame.kind === 'arp' && frame.arp.senderIp === '10.1.0.254')
  return {vm, plan, outcome, told, steps: outcome.steps.map(({step}) => step)}
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

  it.each([
    ['vnet1', 'br-b'],
    ['vnet2', null],
  ])('is, at %s of a router with two tenants of one prefix and one MAC, the gateway at %s', async (name, leg) => {
    const addresses = [{ip: '10.1.0.254', prefixLength: 24}]
    const interfaces = [
      ...['br-a', 'br-b'].map((tenant) => ethernetInterface({name: tenant, mac: BY, addresses})),
      ...['vnet1', 'vnet2', 'br-c'].map((other) => ethernetInterface({name: other, mac: BX, addresses: []})),
    ]
    const world = fakeWorld({interfaces, bridges: {vnet1: 'br-b', vnet2: 'br-c'}})
    const {scene, announce} = await arp.plan(switchover('db-03', 'y'), {interfaceName: name}, world)
    expect([scene.own, announce!.leg]).toEqual([leg, leg])
  })

  it.each([
    ['port', 'nobody may read', true],
    ['port', 'there are not', false],
    ['gateway', 'nobody may read', false],
  ] as const)('seen from the %s where redirections %s, plans with a caution: %s', async (at, which, cautions) => {
    const {world, options} = placed({at})
    const nftTable = async () => {
      if (which === 'nobody may read') throw new Failure('privilege', 'reading nftables rules needs CAP_NET_ADMIN')
      return undefined
    }
    const plan = await arp.plan(switchover('db-03', 'y'), options, {...world, nftTable})
    expect(arp.describe(plan).some((line) => /whether the bridge here redirects what db-03 sends/.test(line))).toBe(
      cautions,
    )
  })

  it.each(['gateway', 'port'] as const)('switches, and the network agrees, seen from the %s', async (at) => {
    const {vm, outcome, steps} = await switchVm({at})
    expect(vm.gatewayMac).toBe(BY)
    expect(steps).toEqual(['look', 'execute', 'verify'])
    expect(outcome).toMatchObject({
      end: 'switched',
      before: {name: 'bx'},
      verdict: {ok: true, code: 'served', uses: {name: 'by'}},
    })
    expect(outcome.verdict?.evidence[0]).toBe(`db-03 leaves through by (${BY})`)
  })

  it('is partial where the VM has two families, and the inventory no IPv6 of the new gateway', async () => {
    const two = parseInventory(
      INVENTORY.replace('mac: "02:00:00:00:0a:02" }', 'mac: "02:00:00:00:0a:02", ip6: [fe80::1] }').replace(
        'mac: "02:00:00:00:01:10",',
        'mac: "02:00:00:00:01:10", ip6: ["2001:db8:1::10"],',
      ),
      'gwswitch.yaml',
    )
    const asked = switchoverFrom(resolveSwitchover(two, {vm: 'db-03', to: 'y'}))
    const signal = new AbortController().signal
    for (const gatewayMac of [BX, BY]) {
      const {world} = placed({gatewayMac})
      const outcome = await carryOut(arp, await arp.plan(asked, {}, world), world, {signal})
      expect(outcome).toMatchObject({
        end: gatewayMac === BX ? 'rolled-back' : 'not-begun',
        verdict: {
          ...{ok: false, code: 'partial'},
          evidence: expect.arrayContaining(['db-03 keeps the IPv6 gateway that it has: the inventory gives by no ip6']),
        },
      })
    }
    const {world, vm} = placed({})
    const kept = await carryOut(arp, await arp.plan(asked, {}, world), world, {signal, acceptUnverified: true})
    expect(kept).toMatchObject({end: 'accepted', verdict: {code: 'partial'}})
    expect(vm.gatewayMac).toBe(BY)
  })

  const DROPS = {dropsIcmp: true, at: 'port'} as const
  it.each<[string, Situation, SwitchEnd, string, 'X' | 'Y', string | null]>([
    ['is there already', {gatewayMac: BY}, 'already', 'already', 'Y', 'by'],
    ['is there already, seen on its port', {gatewayMac: BY, at: 'port'}, 'already', 'already', 'Y', 'by'],
    ['is off', {silent: true}, 'not-begun', 'silent', 'X', null],
    ['has a new gateway that is dead', {at: 'port', y: {dead: true}}, 'not-begun', 'target-dead', 'X', 'bx'],
    ['has a new gateway with no route', {at: 'port', y: {beyond: 'refuses'}}, 'not-begun', 'target-dead', 'X', 'bx'],
    [
      'has this host as its gateway, which has no route',
      {y: {beyond: 'refuses'}},
      'not-begun',
      'target-dead',
      'X',
      'bx',
    ],
    [
      'has a new gateway behind which packets vanish',
      {at: 'port', y: {beyond: 'silent'}},
      'not-begun',
      'target-dead',
      'X',
      'bx',
    ],
    [
      'has a new gateway at another MAC',
      {at: 'port', y: {mac: '02:00:00:00:0b:99'}},
      'not-begun',
      'target-dead',
      'X',
      'bx',
    ],
    ['keeps a permanent entry', {permanent: true}, 'rolled-back', 'elsewhere', 'X', 'bx'],
    [
      'keeps it, and is watched from the gateway',
      {permanent: true, heard: (to) => to === BY || to === AT_GATEWAY[0]!.mac},
      'unknown',
      'unverified',
      'X',
      null,
    ],
    ['drops ICMP and says nothing', DROPS, 'unknown', 'unverified', 'Y', null],
    [
      'drops ICMP and says nothing, as accepted',
      {...DROPS, acceptUnverified: true},
      'accepted',
      'unverified',
      'Y',
      null,
    ],
    [
      'nobody answers beyond either gateway',
      {at: 'port', x: {beyond: 'silent'}, y: {beyond: 'silent'}},
      'rolled-back',
      'unverified',
      'X',
      'bx',
    ],
  ])('a VM that %s', async (_name, situation, end, code, uses, seen) => {
    const {vm, outcome, told} = await switchVm(situation)
    expect({end: outcome.end, code: outcome.verdict?.code}).toEqual({end, code})
    expect(vm.gatewayMac).toBe(uses === 'X' ? BX : BY)
    expect((outcome.rollback ?? outcome.verdict)?.uses?.name ?? null).toBe(seen)
    if (end === 'already' || end === 'not-begun') expect(told, 'nothing was said').toEqual([])
    const back = told.filter((frame) => frame.kind === 'arp' && frame.arp.senderMac === BX)
    expect(
      back.every(({ethernet}) => ethernet.destination === vm.mac),
      'a rollback is for the VM alone',
    ).toBe(true)
  })

  it.each([
    ['always answers as late as one at the other site', Number.POSITIVE_INFINITY, true],
    ['is busy, and answers late at first', 400, false],
  ] as const)('calls a VM away only if every look does: one that %s', async (_, busyMs, isAway) => {
    const {vm, world, options} = placed({lateMs: 20, dropsIcmp: true})
    const plan = await arp.plan(switchover('db-03', 'y'), options, world)
    if (Number.isFinite(busyMs)) void world.sleep(busyMs).then(() => (vm.lateMs = 0.1))
    const {verdict} = await carryOut(arp, plan, world, {signal: new AbortController().signal})
    expect(verdict?.code === 'not-here').toBe(isAway)
  })

  it('names the MAC at which a gateway really is', async () => {
    const {outcome} = await switchVm({at: 'port', y: {mac: '02:00:00:00:0b:99'}})
    expect(outcome.verdict?.evidence[0]).toBe(
      `10.1.0.254 is at 02:00:00:00:0b:99 here, and nobody answers at ${BY}, which the inventory gives by`,
    )
  })

  it('does not go back to a gateway that no longer serves', async () => {
    // It died while the VM was switched, and nothing beyond the new one can be proved.
    const {vm, world} = placed({at: 'port'})
    const plan = {...(await arp.plan(switchover('db-03', 'y'), {interfaceName: 'vnet0'}, world))}
    const stage = {world, signal: new AbortController().signal, observe: () => {}}
    const before = (await arp.look(plan, stage)).plan
    vm.gatewayMac = BY
    const dead = placed({at: 'port', x: {dead: true}, gatewayMac: BY})
    const found = await arp.rollback(before, {...stage, world: dead.world})
    expect(found).toMatchObject({
      ok: false,
      uses: {name: 'by'},
      evidence: [expect.stringMatching(/does not serve any more/), expect.anything(), expect.anything()],
    })
    expect(dead.vm.gatewayMac).toBe(BY)
  })

  it('takes back a switch that the check does not confirm', async () => {
    // It follows at first, then somebody at the old site wins it back.
    const {vm, world} = placed({at: 'port'})
    const send = world.onSend!
    let moved = false
    world.onSend = (frame, fake) => {
      const isEchoFromFarAway = frame[12] === 0x08 && frame[13] === 0x00 && frame[26] === 192
      if (moved && isEchoFromFarAway) vm.gatewayMac = BX
      send(frame, fake)
      moved ||= vm.gatewayMac === BY
    }
    const plan = await arp.plan(switchover('db-03', 'y'), {interfaceName: 'vnet0'}, world)
    const outcome = await carryOut(arp, plan, world, {signal: new AbortController().signal})
    expect(outcome).toMatchObject({end: 'rolled-back', rollback: {ok: true, uses: {name: 'bx'}}})
  })

  it.each([
    {entry: {mac: VM_MAC, external: false}, said: [STILL]},
    {entry: {mac: VM_MAC, external: true}, said: []},
    {entry: {mac: BX, external: false}, said: []},
    {entry: undefined, said: []},
    {
      entry: new Failure('runtime', 'no interface eth0 here'),
      said: ['whether by still has db-03 at eth0 cannot be seen: no interface eth0 here'],
    },
  ])('says after a rollback what the new gateway still has of the VM: $said', async ({entry, said}) => {
    const {world, options} = placed({})
    const read = (): NeighbourEntry | undefined => {
      if (entry instanceof Failure) throw entry
      return entry
    }
    const tables = (): NeighbourTables => ({entry: read, write() {}, wayTo: () => 'eth0', close() {}})
    const here: World = {...world, speaker: async () => ({vantage: systemVantage, tables})}
    const stage = {world: here, signal: new AbortController().signal, observe: () => {}}
    const {plan} = await arp.look(await arp.plan(switchover('db-03', 'y'), options, here), stage)
    const {ok, evidence} = await arp.rollback(plan, stage)
    expect(ok).toBe(true)
    expect(evidence.filter((line) => line.includes('still has'))).toEqual(said)
  })

  it('holds the VM for as long as it was asked to, and leaves a verified switch where that is cut short', async () => {
    const run = async (stopAfterMs: number | undefined) => {
      const {vm, world} = placed({})
      const plan = await arp.plan(switchover('db-03', 'y'), {guardMs: 60_000}, world)
      const stop = new AbortController()
      if (stopAfterMs !== undefined)
        void world.sleep(stopAfterMs).then(() => stop.abort(new Error('stopped by SIGINT')))
      const startedNs = world.now()
      const {verdict, rollback, end} = await carryOut(arp, plan, world, {signal: stop.signal, hold: true})
      expect(world.openLinks).toBe(0)
      expect(vm.gatewayMac).toBe(BY)
      return {verdict, rollback, end, ms: Number(world.now() - startedNs) / 1e6}
    }
    const whole = await run(undefined)
    expect(whole.ms).toBeGreaterThan(60_000)
    expect(whole.end).toBe('switched')
    expect(whole.verdict?.evidence.at(-1)).toMatch(/nothing moved it back in 60\.\d s/)
    const cut = await run(5000)
    expect(cut.ms).toBeLessThan(6000)
    expect(cut).toMatchObject({end: 'switched', rollback: undefined, verdict: {ok: true, code: 'served'}})
    expect(cut.verdict?.evidence.at(-1)).toBe('no longer held: stopped by SIGINT')
  })

  it('holds a VM that is there already for as long as it was asked to', async () => {
    const {world} = placed({gatewayMac: BY})
    const plan = await arp.plan(switchover('db-03', 'y'), {guardMs: 60_000}, world)
    const startedNs = world.now()
    const {verdict, end} = await carryOut(arp, plan, world, {signal: new AbortController().signal, hold: true})
    expect({end, code: verdict?.code}).toEqual({end: 'already', code: 'already'})
    expect(Number(world.now() - startedNs) / 1e6).toBeGreaterThan(60_000)
    expect(verdict?.evidence.at(-1)).toMatch(/nothing moved it back in 60\.\d s/)
  })

  it.each([
    ['was heard before is not known to be as it was', true],
    ['was never heard is what it was when it came: silent', false],
  ])('tells a VM that is not heard to go back, which was told as it came: one that %s', async (_what, wasHeard) => {
    const {world} = placed({at: 'port'})
    const plan = await arp.plan(switchover('db-03', 'y'), {interfaceName: 'vnet0'}, world)
    const stage = {world, signal: new AbortController().signal, observe: () => {}}
    const {before} = (await arp.look(plan, stage)).plan
    const gone = fakeWorld({interfaces: AT_PORT, bridges: {vnet0: 'br0'}})
    const told = {...plan, atOnce: true, before: wasHeard ? before : null}
    const {ok, code, evidence} = await arp.rollback(told, {...stage, world: gone})
    expect({ok, code}).toEqual({ok: !wasHeard, code: 'silent'})
    expect(evidence).toEqual(['db-03 is not heard at vnet0: it was told to go back to bx, and did not answer'])
    const arps = gone.sent.map((bytes) => parseFrame(bytes)).filter((frame) => frame.kind === 'arp')
    expect(arps.some((frame) => frame.kind === 'arp' && frame.arp.senderMac === BX)).toBe(true)
  })

  it.each([
    ['goes back to where it was expected, if the bridge has it at another site', 'vx0', true, BX],
    ['stays otherwise: it may have been there all the while', 'vnet0', false, BY],
  ])('told as it came, and seen nowhere before, a VM %s', async (_, behind, isBack, mac) => {
    const {vm, world, options} = placed({gatewayMac: BY, at: 'port'})
    const entry = {vlan: undefined, own: false, fixed: false}
    const learned = async () => [
      {...entry, mac: VM_MAC, port: behind},
      {...entry, mac: BX, port: 'vx0'},
      {...entry, mac: BY, port: 'gw0'},
    ]
    const stage = {world: {...world, learned}, signal: new AbortController().signal, observe: () => {}}
    const plan = await arp.plan(switchover('db-03', 'y'), options, world)
    const {ok, evidence} = await arp.rollback({...plan, atOnce: true, before: {uses: null, away: false}}, stage)
    expect(ok).toBe(isBack)
    expect(vm.gatewayMac).toBe(mac)
    expect(evidence[0]).toMatch(
      isBack
        ? /^db-03 is not at site y: br0 has learned db-03 behind vx0, .*it goes back to bx, where it was expected$/
        : /^which gateway db-03 used before was not seen, so that nothing is put back/,
    )
    const [first] = world.sent.map((bytes) => parseFrame(bytes))
    // Before all else the bridges learn where it is.
    expect(first).toMatchObject({ethernet: {destination: BROADCAST}, arp: {senderIp: '0.0.0.0'}})
  })

  it('can be rolled back twice', async () => {
    const {vm, world} = placed({})
    const stage = {world, signal: new AbortController().signal, observe: () => {}}
    const {plan} = await arp.look(await arp.plan(switchover('db-03', 'y'), {}, world), stage)
    await arp.execute(plan, stage)
    expect(vm.gatewayMac).toBe(BY)
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
