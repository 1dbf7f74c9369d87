// Round trips of TCP sessions that others have, read off their segments as they pass a port: from the port to the peer and
// back. What the VM itself takes is not in them.
//
// Three rules, each of which can only give more than the true round trip, never less, so that the smallest is the one to
// believe: an echoed timestamp (RFC 7323), a SYN that is acknowledged, data that is acknowledged for the first time (Karn).
import type {Ipv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {SegmentView} from '../../wire/packet-view.ts'
import {TCP_ACK, TCP_FIN, TCP_SYN} from '../../wire/tcp.ts'

/** How a round trip was found. */
export type RoundTripRule = 'timestamp' | 'syn' | 'ack'

export interface RoundTrip {
  readonly rttMs: number
  readonly rule: RoundTripRule
}

/** A segment that passed the port, from the VM (`out`) or to it. */
export interface PassedSegment {
  readonly atNs: bigint
  readonly direction: 'out' | 'in'
  readonly vm: Ipv4 | Ipv6
  readonly peer: Ipv4 | Ipv6
  readonly segment: SegmentView
}

export interface TcpRoundTrips {
  /** Takes a segment; the round trips that it completes. */
  pass(segment: PassedSegment): RoundTrip[]
}

/** What waits for its answer in one session. */
interface Waiting {
  readonly mark: number
  readonly atNs: bigint
}

/** One session while it is watched. `undefined`: nothing of the kind was seen yet. */
interface Session {
  /** The newest TSval that was sent. The first that is seen is not timed: it may have been sent before. */
  newestTimestamp: number | undefined
  readonly timestamps: Waiting[]
  /** Where the sent data ends; what begins before it was sent again. */
  sentTo: number | undefined
  /** All that was sent before is acknowledged: what comes now is new, and was not sent before the watch began. */
  settled: boolean
  readonly data: Waiting[]
  /** A SYN that was sent once; null after it was repeated. */
  syn: Waiting | null | undefined
}

/** Segments of one session that wait for their answer; older ones are given up. */
const MOST_WAITING = 64

/** At most `mostSessions` are watched at a time; who has been there longest makes room. */
export function tcpRoundTrips(mostSessions = 4096): TcpRoundTrips {
  const sessions = new Map<string, Session>()
  const sessionOf = ({vm, peer, direction, segment}: PassedSegment): Session => {
    const {sourcePort, destinationPort} = segment
    const ports = direction === 'out' ? `${sourcePort} ${destinationPort}` : `${destinationPort} ${sourcePort}`
    const key = `${vm} ${peer} ${ports}`
    const known = sessions.get(key)
    if (known) return known
    if (sessions.size >= mostSessions) sessions.delete(sessions.keys().next().value!)
    const fresh: Session = {
      newestTimestamp: undefined,
      timestamps: [],
      sentTo: undefined,
      settled: false,
      data: [],
      syn: undefined,
    }
    sessions.set(key, fresh)
    return fresh
  }
  return {
    pass(passed) {
      const session = sessionOf(passed)
      if (passed.direction === 'in') return answered(session, passed)
      sent(session, passed)
      return []
    },
  }
}

function sent(session: Session, {atNs, segment}: PassedSegment): void {
  const {flags, sequence, length, timestamps} = segment
  if (timestamps) sentTimestamp(session, timestamps.value, atNs)
  if (flags & TCP_SYN) {
    // The same again: the answer may be to either.
    session.syn = session.syn === undefined ? {mark: next(sequence, 1), atNs} : null
    session.sentTo = next(sequence, 1)
    session.settled = true
    return
  }
  const end = next(sequence, length + (flags & TCP_FIN ? 1 : 0))
  if (end === sequence) return
  const isNew = session.sentTo !== undefined && !isAfter(session.sentTo, sequence)
  if (!isNew) session.data.length = 0
  else if (session.settled) push(session.data, {mark: end, atNs})
  if (session.sentTo === undefined || isAfter(end, session.sentTo)) session.sentTo = end
}

function sentTimestamp(session: Session, value: number, atNs: bigint): void {
  const newest = session.newestTimestamp
  if (newest !== undefined && !isAfter(value, newest)) return
  session.newestTimestamp = value
  if (newest !== undefined) push(session.timestamps, {mark: value, atNs})
}

function answered(session: Session, {atNs, segment}: PassedSegment): RoundTrip[] {
  const {flags, acknowledgment, timestamps} = segment
  if (!(flags & TCP_ACK)) return []
  const found: RoundTrip[] = []
  const took = (waiting: Waiting | undefined, rule: RoundTripRule): void => {
    // A clock that was set back in between.
    if (waiting !== undefined && waiting.atNs < atNs) found.push({rttMs: Number(atNs - waiting.atNs) / 1e6, rule})
  }
  if (timestamps) {
    const at = session.timestamps.findIndex(({mark}) => mark === timestamps.echo)
    if (at >= 0) took(session.timestamps.splice(0, at + 1)[at], 'timestamp')
  }
  if (session.syn && acknowledgment === session.syn.mark) {
    took(session.syn, 'syn')
    session.syn = null
  }
  const covered = session.data.filter(({mark}) => !isAfter(mark, acknowledgment)).length
  took(session.data.splice(0, covered).at(-1), 'ack')
  if (session.sentTo === undefined || !isAfter(session.sentTo, acknowledgment)) {
    session.sentTo = acknowledgment
    session.settled = true
  }
  return found
}

function push(waiting: Waiting[], one: Waiting): void {
  if (waiting.length >= MOST_WAITING) waiting.shift()
  waiting.push(one)
}

/** Sequence numbers and timestamps count around 32 bits (RFC 9293 section 3.4, RFC 7323 section 5.2). */
const next = (value: number, by: number): number => (value + by) >>> 0
const isAfter = (a: number, b: number): boolean => a !== b && (a - b) >>> 0 < 0x8000_0000
