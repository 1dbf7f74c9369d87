// Transactions out of a server's log.
import {hash} from 'node:crypto'
import {growingFile} from '../../../net/file/growing-file.ts'
import type {Mac} from '../../../wire/address.ts'
import type {Transaction} from './backend.ts'

/** What one line of a log tells of a client's transaction; fields that it does not tell are absent. */
export interface LogEntry {
  readonly mac: Mac
  readonly xid: number
  /** The line stands for an ACK of the server: a transaction of its own. */
  readonly acked: boolean
}

/** Reads one line. It may keep what earlier lines said, since some servers need several for one message. */
export type LogReader = (line: string) => LogEntry | undefined

/** Clients remembered at most; the oldest are forgotten. */
const LIMIT = 100_000

export interface TransactionLog {
  last(mac: Mac): Transaction | undefined
}

/** The last ACK of a client. */
interface Found {
  readonly xid: number
  readonly line: string
  /** How many times in a row the very same line came: where the log has no times, or within one second. */
  readonly times: number
}

/** Looks into the log at every question, at what is new in it. */
export function transactionLog(path: string, read: LogReader): TransactionLog {
  const file = growingFile(path)
  const found = new Map<Mac, Found>()
  return {
    last(mac) {
      file.readNew((line) => {
        const entry = read(line)
        if (!entry?.acked) return
        const {xid} = entry
        const before = found.get(entry.mac)
        const isAgain = before?.line === line && before.xid === xid
        found.delete(entry.mac)
        found.set(entry.mac, {xid, line, times: isAgain ? before.times + 1 : 1})
        if (found.size > LIMIT) found.delete(found.keys().next().value!)
      })
      const last = found.get(mac)
      return last && {xid: last.xid, serial: serialOf(last)}
    },
  }
}

/** Of the ACK itself: another process, which looks from elsewhere in the log, must not take an old one for a new one. */
const serialOf = ({xid, line, times}: Found): string => hash('sha1', `${xid} ${times} ${line}`)
