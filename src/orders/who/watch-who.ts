// `gwswitch who --watch`: one look after the other, until somebody ends it.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {
  type FailedLook,
  NOT_LOOKED,
  type WhoWatchLine,
  type WhoWatchState,
  whoWatchStep,
} from '../../domain/who-watch.ts'
import {EXIT, Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import type {WhoOrder} from '../../probe/who-questions.ts'
import {runWho} from './run-who.ts'

export interface WhoWatchStage {
  readonly world: World
  readonly signal: AbortSignal
  /** ms from the end of one look to the next. */
  readonly everyMs: number
  /** After every look. */
  onLook(state: WhoWatchState, line: WhoWatchLine): void
}

/**
 * Resolves to the last state when `signal` is aborted.
 * @throws Failure of the first look, whatever `runWho` throws; later ones end no watch: a port goes away and comes back.
 */
export async function watchWho(
  order: WhoOrder,
  inventory: Inventory,
  {world, signal, everyMs, onLook}: WhoWatchStage,
): Promise<WhoWatchState> {
  let state = NOT_LOOKED
  while (!signal.aborted) {
    const at = new Date(Number(world.now() / 1_000_000n)).toISOString()
    const look = await runWho(order, inventory, {world, signal}).catch((error: unknown) =>
      failureOf(error, state, signal),
    )
    if (signal.aborted) break
    const step = whoWatchStep(state, at, look)
    state = step.state
    onLook(state, step.line)
    await world.sleep(everyMs, signal).catch(() => {})
  }
  return state
}

function failureOf(error: unknown, {looks}: WhoWatchState, signal: AbortSignal): FailedLook {
  const message = error instanceof Error ? error.message : String(error)
  if (signal.aborted) return {failure: message, exitCode: EXIT.runtime}
  if (!(error instanceof Failure) || looks === 0 || error.kind !== 'runtime') throw error
  return {failure: message, exitCode: EXIT.runtime}
}
