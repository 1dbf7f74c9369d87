// What a guard writes of a switch whose process has died.
import {Failure} from '../../errors.ts'
import type {Verdict} from '../../strategies/strategy.ts'
import {errorRow, takenBack} from '../switch/switch-document.ts'
import type {JournalEntry} from './entry.ts'
import type {SwitchName} from './journal.ts'
import {openJournal} from './journal-file.ts'
import {plannedPart} from './settle.ts'

export interface GuardJournal {
  /** False where the switch was proved before its process died: nothing undoes it then. Else it is being taken back. */
  begins(): boolean
  /** What the network said, or what went wrong. */
  ended(rollback: Verdict | Error): void
}

/** It died between writing that down and telling its guard. */
const isProved = ({state, document}: JournalEntry): boolean =>
  state === 'verified' || state === 'guarding' || document?.verified === true

const CUT_SHORT = new Failure('runtime', 'its process did not bring it to an end; its guard took over')

/** Undefined where it cannot be opened. `onTrouble`: told of whatever cannot be written. */
export async function openGuardJournal(
  {file, run, n}: SwitchName & {readonly file: string},
  onTrouble: (error: Error) => void,
): Promise<GuardJournal | undefined> {
  const tried = <T>(work: () => T): T | undefined => {
    try {
      return work()
    } catch (error) {
      onTrouble(error as Error)
      return undefined
    }
  }
  const journal = await openJournal(file).catch(onTrouble)
  if (!journal) return undefined
  const marks = journal.reopen(run)
  return {
    begins() {
      const entry = tried(() => journal.entry({run, n}))
      if (entry && isProved(entry)) {
        tried(() => journal.close())
        return false
      }
      tried(() => marks.mark([{n, state: 'rolling-back'}]))
      return true
    },
    ended(rollback) {
      tried(() => {
        const entry = journal.entry({run, n})
        const document = entry && {...takenBack(plannedPart(entry), rollback), error: errorRow(CUT_SHORT)}
        if (document) marks.mark([{n, state: 'ended', document, by: 'guard'}])
      })
      tried(() => journal.close())
    },
  }
}
