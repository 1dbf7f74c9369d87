// One SQLite file that one process has to itself, written durably.
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs'
import {basename, dirname} from 'node:path'
import type {DatabaseSync, SQLInputValue} from 'node:sqlite'
import {pathToFileURL} from 'node:url'
import {Failure} from '../../errors.ts'
import {libc} from '../libc.ts'
import {inspectWal, type WalFinding} from './sqlite-wal.ts'

export type {DatabaseSync, StatementSync} from 'node:sqlite'

export interface DatabaseOptions {
  /** Which file this is, 32 bits (`PRAGMA application_id`): others are refused, not written to. */
  readonly applicationId: number
  /** Of the schema (`PRAGMA user_version`). */
  readonly version: number
  /** Creates the tables of `version` in an empty file. */
  readonly schema: string
  /** What makes a file of version N one of N + 1, by N. Versions without are refused. */
  readonly upgrades: Readonly<Record<number, string>>
  /** Whether a commit is on the disk when it returns (a power cut), or with the kernel (the process is killed). */
  readonly sync: 'full' | 'normal'
  /** How many transactions, the last ones, a power cut may have torn: more than these are damage. */
  readonly mayTear: number
  /** What it is called in messages: `lease store`. */
  readonly what: string
  /** Told of what an operator should look at. */
  warn(line: string): void
}

/**
 * Opens or creates the file, for this process alone, and checks that it is whole and can be written. What its log
 * (`FILE-wal`) holds is in the file itself afterwards.
 * @throws Failure `runtime`, one line, if it is corrupt, read-only, in use, newer, or something else; it is left as it is.
 */
export async function openDatabase(file: string, options: DatabaseOptions): Promise<DatabaseSync> {
  const {DatabaseSync} = await import('node:sqlite')
  const before = process.umask(0o077)
  let log: WalFinding | undefined
  let database: DatabaseSync | undefined
  try {
    mkdirSync(dirname(file), {recursive: true})
    log = checkLog(file, options)
    database = new DatabaseSync(file)
    // Exclusive: a second server on the same file would give out the same addresses.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 1000')
    identify(database, file, options)
    makeReady(database, options)
    return database
  } catch (error) {
    if (database?.isOpen) closeAsItWas(database, log && troubleOf(error) !== 'locked' ? file : undefined)
    throw error instanceof Failure
      ? error
      : new Failure('runtime', `${file}: ${reason(error as Error, options.what, file)}`)
  } finally {
    process.umask(before)
  }
}

/**
 * Before SQLite looks: it removes a log without a file, and ends a log at its first damaged byte, as if a power cut had
 * torn it there.
 */
function checkLog(file: string, {what, mayTear, warn}: DatabaseOptions): WalFinding | undefined {
  const path = `${file}-wal`
  const log = inspectWal(path)
  if (!log) return undefined
  const name = basename(path)
  const fail = (why: string, remedy: string): Failure =>
    new Failure('runtime', `${file}: the ${what} is ${isLocked(file) ? IN_USE : `corrupt (${why}): ${remedy}`}`)
  const lacks = lackOf(file)
  if (lacks === 'is missing' || lacks === 'is empty' || (lacks && !log.hasPageOne)) {
    const why = `${basename(file)} ${lacks}, and its log ${name} holds ${log.bytes} bytes`
    throw fail(why, 'put it back from a backup, or move both away to start with an empty one')
  }
  if (log.lost > mayTear) {
    const behind = Number.isFinite(log.lost) ? `, with ${log.lost} transactions behind` : ''
    throw fail(
      `${name} is damaged after byte ${log.wholeBytes}${behind}`,
      `restore both files from a backup, or keep a copy of both and run "truncate -s ${log.wholeBytes} ${path}" to go on with what is before`,
    )
  }
  if (log.lost > 0) {
    if (isLocked(file)) throw sqliteError(SQLITE_BUSY, 'database is locked')
    // By a power cut, most likely. Nobody can tell, so that what SQLite will drop is kept.
    const copy = `${path}.damaged-${statSync(path).mtime.toISOString().replaceAll(':', '')}`
    copyFileSync(path, copy)
    warn(`${file}: the end of its log is torn, and left out (transactions: ${log.lost}); it is kept as ${copy}`)
  }
  return log
}

const MAGIC = 'SQLite format 3\0'

