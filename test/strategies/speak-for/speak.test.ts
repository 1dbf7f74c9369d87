// Rounds, answers and entries on a port and tables in memory.
import {describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import type {NeighbourEntry, NeighbourTables} from '../../../src/net/neighbour-tables.ts'
import type {World} from '../../../src/net/world.ts'
import {judgeKnown} from '../../../src/strategies/speak-for/judge.ts'
import type {SpeakPlan} from '../../../src/strategies/speak-for/plan.ts'
import {type Mouth, speak} from '../../../src/strategies/speak-for/speak.ts'
import {speakInSwitch} from '../../../src/strategies/speak-for/speak-in-place.ts'
import {arpFrame, icmpFrame, parseFrame} from '../../../src/wire/frames.ts'
import {icmpv6Frame} from '../../../src/wire/icmpv6.ts'
import {type FakeWorld, fakeWorld} from '../../support/world.ts'

const BY = '02:00:00:00:0b:02'
const never = new AbortController().signal
const PLAN: SpeakPlan = {
  vm: {name: 'db-03', ip: '10.1.0.10', ip6: [], mac: '02:00:00:00:01:10'},
  ...{port: 'eth0', vlan: null, leg: null, scheduleMs: [0, 50, 200, 450, 800]},
  gateway: {name: 'by', mac: BY, ip: '10.1.0.254', ip6: null},
}

/** A gateway that answers the VM's ARP, and hands the answers to its echoes in. */
const answering = (frame: Uint8Array, world: FakeWorld, by = BY): void => {
  const asked = parseFrame(frame)
  const towards = {destination: PLAN.vm.mac, source: by}
  if (asked.kind === 'arp') {
    const sender = {senderMac: by, senderIp: asked.arp.targetIp}
    world.deliver(arpFrame(towards, {operation: 2, ...sender, targetMac: PLAN.vm.mac, targetIp: asked.arp.senderIp}))
  }
  if (asked.kind === 'icmp' && asked.icmp.kind === 'echo-request') {
    const ends = {source: asked.ip.destination, destination: asked.ip.source}
    world.deliver(icmpFrame(towards, ends, {...asked.icmp, kind: 'echo-reply'}))
  }
}

const portOf =
  (world: FakeWorld): Mouth['atPort'] =>
  async (use) => {
    await using link = await world.openLink('eth0')
    return await use(link)
  }

/** A host whose routing daemon takes the entry away and withdraws the old site's host route when it is told. */
function host(world: FakeWorld, {withdrawnMs, deletesAtMs}: {withdrawnMs: number; deletesAtMs?: number}) {
  const startedNs = world.now()
  const atMs = (): number => Number(world.now() - startedNs) / 1e6
  let entry: NeighbourEntry | undefined = withdrawnMs > 0 ? {mac: PLAN.vm.mac, external: true} : undefined
  let deleted = false
  const writes: number[] = []
  const tables: NeighbourTables = {
    entry() {
      if (deletesAtMs !== undefined && !deleted && atMs() >= deletesAtMs) {
        deleted = true
        entry = undefined
      }
      return entry
    },
    write(_leg, _ip, mac) {
      writes.push(Math.round(atMs()))
      entry = {mac, external: false}
    },
    wayTo: () => (atMs() < withdrawnMs ? 'br5000' : 'br100'),
    close: () => {},
  }
  return {tables, writes}
}

describe('speaking for a VM', () => {
  it('goes through the whole schedule where the gateway is elsewhere, and says who answered', async () => {
    const world = fakeWorld({onSend: (frame, to) => answering(frame, to)})
    const report = await speak(PLAN, {atPort: portOf(world), tables: undefined, echoTo: ['203.0.113.10']}, world, never)
    expect(report.events.filter(({kind}) => kind === 'ask')).toHaveLength(5)
    expect(judgeKnown(PLAN, report)).toEqual({
      verdict: 'known',
      evidence: [
        `by answered db-03 for 10.1.0.254 from ${BY} after 0.1 ms`,
        `an answer of 203.0.113.10 reached db-03 through ${BY}`,
      ],
    })
  })

  it('claims nothing where nobody answers', async () => {
    const world = fakeWorld()
    const report = await speak(PLAN, {atPort: portOf(world), tables: undefined}, world, never)
    expect(judgeKnown(PLAN, report)).toEqual({verdict: 'unanswered', evidence: ['by did not answer db-03']})
  })

  it('takes no answer of another MAC for that of the gateway, and hears on', async () => {
    const other = '02:00:00:00:0a:02'
    const world = fakeWorld({onSend: (frame, to) => answering(frame, to, other)})
    const report = await speak(PLAN, {atPort: portOf(world), tables: undefined}, world, never)
    expect(judgeKnown(PLAN, report)).toEqual({
      verdict: 'unanswered',
      evidence: ['by did not answer db-03', `${other}, not by (${BY}), answered db-03 for 10.1.0.254 after 0.1 ms`],
    })
    const asked = {...PLAN, gateway: {...PLAN.gateway, mac: null}}
    expect(judgeKnown(asked, report)).toMatchObject({verdict: 'known'})
  })

  it.each([
    {solicited: true, verdict: 'known'},
    {solicited: false, verdict: 'unanswered'},
  ])('reads a neighbour advertisement, solicited $solicited, as $verdict', async ({solicited, verdict}) => {
    const [ip6, target] = ['2001:db8:1::10', '2001:db8:1::2']
    const world = fakeWorld({
      onSend(_frame, to) {
        const advertisement = {
          kind: 'neighbour-advertisement',
          router: true,
          solicited,
          override: true,
          target,
        } as const
        const options = [{kind: 'target-link-layer-address', mac: BY}] as const
        const towards = {destination: PLAN.vm.mac, source: BY}
        to.deliver(icmpv6Frame(towards, {source: target, destination: ip6}, {...advertisement, options}))
      },
    })
    const plan = {...PLAN, vm: {...PLAN.vm, ip6: [ip6]}, gateway: {...PLAN.gateway, ip: null, ip6: target}}
    const report = await speak(plan, {atPort: portOf(world), tables: undefined}, world, never)
    expect(judgeKnown(plan, report)).toMatchObject({verdict})
  })

  it('ends with the first round where the entry at the own leg stands', async () => {
    const world = fakeWorld({onSend: (frame, to) => answering(frame, to)})
    const {tables, writes} = host(world, {withdrawnMs: 0})
    const plan = {...PLAN, leg: 'br100'}
    const report = await speak(plan, {atPort: portOf(world), tables}, world, never)
    expect(writes).toEqual([0])
    expect(report.events.filter(({kind}) => kind === 'ask').length).toBeLessThanOrEqual(2)
    expect(judgeKnown(plan, report)).toMatchObject({verdict: 'known'})
  })

  it('writes again what a routing daemon takes away, until the old site has withdrawn', async () => {
    const world = fakeWorld()
    const {tables, writes} = host(world, {withdrawnMs: 300, deletesAtMs: 250})
    const plan = {...PLAN, leg: 'br100'}
    const report = await speak(plan, {atPort: undefined, tables}, world, never)
    expect(writes).toEqual([0, 450])
    expect(judgeKnown(plan, report).evidence).toEqual([
      'br100 has 10.1.0.10 at 02:00:00:00:01:10 (written 2 times), and packets for it leave there; nothing to the contrary since 800 ms',
    ])
  })

  it('says so where the old site never does', async () => {
    const world = fakeWorld()
    const {tables} = host(world, {withdrawnMs: 1e9})
    const plan = {...PLAN, leg: 'br100'}
    expect(judgeKnown(plan, await speak(plan, {atPort: undefined, tables}, world, never))).toEqual({
      verdict: 'contested',
      evidence: [
        'packets for 10.1.0.10 still leave by br5000, not by br100: the old site has not withdrawn it (entry written once)',
      ],
    })
  })

  const broken: Mouth['atPort'] = async () => {
    throw new Failure('runtime', 'cannot open /dev/net/tun (ENOENT): modprobe tun')
  }

  it('keeps the entry at the own leg where the port cannot be spoken at, and says so', async () => {
    const world = fakeWorld()
    const {tables} = host(world, {withdrawnMs: 0})
    const plan = {...PLAN, leg: 'br100'}
    const report = await speak(plan, {atPort: broken, tables}, world, never)
    expect(report.events).toMatchObject([{kind: 'neighbour'}])
    expect(judgeKnown(plan, report)).toEqual({
      verdict: 'known',
      evidence: [
        'br100 has 10.1.0.10 at 02:00:00:00:01:10 (written once), and packets for it leave there',
        'nothing more was said at the port of db-03: cannot open /dev/net/tun (ENOENT): modprobe tun',
      ],
    })
  })

  it('fails where the port is all there is, but keeps what was said before the port went', async () => {
    const world = fakeWorld({onSend: (frame, to) => answering(frame, to)})
    await expect(speak(PLAN, {atPort: broken, tables: undefined}, world, never)).rejects.toThrow(/tun/)
    const goes: Mouth['atPort'] = async (use, signal) => {
      await portOf(world)!(use, signal)
      throw new Failure('runtime', 'eth0 is gone')
    }
    const report = await speak(PLAN, {atPort: goes, tables: undefined}, world, never)
    expect(judgeKnown(PLAN, report)).toMatchObject({
      verdict: 'contested',
      evidence: [/by answered/, 'nothing more was said at the port of db-03: eth0 is gone'].map((text) =>
        expect.stringMatching(text),
      ),
    })
  })

  it('keeps the entry no longer where the VM leaves its port in the middle', async () => {
    const world = fakeWorld()
    const {tables, writes} = host(world, {withdrawnMs: 300, deletesAtMs: 250})
    const leaves: Mouth['atPort'] = async (use) => {
      const left = new Failure('runtime', 'db-03 speaks elsewhere now')
      await using link = await world.openLink('eth0')
      return await use({
        ...link,
        send() {
          throw left
        },
      })
    }
    const plan = {...PLAN, leg: 'br100'}
    const report = await speak(plan, {atPort: leaves, tables}, world, never)
    expect(writes).toEqual([0])
    expect(judgeKnown(plan, report)).toMatchObject({
      verdict: 'contested',
      evidence: [expect.anything(), 'nothing more was said at the port of db-03: db-03 speaks elsewhere now'],
    })
  })

  it('says in a switch whatever went wrong, and undoes nothing', async () => {
    const said: string[] = []
    const world: World = {
      ...fakeWorld(),
      speaker: async () => {
        throw new TypeError('a bug')
      },
    }
    await speakInSwitch(PLAN, {world, signal: never, observe: ({text}) => said.push(text)})
    expect(said).toEqual(['db-03 is not made known any further: a bug'])
  })

  it('blames nobody where there is no way at all', async () => {
    const plan = {...PLAN, leg: 'br100'}
    const kept = {ip: PLAN.vm.ip, writes: 1, contested: true, calm: 0, settled: false, way: undefined, afterMs: 0}
    expect(judgeKnown(plan, {startedNs: 0n, events: [], answers: [], inbound: undefined, kept: [kept]})).toEqual({
      verdict: 'contested',
      evidence: ['there is no way to 10.1.0.10 here (entry written once)'],
    })
  })
})
