import {describe, expect, it} from 'vitest'
import {announcementFrame} from '../../../src/strategies/arp/frames.ts'
import {type GuardRequest, guard, guardEvidence} from '../../../src/strategies/arp/guard.ts'
import {type FakeVm, vmBehind} from '../../support/vm.ts'
import {type FakeWorld, fakeWorld} from '../../support/world.ts'

const IP = '10.1.0.254'
const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const vm = (over: Partial<FakeVm> = {}): FakeVm => ({
  ip: '10.1.0.10',
  mac: '02:00:00:00:01:10',
  gatewayMac: BY,
  ...over,
})

interface Attack {
  readonly atMs: number
  readonly mac?: string
  readonly form?: 'ask' | 'reply' | 'request'
  /** The frame reaches the VM, but does not pass the port that is watched. */
  readonly unseen?: boolean
  /** It passes, and the VM ignores it. */
  readonly ignored?: boolean
}

async function guarded(target: FakeVm, attacks: readonly Attack[], over: Partial<GuardRequest> = {}) {
  const behind = vmBehind(target, IP)
  const world: FakeWorld = fakeWorld({onSend: behind})
  const link = await world.openLink('eth0')
  const request: GuardRequest = {
    gateway: {ip: IP, mac: BY},
    vm: {ip: target.ip, mac: target.mac},
    forMs: 5000,
    gateways: [
      {name: 'bx', site: 'x', mac: BX},
      {name: 'by', site: 'y', mac: BY},
    ],
    ...over,
  }
  for (const {atMs, mac = BX, form = 'ask', unseen, ignored} of attacks) {
    void world.sleep(atMs).then(() => {
      const {bytes} = announcementFrame(form, {ip: IP, mac}, {vm: target}, mac)
      if (!ignored) behind(bytes, {...world, deliver: () => {}})
      if (!unseen) world.deliver(bytes, 0)
    })
  }
  const report = await guard(link, world, request, new AbortController().signal)
  return {report, evidence: guardEvidence(report), world}
}

