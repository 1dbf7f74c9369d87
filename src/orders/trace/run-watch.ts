// `gwswitch trace --watch`: one trace after the other, until somebody ends it.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {NOT_WATCHED, type WatchLine, type WatchState, watchStep} from '../../domain/trace/watch.ts'
import {EXIT, Failure, usage} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {runTraces, type TracesOrder} from './run-traces.ts'

export interface WatchStage {
  readonly world: World
  readonly signal: AbortSignal
  /** After every window. */
  onWindow(state: WatchState, line: WatchLine): void
}

/** Pairs of one window, at most: what happens is to be seen soon. */
const WINDOW_PAIRS = 20
/** Between two windows, and after one that failed, ms. */
const PAUSE_MS = 200
const AFTER_FAILURE_MS = 1000

/**
 * Resolves to the last state when `signal` is aborted.
 * @throws Failure `usage` for anything but one destination; of the first window, whatever `runTraces` throws.
 */
export async function runWatch(
  destinations: readonly string[],
  order: TracesOrder,
  inventory: Inventory | undefined,
  {world, signal, onWindow}: WatchStage,
): Promise<WatchState> {
  const [destination] = destinations
  if (destination === undefined || destinations.length > 1) throw usage('--watch looks at one destination: name one')
  const quiet = {world, signal, onProgress: () => {}, onDecided: () => {}, onWarning: () => {}}
  const short = {...order, pairs: Math.min(order.pairs, WINDOW_PAIRS)}
  let state = NOT_WATCHED
  while (!signal.aborted) {
    const window = await runTraces([destination], short, inventory, quiet).then(
      ({results: [report]}) => report!,
      (error: unknown) => failureOf(error, state, world),
    )
    // What was cut short by the end of the watch says less than the window before.
    if (signal.aborted && state.windows > 0) break
    const step = watchStep(state, destination, window)
    state = step.state
    onWindow(state, step.line)
    await world.sleep('failure' in window ? AFTER_FAILURE_MS : PAUSE_MS, signal).catch(() => {})
  }
  return state
}

/** What ends one window and not the watch: an interface that goes down for a while, a route that is gone. */
function failureOf(error: unknown, {windows}: WatchState, world: World) {
  if (!(error instanceof Failure) || windows === 0 || error.kind !== 'runtime') throw error
  const at = new Date(Number(world.now() / 1_000_000n)).toISOString()
  return {at, failure: error.message, exitCode: EXIT.runtime}
}
