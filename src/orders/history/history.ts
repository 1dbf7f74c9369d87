// `gwswitch history`: what the journal of this host knows.
import type {JournalEntry} from '../journal/entry.ts'
import type {SwitchName, SwitchState} from '../journal/journal.ts'
import type {JournalReader} from '../journal/journal-file.ts'
import type {Choice} from '../journal/journal-rows.ts'
import {halfDone, standingNow} from '../journal/settle.ts'
import type {Standing} from '../journal/standing.ts'
import type {SwitchDocument} from '../switch/switch-document.ts'

export interface HistoryRow extends SwitchName {
  /** When it was written down, before anything was done: UTC, ISO 8601. */
  readonly at: string
  readonly by: string
  readonly user: string
  readonly asked: string
  readonly vm: SwitchDocument['vm']
  /** The gateway that the VM was seen to use before, else the one that the inventory has it leave. */
  readonly from: SwitchDocument['from']
  readonly to: SwitchDocument['to']
  readonly strategy: string
  readonly state: SwitchState
  readonly standing: Standing
  /** The switch that this one takes back. */
  readonly undoes: SwitchName | null
  readonly end: SwitchDocument['end']
  readonly endedBy: JournalEntry['endedBy'] | null
  readonly code: SwitchDocument['code']
  readonly exitCode: number | null
  /** How many switches its run has. */
  readonly ofRun: number
  /** Of one run alone: everything of it. */
  readonly document?: SwitchDocument | null
  readonly plan?: unknown
}

export interface HistoryDocument {
  readonly schema: 'gwswitch.history/1'
  readonly journal: string
  /** Oldest first. */
  readonly switches: readonly HistoryRow[]
  /** What is half done, of all that the journal has, a line a run. */
  readonly halfDone: readonly string[]
  readonly exitCode: number
}

export function history(journal: JournalReader, choice: Choice, limit: number): HistoryDocument {
  const entries = journal.entries(choice, limit)
  const runs = [...new Set(entries.map(({run}) => run))]
  const sizes = new Map(runs.map((run) => [run, journal.size(run)]))
  const isWhole = choice.run !== undefined
  const switches = entries.map((entry) => rowOf(entry, sizes.get(entry.run)!, isWhole))
  return {schema: 'gwswitch.history/1', journal: journal.file, switches, halfDone: halfDone(journal), exitCode: 0}
}

function rowOf(entry: JournalEntry, ofRun: number, isWhole: boolean): HistoryRow {
  const {run, n, atMs, order, vm, to, strategy, state, document, endedBy, plan} = entry
  return {
    ...{run, n, at: new Date(atMs).toISOString(), by: order.by, user: order.user, asked: order.asked, vm},
    ...{from: document?.before ?? entry.from, to, strategy, state, standing: standingNow(entry)},
    ...{undoes: entry.undoes ?? null, end: document?.end ?? null, endedBy: endedBy ?? null},
    ...{code: document?.code ?? document?.rollback?.code ?? null, exitCode: document?.exitCode ?? null, ofRun},
    ...(isWhole && {document: document ?? null, plan}),
  }
}
