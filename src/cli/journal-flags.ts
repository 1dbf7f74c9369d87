// The journal as commands take it.
import {Flags} from '@oclif/core'
import type {JournalFile} from '../orders/journal/journal-file.ts'

export const journalFlag = Flags.custom<string>({
  env: 'GWSWITCH_JOURNAL',
  helpValue: 'FILE',
  summary:
    'the journal of switches (default: /var/lib/gwswitch/journal.db; gwswitch/journal.db below XDG_STATE_HOME for who may not write that)',
})

export const journalFlags = {
  journal: journalFlag(),
  'no-journal': Flags.boolean({summary: 'keep no record of it: "gwswitch undo" then knows nothing of it'}),
}

export interface JournalChoice {
  readonly journal?: string | undefined
  readonly 'no-journal'?: boolean
}

export async function journalPlace({journal}: Pick<JournalChoice, 'journal'>): Promise<string> {
  if (journal !== undefined) return journal
  const {stateFile} = await import('../net/file/state-file.ts')
  return stateFile('journal.db')
}

/** The journal that is written; undefined where none is wanted. Says what earlier switches left half done. */
export async function openedJournal(
  flags: JournalChoice,
  caution: (line: string) => void,
): Promise<JournalFile | undefined> {
  if (flags['no-journal']) return undefined
  const {openJournal} = await import('../orders/journal/journal-file.ts')
  const journal = await openJournal(await journalPlace(flags))
  const {settle} = await import('../orders/journal/settle.ts')
  for (const line of settle(journal)) caution(line)
  return journal
}

/** The command line, as the journal keeps it. */
export const asked = (): string => ['gwswitch', ...process.argv.slice(2)].join(' ')
