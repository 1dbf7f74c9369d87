// Transactions out of a server's log.
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

/** Looks into the log at every question, at what is new in it. */
export function transactionLog(path: string, read: LogReader): TransactionLog {
  const file = growingFile(path)
  const found = new Map<Mac, Transaction>()
  let serial = 0
  return {
    last(mac) {
      file.readNew((line) => {
        const entry = read(line)
        if (!entry?.acked) return
        found.delete(entry.mac)
        found.set(entry.mac, {xid: entry.xid, serial: `${path}:${++serial}`})
        if (found.size > LIMIT) found.delete(found.keys().next().value!)
      })
      return found.get(mac)
    },
  }
}
