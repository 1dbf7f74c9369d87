// `lab run`: every row once in each round, the controls too, in an order of its own each time.
import type {LabRun, LabRunSample, LabRunVm} from '../../domain/evaluation/lab-run.ts'
import {shuffled} from '../../domain/evaluation/round-order.ts'
import {Failure} from '../../errors.ts'
import {missingPrograms} from '../guest/image.ts'
import {down, isUp, up} from '../lab.ts'
import {labOptions} from '../options.ts'
import {killLabProcesses} from '../processes.ts'
import {bootedRig} from './boot.ts'
import {readKept, writeKept} from './kept.ts'
import {provenance, provenanceNow} from './provenance.ts'
import {type RunListeners, type RunRig, startListeners} from './rig.ts'
import type {RunRow, SetName} from './row.ts'
import {ROWS} from './rows/all.ts'
import {oneLine, PACE_MS, takeSample} from './sample.ts'

export interface RunOrder {
  readonly prefix: string
  readonly vm: LabRunVm
  readonly repeat: number
  readonly seed: number
  /** Ids; all without. Their controls run with them. */
  readonly rows?: readonly string[] | undefined
  /** Where it is kept. */
  readonly folder?: string | undefined
  /** Version of gwswitch. */
  readonly version: string
}

export interface RunObserver {
  /** What is done now, `done` of `of` samples. */
  progress(doing: string, done: number, of: number): void
  sample(row: RunRow, sample: LabRunSample): void
  /** A row that is left, and why. */
  left(id: string, why: string): void
}

const PROGRAMS = ['ip', 'nft', 'tcpdump', 'ping']

/** The rows of an order, with their controls. @throws Failure `usage` for one that there is not, or that this form cannot have. */
export function rowsOf({vm, rows}: Pick<RunOrder, 'vm' | 'rows'>): readonly RunRow[] {
  const possible = ROWS.filter(({vms}) => vms.includes(vm))
  const asked = rows?.map((id) => {
    const row = ROWS.find((each) => each.id === id)
    if (row === undefined) throw new Failure('usage', `lab run: there is no row ${id}: see gwswitch lab run --list`)
    if (!possible.includes(row)) throw new Failure('usage', `lab run: row ${id} takes --vm ${row.vms.join(' or ')}`)
    return row
  })
  const ids = asked && new Set(asked.flatMap(({id, control}) => [id, control]))
  return possible.filter(({id}) => ids === undefined || ids.has(id))
}

/** Runs, or goes on with what is kept. The lab is gone afterwards, whatever happens. */
export async function runLab(order: RunOrder, observer: RunObserver, signal: AbortSignal): Promise<LabRun> {
  const rows = rowsOf(order)
  const missing = await missingPrograms(PROGRAMS)
  if (missing.length > 0) throw new Failure('runtime', `lab run: not installed: ${missing.join(', ')}`)
  const options = labOptions({prefix: order.prefix, dci: 'plain'})
  if (isUp(order.prefix)) throw upAlready(order.prefix)
  const delaysMs = {dci: options.dciDelayMs, wan: options.wanDelayMs}
  const book = await runBook(order, rows, delaysMs)
  if (book.todo() === 0) return book.run()
  for (const row of rows) {
    const lacking = await missingPrograms(row.programs ?? [])
    if (lacking.length === 0) continue
    book.leave(row, `not installed: ${lacking.join(', ')}`)
    observer.left(row.id, `not installed: ${lacking.join(', ')}`)
  }
  // Somebody else's, who was quicker.
  if ((await up(options, {signal})) === 'already-up') throw upAlready(order.prefix)
  // Whatever waits for a process of it goes on at once.
  const end = (): void => void killLabProcesses(order.prefix)
  signal.addEventListener('abort', end, {once: true})
  try {
    const listeners = await startListeners(order.prefix)
    for (const set of new Set(rows.map((row) => row.set)))
      await runSet({order, set, rows: rows.filter((row) => row.set === set), listeners, book, observer, signal})
    await listeners.end()
    return book.run()
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', end)
    await down(order.prefix)
  }
}

const upAlready = (prefix: string): Failure =>
  new Failure('runtime', `lab ${prefix} is up already: let it finish, take it down, or choose another prefix`)

