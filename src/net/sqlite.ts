// One SQLite file that one process has to itself, written durably.
import {mkdirSync} from 'node:fs'
import {dirname} from 'node:path'
import type {DatabaseSync} from 'node:sqlite'
import {Failure} from '../errors.ts'

export type {DatabaseSync, StatementSync} from 'node:sqlite'

export interface DatabaseOptions {
  /** Which file this is, 32 bits (`PRAGMA application_id`): others are refused, not written to. */
  readonly applicationId: number
  /** Of the schema (`PRAGMA user_version`). */
  readonly version: number
  /** Creates the tables of `version` in an empty file. */
  readonly schema: string
  /** Whether a commit is on the disk when it returns (a power cut), or with the kernel (the process is killed). */
  readonly sync: 'full' | 'normal'
  /** What it is called in messages: `lease store`. */
  readonly what: string
}

/**
 * Opens or creates the file, for this process alone, and checks that it is whole and can be written.
 * @throws Failure `runtime`, one line, if it is corrupt, read-only, in use, newer, or something else; it is left as it is.
 */
export async function openDatabase(file: string, options: DatabaseOptions): Promise<DatabaseSync> {
  const {DatabaseSync} = await import('node:sqlite')
  const before = process.umask(0o077)
  let database: DatabaseSync | undefined
  try {
    mkdirSync(dirname(file), {recursive: true})
    database = new DatabaseSync(file)
    // Exclusive: a second server on the same file would give out the same addresses.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 1000')
    identify(database, options)
    database.exec(`PRAGMA synchronous = ${options.sync}`)
    check(database)
    return database
  } catch (error) {
    if (database?.isOpen) database.close()
    throw error instanceof Failure ? error : new Failure('runtime', `${file}: ${reason(error as Error, options.what)}`)
  } finally {
    process.umask(before)
  }
}

function identify(database: DatabaseSync, {applicationId, version, schema, what}: DatabaseOptions): void {
  const pragma = (name: string): number => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0])
  const tables = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as {n: number}
  if (tables.n > 0 && pragma('application_id') !== applicationId) throw new Error(`is no ${what}`)
  const found = pragma('user_version')
  if (tables.n > 0 && found !== version) {
    throw new Error(`is a ${what} of version ${found}, and this gwswitch reads version ${version}`)
  }
  // WAL: a commit is one append and one fsync. Checkpoints stop the caller; most of the log is the same few pages, so
  // that a long one costs hardly more than a short one.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 16000')
  if (tables.n > 0) return
  database.exec(
    `BEGIN IMMEDIATE; ${schema}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}; COMMIT`,
  )
}

function check(database: DatabaseSync): void {
  const [first] = database.prepare('PRAGMA quick_check(1)').all() as {quick_check: string}[]
  if (first?.quick_check !== 'ok')
    throw new Error(`database disk image is malformed: ${lastLine(first?.quick_check ?? '')}`)
  // A write that changes nothing: it fails now, and not at the first client.
  database.exec('BEGIN IMMEDIATE; PRAGMA user_version; UPDATE meta SET opened = opened + 1; COMMIT')
}

/** The finding; the lines before it say which database. */
const lastLine = (text: string): string => text.trim().split('\n').at(-1)!

function reason(error: Error, what: string): string {
  const {message} = error
  if (/malformed|not a database|corrupt/.test(message)) {
    return `the ${what} is corrupt (${message}): restore it from a backup, or move it away to start with an empty one`
  }
  if (/readonly|read-only|unable to open|EACCES|EROFS/.test(message))
    return `the ${what} cannot be written (${message})`
  if (/locked|busy/.test(message)) return `the ${what} is in use by another server`
  return message.startsWith('is ') ? message : `cannot open the ${what}: ${message}`
}
