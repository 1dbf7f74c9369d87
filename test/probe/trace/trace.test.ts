import {describe, expect, it} from 'vitest'
import type {TraceEvidence} from '../../../src/domain/trace/evidence.ts'
import type {Step} from '../../../src/domain/trace/plan.ts'
import {judge} from '../../../src/domain/trace/verdict.ts'
import {Failure} from '../../../src/errors.ts'
import {checkOrder, type TraceOrder, traceRequest} from '../../../src/orders/trace/run-trace.ts'
import {alternativeHops, currentHop} from '../../../src/probe/trace/candidates.ts'
import {POLITE} from '../../../src/probe/trace/pacer.ts'
import {startRun} from '../../../src/probe/trace/run.ts'
import {trace} from '../../../src/probe/trace/trace.ts'
import {icmpFrame, parseFrame} from '../../../src/wire/frames.ts'
import {parseQuoted} from '../../../src/wire/quote.ts'
import {seeded} from '../../domain/trace/evidence-maker.ts'
import {ethernetInterface, type FakeWorld} from '../../support/world.ts'
import {type Behaviour, DESTINATION, network, order, ROUTE, RX, RY, through, traceOver, VM} from './network.ts'

const TROMBONE = through({[RX]: 20.5, [RY]: 0.2})
const counted = ({pairs}: TraceEvidence) => pairs.filter(({warmUp}) => !warmUp)