interface SetStage {
  readonly order: RunOrder
  readonly set: SetName
  readonly rows: readonly RunRow[]
  readonly listeners: RunListeners
  readonly book: RunBook
  readonly observer: RunObserver
  readonly signal: AbortSignal
}

async function runSet(stage: SetStage): Promise<void> {
  const {order, rows, book, observer, signal} = stage
  let rig: RunRig | undefined
  try {
    for (let round = 1; round <= order.repeat; round++) {
      for (const row of shuffled(rows, order.seed, round)) {
        if (book.has(row, round) || book.isLeft(row)) continue
        signal.throwIfAborted()
        observer.progress(`${row.id}, round ${round} of ${order.repeat}`, book.done(), book.all())
        if (rig === undefined) {
          rig = await bootedRig(order.prefix, order.vm, stage.set, stage.listeners)
          if (order.vm === 'qemu') book.learn("the guest's kernel", (await rig.machine.sh('uname -r')).trim())
        }
        try {
          const sample = await takeSample(rig, row, round, signal)
          book.add(row, sample)
          observer.sample(row, sample)
        } catch (error) {
          signal.throwIfAborted()
          book.leave(row, oneLine(error))
          observer.left(row.id, oneLine(error))
          // It may be anywhere, or nowhere.
          await rig.machine.end()
          rig = undefined
        }
      }
    }
  } finally {
    await rig?.machine.end().catch(() => {})
  }
}

/** What has been run, and what is to be. */
interface RunBook {
  has(row: RunRow, round: number): boolean
  isLeft(row: RunRow): boolean
  add(row: RunRow, sample: LabRunSample): void
  leave(row: RunRow, why: string): void
  /** The version of what takes part. */
  learn(name: string, version: string): void
  done(): number
  all(): number
  todo(): number
  run(): LabRun
}

/** @throws Failure `usage` if what is kept is another run. */
async function runBook(order: RunOrder, rows: readonly RunRow[], delaysMs: LabRun['delaysMs']): Promise<RunBook> {
  const {folder, vm, repeat, seed, version} = order
  const kept = folder === undefined ? undefined : readKept(folder)
  if (kept && (kept.vm !== vm || kept.seed !== seed || kept.provenance.gwswitch !== version))
    throw new Failure(
      'usage',
      `lab run: ${folder} has a run by gwswitch ${kept.provenance.gwswitch} with --vm ${kept.vm} --seed ${kept.seed}: give another folder`,
    )
  const samples = new Map(kept?.rows.map((row) => [row.id, [...row.samples]]))
  const left = new Map<string, string>()
  let made = kept?.provenance ?? (await provenance(vm, version))
  const has = (id: string, round: number): boolean => samples.get(id)?.some((sample) => sample.round === round) ?? false
  const done = (): number =>
    rows.reduce((sum, {id}) => sum + Array.from({length: repeat}, (_, i) => has(id, i + 1)).filter(Boolean).length, 0)
  const book: RunBook = {
    has: ({id}, round) => has(id, round),
    isLeft: ({id}) => left.has(id),
    add({id}, sample) {
      samples.set(id, [...(samples.get(id) ?? []), sample])
      made = provenanceNow(made)
      if (folder !== undefined) writeKept(folder, book.run())
    },
    leave: ({id}, why) => void left.set(id, why),
    learn(name, part) {
      made = {...made, parts: {...made.parts, [name]: part}}
    },
    done,
    all: () => rows.length * repeat,
    todo: () => rows.length * repeat - done(),
    run() {
      const whole = ROWS.filter(({id}) => samples.has(id)).map(({id, title, kind, strategy, control, how}) => ({
        id,
        title,
        kind,
        strategy,
        control,
        how,
        samples: samples.get(id)!,
      }))
      const good =
        book.todo() === 0 &&
        left.size === 0 &&
        whole.every(({samples: all}) => all.every((one) => one.void === undefined))
      return {
        ...{schema: 'gwswitch.lab-run/1', vm, repeat, seed, delaysMs, paceMs: PACE_MS, provenance: made, rows: whole},
        ...{left: [...left].map(([id, why]) => ({id, why})), exitCode: good ? 0 : 1},
      }
    },
  }
  return book
}
