// `gwswitch switch --resume RUN`: what is left of a run, as a run of its own.
import {EXIT, Failure} from '../../errors.ts'
import type {SwitchOrder} from '../switch/run-switch.ts'
import type {SwitchDocument} from '../switch/switch-document.ts'
import type {JournalEntry, RunBody} from './entry.ts'
import type {JournalRun} from './journal.ts'
import type {JournalFile} from './journal-file.ts'
import {endCutShort} from './settle.ts'

export interface ResumeDocument {
  readonly schema: 'gwswitch.resume/1'
  /** The run of which something was left. */
  readonly resumes: string
  /** The one that did it; null: it did nothing. */
  readonly run: string | null
  readonly switches: readonly SwitchDocument[]
  /** Those that could not be tried, and why. */
  readonly failures: readonly {readonly vm: string; readonly message: string}[]
  readonly exitCode: number
}

/** The order that is carried out anew for a switch of a run. */
const orderFor = ({vm, to}: JournalEntry, {options}: RunBody): SwitchOrder => ({
  strategies: [],
  ...(options as Partial<SwitchOrder> | undefined),
  ...{vm: vm.name, to: to.name},
})

export interface ResumeStage {
  readonly asked: string
  /** Nothing more is begun once it is aborted. */
  readonly signal: AbortSignal
  /** Does one, in the run that `begin` gives. */
  switched(order: SwitchOrder, begin: () => JournalRun): Promise<SwitchDocument>
  onTrouble(error: Error): void
}

/** One after the other; one that fails stops no other. The exit code is that of the worst. */
export async function resumeAll(
  {order, entries}: {readonly order: RunBody; readonly entries: readonly JournalEntry[]},
  journal: JournalFile,
  {asked, signal, switched, onTrouble}: ResumeStage,
): Promise<ResumeDocument> {
  let run: JournalRun | undefined
  const begin = (): JournalRun => {
    run ??= journal.begin({by: 'resume', asked, options: order.options})
    return run
  }
  const switches: SwitchDocument[] = []
  const failures: {vm: string; message: string; exit: number}[] = []
  for (const entry of entries) {
    if (signal.aborted) break
    try {
      switches.push(await switched(orderFor(entry, order), begin))
      if (entry.document === undefined) endCutShort(journal, entry, `done again by run ${run!.id}`)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      onTrouble(new Failure(error.kind, `${entry.vm.name}: ${error.message}`))
      failures.push({vm: entry.vm.name, message: error.message, exit: EXIT[error.kind]})
    }
  }
  const exitCode = Math.max(0, ...switches.map((each) => each.exitCode), ...failures.map(({exit}) => exit))
  return {
    ...{schema: 'gwswitch.resume/1', resumes: entries[0]!.run, run: run?.id ?? null, switches},
    ...{failures: failures.map(({vm, message}) => ({vm, message})), exitCode},
  }
}
