// Destinations behind two gateways, watched while things change; over a network in memory, so that a minute takes none.
import {describe, expect, it} from 'vitest'
import type {WatchLine, WatchState} from '../../../src/domain/trace/watch.ts'
import {watchExit} from '../../../src/domain/trace/watch.ts'
import {Failure} from '../../../src/errors.ts'
import type {TracesOrder} from '../../../src/orders/trace/run-traces.ts'
import {runWatch} from '../../../src/orders/trace/run-watch.ts'
import {type Behaviour, network, order, ROUTE, RX, RY, through, VM} from '../../probe/trace/network.ts'
import type {FakeWorld} from '../../support/world.ts'

const DESTINATION = '203.0.113.10'
const SEVERAL = ['203.0.113.10', '203.0.113.11', '203.0.113.12']
const TROMBONE = through({[RX]: 20.5, [RY]: 0.2})

const atRate = (rate: number, over: Partial<TracesOrder> = {}): TracesOrder => {
  const {hops, ...rest} = order()
  return {...rest, rate, timeoutMs: 1000, destinations: undefined, svg: undefined, ...over}
}

/** The first way of the network until `ms`, then the second. */
const changing =
  (ms: number, before: Behaviour, after: Behaviour): Behaviour =>
  (arrival) =>
    (arrival.atMs < ms ? before : after)(arrival)

/** The time of a world, ms from now. */
function clockOf(world: Pick<FakeWorld, 'monotonic'>): () => number {
  const startedNs = world.monotonic()
  return () => Number(world.monotonic() - startedNs) / 1e6
}

type Watched = Partial<Pick<TracesOrder, 'rate' | 'via'>> & {readonly destinations?: readonly string[]}

/** Watches until `untilMs` of the world's time. */
async function watch(
  world: FakeWorld,
  untilMs: number,
  {destinations = [DESTINATION], rate = 25, ...over}: Watched = {},
) {
  const stop = new AbortController()
  const elapsed = clockOf(world)
  const lines: WatchLine[] = []
  const states: {readonly ms: number; readonly state: WatchState}[] = []
  const last = await runWatch(destinations, atRate(rate, over), undefined, {
    ...{world, signal: stop.signal},
    onSample(state, line) {
      const ms = elapsed()
      states.push({ms, state})
      if (line !== null) lines.push(line)
      if (ms > untilMs) stop.abort()
    },
  })
  return {last, lines, states}
}

const changesOf = ({changes}: WatchState) =>
  changes.map(({destination, what, from, to}) => [destination, what, from, to])

