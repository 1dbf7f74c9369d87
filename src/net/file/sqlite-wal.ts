// What SQLite will take out of a write-ahead log, and what it would drop without a word: behind the first frame whose
// checksum is wrong it reads nothing more, and removes the file when it is done. Layout: sqlite.org/fileformat2.html#walformat
import {closeSync, fstatSync, openSync, readSync} from 'node:fs'

export interface WalFinding {
  readonly bytes: number
  /** Up to the end of the last transaction that SQLite reads. */
  readonly wholeBytes: number
  /** One of these transactions holds page 1, and with it the schema. */
  readonly hasPageOne: boolean
  /** Transactions behind that are there and cannot be read any more; Infinity if the header is damaged. */
  readonly lost: number
}

const HEADER = 32
const FRAME_HEADER = 24
/** The last bit says in which order the words go into checksums. */
const MAGIC = 0x377f_0682

/** Looks at the log of a database that is not open; undefined if there is none, or nothing in it. */
export function inspectWal(path: string): WalFinding | undefined {
  const fd = openIfThere(path)
  if (fd === undefined) return undefined
  try {
    const bytes = fstatSync(fd).size
    return bytes === 0 ? undefined : {bytes, ...inspect(fd, bytes)}
  } finally {
    closeSync(fd)
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function inspect(fd: number, bytes: number): Omit<WalFinding, 'bytes'> {
  const nothing = {wholeBytes: 0, hasPageOne: false, lost: 0}
  // Whoever is killed while the first frame is written leaves no more than this, and no transaction.
  if (bytes <= HEADER) return nothing
  const header = viewOf(fd, 0, HEADER)
  const magic = header.getUint32(0)
  const little = (magic & 1) === 0
  const pageSize = header.getUint32(8)
  const start = addWords([0, 0], header, 0, HEADER - 8, little)
  // It is on the disk before the first frame is written, so that no power cut leaves frames behind half a header.
  const whole = (magic & ~1) === MAGIC && isPageSize(pageSize) && isSum(start, header, HEADER - 8)
  if (!whole) return {...nothing, lost: Number.POSITIVE_INFINITY}
  return follow(fd, bytes, {pageSize, little, salts: [header.getUint32(16), header.getUint32(20)], start})
}

/** "A power of two between 512 and 65536 inclusive" (section 1.3.2 there). */
const isPageSize = (size: number): boolean => size >= 512 && size <= 65_536 && (size & (size - 1)) === 0

interface Log {
  readonly pageSize: number
  readonly little: boolean
  /** Frames of an earlier use of the file have others. */
  readonly salts: readonly [number, number]
  readonly start: Sum
}

/** Frame by frame, so that a long log takes no memory. */
function follow(fd: number, bytes: number, {pageSize, little, salts, start}: Log): Omit<WalFinding, 'bytes'> {
  const length = FRAME_HEADER + pageSize
  const frame = new DataView(new ArrayBuffer(length))
  let sum: Sum | undefined = start
  let [wholeBytes, lost] = [HEADER, 0]
  let [pageOne, hasPageOne, torn] = [false, false, false]
  for (let at = HEADER; at + length <= bytes; at += length) {
    readSync(fd, frame, 0, length, at)
    const [page, endsTransaction] = [frame.getUint32(0), frame.getUint32(4) !== 0]
    const ours = frame.getUint32(8) === salts[0] && frame.getUint32(12) === salts[1]
    if (sum && ours && page !== 0) {
      const next = addWords(addWords(sum, frame, 0, 8, little), frame, FRAME_HEADER, pageSize, little)
      sum = isSum(next, frame, 16) ? next : undefined
    } else sum = undefined
    if (!sum) {
      if (ours && endsTransaction) lost++
      torn ||= ours
      continue
    }
    pageOne ||= page === 1
    if (!endsTransaction) continue
    wholeBytes = at + length
    hasPageOne ||= pageOne
  }
  // Without its end if that is where the damage is.
  return {wholeBytes, hasPageOne, lost: torn ? Math.max(lost, 1) : lost}
}

type Sum = readonly [number, number]

/** SQLite's running checksum over pairs of 32-bit words. */
function addWords(from: Sum, view: DataView, offset: number, length: number, little: boolean): Sum {
  let [a, b] = from
  for (let at = offset; at < offset + length; at += 8) {
    a = (a + view.getUint32(at, little) + b) | 0
    b = (b + view.getUint32(at + 4, little) + a) | 0
  }
  return [a, b]
}

const isSum = ([a, b]: Sum, view: DataView, offset: number): boolean =>
  view.getInt32(offset) === a && view.getInt32(offset + 4) === b

function viewOf(fd: number, position: number, length: number): DataView {
  const view = new DataView(new ArrayBuffer(length))
  readSync(fd, view, 0, length, position)
  return view
}
