// What a lab leaves on disk while it exists: its options, its inventory, its relay's counters, and a lock.
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {Failure} from '../errors.ts'
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
    relayCounters: `${directory}/relay.json`,
    relayLog: `${directory}/relay.log`,
    // Beside the directory, which goes away while the lock is held.
    lock: `${ROOT}/lab-${prefix}.lock`,
  }
}

/** The prefixes of the labs that exist, whole or not. */
export const labPrefixes = (): string[] =>
  entries(ROOT).flatMap((name) => (name.startsWith('lab-') && !name.endsWith('.lock') ? [name.slice(4)] : []))

/** Undefined if there is no lab of this prefix. One whose record cannot be read counts as half built. */
export function readRecord(prefix: string): LabRecord | 'broken' | undefined {
  const files = labFiles(prefix)
  try {
    return JSON.parse(readFileSync(files.record, 'utf8')) as LabRecord
  } catch {
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
 * Runs `fn` while no other process, and nothing else in this one, builds, moves or removes this lab.
 * Waits its turn. A lock whose holder is dead is taken over.
 * @throws Failure `runtime` if the holder takes longer than 10 s.
 */
export async function withLock<T>(prefix: string, fn: () => Promise<T>): Promise<T> {
  const {lock} = labFiles(prefix)
  await takeLock(lock, prefix)
  try {
    return await fn()
  } finally {
    rmSync(lock, {force: true})
    removeRootIfEmpty()
  }
}

function makeRoot(): void {
  try {
    mkdirSync(ROOT, {recursive: true, mode: 0o755})
  } catch (error) {
    throw new Failure('runtime', `lab: cannot make ${ROOT}: ${(error as NodeJS.ErrnoException).code}`)
  }
}

async function takeLock(lock: string, prefix: string): Promise<void> {
  const deadline = performance.now() + LOCK_WAIT_MS
  for (;;) {
    makeRoot()
    try {
      const fd = openSync(lock, 'wx', 0o600)
      writeSync(fd, processIdentity(process.pid)!)
      closeSync(fd)
      return
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      // Whoever removed the last lab may just have removed the directory too.
      if (code !== 'EEXIST' && code !== 'ENOENT') throw new Failure('runtime', `lab: cannot make ${lock}: ${code}`)
    }
    const holder = readText(lock)
    if (holder && !isRunning(holder)) rmSync(lock, {force: true})
    else if (performance.now() > deadline) throw lockedOut(prefix, holder)
    else await sleep(LOCK_RETRY_MS)
  }
}

const lockedOut = (prefix: string, holder: string | undefined): Failure =>
  new Failure('runtime', `lab ${prefix}: process ${holder?.split(' ')[0]} is at work on it: let it finish first`)

function removeRootIfEmpty(): void {
  try {
    rmdirSync(ROOT)
  } catch {
    // Other labs, or other parts of gwswitch, keep theirs there.
  }
}

/** A process that cannot be taken for a later one of the same number: pid and start time (proc_pid_stat(5), field 22). */
export function processIdentity(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie is dead to us.
  return fields[0] === 'Z' ? undefined : `${pid} ${fields[19]}`
}

/** Whether the process that {@link processIdentity} named still runs. */
export const isRunning = (identity: string): boolean => processIdentity(Number.parseInt(identity, 10)) === identity

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
