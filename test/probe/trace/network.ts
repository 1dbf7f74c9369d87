// A network in memory behind two gateways, and a trace over it.
import type {InterfaceFacts, Neighbour, Route} from '../../../src/net/ip.ts'
import {runTrace, type TraceOrder} from '../../../src/orders/trace/run-trace.ts'
import {UNUSED_PORT} from '../../../src/probe/trace/exit.ts'
import {type Pace, POLITE} from '../../../src/probe/trace/pacer.ts'
import {startRun} from '../../../src/probe/trace/run.ts'
import {icmpFrame, parseFrame, tcpFrame} from '../../../src/wire/frames.ts'
import {parseQuoted} from '../../../src/wire/quote.ts'
import {TCP_ACK, TCP_RST} from '../../../src/wire/tcp.ts'
import {seeded} from '../../domain/trace/evidence-maker.ts'
import {ethernetInterface, type FakeWorld, fakeWorld} from '../../support/world.ts'

export const RX = '02:00:00:00:0a:01'
export const RY = '02:00:00:00:0b:01'
export const DESTINATION = '203.0.113.10'
export const VM: InterfaceFacts = ethernetInterface({
  mac: '02:00:00:00:00:10',
  addresses: [{ip: '10.0.0.10', prefixLength: 24}],
})
export const ROUTE: Route = {
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

/** What arrives at the far end of a first hop. */
export interface Arrival {
  readonly via: string
  readonly destination: string
  readonly protocol: 'icmp' | 'tcp'
  /** ICMP identifier or source port. */
  readonly identity: number
  /** Bytes of the frame. */
  readonly length: number
  /** ms since the world began. */
  readonly atMs: number
}

/** ms that the destination takes to answer; undefined if it does not. */
export type Behaviour = (arrival: Arrival) => number | undefined

/** A constant round trip through each gateway; undefined: silence. */
export const through =
  (rttMs: {[RX]?: number; [RY]?: number}): Behaviour =>
  ({via}) =>
    rttMs[via as typeof RX]

export function network(behaviour: Behaviour, over: Partial<FakeWorld> = {}): FakeWorld {
  const world = fakeWorld({interfaces: [VM], onSend: (bytes, fake) => answer(bytes, fake, behaviour)})
  const startedNs = world.monotonic()
  const since = (): number => Number(world.monotonic() - startedNs) / 1e6
  elapsed.set(world, since)
  return Object.assign(world, {
    random: seeded(1),
    routeTo: async () => ROUTE,
    neighbours: async () => NEIGHBOURS,
    resolveNeighbour: async (ip: string) => NEIGHBOURS.find((each) => each.ip === ip),
    ...over,
  })
}

const elapsed = new WeakMap<FakeWorld, () => number>()

function answer(bytes: Uint8Array, world: FakeWorld, behaviour: Behaviour): void {
  const frame = parseFrame(bytes)
  if (frame.kind !== 'icmp' && frame.kind !== 'tcp') return
  const via = frame.ethernet.destination
  const back = {destination: VM.mac, source: RY}
  const {source, destination, ttl} = frame.ip
  if (ttl === 1) {
    const router = via === RX ? {source: '10.0.0.1', nearMs: 20} : {source: '10.0.0.2', nearMs: 0.1}
    const quoted = parseQuoted(bytes.subarray(14))
    const expired = {kind: 'time-exceeded', code: 0, quoted, extensions: []} as const
    world.deliver(
      icmpFrame({...back, source: via}, {source: router.source, destination: source}, expired),
      router.nearMs,
    )
    return
  }
  const identity = frame.kind === 'tcp' ? frame.tcp.sourcePort : 'identifier' in frame.icmp ? frame.icmp.identifier : 0
  const arrival = {via, destination, protocol: frame.kind, identity, length: bytes.length, atMs: elapsed.get(world)!()}
  const rttMs = behaviour(arrival)
  if (rttMs === undefined) return
  const ends = {source: destination, destination: source, ttl: 62}
  if (frame.kind === 'icmp' && frame.icmp.kind === 'echo-request')
    world.deliver(icmpFrame(back, ends, {...frame.icmp, kind: 'echo-reply'}), rttMs)
  if (frame.kind === 'tcp') {
    const {sourcePort, destinationPort, sequence} = frame.tcp
    const reset = {sourcePort: destinationPort, destinationPort: sourcePort, sequence: 0, flags: TCP_RST | TCP_ACK}
    const rest = {window: 0, urgentPointer: 0, options: new Uint8Array(), payload: new Uint8Array()}
    world.deliver(tcpFrame(back, ends, {...reset, ...rest, acknowledgment: (sequence + 1) >>> 0}), rttMs)
  }
}

export const order = (over: Partial<TraceOrder> = {}): TraceOrder => ({
  ...{interfaceName: undefined, source: undefined, mark: undefined, site: undefined},
  via: ['10.0.0.2'],
  protocols: ['icmp', 'tcp'],
  port: UNUSED_PORT,
  ...{pairs: 60, flows: 4, intervalMs: undefined, minPenaltyMs: undefined, failOnInbound: false, hops: true},
  ...over,
})

export async function traceOver(
  world: FakeWorld,
  over: Partial<TraceOrder> = {},
  {signal = new AbortController().signal, pace = POLITE}: {signal?: AbortSignal; pace?: Pace} = {},
) {
  const run = startRun(world, {pace, timeoutMs: 1000})
  try {
    return await runTrace({ip: DESTINATION, name: null}, order(over), undefined, run, () => {}, signal)
  } finally {
    await run.close()
  }
}
