// From "these VMs to that site" to the document gwswitch.switch-many/1: who can be switched is found out before anything is
// sent, and each is switched as it would be alone.
import type {Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {carryOutMany, type ManyPace} from '../../strategies/carry-out-many.ts'
import {gatheringAll} from '../../strategies/gathering.ts'
import type {Registered} from '../../strategies/registry.ts'
import type {StrategyOptions} from '../../strategies/strategy.ts'
import type {JournalRun} from '../journal/journal.ts'
import {
  excludedRow,
  failedRow,
  type ManyRow,
  notBegunRow,
  plannedRow,
  rowOf,
  type SwitchManyDocument,
  worstOf,
} from './many-rows.ts'
import {type Journaled, type Prepared, prepareSwitch, type SwitchDocument} from './run-switch.ts'
import {type Excluded, type Selection, selectVms} from './select-vms.ts'

export interface ManyOrder extends Selection, StrategyOptions {
  /** As in `SwitchOrder`. */
  readonly strategies: readonly string[]
}

/** What is known before anything is sent. */
export interface Preflight {
  readonly to: string
  readonly prepared: readonly Prepared[]
  readonly excluded: readonly Excluded[]
}

/**
 * Who can be switched, by what, and who cannot and why. Sends nothing.
 * @throws Failure `usage` for words that do not go together, and whatever keeps this host from being looked at.
 */
export async function preflightMany(
  order: ManyOrder,
  inventory: Inventory,
  installed: ReadonlyMap<string, Registered>,
  world: World,
): Promise<Preflight> {
  const {switchovers, excluded} = await selectVms(order, order, inventory, world)
  const strategies = gatheringAll(installed)
  const refused: Excluded[] = []
  const tried = await Promise.all(
    switchovers.map(async ({vm, from}): Promise<Prepared | undefined> => {
      try {
        return await prepareSwitch({...order, vm: vm.name, from: from.name}, inventory, strategies, world)
      } catch (error) {
        // A strategy with a mistake in it keeps nobody else from being switched.
        const failure = error instanceof Failure ? error.kind : 'runtime'
        const reason = error instanceof Error ? error.message : String(error)
        refused.push({name: vm.name, vm, kind: 'refused', code: null, reason, failure})
        return undefined
      }
    }),
  )
  return {to: order.to, prepared: tried.filter((each) => each !== undefined), excluded: [...excluded, ...refused]}
}

type Planned = Required<Pick<Journaled, 'run' | 'n'>>

/** One VM is decided, `done` of `total` are. */
export interface Progress {
  readonly row: ManyRow
  readonly done: number
  readonly total: number
  /** At the pace until now, ms. */
  readonly leftMs: number
}

export interface ManyParts extends ManyPace {
  /** Switches one, as `performSwitch` does; `journal`: where it is written down already. */
  perform(prepared: Prepared, journal: Planned | undefined): Promise<SwitchDocument>
  /** All are written down there before the first is begun. */
  readonly journal?: JournalRun | undefined
  /** The exit code that goes with the signal that stopped it; undefined if none did. */
  stopped?(): number | undefined
  onProgress?(progress: Progress): void
}

/** Switches all that can be. What goes wrong with one is in its row; never rejects but for a journal that cannot be written. */
export async function performMany(
  {to, prepared, excluded}: Preflight,
  world: World,
  parts: ManyParts,
): Promise<SwitchManyDocument> {
  const {perform, onProgress, stopped} = parts
  // A run of nothing is none.
  const run = prepared.length > 0 ? parts.journal : undefined
  const startedNs = world.monotonic()
  const elapsedMs = (): number => Number(world.monotonic() - startedNs) / 1e6
  const numbers = run?.plan(prepared)
  const rows: (ManyRow | undefined)[] = prepared.map(() => undefined)
  let done = 0
  await carryOutMany(
    [...prepared.keys()],
    async (i) => {
      const beganMs = elapsedMs()
      const times = () => ({beganMs, durationMs: elapsedMs() - beganMs})
      const row = await perform(prepared[i]!, run && {run, n: numbers![i]!}).then(
        (document) => rowOf(document, times()),
        (error: unknown) => failedRow(prepared[i]!, error, times()),
      )
      rows[i] = row
      done++
      const leftMs = (elapsedMs() / done) * (prepared.length - done)
      onProgress?.({row, done, total: prepared.length, leftMs})
    },
    world,
    parts,
  )
  const all = [...excluded.map(excludedRow), ...rows.map((row, i) => row ?? notBegunRow(prepared[i]!))]
  const left = rows.some((row) => row === undefined)
  return {
    ...{schema: 'gwswitch.switch-many/1', dryRun: false, to, run: run?.id ?? null},
    ...{rows: all, durationMs: elapsedMs(), exitCode: worstOf(all, left ? (stopped?.() ?? 0) : 0)},
  }
}

/** The document of a dry run. */
export const plannedMany = ({to, prepared, excluded}: Preflight): SwitchManyDocument => {
  const rows = [...excluded.map(excludedRow), ...prepared.map(plannedRow)]
  return {
    ...{schema: 'gwswitch.switch-many/1', dryRun: true, to, run: null, rows, durationMs: null},
    exitCode: worstOf(rows, 0),
  }
}
