// The chain that the records of a journal make: each has a hash over itself and over the hash of the one before it.

/** A record as it lies in the file. */
export interface ChainRecord {
  /** Counts from 1, without a gap; what was pruned is not used again. */
  readonly seq: number
  readonly run: string
  /** Of the switch within the run; 0 for what is about the run, or the journal. */
  readonly n: number
  /** ms since the epoch. */
  readonly atMs: number
  readonly kind: string
  readonly vm: string | null
  readonly mac: string | null
  /** JSON. */
  readonly body: string
  /** SHA-256, hexadecimal; empty until it is chained. */
  readonly hash: string
}

/** A place in the chain: a record, or the beginning. */
export interface ChainPlace {
  readonly seq: number
  readonly hash: string
}

export const CHAIN_START: ChainPlace = {seq: 0, hash: ''}

/** The hash of a record that follows one whose hash is `before`. */
export function chainHash(before: string, record: Omit<ChainRecord, 'hash'>): string {
  const {seq, run, n, atMs, kind, vm, mac, body} = record
  // Loaded when the first record is chained: that takes as long as a third of what a switch does until its first frame.
  const {createHash} = process.getBuiltinModule('node:crypto')
  return createHash('sha256')
    .update(JSON.stringify([before, seq, run, n, atMs, kind, vm, mac, body]))
    .digest('hex')
}

/** What is wrong with a chain, and where it is first seen. */
export interface ChainFault {
  /** The record; undefined: it is one that is not there. */
  readonly record: ChainRecord | undefined
  readonly seq: number
  readonly why: 'changed' | 'missing'
}

export interface ChainCheck {
  readonly records: number
  readonly fault: ChainFault | undefined
}

/**
 * Follows `records`, by `seq`, from the place that their first one follows to `head`, the last one that was chained. A
 * record whose hash was made anew with it is found by the one behind it.
 */
export function checkChain(records: Iterable<ChainRecord>, start: ChainPlace, head: ChainPlace): ChainCheck {
  let last = start
  let count = 0
  for (const record of records) {
    if (record.seq !== last.seq + 1)
      return {records: count, fault: {record: undefined, seq: last.seq + 1, why: 'missing'}}
    if (record.hash !== chainHash(last.hash, record))
      return {records: count, fault: {record, seq: record.seq, why: 'changed'}}
    last = record
    count++
  }
  const isWhole = last.seq === head.seq && last.hash === head.hash
  return {records: count, fault: isWhole ? undefined : {record: undefined, seq: last.seq + 1, why: 'missing'}}
}
