// What a lab leaves on disk while it exists: its options, its inventory, its relay's counters, and a lock.
import {existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import {type FileLock, lockHolder, tryLock} from '../net/file/file-lock.ts'
import type {LabOptions} from './options.ts'

const ROOT = '/run/gwswitch'

/** What `lab.json` says. Written before the first namespace is made, and again when the lab is whole. */
export interface LabRecord {
  readonly options: LabOptions
  readonly complete: boolean
}

export interface LabFiles {
  readonly directory: string
  readonly record: string
  readonly inventory: string
  readonly journal: string
  readonly relayCounters: string
  readonly relayLog: string
  readonly lock: string
}

export function labFiles(prefix: string): LabFiles {
  const directory = `${ROOT}/lab-${prefix}`
  return {
    directory,
    record: `${directory}/lab.json`,
    inventory: `${directory}/gwswitch.yaml`,
    journal: `${directory}/journal.db`,
    relayCounters: `${directory}/relay.json`,
    relayLog: `${directory}/relay.log`,
    // Beside the directory, which goes away while the lock is held.
    lock: `${ROOT}/lab-${prefix}.lock`,
  }
}

/**
 * Undefined if there is no lab of this prefix. One whose record says nothing counts as half built.
 * @throws Failure `privilege` if it is another user's.
 */
export function readRecord(prefix: string): LabRecord | 'broken' | undefined {
  try {
    return JSON.parse(readFileSync(labFiles(prefix).record, 'utf8')) as LabRecord
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new Failure('privilege', `lab ${prefix} is not yours to look into: run as the user that made it (root)`)
    }
    return entries(ROOT).includes(`lab-${prefix}`) ? 'broken' : undefined
  }
}

export function writeRecord(record: LabRecord): void {
  const files = labFiles(record.options.prefix)
  mkdirSync(files.directory, {recursive: true, mode: 0o700})
  writeFileSync(files.record, `${JSON.stringify(record, undefined, 2)}\n`)
}

/** Removes everything of a lab but its lock. */
export const removeState = (prefix: string): void => rmSync(labFiles(prefix).directory, {recursive: true, force: true})

const LOCK_WAIT_MS = 10_000
const LOCK_RETRY_MS = 20

/**
 * Runs `fn` while nobody else, in another process or in this one, builds, moves or removes this lab. Waits its turn.
 * @throws Failure `runtime` if the holder takes longer than 10 s.
 */
export async function withLock<T>(prefix: string, fn: () => Promise<T>): Promise<T> {
  const lock = await takeLock(prefix)
  try {
    return await fn()
  } finally {
    lock.release()
    removeRootIfEmpty()
  }
}

async function takeLock(prefix: string): Promise<FileLock> {
  const path = labFiles(prefix).lock
  const deadline = performance.now() + LOCK_WAIT_MS
  for (;;) {
    const lock = lockInRoot(path)
    if (lock) return lock
    if (performance.now() > deadline) {
      const holder = lockHolder(path) ?? 'unknown'
      throw new Failure('runtime', `lab ${prefix}: process ${holder} is at work on it: let it finish first`)
    }
    await sleep(LOCK_RETRY_MS)
  }
}

function lockInRoot(path: string): FileLock | undefined {
  try {
    mkdirSync(ROOT, {recursive: true, mode: 0o755})
    return tryLock(path)
  } catch (error) {
    // Whoever removed the last lab may just have removed the directory too.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (error instanceof Failure) throw error
    throw new Failure('runtime', `lab: cannot make ${ROOT}: ${(error as NodeJS.ErrnoException).code}`)
  }
}

/** Whether somebody holds the lock, or died holding it. */
export const isLocked = (prefix: string): boolean => existsSync(labFiles(prefix).lock)

function removeRootIfEmpty(): void {
  try {
    rmdirSync(ROOT)
  } catch {
    // Other labs, or other parts of gwswitch, keep theirs there.
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
