// `gwswitch trace --watch`: destinations that are traced on one schedule, until somebody ends it.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {candidatesOf} from '../../domain/trace/distance.ts'
import type {CandidateEvidence, TraceEvidence} from '../../domain/trace/evidence.ts'
import type {Step} from '../../domain/trace/plan.ts'
import {
  notWatched,
  REMEMBERED,
  type WatchEvent,
  type WatchLine,
  type WatchOrder,
  type WatchState,
  watchStep,
} from '../../domain/trace/watch.ts'
import {EXIT, Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {gatewayInUse, type HopQuestion} from '../../probe/trace/candidates.ts'
import type {TraceRun} from '../../probe/trace/run.ts'
import {trace} from '../../probe/trace/trace.ts'
import type {TraceRequest} from '../../probe/trace/trace-request.ts'
import {planOptions, resolveDestination, type TraceOrder, traceRequest} from './run-trace.ts'
import {destinationsOf, failureOf, isoNow, runAt, type TracesOrder} from './run-traces.ts'

export interface WatchStage {
  readonly world: World
  readonly signal: AbortSignal
  /** After every sample; a line where it is time for one, or something changed. */
  onSample(state: WatchState, line: WatchLine | null): void
}

/** Pairs that a window has room for, at most: what happens is to be seen soon. */
const WINDOW_PAIRS = 20
/** How often it is asked which gateway is in use, and how long after a failure it is tried again, ms. */
const LOOK_MS = 1000
/** How often it is told, ms, that there is nothing to compare with: as often as pairs would be. */
const IDLE_MS = 200
/** Pairs that a run remembers, through however many alternatives. */
const KEPT = 2 * REMEMBERED

/**
 * Resolves to the last state when `signal` is aborted.
 * @throws Failure for what is wrong with the order; of what comes first, whatever would end `runTraces`.
 */
export async function runWatch(
  named: readonly string[],
  order: TracesOrder,
  inventory: Inventory | undefined,
  {world, signal, onSample}: WatchStage,
): Promise<WatchState> {
  const destinations = destinationsOf(named, order, inventory)
  const one: TraceOrder = {...order, hops: destinations.length === 1}
  const {rate, intervalMs} = order
  const watch: WatchOrder = {
    ...{destinations, rate, intervalMs, pairs: Math.min(order.pairs, WINDOW_PAIRS), plan: planOptions(one)},
  }
  let state = notWatched(watch)
  const take = (event: WatchEvent) => {
    const {state: next, line, step} = watchStep(watch, state, event)
    state = next
    onSample(state, line)
    return step
  }
  const run = runAt(world, order)
  const looked = new Set<InUse>()
  const over = new AbortController()
  const stop = AbortSignal.any([signal, over.signal])
  const watchOne = async (destination: string): Promise<void> => {
    let met: Met = {iface: '', gateways: []}
    const seen = (evidence: TraceEvidence): Step => {
      met = {iface: evidence.host.iface, gateways: candidatesOf(evidence)}
      return take({kind: 'seen', destination, evidence})
    }
    while (!stop.aborted) {
      try {
        const request = await traceRequest(await resolveDestination(destination), one, inventory, world)
        const {route} = await gatewayInUse(world, request)
        await watchRun(run, comparedWith(met, request, route.interface), seen, looked, stop)
      } catch (error) {
        if (stop.aborted) return
        const {message} = failureOf(destination, error, met.gateways.length === 0 && destinations.length === 1)
        take({kind: 'failed', destination, at: isoNow(world), message, exitCode: EXIT.runtime})
        await world.sleep(LOOK_MS, stop).catch(() => {})
      }
    }
  }
  const all = [
    ...destinations.map(watchOne),
    lookInTurn(world, looked, stop).catch((error: unknown) => {
      if (!stop.aborted) throw error
    }),
  ]
  try {
    await Promise.all(all)
    return state
  } finally {
    over.abort()
    await Promise.allSettled(all)
    await run.close()
  }
}

/** Gateways that were measured, and where they are. */
interface Met {
  readonly iface: string
  readonly gateways: readonly CandidateEvidence[]
}

/** The gateway that was in use is one of those to compare with now, if it is on the segment; one of those may be in use. */
function comparedWith<T extends Pick<TraceRequest, 'alternatives' | 'alternativesNamed'>>(
  {iface, gateways}: Met,
  request: T,
  inUse: string,
): T {
  if (iface !== inUse) return request
  const more = request.alternatives.filter(
    ({ip, mac}) => !gateways.some((each) => (mac === undefined ? each.ip === ip : each.mac === mac)),
  )
  return {...request, alternatives: [...gateways, ...more], alternativesNamed: false}
}

/** Which gateway is in use is asked for one destination at a time: often all of them share it. */
interface InUse {
  readonly question: HopQuestion
  /** As it was when the run began; undefined while it begins. */
  readonly gateway: () => Pick<CandidateEvidence, 'ip' | 'mac'> | undefined
  moved(): void
}

/** One run, which lasts as long as the gateway in use does. @throws Failure as `trace`, and if nothing more can be sent. */
async function watchRun(
  run: TraceRun,
  request: Omit<TraceRequest, 'next'>,
  seen: (evidence: TraceEvidence) => Step,
  looked: Set<InUse>,
  stop: AbortSignal,
): Promise<void> {
  const ended = new AbortController()
  const signal = AbortSignal.any([stop, ended.signal])
  let last: TraceEvidence | undefined
  const next = (evidence: TraceEvidence): Step => {
    last = evidence
    return seen(evidence)
  }
  const inUse: InUse = {question: request, gateway: () => last?.current, moved: () => ended.abort()}
  looked.add(inUse)
  try {
    last = await trace(run, {...request, next, pairs: Number.POSITIVE_INFINITY, keep: KEPT}, signal)
    const {linkLost} = last.integrity
    if (linkLost !== null && !stop.aborted) throw new Failure('runtime', linkLost)
    if (signal.aborted) return
    // It ends by itself where there is nothing to compare with; another gateway may change that.
    const {durationMs} = last
    const endedNs = run.world.monotonic()
    while (!signal.aborted) {
      seen({...last, durationMs: durationMs + Number(run.world.monotonic() - endedNs) / 1e6})
      await run.world.sleep(IDLE_MS, signal).catch(() => {})
    }
  } finally {
    looked.delete(inUse)
  }
}

/** Looks at one after the other; where one has moved, at all the others too. */
async function lookInTurn(world: World, looked: Set<InUse>, stop: AbortSignal): Promise<void> {
  for (;;) {
    await world.sleep(LOOK_MS, stop)
    const [next] = looked
    if (next === undefined) continue
    looked.delete(next)
    looked.add(next)
    if (!(await hasMoved(world, next))) continue
    for (const each of [...looked]) if (each === next || (await hasMoved(world, each))) each.moved()
  }
}

/** True if another gateway is in use, or none: why there is none is told by the next run, which wants one. */
async function hasMoved(world: World, {question, gateway}: InUse): Promise<boolean> {
  const used = gateway()
  if (used === undefined) return false
  try {
    const now = await gatewayInUse(world, question)
    const mac = (await world.resolveNeighbour(now.gateway, now.route.interface))?.mac
    return used.ip !== now.gateway || (mac !== undefined && used.mac !== mac)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return true
  }
}