describe('a trace', () => {
  it.each<[string, Behaviour, Partial<TraceOrder>, string]>([
    ['a trombone', TROMBONE, {}, 'detour'],
    ['no penalty', through({[RX]: 20.5, [RY]: 20.4}), {}, 'no-penalty'],
    ['the one in use is faster', through({[RX]: 0.2, [RY]: 20.4}), {}, 'current-better'],
    ['nothing answers', () => undefined, {}, 'destination-silent'],
    ['the other one is dead', through({[RX]: 20.5}), {}, 'alternative-dead'],
    ['the one in use is dead', through({[RY]: 0.2}), {}, 'current-dead'],
    ['few pairs were asked for', TROMBONE, {pairs: 9}, 'detour'],
    [
      'large packets vanish behind the other one',
      (arrival) => (arrival.via === RY && arrival.length > 1400 ? undefined : TROMBONE(arrival)),
      {},
      'drops-large',
    ],
    [
      'TCP vanishes behind the other one',
      (arrival) => (arrival.via === RY && arrival.protocol === 'tcp' ? undefined : TROMBONE(arrival)),
      {},
      'drops-tcp',
    ],
  ])('finds: %s', async (_name, behaviour, over, reason) => {
    const world = network(behaviour)
    const {evidence, judgement} = await traceOver(world, over)
    expect(judgement.reason).toBe(reason)
    expect(evidence.complete).toBe(true)
    expect(world.openLinks).toBe(0)
  })

  it('takes nine pairs, and about a second, where all is calm', async () => {
    const {evidence} = await traceOver(network(TROMBONE))
    expect(counted(evidence)).toHaveLength(9)
    expect(evidence.durationMs).toBeLessThan(2000)
    expect(evidence.alternatives[0]!.works).toMatchObject({
      small: {sent: 1, answered: 1},
      syn: {sent: 1, answered: 1},
      full: {sent: 1, answered: 1, bytes: 1500, mtu: null},
    })
    expect(evidence.current.works).toBeNull()
  })

  it('that goes on and on keeps as many pairs as it is told to, and what the hops were while it asks again', async () => {
    const world = network(TROMBONE)
    const run = startRun(world, {pace: POLITE, timeoutMs: 1000})
    const hops: number[] = []
    let again = 0
    const request = {
      ...(await traceRequest({ip: DESTINATION, name: null}, order({pairs: 60}), undefined, world)),
      keep: 30,
      next({current}: TraceEvidence, mayGoOn: boolean): Step {
        hops.push(current.hops.filter(({replies}) => replies.length > 0).length)
        if (hops.at(-1)! > 0 && again++ % 10 === 5) return {kind: 'again', ageMs: 0}
        return mayGoOn ? {kind: 'pairs'} : {kind: 'done', hops: false}
      },
    }
    const {pairs} = await trace(run, request, new AbortController().signal)
    expect(pairs.map(({index}) => index)).toEqual(Array.from({length: 30}, (_, i) => i + 31))
    expect(again).toBeGreaterThan(20)
    // The destination is behind the first hop, from the first scan to the last.
    expect(new Set(hops.slice(hops.indexOf(2)))).toEqual(new Set([2]))
    await run.close()
  })

  it('goes on to as many pairs as were asked for while it cannot tell', async () => {
    // The difference lies on both sides of the threshold of 10 ms.
    let n = 0
    const {evidence} = await traceOver(network(({via}) => (via === RX ? 19 + (n++ % 2) * 12 : 15)))
    expect(counted(evidence)).toHaveLength(60)
  })

  it('does not take chance losses for packets that vanish', async () => {
    // 40 % are lost, whatever they are: now and then three large ones in a row.
    for (let seed = 1; seed <= 20; seed++) {
      const random = seeded(seed)
      const world = network((arrival) => (random() < 0.4 ? undefined : TROMBONE(arrival)))
      const {judgement} = await traceOver(world)
      expect(['detour', 'too-few-pairs', 'ci-straddles-threshold']).toContain(judgement.reason)
    }
  })

  it('gives each exit identities of its own, and what is tried alone fresh ones', async () => {
    const seen = new Map<string, Set<string>>()
    const world = network((arrival) => {
      const vias = seen.get(arrival.via) ?? new Set()
      seen.set(arrival.via, vias.add(`${arrival.protocol} ${arrival.identity}`))
      return TROMBONE(arrival)
    })
    await traceOver(world)
    const [current, alternative] = [seen.get(RX)!, seen.get(RY)!]
    expect([...current].filter((identity) => alternative.has(identity))).toEqual([])
    // Four flows; and an echo, a SYN and a large echo through the alternative alone.
    expect(current.size).toBe(4)
    expect(alternative.size).toBe(4 + 3)
  })

  it('takes a firewall that lets in what it knows from the other exit for what it is: dead', async () => {
    // Answers to probes through ry come back through a firewall at rx, which knows only what went out there.
    const known = new Set<number>()
    const world = network((arrival) => {
      if (arrival.via === RX) known.add(arrival.identity)
      return known.has(arrival.identity) ? TROMBONE(arrival) : undefined
    })
    expect((await traceOver(world)).judgement).toMatchObject({reason: 'alternative-dead', exitCode: 12})
  })

  it('asks by TCP where echoes are not answered', async () => {
    const world = network((arrival) => (arrival.protocol === 'icmp' ? undefined : TROMBONE(arrival)))
    const {evidence, judgement} = await traceOver(world)
    expect(evidence.probe).toMatchObject({protocol: 'tcp', port: 33_434, silent: ['icmp']})
    expect(judgement.reason).toBe('detour')
  })

  it('asks by TCP where only one exit drops echoes', async () => {
    const world = network((arrival) =>
      arrival.protocol === 'icmp' && arrival.via === RY ? undefined : TROMBONE(arrival),
    )
    const {evidence, judgement} = await traceOver(world)
    expect(evidence.probe.protocol).toBe('tcp')
    expect(judgement.reason).toBe('detour')
    expect(judgement.flags.map(({code}) => code)).toContain('protocol-changed')
  })

  it('sees TCP flows that take another way than echoes, before it says that there is no detour', async () => {
    const world = network(({via, protocol, identity}) =>
      via === RY ? 20.4 : protocol === 'tcp' && identity % 2 === 0 ? 20.5 : 0.3,
    )
    const {evidence, judgement} = await traceOver(world)
    expect(judgement).toMatchObject({reason: 'flows-disagree', exitCode: 11})
    expect(judgement.chosen!.because).toEqual([
      '3 of 6 TCP flows through the exit in use take 20.2 ms longer than echoes, or more',
    ])
    expect(evidence.current.tcpFlows!.map(({sent}) => sent).toSorted()).toEqual([1, 1, 1, 3, 3, 3])
  })

  it.each([10, 5, 1])('is not taken in by a destination that answers %i a second', async (perSecond) => {
    let free = 0
    const world = network((arrival) => {
      if (arrival.atMs < free) return undefined
      free = arrival.atMs + 1000 / perSecond
      return TROMBONE(arrival)
    })
    const {evidence, judgement} = await traceOver(world)
    expect(judgement.reason).toBe('detour')
    expect(evidence.probe.limited).toBe(true)
    expect(evidence.probe.gapMs).toBeGreaterThanOrEqual(1000 / perSecond)
  })

  it('judges by what came after, where the path changed, and asks first hops again', async () => {
    const world = network((arrival) => (arrival.via === RX ? 20.5 : arrival.atMs < 700 ? 20.4 : 0.2))
    const {evidence, judgement} = await traceOver(world)
    expect(judgement.reason).toBe('detour')
    expect(evidence.probe.afreshAtMs).toBeGreaterThan(700)
    expect(judgement.flags.map(({code}) => code)).toContain('path-changed')
  })

  it('keeps a redirect that every probe causes once, with the time when it was heard last', async () => {
    const world = network(TROMBONE)
    const {openLink} = world
    const advice = (bytes: Uint8Array): Uint8Array =>
      icmpFrame(
        {destination: VM.mac, source: RY},
        {source: '10.0.0.2', destination: '10.0.0.10'},
        {kind: 'redirect', code: 1, gateway: '10.0.0.1', quoted: parseQuoted(bytes.subarray(14))},
      )
    world.openLink = async (...args: Parameters<typeof openLink>) => {
      const link = await openLink(...args)
      const send = (bytes: Uint8Array) => {
        if (parseFrame(bytes).kind === 'icmp') world.deliver(advice(bytes), 1)
        return link.send(bytes)
      }
      return {...link, send}
    }
    const {evidence} = await traceOver(world)
    const {redirectsSeen} = evidence.integrity
    expect(redirectsSeen).toMatchObject([{from: '10.0.0.2', mac: RY, gateway: '10.0.0.1'}])
    const last = evidence.pairs.at(-1)!.sentAtMs
    expect(redirectsSeen[0]!.atMs).toBeGreaterThan(last)
    expect(redirectsSeen[0]!.atMs).toBeLessThanOrEqual(evidence.durationMs)
  })

  it('drops what was under way when somebody set the clock', async () => {
    let step = 0n
    const world = network(through({[RX]: 220.5, [RY]: 200.2}))
    const now = world.now
    world.now = () => now() + step
    void world.sleep(300).then(() => {
      step = 5_000_000n
    })
    const {evidence, judgement} = await traceOver(world)
    expect(evidence.integrity.clockSteps.length).toBeGreaterThan(0)
    expect(judgement.flags.map(({code}) => code)).toContain('clock-stepped')
    expect(judgement.reason).toBe('detour')
    for (const {viaCurrent} of evidence.pairs) expect(viaCurrent.rttMs).toBeCloseTo(220.5, 3)
  })

  it('cannot compare the gateway in use with itself', async () => {
    const {judgement} = await traceOver(network(through({[RX]: 20.5})), {via: [`10.0.0.2=${RX}`]})
    expect(judgement).toMatchObject({reason: 'first-hop-not-selectable', exitCode: 11})
  })

  it('measures at its own clock what the network took', async () => {
    const {evidence} = await traceOver(network(TROMBONE))
    for (const pair of evidence.pairs) {
      expect(pair.viaCurrent.rttMs).toBeCloseTo(20.5, 3)
      expect(pair.viaAlternative).toMatchObject({returnMac: RY})
    }
    expect(evidence.current.firstHop).toHaveLength(3)
    expect(evidence.current.firstHop[0]).toEqual({
      rttMs: expect.closeTo(20, 3),
      responder: '10.0.0.1',
      returnMac: RX,
      reached: false,
    })
    expect(new Set(evidence.pairs.map(({flow}) => flow))).toEqual(new Set([0, 1, 2, 3]))
  })

  it('keeps the promised rate in every second', async () => {
    const at: number[] = []
    const world = network(TROMBONE)
    const send = world.onSend!
    world.onSend = (bytes, fake) => {
      at.push(Number(fake.monotonic()) / 1e6)
      send(bytes, fake)
    }
    await traceOver(world, {pairs: 40, minPenaltyMs: 20.3}, {pace: {perSecond: 12, perRouter: 10}})
    expect(at.length).toBeGreaterThan(60)
    for (const start of at)
      expect(at.filter((each) => each >= start && each < start + 1000).length).toBeLessThanOrEqual(12)
  })

  it('is void if the route changes meanwhile', async () => {
    let asked = 0
    const world = network(TROMBONE, {routeTo: async () => (++asked > 3 ? {...ROUTE, gateway: '10.0.0.2'} : ROUTE)})
    expect((await traceOver(world)).judgement.reason).toBe('route-changed')
  })

  it('says that it is not complete when it is stopped, and judges what there is', async () => {
    const world = network(TROMBONE)
    const stop = new AbortController()
    void world.sleep(400).then(() => stop.abort(new Error('Ctrl-C')))
    const {evidence, judgement} = await traceOver(world, {}, {signal: stop.signal})
    expect(evidence.complete).toBe(false)
    expect(judgement.reason).toBe('too-few-pairs')
    expect(judge(evidence).reason).toBe(judgement.reason)
  })

  it('keeps what there is when the interface goes down', async () => {
    const world = network(TROMBONE)
    const open = world.openLink
    world.openLink = async (name, options) => {
      const link = await open(name, options)
      const send = link.send
      let sent = 0
      return {
        ...link,
        send(frame) {
          if (++sent > 15) throw new Failure('runtime', 'eth0 went down')
          return send(frame)
        },
      }
    }
    const {evidence, judgement} = await traceOver(world)
    expect(evidence).toMatchObject({complete: false, integrity: {linkLost: 'eth0 went down'}})
    expect(counted(evidence).every(({viaCurrent}) => viaCurrent.rttMs !== null)).toBe(true)
    expect(counted(evidence)).not.toHaveLength(0)
    expect(judgement).toMatchObject({reason: 'too-few-pairs', exitCode: 11})
    expect(judgement.flags).toContainEqual({code: 'incomplete', detail: 'the run was cut short: eth0 went down'})
  })

  it.each<[string, Partial<FakeWorld>, Partial<TraceOrder>, string, RegExp]>([
    ['without a route', {routeTo: async () => undefined}, {}, 'runtime', /no route to 203\.0\.113\.10/],
    ['to what is on-link', {routeTo: async () => ({...ROUTE, gateway: undefined})}, {}, 'usage', /is on-link on eth0/],
    [
      'with a gateway that is gone',
      {resolveNeighbour: async () => undefined},
      {},
      'runtime',
      /the gateway 10\.0\.0\.1 does not answer ARP/,
    ],
    ['via nonsense', {}, {via: ['10.0.0']}, 'usage', /--via 10\.0\.0 is no gateway/],
    ['via a bad MAC', {}, {via: ['10.0.0.2=02:00']}, 'usage', /no IP=MAC/],
    ['via a multicast MAC', {}, {via: ['10.0.0.2=01:00:5e:00:00:01']}, 'usage', /no station's MAC/],
    ['via the gateway in use', {}, {via: ['10.0.0.1']}, 'usage', /is the gateway in use/],
    [
      'via what is not on the segment',
      {},
      {via: ['10.9.0.2']},
      'usage',
      /not on the segment of eth0 \(10\.0\.0\.0\/24\)/,
    ],
    ['via its MAC, not on the segment', {}, {via: [`10.9.0.2=${RY}`]}, 'usage', /not on the segment/],
    ['via what does not answer', {}, {via: ['10.0.0.9']}, 'runtime', /10\.0\.0\.9 does not answer ARP on eth0/],
    [
      'from what is not its own',
      {},
      {source: '10.0.0.99'},
      'usage',
      /--source 10\.0\.0\.99 is no address of this host/,
    ],
  ])('refuses to trace %s', async (_name, over, more, kind, message) => {
    const run = traceOver(network(TROMBONE, over), more)
    await expect(run).rejects.toThrow(message)
    await expect(run).rejects.toMatchObject({kind})
  })
})

describe('an order', () => {
  it.each([
    ['203.0.113', /203\.0\.113 is not an IPv4 address/],
    ['203.0.113.300', /not an IPv4 address/],
    ['224.0.0.1', /no address of one host/],
    ['127.0.0.1', /no address of one host/],
    ['2001:db8::g', /is not an IPv6 address/],
  ])('to %s is refused before anything is sent', (destination, message) => {
    expect(() => checkOrder([destination], order(), undefined)).toThrow(message)
  })

  it('wants a destination, and a good --via, first of all', () => {
    expect(() => checkOrder([], order(), undefined)).toThrow(/no destination/)
    expect(() => checkOrder([DESTINATION], order({via: ['10.0.0']}), undefined)).toThrow(/--via/)
  })
})

describe('the first hop in use', () => {
  const question = {destination: {ip: DESTINATION}, gateways: []}

  it('is the one in the routing table where a redirect covers it', async () => {
    const world = network(() => undefined, {
      routeTo: async () => ({...ROUTE, gateway: '10.0.0.2', redirected: true}),
      tableGateway: async () => '10.0.0.1',
    })
    expect((await currentHop(world, question)).candidate).toMatchObject({ip: '10.0.0.1', mac: RX, macSource: 'neigh'})
  })

  it('is left out of the alternatives, by MAC: their IPs may be one', async () => {
    const world = network(() => undefined)
    const current = await currentHop(world, {...question, gateways: [{name: 'rx', ip: '10.0.0.1', mac: RX}]})
    expect(current.candidate.name).toBe('rx')
    const hop = (name: string, mac: string) => ({name, ip: '10.0.0.1', mac, macSource: 'inventory' as const})
    const {candidates} = await alternativeHops(world, [hop('rx', RX), hop('ry', RY), hop('ry', RY)], current, false)
    expect(candidates.map(({mac}) => mac)).toEqual([RY])
  })

  it('is asked for by source and mark, and tells what else the host does', async () => {
    const asked: unknown[] = []
    const two = ethernetInterface({...VM, addresses: [...VM.addresses, {ip: '10.0.0.77', prefixLength: 24}]})
    const world = network(() => undefined, {
      interfaces: async () => [two],
      routeTo: async (_, key) => {
        asked.push(key)
        return ROUTE
      },
      routingFacts: async () => ({nextHops: [], otherDefaults: [], rules: ['fwmark 0x7 lookup 100']}),
    })
    const hop = await currentHop(world, {...question, source: '10.0.0.77', mark: 7})
    expect(asked).toEqual([{interfaceName: undefined, source: '10.0.0.77', mark: 7}])
    expect(hop.source).toBe('10.0.0.77')
    expect(hop.routing).toMatchObject({rules: ['fwmark 0x7 lookup 100'], otherSources: ['10.0.0.10']})
  })

  it('sends nothing but its probes and never a frame to another than the two gateways', async () => {
    const world = network(TROMBONE)
    await traceOver(world)
    const macs = new Set(world.sent.map((frame) => parseFrame(frame).ethernet.destination))
    expect(macs).toEqual(new Set([RX, RY]))
  })
})
