// Which switches of a journal somebody means: RUN, RUN.N, or the last one of a VM.
import {Failure} from '../../errors.ts'
import {type JournalEntry, MANY, type RunBody} from './entry.ts'
import type {JournalReader} from './journal-file.ts'
import {standingNow} from './settle.ts'
import type {Standing} from './standing.ts'

/**
 * The switches of a run, of which one may be named by its number, oldest first; of a VM (its name or MAC) the last one that
 * changed something. @throws Failure `usage` if there is none.
 */
export function chosen(journal: JournalReader, what: string): readonly JournalEntry[] {
  const [, id = what, n] = /^([0-9a-z]{8})(?:\.(\d+))?$/.exec(what) ?? []
  const run = journal.entries({run: id}, MANY).filter((entry) => n === undefined || entry.n === Number(n))
  if (run.length > 0) return run
  const ofVm = journal.entries({vm: what}, MANY)
  const last = ofVm.findLast(({wasBegun, undoes}) => wasBegun && !undoes)
  if (last) return [last]
  const why = ofVm.length > 0 ? `nothing was changed at ${what}` : `knows no run and no VM "${what}"`
  throw new Failure('usage', `${journal.file}: ${why}: see gwswitch history`)
}

export interface Resumable {
  readonly order: RunBody
  readonly entries: readonly JournalEntry[]
}

/**
 * What is left to do of a run, oldest first, and how it was ordered.
 * @throws Failure `usage` if there is no such run, it is under way, or nothing is left of it.
 */
export function resumable(journal: JournalReader, id: string): Resumable {
  const order = journal.run(id)
  if (!order) throw new Failure('usage', `${journal.file}: knows no run "${id}": see gwswitch history`)
  const all = journal.entries({run: id}, MANY)
  if (order.by === 'undo')
    throw new Failure('usage', `run ${id} is an undo: gwswitch undo ${all[0]?.undoes?.run ?? id}`)
  if (all.some((entry) => standingNow(entry) === 'under-way'))
    throw new Failure('usage', `run ${id} is under way: stop it, or wait for it`)
  const entries = all.filter((entry) => isResumable(entry, standingNow(entry)))
  if (entries.length === 0) throw new Failure('usage', `run ${id}: nothing of it is left to do`)
  return {order, entries}
}

/** What was not brought to its end: never begun, cut short, or stopped by a signal. */
function isResumable({document, endedBy}: JournalEntry, standing: Standing): boolean {
  if (standing === 'not-begun' || standing === 'half-done') return true
  return standing === 'ended' && (endedBy === 'guard' || (endedBy === 'process' && document!.exitCode >= SIGNALLED))
}

/** Exit codes above are those of a signal. */
const SIGNALLED = 128