describe('guard', () => {
  it('lets a VM alone that nobody moves', async () => {
    const {report, evidence} = await guarded(vm(), [])
    expect(report).toMatchObject({attempts: [], asks: 0, holds: true, gatewayUsed: BY})
    expect(evidence).toEqual([expect.stringMatching(/^nothing moved it back in 5\.\d s$/)])
  })

  it.each(['ask', 'reply', 'request'] as const)(
    'wins it back from a gateway that takes it by %s, and names frame and host',
    async (form) => {
      const target = vm()
      const {report, evidence} = await guarded(target, [{atMs: 1500, form}])
      expect(target.gatewayMac).toBe(BY)
      expect(report.attempts).toEqual([
        expect.objectContaining({mac: BX, host: 'bx (site x)', took: true, hex: expect.stringMatching(/^02000000/)}),
      ])
      expect(report.attempts[0]!.recoveredMs).toBeLessThan(50)
      expect(evidence[0]).toMatch(/after 1\.50 s: unicast .* from bx \(site x\), 02:00:00:00:0a:02: won back after/)
    },
  )

  it('says so of a host that is no gateway, and of a frame without effect', async () => {
    const {report, evidence} = await guarded(vm(), [{atMs: 100, mac: '02:00:00:00:00:66', ignored: true}])
    expect(report.attempts).toEqual([expect.objectContaining({took: false, host: undefined})])
    expect(evidence[0]).toMatch(/02:00:00:00:00:66, no gateway of the inventory: without effect/)
  })

  it('sees by the VM itself what passed elsewhere', async () => {
    const {report, evidence} = await guarded(vm(), [{atMs: 1500, unseen: true}])
    expect(report).toMatchObject({
      holds: true,
      attempts: [expect.objectContaining({mac: BX, frame: undefined, took: true})],
    })
    expect(evidence[0]).toMatch(/it sends to bx \(site x\), .*did not pass here: won back/)
  })

  it("on the gateway's own leg, where what goes elsewhere does not pass, goes by the silence", async () => {
    const target = vm({heard: (to) => to === BY})
    const {report} = await guarded(target, [{atMs: 1500, unseen: true}])
    expect(target.gatewayMac).toBe(BY)
    expect(report).toMatchObject({holds: true, attempts: [expect.objectContaining({mac: undefined, took: true})]})
  })

  it('admits that it lost a VM that does not come back', async () => {
    const target = vm()
    const world = fakeWorld({
      onSend: (frame, fake) => {
        vmBehind({...target, permanent: true}, IP)(frame, fake)
      },
    })
    void world.sleep(500).then(() => {
      target.gatewayMac = BX
    })
    const link = await world.openLink('eth0')
    const request = {gateway: {ip: IP, mac: BY}, vm: target, forMs: 3000, gateways: []}
    const report = await guard(link, world, request, new AbortController().signal)
    expect(report).toMatchObject({holds: false, gatewayUsed: BX})
    expect(guardEvidence(report).join()).toMatch(/not won back/)
  })

  it.each<[string, string, string | undefined, number, RegExp | undefined]>([
    [
      'of its own',
      'fe80::b',
      'fe80::a',
      1800,
      /fe80::a, which routes for 1800 s, from bx \(site x\), .*: without effect$/,
    ],
    ['that is shared', 'fe80::1', undefined, 1800, /from bx \(site x\), 02:00:00:00:0a:02: withdrawn in its name$/],
    [
      'that is global',
      '2001:db8:1::1',
      undefined,
      1800,
      /: left as it is: no link-local address of the new gateway is known$/,
    ],
    ['of its own, and the advertisement says that it ends', 'fe80::b', 'fe80::a', 0, undefined],
  ])(
    'for a gateway with an address %s, names the old router that advertises itself',
    async (_what, ip, old, routerLifetimeS, said) => {
      const world = fakeWorld()
      const link = await world.openLink('eth0')
      const target = {ip: '2001:db8:1::10', mac: '02:00:00:00:01:10'}
      void world.sleep(1500).then(() => {
        // Another router is nobody's that is known, a tenant's perhaps.
        for (const [from, mac] of [
          ['fe80::a', BX],
          ['fe80::66', '02:00:00:00:00:66'],
        ] as const)
          world.deliver(announcementFrame('ra', {ip: from, mac, ra: {lifetime: routerLifetimeS}}, {}, mac).bytes, 0)
      })
      const request: GuardRequest = {
        ...{gateway: {ip, mac: BY, old}, vm: target, forMs: 3000, routers: true},
        ...(old !== undefined && {echoFrom: '100::1'}),
        gateways: [{name: 'bx', site: 'x', mac: BX}],
      }
      const report = await guard(link, world, request, new AbortController().signal)
      expect(guardEvidence(report).filter((line) => line.includes('advertisement'))).toEqual(
        said === undefined ? [] : [expect.stringMatching(said)],
      )
      expect(report.asks).toBe(said === undefined ? 0 : 1)
    },
  )

  it('does not answer a flood frame by frame, nor keep all of it', async () => {
    const attacks = Array.from({length: 1000}, (_, i) => ({atMs: 1000 + i}))
    const {report} = await guarded(vm(), attacks)
    expect(report.attempts).toHaveLength(200)
    expect(report.unlisted).toBe(800)
    expect(report.asks).toBeLessThan(120)
    expect(report.holds).toBe(true)
  })

  it('ends when it is aborted', async () => {
    const world = fakeWorld({onSend: vmBehind(vm(), IP)})
    const link = await world.openLink('eth0')
    const stop = new AbortController()
    void world.sleep(1500).then(() => stop.abort(new Error('enough')))
    const request = {gateway: {ip: IP, mac: BY}, vm: vm(), forMs: 60_000, gateways: []}
    await expect(guard(link, world, request, stop.signal)).rejects.toThrow('enough')
  })
})
