// What a guard writes of a switch whose process has died.
import {Failure} from '../../errors.ts'
import type {Verdict} from '../../strategies/strategy.ts'
import {errorRow, takenBack} from '../switch/switch-document.ts'
import type {SwitchName} from './journal.ts'
import {openJournal} from './journal-file.ts'
import {plannedPart} from './settle.ts'

export interface GuardJournal {
  begins(): void
  /** What the network said, or what went wrong. */
  ended(rollback: Verdict | Error): void
}

const CUT_SHORT = new Failure('runtime', 'its process did not bring it to an end; its guard took over')

/** Undefined where it cannot be opened. `onTrouble`: told of whatever cannot be written. */
export async function openGuardJournal(
  {file, run, n}: SwitchName & {readonly file: string},
  onTrouble: (error: Error) => void,
): Promise<GuardJournal | undefined> {
  const tried = (work: () => void): void => {
    try {
      work()
    } catch (error) {
      onTrouble(error as Error)
    }
  }
  const journal = await openJournal(file).catch(onTrouble)
  if (!journal) return undefined
  const marks = journal.reopen(run)
  return {
    begins: () => tried(() => marks.mark([{n, state: 'rolling-back'}])),
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
