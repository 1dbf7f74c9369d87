import {describe, expect, it} from 'vitest'
import {judge} from '../../src/domain/trace/verdict.ts'
import type {InterfaceFacts, Neighbour, Route} from '../../src/net/ip.ts'
import {runTrace, type TraceOrder} from '../../src/orders/trace/run-trace.ts'
import {alternativeHops, currentHop} from '../../src/probe/trace/candidates.ts'
import {hopScan} from '../../src/probe/trace/hop-scan.ts'
import type {ProbeAnswer} from '../../src/probe/trace/prober.ts'
import {parseEthernet} from '../../src/wire/ethernet.ts'
import {icmpFrame} from '../../src/wire/frames.ts'
import {parseIcmp} from '../../src/wire/icmp.ts'
import {parseIpv4} from '../../src/wire/ipv4.ts'
import {parseQuoted} from '../../src/wire/quote.ts'
import {ethernetInterface, type FakeWorld, fakeWorld} from '../support/world.ts'

const RX = '02:00:00:00:0a:01'
const RY = '02:00:00:00:0b:01'
const VM: InterfaceFacts = ethernetInterface({
  mac: '02:00:00:00:00:10',
  addresses: [{ip: '10.0.0.10', prefixLength: 24}],
})
const ROUTE: Route = {
  gateway: '10.0.0.1',
  interface: 'eth0',
  source: '10.0.0.10',
  redirected: false,
  expiresS: undefined,
}
const NEIGHBOURS: Neighbour[] = [
  {ip: '10.0.0.1', mac: RX, state: 'REACHABLE'},
  {ip: '10.0.0.2', mac: RY, state: 'STALE'},
]

/** A network behind two gateways: how long the destination takes through each, in ms; undefined: it never answers. */
function network(rttMs: {[RX]?: number; [RY]?: number}, over: Partial<FakeWorld> = {}): FakeWorld {
  const world = fakeWorld({
    interfaces: [VM],
    onSend(bytes, fake) {
      const frame = parseEthernet(bytes)
      const packet = parseIpv4(frame.payload)
      const icmp = parseIcmp(packet.payload)
      const hop = frame.destination === RX ? {router: '10.0.0.1', near: 20} : {router: '10.0.0.2', near: 0.1}
      const back = {destination: VM.mac, source: RY}
      const to = {destination: packet.source}
      if (packet.ttl === 1) {
        const quoted = parseQuoted(frame.payload)
        fake.deliver(
          icmpFrame(back, {...to, source: hop.router}, {kind: 'time-exceeded', code: 0, quoted, extensions: []}),
          hop.near,
        )
      } else if (icmp.kind === 'echo-request') {
        const rtt = rttMs[frame.destination as typeof RX]
        if (rtt !== undefined)
          fake.deliver(icmpFrame(back, {...to, source: packet.destination}, {...icmp, kind: 'echo-reply'}), rtt)
      }
    },
  })
  return Object.assign(world, {
    routeTo: async () => ROUTE,
    neighbours: async () => NEIGHBOURS,
    resolveNeighbour: async (ip: string) => NEIGHBOURS.find((each) => each.ip === ip),
    ...over,
  })
}

const order = (over: Partial<TraceOrder> = {}): TraceOrder => ({
  interfaceName: undefined,
  via: ['10.0.0.2'],
  site: undefined,
  pairs: 60,
  flows: 4,
  intervalMs: 200,
  timeoutMs: 1000,
  minPenaltyMs: undefined,
  failOnInbound: false,
  ...over,
})
const traceOver = (world: FakeWorld, over: Partial<TraceOrder> = {}, signal?: AbortSignal) =>
  runTrace('203.0.113.10', order(over), undefined, world, {}, signal)

