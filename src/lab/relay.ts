// The wire with a delay: every frame that arrives at one end leaves the other as long after it arrived as its rule says.
//
// The kernel's own way, netem, is a module that many kernels lack, so a process does it. It owns its process and blocks
// in ppoll; nothing else may run on its event loop.
import {writeFileSync} from 'node:fs'
import {type FrameQueue, frameQueue} from '../net/packet/relay-queue.ts'
import {
  fixedAddress,
  openRelaySocket,
  type Poller,
  poller,
  type RelaySocket,
  type SortFrame,
} from '../net/packet/relay-socket.ts'
import {frameKind, ruleDelay, type WireRule} from './wire-rules.ts'

/** One relayed wire. */
export interface RelayWire {
  /** The two interfaces it joins. */
  readonly ends: readonly [string, string]
  /** Rules of each direction, from the first end and from the second. Frames of one rule keep their order. */
  readonly rules: readonly [readonly WireRule[], readonly WireRule[]]
}

/** What passed one direction of a wire since the start. A GSO frame of many segments counts once. */
export interface RelayCounters {
  readonly from: string
  readonly to: string
  readonly frames: number
  readonly bytes: number
  /** Lost on purpose. */
  readonly lost: number
  /** Lost because more was under way than the queue holds. */
  readonly overflowed: number
  /** Lost because the kernel would not send them. */
  readonly refused: number
}

export interface RelayOptions {
  readonly wires: readonly RelayWire[]
  /** Most bytes under way in one direction. */
  readonly queueBytes: number
  /** Where the counters go, as JSON, at most once a second and only while frames pass. */
  readonly countersFile: string | undefined
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Called once everything is open. */
  readonly onReady: () => void
}

interface Direction {
  readonly from: RelaySocket
  readonly to: RelaySocket
  /** One a rule: what one delays does not hold up the others. */
  readonly queues: readonly FrameQueue[]
  readonly sort: SortFrame
  /** Changed by the loop; the queue and the sockets count the rest. */
  readonly passed: {frames: number; bytes: number; lost: number}
}

const QUEUE_FRAMES = 1 << 16
const COUNTERS_EVERY_MS = 1000
/** The counters are written only when no frame is due sooner than this. */
const COUNTERS_SLACK_MS = 1

/** Relays until one of the interfaces is gone; then returns. */
export function relay(options: RelayOptions): void {
  const directions = options.wires.flatMap((wire) => openWire(wire, options))
  const wait = poller(directions.map((direction) => direction.from.fd))
  options.onReady()
  let writtenMs = 0
  let dirty = false
  for (;;) {
    const now = performance.now()
    const nextDue = sendDue(directions, now)
    if (dirty && now - writtenMs >= COUNTERS_EVERY_MS && nextDue - now > COUNTERS_SLACK_MS) {
      writeCounters(options.countersFile, directions)
      writtenMs = now
      dirty = false
    }
    wait.wait(timeout(nextDue, dirty ? writtenMs + COUNTERS_EVERY_MS : Number.POSITIVE_INFINITY))
    const taken = receiveReady(directions, wait)
    if (taken < 0) return
    if (taken > 0) dirty = true
  }
}

function openWire(wire: RelayWire, {queueBytes, random}: RelayOptions): Direction[] {
  const [a, b] = wire.ends.map(openRelaySocket) as [RelaySocket, RelaySocket]
  return [[a, b] as const, [b, a] as const].map(([from, to], i) => {
    const passed = {frames: 0, bytes: 0, lost: 0}
    const inForce = wire.rules[i]!.map((rule) => ({
      rule,
      delayOf: ruleDelay(rule, random, () => performance.now()),
      sorted: {
        queue: frameQueue({capacityBytes: queueBytes, capacityFrames: QUEUE_FRAMES, addressOf: fixedAddress}),
        delayMs: 0,
      },
    }))
    const sort: SortFrame = (memory, at, length) => {
      const kind = inForce.length > 1 ? frameKind(memory, at, length) : 'any'
      const found = inForce.find(
        ({rule}) => (rule.match === 'any' || rule.match === kind) && length > (rule.longerThan ?? 0),
      )
      const delayMs = found?.delayOf() ?? -1
      if (found === undefined || delayMs < 0) {
        passed.lost++
        return undefined
      }
      found.sorted.delayMs = delayMs
      return found.sorted
    }
    return {from, to, queues: inForce.map(({sorted}) => sorted.queue), sort, passed}
  })
}

/** Sends every frame whose time has come; returns when the next one is due, ms. */
function sendDue(directions: readonly Direction[], now: number): number {
  let next = Number.POSITIVE_INFINITY
  for (const {queues, to, passed} of directions)
    for (const queue of queues) if (queue.length > 0) next = Math.min(next, sendFrom(queue, to, passed, now))
  return next
}

function sendFrom(queue: FrameQueue, to: RelaySocket, passed: Direction['passed'], now: number): number {
  let next = Number.POSITIVE_INFINITY
  if (queue.dueMs(0) <= now) {
    const before = queue.length
    const bytes = queue.bytes
    // A full device queue empties by itself; asking again every 50 us costs nothing next to waiting longer.
    if (!to.send(queue, now)) next = now + 0.05
    passed.frames += before - queue.length
    passed.bytes += bytes - queue.bytes
  }
  return queue.length > 0 ? Math.min(next, Math.max(queue.dueMs(0), now)) : next
}

/** ms to sleep until the earlier of the two; undefined for as long as it takes. */
function timeout(nextDue: number, countersDue: number): number | undefined {
  const until = Math.min(nextDue, countersDue)
  return until === Number.POSITIVE_INFINITY ? undefined : until - performance.now()
}

/** How many frames came in; -1 if an interface is gone. */
function receiveReady(directions: readonly Direction[], wait: Poller): number {
  let taken = 0
  for (let i = 0; i < directions.length; i++) {
    if (!wait.ready(i)) continue
    const {from, sort} = directions[i]!
    const count = from.receive(sort)
    if (count < 0) {
      // An interface that was only set down comes back; one that was removed does not.
      if (!from.exists()) return -1
    } else taken += count
  }
  return taken
}

function writeCounters(file: string | undefined, directions: readonly Direction[]): void {
  if (file === undefined) return
  const counters = directions.map(
    ({from, to, queues, passed}): RelayCounters => ({
      from: from.interfaceName,
      to: to.interfaceName,
      frames: passed.frames,
      bytes: passed.bytes,
      lost: passed.lost,
      overflowed: queues.reduce((sum, queue) => sum + queue.dropped, 0),
      refused: to.refused(),
    }),
  )
  try {
    writeFileSync(file, `${JSON.stringify(counters)}\n`)
  } catch {
    // Counters are for people who look; the wire goes on without them.
  }
}
