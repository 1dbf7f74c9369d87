// `gwswitch history verify`: whether the journal is as it was written.
import type {ChainFault, ChainPlace} from '../../domain/journal/chain.ts'
import {EXIT} from '../../errors.ts'
import type {JournalReader} from '../journal/journal-file.ts'

export interface VerifyDocument {
  readonly schema: 'gwswitch.history-verify/1'
  readonly journal: string
  readonly ok: boolean
  /** Records that are as they were written, up to the fault. */
  readonly records: number
  /** The last record. */
  readonly head: ChainPlace
  readonly fault: {
    readonly seq: number
    readonly run: string | null
    readonly vm: string | null
    readonly message: string
  } | null
  readonly exitCode: number
}

export function verifyJournal(journal: JournalReader): VerifyDocument {
  const {records, fault} = journal.check()
  return {
    ...{schema: 'gwswitch.history-verify/1', journal: journal.file, ok: fault === undefined, records},
    head: journal.head(),
    fault: fault
      ? {seq: fault.seq, run: fault.record?.run || null, vm: vmOf(fault, journal), message: says(fault)}
      : null,
    exitCode: fault ? EXIT.runtime : 0,
  }
}

const vmOf = ({record}: ChainFault, journal: JournalReader): string | null =>
  record && record.n > 0 ? (journal.entry(record)?.vm.name ?? null) : null

function says({seq, why, record}: ChainFault): string {
  if (!record) return `record ${seq} is missing`
  const of = record.run === '' ? '' : ` of run ${record.run}`
  return why === 'changed' ? `record ${seq} (${record.kind}${of}) is not as it was written` : `record ${seq} is missing`
}

export function verifyText({ok, records, head, fault, journal}: VerifyDocument): string[] {
  if (!ok) return [`CHANGED  ${journal}: ${fault!.message}; ${records} records before it are as they were written`]
  return [`WHOLE    ${journal}: ${records} records, the last one ${head.seq} ${head.hash}`]
}
