// Who wanted what of whom, and what came of it: a file that only grows, one JSON object a line, in the field names of the
// journal (systemd.journal-fields(7)), so that what reads the one reads the other.
import {closeSync, fchownSync, fstatSync, openSync, renameSync, statSync, writeSync} from 'node:fs'
import {dirname} from 'node:path'
import {harmlessJson} from '../../wire/printable.ts'
import {makeFolderOf} from './text-file.ts'

/** Levels of syslog(3). */
export type AuditPriority = 3 | 4 | 5 | 6

export interface AuditEvent {
  /** What happened, in one word: `command`, `switch`, `key`. Field GWSWITCH_EVENT. */
  readonly event: string
  /** For people. */
  readonly message: string
  readonly priority?: AuditPriority
  /** Each becomes a field GWSWITCH_NAME; what is undefined is left out. */
  readonly fields?: Readonly<Record<string, string | number | undefined>>
}

export type Audit = (event: AuditEvent) => void

/** Bytes of a file, and how many older ones there are: audit.jsonl.1 is the newest of them. */
const FILE_LIMIT = 4 << 20
const OLDER = 4

/**
 * Appends to a file of mode 0600, which is made when it is needed. What cannot be written is told to `onError`, once until
 * it can be again: nothing that is done waits for its record.
 */
export function auditLog(path: string, identifier: string, onError: (error: Error) => void): Audit {
  let failing = false
  return (event) => {
    try {
      append(path, `${line(event, identifier)}\n`)
      failing = false
    } catch (error) {
      if (!failing) onError(error as Error)
      failing = true
    }
  }
}

function line({event, message, priority = 6, fields = {}}: AuditEvent, identifier: string): string {
  const own = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [[`GWSWITCH_${name.toUpperCase()}`, String(value)] as const],
  )
  const entry = {
    __REALTIME_TIMESTAMP: String(Date.now() * 1000),
    ...{MESSAGE: message, PRIORITY: String(priority), SYSLOG_IDENTIFIER: identifier},
    // Who it was on this host.
    ...{_PID: String(process.pid), _UID: String(process.getuid?.())},
    ...{GWSWITCH_EVENT: event, ...Object.fromEntries(own)},
  }
  return harmlessJson(JSON.stringify(entry))
}

function append(path: string, text: string): void {
  let fd = open(path)
  try {
    if (fstatSync(fd).size >= FILE_LIMIT) {
      closeSync(fd)
      for (let i = OLDER - 1; i >= 1; i--) move(`${path}.${i}`, `${path}.${i + 1}`)
      move(path, `${path}.1`)
      fd = open(path)
    }
    if (fstatSync(fd).size === 0) begin(path, fd)
    // One write: lines of several processes do not mix.
    writeSync(fd, text)
  } finally {
    closeSync(fd)
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    makeFolderOf(path, 0o700)
    return openSync(path, 'a', 0o600)
  }
}

/** Whoever the folder belongs to goes on with a file that root began. */
function begin(path: string, fd: number): void {
  if (process.geteuid?.() !== 0) return
  const {uid, gid} = statSync(dirname(path))
  if (uid !== 0) fchownSync(fd, uid, gid)
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
