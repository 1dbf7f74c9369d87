// Pairs: one probe through the exit in use and one through another, near enough to share the network's mood. The gap
// between them widens where the destination answers only so many probes a second.
import type {PairEvidence, ProbeOutcome, ProbeProtocol} from '../../domain/trace/evidence.ts'
import {FEWEST, PATIENCE_MS} from '../../domain/trace/sequential.ts'
import {wilson} from '../../domain/trace/statistics.ts'
import type {World} from '../../net/world.ts'
import type {Exit} from './exit.ts'
import {makeGap} from './gap.ts'
import type {Probe, ProbeReply} from './probe.ts'
import type {Station, TraceRun} from './run.ts'

/** Pairs in quick succession, and their mean distance in ms; after them, the mean distance is the usual one. */
const QUICK = {pairs: 12, intervalMs: 75}
const USUAL_MS = 200
export const DEFAULT_TTL = 64

export interface PairsOptions {
  readonly flows: number
  /** Most pairs through each alternative. */
  readonly pairs: number
  /** Mean time between pairs, ms; undefined: quick at first, then 200. */
  readonly intervalMs: number | undefined
  /** How many settled pairs are kept, the newest; undefined: all. */
  readonly keep?: number | undefined
  /** Start of the run on the monotonic clock, ns. */
  readonly startedNs: bigint
}

export interface Pairs {
  /** Those whose both probes were answered, or given up, in the order in which they left. */
  readonly settled: readonly PairEvidence[]
  readonly gapMs: () => number
  readonly limited: () => boolean
  /** Pairs sent through each alternative, settled or not; those that do not count left out. */
  readonly counted: () => number
  readonly pending: () => boolean
  /** What share of the probes through an exit (0: the one in use) may get lost, by those that were; 1 if all were. */
  lost(exit: number): number
  /** Since the run began. */
  readonly elapsedMs: () => number
  /** Sends the next pair through `alternative`, in its turn. Resolves when it has left. */
  send(alternative: number, signal: AbortSignal): Promise<void>
  /** Waits until it is time for the next round of pairs. */
  rest(signal: AbortSignal): Promise<void>
  /** Resolves when everything that is under way is settled. */
  drain(): Promise<void>
  /** Begins anew in another protocol: what was sent so far does not count. */
  begin(protocol: ProbeProtocol): void
}

export function makePairs(run: TraceRun, station: Station, exits: readonly Exit[], options: PairsOptions): Pairs {
  const {world, pacer} = run
  const pairs = new Map<number, PairEvidence>()
  let begun = 0
  const pending = new Set<Promise<void>>()
  const gap = makeGap()
  let firstCounted = 0
  let protocol: ProbeProtocol = 'icmp'
  const settled = (): PairEvidence[] => [...pairs.values()].sort((a, b) => a.index - b.index)
  const forget = (): void => {
    firstCounted = begun
    for (const [index, pair] of pairs) pairs.set(index, {...pair, warmUp: true})
  }
  const settle = (index: number, pair: PairEvidence): void => {
    pairs.set(index, {...pair, warmUp: pair.warmUp || index < firstCounted})
    if (pairs.size > (options.keep ?? Number.POSITIVE_INFINITY)) pairs.delete(Math.min(...pairs.keys()))
    if (gap.learn(settled().filter((each) => !each.warmUp))) forget()
  }
  const send = async (alternative: number, signal: AbortSignal): Promise<void> => {
    const index = begun++
    const flow = Math.floor(index / (exits.length - 1)) % options.flows
    const first = world.random() < 0.5 ? 'current' : 'alternative'
    const gapMs = gap.isWide() ? gap.meanMs() : gap.meanMs() * (0.5 + world.random())
    const apart = gap.isWide()
    const probeOf = (side: 'current' | 'alternative'): Probe =>
      exits[side === 'current' ? 0 : alternative + 1]!.probe(protocol, flow, DEFAULT_TTL)
    const granted = await pacer.turn(apart ? {} : {packets: 2, spreadMs: gapMs}, signal)
    const sentAtMs = sinceMs(world, options.startedNs)
    const one = station.prober.send(probeOf(first))
    await world.sleep(gapMs, signal).catch(() => {})
    if (apart) await pacer.turn({}, signal)
    const other = station.prober.send(probeOf(first === 'current' ? 'alternative' : 'current'))
    if (!apart) granted.left()
    // The first packet through a cold gateway waits for ARP.
    const warmUp = index < exits.length - 1
    const pair = {index, alternative, flow, first, sentAtMs, warmUp} as const
    const done = Promise.all([one, other]).then(([a, b]) => {
      pending.delete(done)
      // What could not be sent, or could not be timed, was not lost.
      if (a?.clockStepped || b?.clockStepped || station.lost.aborted) return
      const [viaCurrent, viaAlternative] = first === 'current' ? [a, b] : [b, a]
      settle(index, {...pair, viaCurrent: outcome(viaCurrent), viaAlternative: outcome(viaAlternative)})
    })
    pending.add(done)
  }
  const counted = (): number => Math.floor((begun - Math.max(firstCounted, exits.length - 1)) / (exits.length - 1))
  const usualMs = (): number => (begun <= QUICK.pairs * (exits.length - 1) ? QUICK.intervalMs : USUAL_MS)
  /** Where the first pairs did not do, the rest is spread over the time before which differences that differ prove nothing. */
  const patientMs = (): number => {
    const left = PATIENCE_MS - sinceMs(world, options.startedNs)
    return counted() < FEWEST ? 0 : left / Math.max(1, options.pairs - counted() - 1)
  }
  return {
    get settled() {
      return settled()
    },
    gapMs: gap.meanMs,
    limited: gap.isWide,
    counted,
    pending: () => pending.size > 0,
    lost(exit) {
      const counting = settled().filter(({warmUp, alternative}) => !warmUp && (exit === 0 || alternative === exit - 1))
      const unanswered = counting.filter((pair) => (exit === 0 ? pair.viaCurrent : pair.viaAlternative).rttMs === null)
      return counting.length === 0 ? 0 : wilson(unanswered.length, counting.length).hi
    },
    elapsedMs: () => sinceMs(world, options.startedNs),
    send,
    async rest(signal) {
      const wide = gap.isWide()
      const mean = Math.max(options.intervalMs ?? usualMs(), patientMs(), wide ? gap.meanMs() : 0)
      const spread = wide ? 1 + 0.2 * world.random() : 0.5 + world.random()
      // The gap within the pair is part of the time between pairs, unless it must be kept there too.
      await world.sleep(Math.max(0, mean * spread - (wide ? 0 : gap.meanMs())), signal)
    },
    async drain() {
      while (pending.size > 0) await Promise.all(pending)
    },
    begin(next) {
      protocol = next
      gap.reset()
      forget()
    },
  }
}

const sinceMs = (world: Pick<World, 'monotonic'>, startedNs: bigint): number =>
  Number(world.monotonic() - startedNs) / 1e6

const NO_ANSWER: ProbeOutcome = {rttMs: null, returnMac: null, replyTtl: null, refusal: null}

function outcome(reply: ProbeReply | undefined): ProbeOutcome {
  if (reply === undefined) return NO_ANSWER
  if (reply.kind === 'reached')
    return {rttMs: reply.rttMs, returnMac: reply.returnMac, replyTtl: reply.replyTtl, refusal: null}
  const {type, code} = reply.error!
  return {...NO_ANSWER, refusal: {from: reply.source, type, code}}
}