describe('runTrace', () => {
  it.each([
    ['a trombone', {[RX]: 20.5, [RY]: 0.2}, {}, 'detour', 20],
    ['no penalty', {[RX]: 20.5, [RY]: 20.4}, {}, 'no-penalty', 20],
    ['the one in use is faster', {[RX]: 0.2, [RY]: 20.4}, {}, 'current-better', 20],
    ['nothing answers', {}, {}, 'destination-silent', 20],
    ['the other one is dead', {[RX]: 20.5}, {}, 'alternative-dead', 20],
    ['the one in use is dead', {[RY]: 0.2}, {}, 'current-dead', 20],
    ['as many pairs as asked for', {[RX]: 20.5, [RY]: 0.2}, {pairs: 12}, 'detour', 12],
  ] as const)('%s', async (_name, rtts, over, reason, pairs) => {
    const world = network(rtts)
    const {evidence, judgement} = await traceOver(world, over)
    expect(judgement.reason).toBe(reason)
    expect(evidence.pairs.filter(({warmUp}) => !warmUp)).toHaveLength(pairs)
    expect(evidence.complete).toBe(true)
    expect(world.openLinks).toBe(0)
  })

  it('goes on to 40 and 60 pairs while it cannot tell', async () => {
    // The difference lies around the threshold of 10 ms, to both sides of it.
    let n = 0
    const world = network({}, {})
    const noisy = network({
      get [RX]() {
        return 4 + (n++ % 2) * 12
      },
      [RY]: 0.2,
    })
    expect((await traceOver(noisy)).evidence.pairs.filter(({warmUp}) => !warmUp)).toHaveLength(60)
    expect(world.openLinks).toBe(0)
  })

  it('cannot compare the gateway in use with itself', async () => {
    const {judgement} = await traceOver(network({[RX]: 20.5}), {via: [`10.0.0.2=${RX}`]})
    expect(judgement).toMatchObject({reason: 'first-hop-not-selectable', exitCode: 11})
  })

  it('measures at its own clock what the network took', async () => {
    const {evidence} = await traceOver(network({[RX]: 20.5, [RY]: 0.2}))
    for (const pair of evidence.pairs) {
      expect(pair.viaCurrent.rttMs).toBeCloseTo(20.5, 3)
      expect(pair.viaAlternative).toMatchObject({returnMac: RY})
    }
    expect(evidence.current.firstHop.length).toBeGreaterThanOrEqual(20)
    expect(evidence.current.firstHop[0]).toEqual({rttMs: expect.closeTo(20, 3), responder: '10.0.0.1', returnMac: RY})
    expect(new Set(evidence.pairs.map(({flow}) => flow))).toEqual(new Set([0, 1, 2, 3]))
    const order = evidence.pairs.map(({viaCurrent, viaAlternative}) => viaCurrent.rttMs! - viaAlternative.rttMs!)
    expect(Math.max(...order) - Math.min(...order)).toBeLessThan(0.001)
  })

  it('is void if the route changes meanwhile', async () => {
    let asked = 0
    const world = network(
      {[RX]: 20.5, [RY]: 0.2},
      {routeTo: async () => (++asked > 3 ? {...ROUTE, gateway: '10.0.0.2'} : ROUTE)},
    )
    expect((await traceOver(world)).judgement.reason).toBe('route-changed')
  })

  it('says that it is not complete when it is stopped, and judges what there is', async () => {
    const world = network({[RX]: 20.5, [RY]: 0.2})
    const stop = new AbortController()
    void world.sleep(1500).then(() => stop.abort(new Error('Ctrl-C')))
    const {evidence, judgement} = await traceOver(world, {}, stop.signal)
    expect(evidence.complete).toBe(false)
    expect(judgement.reason).toBe('too-few-pairs')
    expect(judge(evidence).reason).toBe(judgement.reason)
  })

  it.each<[string, string, Partial<FakeWorld>, Partial<TraceOrder>, string, RegExp]>([
    ['without a route', '203.0.113.10', {routeTo: async () => undefined}, {}, 'runtime', /no route to 203\.0\.113\.10/],
    [
      'to what is on-link',
      '10.0.0.77',
      {routeTo: async () => ({...ROUTE, gateway: undefined})},
      {},
      'usage',
      /is on-link on eth0/,
    ],
    [
      'with a gateway that is gone',
      '203.0.113.10',
      {resolveNeighbour: async () => undefined},
      {},
      'runtime',
      /the gateway 10\.0\.0\.1 does not answer ARP/,
    ],
    ['by no address', '203.0.113', {}, {}, 'usage', /203\.0\.113 is not an IPv4 address/],
    ['via nonsense', '203.0.113.10', {}, {via: ['10.0.0']}, 'usage', /--via 10\.0\.0 is no gateway/],
    ['via a bad MAC', '203.0.113.10', {}, {via: ['10.0.0.2=02:00']}, 'usage', /no IP=MAC/],
    ['via a multicast MAC', '203.0.113.10', {}, {via: ['10.0.0.2=01:00:5e:00:00:01']}, 'usage', /no station's MAC/],
    ['via the gateway in use', '203.0.113.10', {}, {via: ['10.0.0.1']}, 'usage', /is the gateway in use/],
  ])('refuses to trace %s', async (_name, destination, over, more, kind, message) => {
    const run = runTrace(destination, order(more), undefined, network({}, over), {})
    await expect(run).rejects.toThrow(message)
    await expect(run).rejects.toMatchObject({kind})
  })
})

describe('the first hop in use', () => {
  it('is the one in the routing table where a redirect covers it', async () => {
    const world = network(
      {},
      {routeTo: async () => ({...ROUTE, gateway: '10.0.0.2', redirected: true}), tableGateway: async () => '10.0.0.1'},
    )
    expect((await currentHop(world, '203.0.113.10', undefined, [])).candidate).toMatchObject({
      ip: '10.0.0.1',
      mac: RX,
      macSource: 'neigh',
    })
  })

  it('is left out of the alternatives, by MAC: their IPs may be one', async () => {
    const world = network({})
    const current = await currentHop(world, '203.0.113.10', undefined, [{name: 'rx', ip: '10.0.0.1', mac: RX}])
    expect(current.candidate.name).toBe('rx')
    const hop = (name: string, mac: string) => ({name, ip: '10.0.0.1', mac, macSource: 'inventory' as const})
    expect(
      (await alternativeHops(world, [hop('rx', RX), hop('ry', RY), hop('ry', RY)], current, false)).map(({mac}) => mac),
    ).toEqual([RY])
  })
})

describe('hopScan', () => {
  const reached = {
    kind: 'reached',
    rttMs: 1,
    returnMac: RY,
    packet: {source: '203.0.113.10', ttl: 61},
  } as unknown as ProbeAnswer
  const expired = {
    kind: 'expired',
    rttMs: 1,
    returnMac: RY,
    quotedTtl: 1,
    packet: {source: '172.16.0.1', ttl: 63},
    icmp: {extensions: []},
  } as unknown as ProbeAnswer

  it('goes up to the destination, then back for more samples', () => {
    const scan = hopScan()
    const asked: (number | undefined)[] = []
    for (let i = 0; i < 9; i++) {
      const ttl = scan.next()
      asked.push(ttl)
      if (ttl !== undefined) scan.heard(ttl, ttl >= 4 ? reached : expired)
    }
    expect(asked).toEqual([2, 3, 4, 2, 3, 2, 3, undefined, undefined])
    expect(scan.hops().map(({ttl, sent}) => [ttl, sent])).toEqual([
      [1, 0],
      [2, 3],
      [3, 3],
      [4, 1],
    ])
  })

  it('gives up after five silent ones in a row, and cuts them off', () => {
    const scan = hopScan()
    scan.heard(1, expired)
    const asked = new Set<number>()
    for (let i = 0; i < 60; i++) {
      const ttl = scan.next()
      if (ttl !== undefined) asked.add(ttl)
    }
    expect(Math.max(...asked)).toBe(6)
    expect(scan.hops()).toHaveLength(1)
  })
})