describe('a destination that is watched', () => {
  it('is judged after every sample, by those of the last seconds', async () => {
    const {last, states} = await watch(network(TROMBONE), 20_000)
    expect(watchExit(last)).toBe(10)
    expect(last.changes).toEqual([])
    const [{report, windowMs, strip}] = last.watched as [WatchState['watched'][number]]
    expect(windowMs).toBe(9000)
    expect(report!.egress).toMatchObject({verdict: 'trombone', reason: 'detour'})
    const sent = report!.pairs.map(({sentAtMs}) => sentAtMs)
    expect(Math.min(...sent)).toBeGreaterThanOrEqual(report!.durationMs - 9000)
    expect(strip.length).toBeGreaterThan(2 * sent.length)
    // No verdict before nine pairs; from then on one at every sample.
    const verdicts = states.map(({state}) => state.watched[0]!.report!.egress.reason)
    expect(verdicts.indexOf('detour')).toBeLessThan(12)
    expect(new Set(verdicts.slice(verdicts.indexOf('detour')))).toEqual(new Set(['detour']))
  })

  it('is told of once a second, and at once where something changes', async () => {
    const {last, lines} = await watch(network(changing(15_000, TROMBONE, through({[RX]: 50.5, [RY]: 90}))), 30_000)
    expect(lines.length).toBeGreaterThan(20)
    expect(lines.length).toBeLessThan(40)
    expect(changesOf(last)).toEqual([
      [DESTINATION, 'egress', 'trombone', 'none'],
      [DESTINATION, 'round trip', '20.5 ms', '50.5 ms'],
    ])
    const seen = last.changes.find(({what}) => what === 'egress')!
    const first = Date.parse(lines[0]!.at)
    // Whatever the window still has of before is cut off at the change.
    expect(Date.parse(seen.at) - first).toBeGreaterThan(13_000)
    expect(Date.parse(seen.at) - first).toBeLessThan(19_000)
    expect(watchExit(last)).toBe(0)
  })

  it('is watched through whatever gateway is in use, also one that it was compared with: that is a change', async () => {
    const world = network(TROMBONE)
    const elapsed = clockOf(world)
    world.routeTo = async () => ({...ROUTE, gateway: elapsed() < 6000 ? '10.0.0.1' : '10.0.0.2'})
    const {last, states} = await watch(world, 20_000)
    expect(changesOf(last)).toEqual([
      [DESTINATION, 'gateway', RX, RY],
      [DESTINATION, 'egress', 'trombone', 'none'],
      [DESTINATION, 'round trip', '20.5 ms', '0.2 ms'],
    ])
    const [{report, strip}] = last.watched as [WatchState['watched'][number]]
    expect(report!.candidates.map(({mac}) => mac)).toEqual([RY, RX])
    // The strip goes on over the change.
    expect([strip[0], strip.at(-1)]).toMatchObject([
      {differenceMs: expect.closeTo(20.3)},
      {differenceMs: expect.closeTo(-20.3)},
    ])
    const at = states.findIndex(({state}) => state.changes.length > 0)
    expect(states[at]!.ms).toBeLessThan(8000)
    // What was seen through the other gateway is no sample of this one.
    expect(states[at]!.state.watched[0]!.report!.egress.reason).toBe('too-few-pairs')
  })

  it('is compared with the gateway that was in use before, also if nobody named another', async () => {
    const world = network(TROMBONE)
    const elapsed = clockOf(world)
    world.routeTo = async () => ({...ROUTE, gateway: elapsed() < 10_000 ? '10.0.0.1' : '10.0.0.2'})
    const {last} = await watch(world, 30_000, {via: []})
    const {report} = last.watched[0]!
    expect(report!.candidates.map(({mac}) => mac)).toEqual([RY, RX])
    expect(report!.egress.verdict).toBe('none')
    expect(changesOf(last)).toContainEqual([DESTINATION, 'gateway', RX, RY])
  })

  it('is compared with no gateway of another interface', async () => {
    const world = network(TROMBONE, {interfaces: async () => [VM, {...VM, name: 'eth1'}]})
    const {openLink} = world
    const elapsed = clockOf(world)
    const other = {...ROUTE, interface: 'eth1', gateway: '10.0.0.2'}
    Object.assign(world, {
      routeTo: async () => (elapsed() < 10_000 ? ROUTE : other),
      openLink: (_name: string, ...rest: never[]) => openLink('eth0', ...rest),
    })
    const {last} = await watch(world, 20_000, {via: []})
    expect(changesOf(last)).toEqual([[DESTINATION, 'gateway', RX, RY]])
    expect(last.watched[0]!.report!.candidates.map(({mac}) => mac)).toEqual([RY])
  })

  it('is told of once a second also where there is nothing to compare with', async () => {
    const {last, lines} = await watch(network(TROMBONE), 20_000, {via: []})
    expect(last.watched[0]!.report!.egress.reason).toBe('no-alternative')
    expect(lines.length).toBeGreaterThan(15)
    expect(lines.length).toBeLessThanOrEqual(21)
    const at = lines.map((line) => Date.parse(line.at))
    expect(at.at(-1)! - at[0]!).toBeGreaterThan(17_000)
  })

  it('is asked again, every half minute, what was asked once', async () => {
    const small: Behaviour = (arrival) => (arrival.via === RY && arrival.length > 1400 ? undefined : TROMBONE(arrival))
    const {last} = await watch(network(changing(10_000, TROMBONE, small)), 60_000)
    expect(changesOf(last)).toContainEqual([DESTINATION, 'egress', 'trombone', 'local-exit-unusable'])
    expect(last.watched[0]!.report!.egress.reason).toBe('drops-large')
  })

  it('is silent for a while, and answers again', async () => {
    const silent = changing(10_000, TROMBONE, () => undefined)
    const {last, states} = await watch(network(changing(30_000, silent, TROMBONE)), 90_000)
    const reasons = new Set(states.map(({state}) => state.watched[0]!.report!.egress.reason))
    expect(reasons).toContain('destination-silent')
    expect(last.watched[0]!.report!.egress.reason).toBe('detour')
  })

  it('goes on over an interface that is gone for a while', async () => {
    const world = network(TROMBONE)
    const {openLink} = world
    const elapsed = clockOf(world)
    const gone = (): boolean => elapsed() > 5000 && elapsed() < 9000
    const failing = Object.assign(world, {
      openLink: async (...args: Parameters<typeof openLink>) => {
        const link = await openLink(...args)
        const send = (frame: Uint8Array) => {
          if (gone()) throw new Failure('runtime', 'eth0 is down')
          return link.send(frame)
        }
        return {...link, send}
      },
    })
    const {last, lines} = await watch(failing, 20_000)
    expect(lines.filter(({failure}) => failure !== null)[0]).toMatchObject({
      ...{egress: null, failure: 'eth0 is down', windowMs: 0, exitCode: 1},
    })
    expect(last.watched[0]).toMatchObject({failure: null, exitCode: 10})
    expect(world.openLinks).toBe(0)
  })

  it('that cannot be traced at all ends the watch, before a line', async () => {
    await expect(watch(network(TROMBONE, {routeTo: async () => undefined}), 1000)).rejects.toThrow('no route to')
  })
})

