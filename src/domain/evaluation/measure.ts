// From what was captured of one migration to its figures. Pure; all times are ms from RESUME, negative before it.
import {median} from '../trace/statistics.ts'
import type {LabRunFamily, LabRunSession, LabRunStream} from './lab-run.ts'

type Site = 'x' | 'y'

/** A packet of a stream or of a session, from the VM or to it, as one capture saw it. */
export interface SeenPacket {
  readonly atMs: number
  /** The leg of a site's gateway, the VM's port at a site, the leg of the user near a site. */
  readonly where: `${'gateway' | 'port' | 'user'}-${Site}`
  readonly direction: 'from-vm' | 'to-vm'
  /** Of an echo request or its reply: whose it is, by the site of the user, and its number. */
  readonly echo?: {readonly user: Site; readonly number: number} | undefined
}

/** What was looked at. */
export interface Stretch {
  readonly from: Site
  readonly to: Site
  /** When the source stopped it: 0 or less. */
  readonly stoppedMs: number
  /** From where to where echoes count by when they were sent. Captures go on for as long as the last ones may be under way. */
  readonly sinceMs: number
  readonly untilMs: number
}

/** Round trips "at the end" are those of echoes sent this long before it, ms. */
const END_MS = 1000

/** The figures of one address family. */
export function measureFamily(packets: readonly SeenPacket[], stretch: Stretch): LabRunFamily {
  const {from, to, untilMs} = stretch
  const ordered = packets.toSorted((a, b) => a.atMs - b.atMs)
  const passed = (site: Site): SeenPacket[] =>
    ordered.filter(
      ({where, direction, atMs}) =>
        where === `gateway-${site}` && direction === 'from-vm' && atMs >= 0 && atMs <= untilMs,
    )
  return {
    toFirstMs: passed(to)[0]?.atMs ?? null,
    trombone: passed(from).length,
    near: measureStream(ordered, to, stretch),
    far: measureStream(ordered, from, stretch),
  }
}

/** By number, when each echo was first seen somewhere. */
type Times = ReadonlyMap<number, number>

function measureStream(ordered: readonly SeenPacket[], user: Site, stretch: Stretch): LabRunStream {
  const {from, to, stoppedMs, sinceMs, untilMs} = stretch
  const seen = (
    where: SeenPacket['where'],
    direction: SeenPacket['direction'],
    first = Number.NEGATIVE_INFINITY,
  ): Times => {
    const times = new Map<number, number>()
    for (const packet of ordered) {
      const {echo, atMs} = packet
      if (echo?.user !== user || packet.where !== where || packet.direction !== direction || atMs < first) continue
      if (!times.has(echo.number)) times.set(echo.number, atMs)
    }
    return times
  }
  const sent = [...seen(`user-${user}`, 'to-vm')].filter(([, atMs]) => atMs >= sinceMs && atMs <= untilMs)
  const back = seen(`user-${user}`, 'from-vm')
  const answeredThere = seen(`port-${to}`, 'from-vm', 0)
  const detoured = seen(`gateway-${from}`, 'from-vm', 0)
  // By when it came: one that was under way when the VM was stopped is answered first, and those behind it are lost.
  const firstBackMs = Math.min(...[...back].flatMap(([number, atMs]) => (answeredThere.has(number) ? [atMs] : [])))
  const lostAtMs = sent.filter(([number]) => !back.has(number)).map(([, atMs]) => atMs)
  const trips = (of: (number: number, sentMs: number) => boolean): number | null => {
    const found = sent.flatMap(([number, atMs]) =>
      back.has(number) && of(number, atMs) ? [back.get(number)! - atMs] : [],
    )
    return found.length === 0 ? null : median(found)
  }
  const arrived = [
    ...[...seen(`port-${from}`, 'to-vm').values()].filter((atMs) => atMs <= stoppedMs),
    ...seen(`port-${to}`, 'to-vm', 0).values(),
  ]
  return {
    sent: sent.length,
    lostAtMs,
    lostAfter: lostAtMs.filter((atMs) => atMs > firstBackMs).length,
    gapOutMs: longestGap([...back.values()], sinceMs, untilMs),
    gapInMs: longestGap(arrived, sinceMs, untilMs),
    rttMs: {
      before: trips((number) => back.get(number)! <= stoppedMs),
      trombone: trips((number, sentMs) => sentMs >= 0 && detoured.has(number)),
      after: trips((_, sentMs) => sentMs >= Math.max(0, untilMs - END_MS)),
    },
  }
}

