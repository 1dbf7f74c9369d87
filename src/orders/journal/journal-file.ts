// The journal of a host: a file that every process of it which switches writes to.

import type {ChainCheck, ChainPlace} from '../../domain/journal/chain.ts'
import {Failure} from '../../errors.ts'
import {
  type DatabaseSync,
  openSharedDatabase,
  readSharedDatabase,
  troubleOf,
  writeTrouble,
} from '../../net/file/sqlite.ts'
import {processName, userName} from '../../net/process/owner.ts'
import type {Mac} from '../../wire/address.ts'
import {plannedOf} from '../switch/switch-document.ts'
import {entryOf, type JournalEntry, type MarkBody, type PlannedBody, type RunBody} from './entry.ts'
import type {Journal, JournalRun, LastProved, Mark, RunOrder, SwitchName} from './journal.ts'
import {type Choice, type Draft, type JournalRows, journalRows, type Retention, SCHEMA} from './journal-rows.ts'
import {provedBy} from './standing.ts'

/** "gwjr" */
const APPLICATION_ID = 0x67776a72
const VERSION = 1

/** What can be read of a journal, by whoever may only read it. */
export interface JournalReader {
  readonly file: string
  /** The last switches that were chosen, oldest first. */
  entries(choice: Choice, limit: number): readonly JournalEntry[]
  /** Those that were begun and have not ended, oldest first. */
  half(): readonly JournalEntry[]
  entry(name: SwitchName): JournalEntry | undefined
  run(id: string): RunBody | undefined
  /** How many switches a run has. */
  size(run: string): number
  lastProved(mac: Mac): LastProved | undefined
  /** The last record: kept elsewhere, it shows later that nothing before it was changed. */
  head(): ChainPlace
  check(): ChainCheck
}

export interface JournalFileRun extends JournalRun {
  readonly file: string
  mark(marks: readonly Mark[]): void
  /** As `plan`, for a switch that is to be taken back. */
  planUndo(body: PlannedBody): number
}

export interface JournalFile extends Journal, JournalReader {
  begin(order: RunOrder): JournalFileRun
  /** A run that another process began. */
  reopen(id: string): JournalFileRun
}

/**
 * Opens or creates the journal.
 * @throws Failure `privilege` where it is not ours to write, `runtime` if it is corrupt, newer, or something else: it is
 *   left as it is.
 */
export async function openJournal(file: string, retention?: Retention): Promise<JournalFile> {
  const words = {purpose: 'open the journal', remedy: 'run as root, or give --journal FILE or --no-journal'}
  try {
    return await openSharedDatabase(file, words, (database) => {
      try {
        makeReady(database, file)
        return journalOn(database, file, retention)
      } catch (error) {
        const isOther = (error as {errcode?: number}).errcode !== undefined && troubleOf(error) === undefined
        throw isOther ? unwritten(error, file) : readable(error, file)
      }
    })
  } catch (error) {
    const {kind, message} = error as Failure
    throw kind !== 'runtime' || message.includes('--no-journal') ? error : new Failure(kind, `${message}${UNBEGUN}`)
  }
}

const unwritten = (error: unknown, file: string): Failure =>
  new Failure('runtime', `${file}: the journal cannot be written (${writeTrouble(error, file)})`)

/** What an existing journal says. Touches nothing. @throws Failure `runtime` if there is none, or it cannot be read. */
export async function readJournal<T>(file: string, use: (journal: JournalReader) => T): Promise<T> {
  const read = await readSharedDatabase(file, 'read the journal', (database) => {
    try {
      if (!isOursNow(database, file)) throw new Failure('runtime', `${file}: holds no journal`)
      return {value: use(readerOn(journalRows(database), file))}
    } catch (error) {
      throw readable(error, file)
    }
  })
  if (read === undefined) throw new Failure('runtime', `${file}: there is no journal here yet: nothing was switched`)
  return read.value
}

const WITHOUT = 'move it away to start with an empty one, or go on with --no-journal'

function readable(error: unknown, file: string): unknown {
  if (troubleOf(error) !== 'corrupt') return error
  return new Failure('runtime', `${file}: the journal is corrupt (${(error as Error).message}): ${WITHOUT}`)
}

const pragma = (database: DatabaseSync, name: string): number =>
  Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0])

/** As it is at one moment: another process may be making it. */
function isOursNow(database: DatabaseSync, file: string): boolean {
  database.exec('BEGIN')
  try {
    return isOurs(database, file)
  } finally {
    database.exec('COMMIT')
  }
}

/** False for an empty file. @throws Failure `runtime` for one that is something else, or newer. */
function isOurs(database: DatabaseSync, file: string): boolean {
  const version = pragma(database, 'user_version')
  if (pragma(database, 'application_id') !== APPLICATION_ID) {
    const {n} = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as {n: number}
    if (n === 0 && version === 0) return false
    throw new Failure('runtime', `${file}: is no journal of gwswitch: give another --journal FILE, or --no-journal`)
  }
  if (version === VERSION) return true
  const ours = `and this gwswitch reads version ${VERSION}`
  throw new Failure('runtime', `${file}: is a journal of version ${version}, ${ours}: ${WITHOUT}`)
}