describe('several destinations', () => {
  it('take turns on the promised rate, each with a window that has room for its pairs', async () => {
    const world = network(TROMBONE)
    const {last} = await watch(world, 30_000, {destinations: SEVERAL})
    expect(world.sent.length / 30).toBeLessThanOrEqual(25.5)
    for (const {windowMs, report} of last.watched) {
      expect(windowMs).toBe(9000)
      expect(report!.egress.verdict).toBe('trombone')
      expect(report!.pairs.length).toBeGreaterThan(15)
    }
  })

  it('change each for itself, and end as the worst of them', async () => {
    const better = through({[RX]: 0.2, [RY]: 0.3})
    const moved: Behaviour = (arrival) => (arrival.destination === SEVERAL[1] ? TROMBONE : better)(arrival)
    const {last} = await watch(network(changing(15_000, TROMBONE, moved)), 40_000, {destinations: SEVERAL})
    expect(last.watched.map(({exitCode}) => exitCode)).toEqual([0, 10, 0])
    expect(watchExit(last)).toBe(10)
    expect(new Set(last.changes.map(({destination}) => destination))).toEqual(new Set([SEVERAL[0], SEVERAL[2]]))
  })

  it('are watched but for those that cannot be, which count for the exit code', async () => {
    const world = network(through({[RX]: 0.2, [RY]: 20.5}))
    const {routeTo} = world
    Object.assign(world, {
      routeTo: async (ip: string) => (ip === SEVERAL[1] ? {...ROUTE, gateway: undefined} : routeTo(ip)),
    })
    const {last, lines} = await watch(world, 10_000, {destinations: SEVERAL})
    expect(last.watched.map(({exitCode}) => exitCode)).toEqual([0, 1, 0])
    expect(watchExit(last)).toBe(1)
    // It is tried again all the while, and told each time.
    const failures = lines.filter(({failure}) => failure !== null)
    expect(failures.length).toBeGreaterThan(8)
    expect(new Set(failures.map(({destination}) => destination))).toEqual(new Set([SEVERAL[1]]))
  })
})
