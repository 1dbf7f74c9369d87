// Every commit waits for the disk: a file of its own, which nobody runs again and again.
import {execFile} from 'node:child_process'
import {promisify} from 'node:util'
import {describe, expect, it} from 'vitest'
import {readJournal} from '../../../src/orders/journal/journal-file.ts'
import {withJournalFile} from '../../support/journal.ts'

describe('the journal', () => {
  it('loses nothing that several processes write at once, from a file that none of them finds', {
    timeout: 180_000,
  }, async () => {
    const program = `
      const {openJournal} = await import(${JSON.stringify(new URL('../../../src/orders/journal/journal-file.ts', import.meta.url).href)})
      const {endedFor, preparedFor} = await import(${JSON.stringify(new URL('../../support/journal.ts', import.meta.url).href)})
      const prepared = preparedFor()
      const journal = await openJournal(process.argv[1])
      for (let i = 0; i < 50; i++) {
        const run = journal.begin({by: 'switch', asked: String(process.pid)})
        const [n] = run.plan([prepared])
        run.mark([{n, state: 'executing', plan: {i}}])
        run.mark([{n, state: 'ended', document: endedFor(prepared)}])
      }
      journal.close()`
    await withJournalFile(async (file) => {
      const writers = Array.from({length: 8}, () =>
        promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, file]),
      )
      await Promise.all(writers)
      await readJournal(file, (read) => {
        const entries = read.entries({}, 1000)
        const whole = entries.filter(({state, wasBegun}) => state === 'ended' && wasBegun)
        const byWriter = Object.values(Object.groupBy(whole, ({order}) => order.asked)).map((each) => each!.length)
        expect(byWriter).toEqual(Array(8).fill(50))
        expect(read.check()).toEqual({records: 1600, fault: undefined})
      })
    })
  })
})
