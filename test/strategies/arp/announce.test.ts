import {describe, expect, it} from 'vitest'
import {type AnnounceRequest, announce} from '../../../src/strategies/arp/announce.ts'
import {DEFAULT_SCHEDULE_MS} from '../../../src/strategies/arp/schedule.ts'
import {type FakeVm, vmBehind} from '../../support/vm.ts'
import {fakeWorld} from '../../support/world.ts'

const GATEWAY_IP = '10.1.0.254'
const NEW = '02:00:00:00:0b:02'
const OLD = '02:00:00:00:0a:02'
const vm = (over: Partial<FakeVm> = {}): FakeVm => ({
  ip: '10.1.0.10',
  mac: '02:00:00:00:01:10',
  gatewayMac: OLD,
  ...over,
})

async function run(behind: FakeVm, over: Partial<AnnounceRequest> = {}) {
  const world = fakeWorld({onSend: vmBehind(behind, GATEWAY_IP)})
  const link = await world.openLink('eth0')
  const report = await announce(link, world, {
    gateway: {ip: GATEWAY_IP, mac: NEW},
    vm: {ip: behind.ip, mac: behind.mac},
    forms: [{form: 'ask', fromMs: 0}],
    scheduleMs: DEFAULT_SCHEDULE_MS,
    listenMs: 1000,
    ...over,
  })
  return {report, kinds: report.events.map(({direction, kind}) => `${direction} ${kind}`), world}
}

describe('announce', () => {
  it('moves a VM with one frame and stops there', async () => {
    const {report, kinds} = await run(vm())
    expect(report).toMatchObject({verdict: 'moved', gatewayUsed: NEW})
    expect(kinds).toEqual(['out ask', 'out echo', 'in arp-reply', 'in echo-reply'])
    expect(report.movedAfterMs).toBeLessThan(1)
  })

  it.each([
    ['answers, but keeps a permanent entry', vm({permanent: true}), 'not-moved', OLD],
    ['answers ARP and drops ICMP', vm({dropsIcmp: true}), 'not-moved', undefined],
    ['answers nothing', vm({silent: true}), 'silent', undefined],
    [
      'is on the old gateway, whose frames do not pass here',
      vm({permanent: true, heard: (to) => to === NEW}),
      'not-moved',
      undefined,
    ],
  ] as const)('says so of a VM that %s, after the whole schedule', async (_name, behind, verdict, gatewayUsed) => {
    const {report, kinds} = await run(behind)
    expect(report.verdict).toBe(verdict)
    expect(report.gatewayUsed).toBe(gatewayUsed)
    expect(kinds.filter((kind) => kind === 'out ask')).toHaveLength(DEFAULT_SCHEDULE_MS.length)
  })

  it('goes on until a frame gets through', async () => {
    const {report, kinds} = await run(vm({lose: 4}))
    expect(report.verdict).toBe('moved')
    expect(kinds.filter((kind) => kind === 'out ask')).toHaveLength(3)
  })

  it('keeps to its schedule', async () => {
    const {report} = await run(vm({silent: true}))
    const offsets = report.events
      .filter(({kind}) => kind === 'ask')
      .map(({atNs}) => Number(atNs - report.startedNs) / 1e6)
    expect(offsets).toEqual(DEFAULT_SCHEDULE_MS)
  })

  it('lets a form join later', async () => {
    const forms = [{form: 'ask', fromMs: 0} as const, {form: 'reply', fromMs: 700} as const]
    const {kinds} = await run(vm({silent: true}), {forms})
    expect(kinds.filter((kind) => kind === 'out reply')).toHaveLength(3)
  })

  it('asks for a sign of life where the answer to its own frame would not pass here', async () => {
    const {report, kinds} = await run(vm({heard: (to) => to === NEW}), {gateway: {ip: GATEWAY_IP, mac: OLD}})
    expect(kinds).toContain('in alive')
    expect(report.verdict).toBe('not-moved')
  })

  it('tells without asking back where no VM is named', async () => {
    const world = fakeWorld()
    const link = await world.openLink('eth0')
    const forms = [{form: 'reply', fromMs: 0} as const, {form: 'request', fromMs: 0} as const]
    const report = await announce(link, world, {
      gateway: {ip: GATEWAY_IP, mac: NEW},
      forms,
      scheduleMs: [0, 100],
      listenMs: 1000,
    })
    expect(report.verdict).toBe('unchecked')
    expect(world.sent).toHaveLength(4)
  })

  it('ends between two frames when it is aborted', async () => {
    const world = fakeWorld({onSend: vmBehind(vm({silent: true}), GATEWAY_IP)})
    const link = await world.openLink('eth0')
    const stop = new AbortController()
    const running = announce(
      link,
      world,
      {
        gateway: {ip: GATEWAY_IP, mac: NEW},
        vm: vm(),
        forms: [{form: 'ask', fromMs: 0}],
        scheduleMs: [0, 1000],
        listenMs: 0,
      },
      stop.signal,
    )
    void world.sleep(500).then(() => stop.abort(new Error('enough')))
    await expect(running).rejects.toThrow('enough')
    expect(world.sent).toHaveLength(2)
  })
})