/** What a database file lacks that was ever one of ours, as its first bytes tell. */
function lackOf(file: string): 'is missing' | 'is empty' | 'holds no tables' | undefined {
  if (!statSync(file, {throwIfNoEntry: false})) return 'is missing'
  const bytes = Buffer.alloc(108)
  const fd = openSync(file, 'r')
  const read = readSync(fd, bytes, 0, bytes.length, 0)
  closeSync(fd)
  if (read === 0) return 'is empty'
  // The root of the schema's tree: an inner page, or a leaf with cells.
  const hasTables = bytes[100] === 5 || bytes.readUInt16BE(103) > 0
  return bytes.toString('latin1', 0, MAGIC.length) === MAGIC && hasTables ? undefined : 'holds no tables'
}

const F_GETLK = 5
const F_WRLCK = 1
const F_UNLCK = 2

/** Whether another process has the database open, whose log is then no finished thing to judge. SQLite locks by fcntl(2). */
function isLocked(file: string): boolean {
  if (!statSync(file, {throwIfNoEntry: false})) return false
  // `struct flock`: type, whence, start, length (0: to the end), pid.
  const lock = Buffer.alloc(128)
  lock.writeInt16LE(F_WRLCK, 0)
  const fd = openSync(file, 'r')
  const answered = libc().fcntl(fd, F_GETLK, 'void *', lock) === 0
  closeSync(fd)
  return answered && lock.readInt16LE(0) !== F_UNLCK
}

function identify(
  database: DatabaseSync,
  file: string,
  {applicationId, version, upgrades, what, schema}: DatabaseOptions,
): void {
  const pragma = (name: string): number => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0])
  const tables = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as {n: number}
  const change = (sql: string, to: number): void =>
    database.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${to}; COMMIT`)
  if (tables.n === 0) {
    // With a journal of its own, not yet in WAL mode: the tables are then in the file, and a log without them is damage.
    change(`${schema}; PRAGMA application_id = ${applicationId}`, version)
    return
  }
  if (pragma('application_id') !== applicationId) throw new Failure('runtime', `${file}: is no ${what}`)
  let found = pragma('user_version')
  if (found > version || (found < version && upgrades[found] === undefined)) {
    const ours = `and this gwswitch reads version ${version}`
    throw new Failure('runtime', `${file}: is a ${what} of version ${found}, ${ours}`)
  }
  checkWhole(database)
  for (; found < version; found++) change(upgrades[found]!, found + 1)
}

function checkWhole(database: DatabaseSync): void {
  const [first] = database.prepare('PRAGMA quick_check(1)').all() as {quick_check: string}[]
  if (first?.quick_check !== 'ok')
    throw sqliteError(SQLITE_CORRUPT, `database disk image is malformed: ${lastLine(first?.quick_check ?? '')}`)
}

function makeReady(database: DatabaseSync, {sync}: DatabaseOptions): void {
  // WAL: a commit is one append and one fsync. Checkpoints stop the caller; most of the log is the same few pages, so
  // that a long one costs hardly more than a short one.
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 16000; PRAGMA synchronous = ${sync}`)
  // What came before is then safe from whatever becomes of the log.
  const {busy} = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as {busy: number}
  if (busy !== 0) throw sqliteError(SQLITE_BUSY, 'database is locked')
  // A write that changes nothing: it fails now, and not at the first client.
  database.exec('BEGIN IMMEDIATE; UPDATE meta SET opened = opened + 1; COMMIT')
}

/**
 * Closes, and leaves `file` and its log as they are. SQLite would move into the file what it can read of the log, and
 * remove it, unless the file is not where it was when it was opened.
 */
function closeAsItWas(database: DatabaseSync, file: string | undefined): void {
  const aside = `${file}.closing`
  try {
    if (file !== undefined) renameSync(file, aside)
  } catch {
    // A directory that is not ours to write: nor is the file.
    file = undefined
  }
  try {
    database.close()
  } finally {
    if (file !== undefined) renameSync(aside, file)
  }
}

/** The finding; the lines before it say which database. */
const lastLine = (text: string): string => text.trim().split('\n').at(-1)!

/** SQLite's result codes (sqlite3.h); the low byte of the extended ones. */
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_NOTADB = 26

/** As SQLite's own errors are. */
const sqliteError = (errcode: number, message: string): Error => Object.assign(new Error(message), {errcode})

/** What kind of trouble SQLite or the file system had; undefined for any other. */
export function troubleOf(error: unknown): 'locked' | 'corrupt' | 'not-writable' | undefined {
  const {errcode = 0, code} = error as {errcode?: number; code?: string}
  switch (errcode & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return 'locked'
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return 'corrupt'
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return 'not-writable'
    default:
      return code === 'EACCES' || code === 'EROFS' ? 'not-writable' : undefined
  }
}