/** Of several processes that make the same file at once, one does. */
function makeReady(database: DatabaseSync, file: string): void {
  database.exec('PRAGMA busy_timeout = 10000')
  if (!isOursNow(database, file)) {
    database.exec('BEGIN IMMEDIATE')
    if (!isOurs(database, file)) {
      database.exec(`${SCHEMA}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`)
    }
    database.exec('COMMIT')
  }
  database.exec('PRAGMA synchronous = FULL')
  setWal(database)
}

const WAL_TRIES = 100

/** Where two do this to a new file at once, SQLite refuses one without waiting, whatever busy_timeout says. */
function setWal(database: DatabaseSync): void {
  for (let tried = 1; ; tried++) {
    try {
      database.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (troubleOf(error) !== 'locked' || tried === WAL_TRIES) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}

function journalOn(database: DatabaseSync, file: string, retention?: Retention): JournalFile {
  const rows = journalRows(database, retention)
  const written = <T>(work: () => T, after = ''): T => {
    try {
      return work()
    } catch (error) {
      if ((error as {errcode?: number}).errcode === undefined) throw error
      throw new Failure('runtime', `${unwritten(error, file).message}${after}`)
    }
  }
  return {
    ...readerOn(rows, file),
    begin: (order) => runOn(order, rows, file, written),
    reopen: (id) => runOn(id, rows, file, written),
    close: () => database.close(),
  }
}

const UNBEGUN = ': nothing was begun; --no-journal does without it'

/** `of`: the id of a run, or one that is begun with the first thing that is written of it. */
function runOn(
  of: string | RunOrder,
  rows: JournalRows,
  file: string,
  written: <T>(work: () => T, after?: string) => T,
): JournalFileRun {
  let id = typeof of === 'string' ? of : undefined
  let count = 0
  const begin = (drafts: readonly Draft[]): string => {
    const body = {...(of as RunOrder), user: userName(), process: processName()} satisfies RunBody
    return rows.begin(body, drafts, Date.now())
  }
  const known = (): string => (id ??= written(() => begin([]), UNBEGUN))
  const plan = (bodies: readonly PlannedBody[], also: (n: number) => Draft[] = () => []): number[] => {
    const numbers = bodies.map(() => ++count)
    const drafts = bodies.flatMap((body, i): Draft[] => {
      const {name, mac} = body.vm
      return [{n: numbers[i]!, kind: 'planned', vm: name, mac, body}, ...also(numbers[i]!)]
    })
    written(() => {
      if (id === undefined) id = begin(drafts)
      else rows.append(id, drafts, Date.now())
    }, UNBEGUN)
    return numbers
  }
  return {
    get id() {
      return known()
    },
    file,
    plan: (switches) => plan(switches.map(plannedOf)),
    planUndo: (body) => plan([body])[0]!,
    planBegun: (one, guard) => plan([plannedOf(one)], (n) => [markDraft({n, state: 'executing', guard})])[0]!,
    mark(marks) {
      const drafts = marks.map(markDraft)
      const isBegun = marks.some(({state}) => state !== 'executing')
      written(() => rows.append(known(), drafts, Date.now()), isBegun ? '' : UNBEGUN)
    },
  }
}

const markDraft = (mark: Mark): Draft => ({n: mark.n, kind: mark.state, body: markBody(mark)})

function markBody(mark: Mark): MarkBody {
  switch (mark.state) {
    case 'executing': {
      const guard = mark.guard === undefined ? undefined : processName(mark.guard)
      return {...(mark.plan !== undefined && {plan: mark.plan}), ...(guard && {processes: [guard]})}
    }
    case 'verified':
      return {...(mark.verdict && {verdict: mark.verdict})}
    case 'guarding':
      return {}
    case 'rolling-back': {
      const own = processName()
      return {...(own && {processes: [own]})}
    }
    case 'ended':
      return {document: mark.document, ...(mark.by && {by: mark.by})}
  }
}

function readerOn(rows: JournalRows, file: string): JournalReader {
  const run = (id: string): RunBody | undefined => {
    const record = rows.run(id)
    return record && (JSON.parse(record.body) as RunBody)
  }
  const entry = (name: SwitchName): JournalEntry | undefined => {
    const records = rows.of(name)
    const order = records[0]?.kind === 'planned' ? run(name.run) : undefined
    return order && entryOf(order, records)
  }
  function* known(names: readonly SwitchName[]): Iterable<JournalEntry> {
    for (const name of names) {
      const found = entry(name)
      if (found) yield found
    }
  }
  const entries: JournalReader['entries'] = (choice, limit) => [...known(rows.last(choice, limit))]
  return {
    ...{file, entries, entry, run, head: rows.head, check: rows.check, size: rows.size},
    half: () => [...known(rows.half())],
    // No more of them are read than it takes: a VM that has arrived waits for this.
    lastProved: (mac) => provedBy(known(rows.last({mac}, LOOKED_BACK).toReversed())),
  }
}

/** Switches of a VM among which the last one that proved something is looked for. */
const LOOKED_BACK = 20