/** The longest time without any, from the beginning to the end of it. */
function longestGap(times: readonly number[], sinceMs: number, untilMs: number): number {
  const within = times.filter((atMs) => atMs >= sinceMs && atMs <= untilMs).toSorted((a, b) => a - b)
  const ends = [sinceMs, ...within, untilMs]
  return ends.slice(1).reduce((longest, atMs, i) => Math.max(longest, atMs - ends[i]!), 0)
}

/** A TCP segment from the VM, or from who translates its address, as the user's leg saw it. */
export interface SeenSegment {
  readonly atMs: number
  /** Address and port that it came from: of one session. */
  readonly peer: string
  readonly sequence: number
  readonly opens: boolean
  /** RST or FIN, from either side. */
  readonly ends: boolean
  readonly payload: string
}

/** A session whose lines are numbers that count on, as the guest writes them. */
export interface MeasuredSession {
  readonly session: LabRunSession
  /** A line did not count on: the guest, or what carries its bytes, is broken. */
  readonly jumped: boolean
}

/** Without a new line for so long at the end of it a session is silent, ms. */
const SILENT_MS = 1000

/** The session that was alive at the beginning; undefined if there was none. */
export function measureSession(
  segments: readonly SeenSegment[],
  {sinceMs, untilMs}: Pick<Stretch, 'sinceMs' | 'untilMs'>,
): MeasuredSession | undefined {
  const ordered = segments.toSorted((a, b) => a.atMs - b.atMs).filter(({atMs}) => atMs <= untilMs)
  const peer = ordered.find(({payload, atMs}) => payload !== '' && atMs < 0)?.peer
  if (peer === undefined) return undefined
  const {lines, jumped} = readLines(ordered.filter((segment) => segment.peer === peer))
  const others = ordered.filter((segment) => segment.peer !== peer)
  const cut = others.some(({opens}) => opens) || ordered.some((segment) => segment.peer === peer && segment.ends)
  // One that was cut is followed by another, which says how long there was none.
  const after = cut ? readLines(others.filter(({atMs}) => atMs > (lines.at(-1) ?? sinceMs))).lines.slice(0, 1) : []
  const gapMs = longestGap([...lines, ...after], sinceMs, after.length > 0 ? after[0]! : untilMs)
  const end = cut ? 'cut' : untilMs - (lines.at(-1) ?? sinceMs) > SILENT_MS ? 'silent' : 'alive'
  return {session: {end, gapMs}, jumped}
}

/** When each new line came, out of segments that may come twice, or too early. */
function readLines(segments: readonly SeenSegment[]): {lines: number[]; jumped: boolean} {
  const waiting = new Map<number, string>()
  const lines: number[] = []
  let next: number | undefined
  let rest: string | undefined
  let last: number | undefined
  let jumped = false
  for (const {sequence, payload, atMs} of segments) {
    if (payload === '') continue
    next ??= sequence
    const ahead = behind(next, sequence)
    if (ahead + payload.length <= 0) continue
    waiting.set(Math.max(0, ahead) + next, payload.slice(Math.max(0, -ahead)))
    for (let text = waiting.get(next); text !== undefined; text = waiting.get(next)) {
      waiting.delete(next)
      next += text.length
      const parts: string[] = `${rest ?? ''}${text}`.split('\n')
      const whole = parts.slice(rest === undefined ? 1 : 0, -1)
      rest = parts.length > 1 || rest !== undefined ? parts.at(-1)! : undefined
      for (const line of whole) {
        if (last !== undefined && Number(line) !== last + 1) jumped = true
        last = Number(line)
        lines.push(atMs)
      }
    }
  }
  return {lines, jumped}
}

const WRAP = 2 ** 32
/** How far `sequence` is ahead of `next`, which counts on beyond 32 bits. */
const behind = (next: number, sequence: number): number => {
  const distance = (((sequence - next) % WRAP) + WRAP) % WRAP
  return distance > WRAP / 2 ? distance - WRAP : distance
}
