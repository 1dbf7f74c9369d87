// A run of many switches in the journal: each transaction waits for the disk, and the event loop with it, so that marks of
// several VMs go into one.
import {setTimeout as delay} from 'node:timers/promises'
import type {JournalRun, Mark} from './journal.ts'

/** How long marks are gathered from the first on, ms. A commit with fsync takes one to ten. */
const GATHER_MS = 25

/** The same run; `mark` resolves once its marks are on disk. What cannot be written fails for each that was gathered. */
export function gatheredRun(run: JournalRun): JournalRun {
  let waiting: Mark[] = []
  let written: Promise<void> | undefined
  const write = async (): Promise<void> => {
    await delay(GATHER_MS)
    const all = waiting
    waiting = []
    written = undefined
    await run.mark(all)
  }
  return {
    get id() {
      return run.id
    },
    file: run.file,
    plan: (switches) => run.plan(switches),
    planBegun: (one, guard) => run.planBegun(one, guard),
    mark(marks) {
      waiting.push(...marks)
      written ??= write()
      return written
    },
  }
}
