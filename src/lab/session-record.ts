// The numbered records that a measured session sends, and the books that are kept on their echoes. Pure.

/** Bytes of a record, on TCP and as a datagram. @internal */
export const RECORD_BYTES = 64
const MAGIC = 0x47575357 // "GWSW"
const PATTERN_AT = 16

/** A record: its number, when it was sent (ms, the sender's own clock), and a pattern that differs by number. */
export function writeRecord(sequence: number, sentMs: number): Uint8Array {
  const out = new Uint8Array(RECORD_BYTES)
  const view = new DataView(out.buffer)
  view.setUint32(0, MAGIC)
  view.setUint32(4, sequence)
  view.setFloat64(8, sentMs)
  for (let i = PATTERN_AT; i < RECORD_BYTES; i++) out[i] = (sequence + i) & 0xff
  return out
}

/** Reads the 64 bytes of a record; undefined if any byte is not as {@link writeRecord} wrote it. */
export function readRecord(bytes: Uint8Array): {sequence: number; sentMs: number} | undefined {
  if (bytes.length !== RECORD_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const sequence = view.getUint32(4)
  if (view.getUint32(0) !== MAGIC) return undefined
  for (let i = PATTERN_AT; i < RECORD_BYTES; i++) if (bytes[i] !== ((sequence + i) & 0xff)) return undefined
  return {sequence, sentMs: view.getFloat64(8)}
}

/** One stretch of a session, between two marks. */
export interface PhaseReport {
  readonly name: string
  readonly sent: number
  readonly echoed: number
  /** Of those sent in this phase, how many have not come back: lost, or still under way. */
  readonly lost: number
  /** Round trip times, ms; undefined if nothing came back. */
  readonly rttMinMs: number | undefined
  readonly rttMedianMs: number | undefined
  readonly rttMaxMs: number | undefined
  /** Longest time without an echo that ended in this phase, or still lasts; what follows {@link FlowBook.ended} is none. */
  readonly longestGapMs: number
}

export interface FlowReport {
  readonly sent: number
  readonly echoed: number
  readonly lost: number
  readonly longestGapMs: number
  readonly phases: readonly PhaseReport[]
}

/** Records sent and echoed by one flow, in phases. Times are ms of one clock, given by the caller. */
export interface FlowBook {
  mark(name: string, nowMs: number): void
  sent(): void
  echoed(sentMs: number, nowMs: number): void
  /** No echo is waited for from now on: silence says nothing any more. */
  ended(nowMs: number): void
  report(nowMs: number): FlowReport
}

interface Phase {
  readonly name: string
  readonly sinceMs: number
  sent: number
  /** Of those sent in this phase, in whichever they came back. */
  returned: number
  readonly rttsMs: number[]
  longestGapMs: number
}

const newPhase = (name: string, sinceMs: number): Phase => ({
  ...{name, sinceMs},
  ...{sent: 0, returned: 0, rttsMs: [], longestGapMs: 0},
})

export function flowBook(): FlowBook {
  const phases: Phase[] = [newPhase('start', Number.NEGATIVE_INFINITY)]
  let lastEchoMs: number | undefined
  let endedMs = Number.POSITIVE_INFINITY
  const current = (): Phase => phases.at(-1)!
  const gapAt = (nowMs: number): number => (lastEchoMs === undefined ? 0 : nowMs - lastEchoMs)
  return {
    mark: (name, nowMs) => void phases.push(newPhase(name, nowMs)),
    sent: () => void current().sent++,
    echoed(sentMs, nowMs) {
      const phase = current()
      phase.rttsMs.push(nowMs - sentMs)
      phase.longestGapMs = Math.max(phase.longestGapMs, gapAt(Math.min(nowMs, endedMs)))
      phases.findLast(({sinceMs}) => sinceMs <= sentMs)!.returned++
      lastEchoMs = nowMs
    },
    ended: (nowMs) => {
      endedMs = nowMs
    },
    report(nowMs) {
      const open = gapAt(Math.min(nowMs, endedMs))
      const reports = phases.map((phase) =>
        phaseReport(phase === current() ? {...phase, longestGapMs: Math.max(phase.longestGapMs, open)} : phase),
      )
      return {
        sent: sum(reports.map(({sent}) => sent)),
        echoed: sum(reports.map(({echoed}) => echoed)),
        lost: sum(reports.map(({lost}) => lost)),
        longestGapMs: Math.max(...reports.map(({longestGapMs}) => longestGapMs)),
        phases: reports,
      }
    },
  }
}

function phaseReport({name, sent, returned, rttsMs, longestGapMs}: Phase): PhaseReport {
  const sorted = rttsMs.toSorted((a, b) => a - b)
  return {
    name,
    sent,
    echoed: sorted.length,
    lost: sent - returned,
    rttMinMs: sorted[0],
    rttMedianMs: sorted[sorted.length >> 1],
    rttMaxMs: sorted.at(-1),
    longestGapMs,
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

/** Cuts the echoed byte stream into records and checks that it is the stream that was sent: every byte, once, in order. */
export interface StreamCheck {
  /** Takes received bytes; returns the records completed by them. After the first wrong byte it returns no more. */
  take(chunk: Uint8Array): {sequence: number; sentMs: number}[]
  /** Byte offset at which the stream first differed from what was sent; undefined while it has not. */
  brokenAt(): number | undefined
}

export function streamCheck(firstSequence = 0): StreamCheck {
  let rest = new Uint8Array(0)
  let next = firstSequence
  let brokenAt: number | undefined
  return {
    take(chunk) {
      const records: {sequence: number; sentMs: number}[] = []
      if (brokenAt !== undefined) return records
      const bytes = new Uint8Array(rest.length + chunk.length)
      bytes.set(rest)
      bytes.set(chunk, rest.length)
      let at = 0
      for (; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
        const record = readRecord(bytes.subarray(at, at + RECORD_BYTES))
        if (record?.sequence !== next) {
          brokenAt = (next - firstSequence) * RECORD_BYTES
          return records
        }
        records.push(record)
        next++
      }
      rest = bytes.slice(at)
      return records
    },
    brokenAt: () => brokenAt,
  }
}