const IN_USE = 'in use by another server'

/** Why `file` could not be written, in words for whoever looks after the disk; SQLite's own where it is something else. */
export function writeTrouble(error: unknown, file: string): string {
  const {errcode = 0, code, message} = error as Error & {errcode?: number; code?: string}
  if ((errcode & 0xff) === SQLITE_FULL || code === 'ENOSPC') return 'the disk is full'
  const place = existsSync(file) ? file : dirname(file)
  if (code === 'EROFS' || accessTrouble(place) === 'EROFS') return 'its file system is read-only'
  if (code === 'EACCES' || accessTrouble(place) === 'EACCES') return 'it is not ours to write'
  return (errcode & 0xff) === SQLITE_IOERR ? `the disk fails: ${message}` : message
}

function accessTrouble(path: string): string | undefined {
  try {
    accessSync(path, constants.W_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

function reason(error: Error, what: string, file: string): string {
  const {message} = error
  switch (troubleOf(error)) {
    case 'corrupt':
      return `the ${what} is corrupt (${message}): restore it from a backup, or move it away to start with an empty one`
    case 'not-writable':
      return `the ${what} cannot be written (${writeTrouble(error, file)})`
    case 'locked':
      return `the ${what} is ${IN_USE}`
    default:
      return `cannot open the ${what}: ${writeTrouble(error, file)}`
  }
}

/**
 * Opens or creates a file that several processes of its owner share, and nobody else; its folder too.
 * @throws Failure `privilege` where that is not ours to write (`remedy` says what to do), else `runtime` (`purpose`: "keep
 *   what DHCP clients said").
 */
export async function openSharedDatabase<T>(
  file: string,
  {purpose, remedy}: {readonly purpose: string; readonly remedy: string},
  use: (database: DatabaseSync) => T,
): Promise<T> {
  const {DatabaseSync} = await import('node:sqlite')
  const before = process.umask(0o077)
  let database: DatabaseSync | undefined
  try {
    mkdirSync(dirname(file), {recursive: true, mode: 0o700})
    database = new DatabaseSync(file)
    return use(database)
  } catch (error) {
    if (database?.isOpen) database.close()
    if (error instanceof Failure) throw error
    const {code, message} = error as NodeJS.ErrnoException
    // Root may write everywhere: what it cannot open is something else.
    if (code === 'EACCES' || (process.geteuid?.() !== 0 && troubleOf(error) === 'not-writable'))
      throw new Failure('privilege', `${file}: is not ours to write: ${remedy}`)
    throw new Failure('runtime', `${file}: cannot ${purpose}: ${message}`)
  } finally {
    process.umask(before)
  }
}

/**
 * Reads such a file, and leaves no trace: where no other process has it open, SQLite is told that it does not change, or
 * it would lay its log beside it. Undefined if there is no such file.
 * @throws Failure `runtime` (`purpose`: "read what DHCP clients said").
 */
export async function readSharedDatabase<T>(
  file: string,
  purpose: string,
  use: (database: DatabaseSync) => T,
): Promise<T | undefined> {
  if (!existsSync(file)) return undefined
  const {DatabaseSync} = await import('node:sqlite')
  const url = pathToFileURL(file)
  if (!existsSync(`${file}-wal`)) url.search = '?immutable=1'
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(url, {readOnly: true})
    return use(database)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure('runtime', `${file}: cannot ${purpose}: ${(error as Error).message}`)
  } finally {
    database?.close()
  }
}

/**
 * The same in memory: what is written to it is gone when it is closed, and the file is not touched. `use` makes the tables.
 * @throws Failure `runtime`, as {@link readSharedDatabase}.
 */
export async function copySharedDatabase<T>(
  file: string,
  purpose: string,
  tables: readonly string[],
  use: (database: DatabaseSync) => T,
): Promise<T> {
  const {DatabaseSync} = await import('node:sqlite')
  const copy = new DatabaseSync(':memory:')
  const used = use(copy)
  await readSharedDatabase(file, purpose, (disk) => {
    for (const table of tables) {
      const rows = disk.prepare(`SELECT * FROM ${table}`)
      rows.setReadBigInts(true)
      for (const row of rows.all() as Record<string, SQLInputValue>[]) {
        const columns = Object.keys(row)
        const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`
        copy.prepare(sql).run(...Object.values(row))
      }
    }
  })
  return used
}
