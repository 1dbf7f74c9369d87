// What is made of a switch whose process has died: by its guard, and by whoever proves something of the VM later.
import {DatabaseSync} from 'node:sqlite'
import {describe, expect, it} from 'vitest'
import {openGuardJournal} from '../../../src/orders/journal/guard-journal.ts'
import {type JournalFileRun, openJournal} from '../../../src/orders/journal/journal-file.ts'
import {endFinished} from '../../../src/orders/journal/settle.ts'
import {endedFor, preparedFor, withJournalFile} from '../../support/journal.ts'

const ORDER = {by: 'arrival', asked: 'rarp'} as const
const SERVED = {ok: true, code: 'served', uses: null, evidence: []} as const

/** Its process is not seen to run any more. */
function forget(file: string): void {
  const database = new DatabaseSync(file)
  database.exec(`UPDATE record SET body = replace(body, '"pid":${process.pid},', '"pid":${2 ** 30},')`)
  database.close()
}

describe('a guard', () => {
  it.each<[string, (run: JournalFileRun, n: number) => unknown, boolean]>([
    ['takes back what was only begun', () => {}, true],
    ['leaves what was proved', (run, n) => run.mark([{n, state: 'verified', verdict: SERVED}]), false],
    [
      'leaves what was proved, and has ended',
      (run, n) => run.mark([{n, state: 'ended', document: endedFor(preparedFor())}]),
      false,
    ],
    [
      'tries once more what could not be taken back',
      (run, n) => run.mark([{n, state: 'ended', document: endedFor(preparedFor(), {end: 'unknown', verified: false})}]),
      true,
    ],
  ])('%s', async (_name, after, takesBack) =>
    withJournalFile(async (file) => {
      const journal = await openJournal(file)
      const run = journal.begin(ORDER)
      const n = run.planBegun(preparedFor(), process.pid)
      await after(run, n)
      const guard = await openGuardJournal({file, run: run.id, n}, (error) => {
        throw error
      })
      expect(guard!.begins()).toBe(takesBack)
      const {state} = journal.entry({run: run.id, n})!
      expect(state === 'rolling-back').toBe(takesBack)
      journal.close()
    }),
  )
})

describe('a switch that was cut short', () => {
  it.each([
    ['is ended by a later proof of the same', 'y', {}, true],
    ['is not, by one to another gateway', 'x', {}, false],
    ['is not, by one that was taken back', 'y', {end: 'rolled-back', verified: false, rolledBack: true}, false],
  ] as const)('%s', async (_name, to, over, isEnded) =>
    withJournalFile(async (file) => {
      const journal = await openJournal(file)
      const cut = journal.begin(ORDER)
      const n = cut.planBegun(preparedFor('web-07', 'y'), undefined)
      forget(file)
      const later = journal.begin(ORDER)
      const m = later.planBegun(preparedFor('web-07', to), process.pid)
      later.mark([{n: m, state: 'ended', document: endedFor(preparedFor('web-07', to), over)}])
      const lines = endFinished(journal)
      const said = `run ${cut.id}: the switch of web-07 to ry, which was cut short, is finished: run ${later.id} found it so`
      expect(lines).toEqual(isEnded ? [said] : [])
      expect(journal.entry({run: cut.id, n})).toMatchObject({state: isEnded ? 'ended' : 'executing'})
      expect(endFinished(journal)).toEqual([])
      journal.close()
    }),
  )
})
