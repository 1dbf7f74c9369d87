// What tests switch is none of the machine's history: every gwswitch that the run starts has a journal of the run's own.
import {chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {NOBODY, nobodysJournal} from './ordinary-user.ts'

/** vitest's globalSetup: what it returns runs when all tests are done. */
export default function scratchJournal(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'gwswitch-tests-'))
  process.env.GWSWITCH_JOURNAL = join(folder, 'journal.db')
  if (process.geteuid?.() === 0) {
    chmodSync(folder, 0o711)
    mkdirSync(dirname(nobodysJournal()))
    chownSync(dirname(nobodysJournal()), NOBODY, NOBODY)
  }
  return () => rmSync(folder, {recursive: true, force: true})
}
