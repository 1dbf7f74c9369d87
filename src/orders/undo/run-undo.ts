// `gwswitch undo`: switches that the journal knows are taken back to what was observed before them.
import {EXIT} from '../../errors.ts'
import type {DeadMan} from '../../net/process/dead-man.ts'
import type {World} from '../../net/world.ts'
import {makeSteps} from '../../strategies/carry-out.ts'
import type {Registered} from '../../strategies/registry.ts'
import type {Strategy, Verdict} from '../../strategies/strategy.ts'
import type {JournalEntry} from '../journal/entry.ts'
import {MANY} from '../journal/entry.ts'
import type {SwitchName} from '../journal/journal.ts'
import type {JournalFile, JournalFileRun, JournalReader} from '../journal/journal-file.ts'
import {endCutShort, plannedPart, standingNow} from '../journal/settle.ts'
import {undoable} from '../journal/standing.ts'
import type {GuardOrder} from '../switch/run-switch.ts'
import {type SwitchDocument, takenBack} from '../switch/switch-document.ts'

/** What became of one switch that was to be taken back. */
export interface UndoRow {
  /** The switch. */
  readonly run: string
  readonly n: number
  readonly vm: string
  /** The gateway that it had been moved to, and the one that it was seen to use before. */
  readonly from: string
  readonly to: string
  readonly strategy: string
  /** `undone`: the VM is seen to be as it was. `unknown`: it was told, and that was not seen. `refused`: nothing was done. */
  readonly outcome: 'undone' | 'unknown' | 'refused' | 'planned'
  /** Why it was refused. */
  readonly reason: string | null
  /** How it went, as in the journal; null where nothing was done. */
  readonly document: SwitchDocument | null
}

export interface UndoDocument {
  readonly schema: 'gwswitch.undo/1'
  readonly dryRun: boolean
  /** The run by which the journal knows it; null where nothing was done. */
  readonly run: string | null
  readonly switches: readonly UndoRow[]
  readonly exitCode: number
}

export interface UndoStage {
  /** Where it is written down; undefined: nowhere. */
  readonly journal: JournalFile | undefined
  readonly world: World
  readonly strategies: ReadonlyMap<string, Registered>
  readonly signal: AbortSignal
  /** In words, for the journal. */
  readonly asked: string
  /** A guard for one of them. */
  deadMan(): DeadMan
  /** Told of what could not be written. */
  onTrouble(error: Error): void
  readonly onEvent?: (event: {readonly atMs: number; readonly text: string}) => void
}

/** A switch that is to be taken back, and what is known of that before anything is done. */
export interface UndoStep {
  readonly entry: JournalEntry
  readonly row: UndoRow
}

/** The newest first: what a later one was put on goes before it. Sends nothing. */
export function undoPlan(
  entries: readonly JournalEntry[],
  journal: JournalReader,
  strategies: ReadonlyMap<string, Registered>,
): readonly UndoStep[] {
  const isAmong = ({run, n}: SwitchName): boolean => entries.some((each) => each.run === run && each.n === n)
  return entries.toReversed().map((entry) => {
    const {run, n, vm, to, strategy} = entry
    const ofVm = journal.entries({vm: vm.mac}, MANY)
    const later = ofVm.slice(ofVm.findIndex((each) => each.run === run && each.n === n) + 1)
    const able = undoable(
      entry,
      standingNow(entry),
      later.filter((each) => !isAmong(each)),
    )
    const missing = strategies.has(strategy) ? null : `${vm.name}: no strategy ${strategy} is installed`
    const reason = able.take === 'none' ? able.why : missing
    const row: UndoRow = {
      ...{run, n, vm: vm.name, from: to.name, to: leftFor(entry).name, strategy},
      ...{outcome: reason === null ? 'planned' : 'refused', reason, document: null},
    }
    return {entry, row}
  })
}

const leftFor = ({document, from}: JournalEntry): SwitchDocument['from'] => document?.before ?? from

/** What is planned, as it is. */
export const plannedUndo = (steps: readonly UndoStep[]): UndoDocument =>
  documentOf(
    steps.map(({row}) => row),
    null,
    true,
  )

/** Takes them back one after the other. */
export async function undoSwitches(steps: readonly UndoStep[], stage: UndoStage): Promise<UndoDocument> {
  let run: JournalFileRun | undefined
  const switches: UndoRow[] = []
  for (const {entry, row} of steps) {
    if (row.outcome === 'refused') {
      switches.push(row)
      continue
    }
    if (stage.signal.aborted) break
    const strategy = await stage.strategies.get(entry.strategy)!.load()
    run ??= stage.journal?.begin({by: 'undo', asked: stage.asked})
    const document = await takeBack(entry, strategy, run, stage)
    switches.push({...row, outcome: document.rolledBack ? 'undone' : 'unknown', document})
  }
  return documentOf(switches, run?.id ?? null, false)
}

function documentOf(switches: readonly UndoRow[], run: string | null, dryRun: boolean): UndoDocument {
  const codes = switches.map(({outcome, document}) => (outcome === 'refused' ? EXIT.usage : (document?.exitCode ?? 0)))
  return {schema: 'gwswitch.undo/1', dryRun, run, switches, exitCode: Math.max(0, ...codes)}
}

async function takeBack(
  entry: JournalEntry,
  strategy: Strategy,
  run: JournalFileRun | undefined,
  {journal, world, deadMan: newDeadMan, onTrouble, onEvent}: UndoStage,
): Promise<SwitchDocument> {
  const what = `takes run ${entry.run} back: ${entry.vm.name} is put back to what it was seen to use before`
  const body = {...plannedPart(entry), from: entry.to, to: leftFor(entry), passedOver: [], describe: [what]}
  const n = run?.planUndo({...body, undoes: {run: entry.run, n: entry.n}}) ?? 0
  const deadMan = newDeadMan()
  const place = run && {file: run.file, run: run.id, n}
  await deadMan.arm({
    ...{strategy: strategy.name, plan: entry.plan, vm: entry.vm.name, audit: undefined, journal: place},
  } satisfies GuardOrder)
  run?.mark([{n, state: 'executing', plan: entry.plan, guard: deadMan.pid}])
  // What puts a VM back is not cut short by a signal.
  const {steps, run: step} = makeSteps(world, {signal: new AbortController().signal, onEvent})
  const said = await step('rollback', (stage) => strategy.rollback(entry.plan, stage)).catch(asError)
  const verdict = said instanceof Error ? said : undoVerdict(entry, said)
  if (!(verdict instanceof Error)) deadMan.disarm()
  const document = takenBack(body, verdict, steps)
  try {
    run?.mark([{n, state: 'ended', document}])
    if (run && document.rolledBack && entry.document === undefined)
      endCutShort(journal!, [entry], `taken back by run ${run.id}`)
  } catch (error) {
    onTrouble(error as Error)
  }
  return document
}

/** Of a VM that was seen to be served, silence does not say that it is as it was. @internal */
export const undoVerdict = ({verdict, document}: Pick<JournalEntry, 'verdict' | 'document'>, said: Verdict): Verdict =>
  said.code === 'silent' && (verdict?.ok || document?.verified) ? {...said, ok: false} : said

const asError = (error: unknown): Verdict | Error => (error instanceof Error ? error : new Error(String(error)))
