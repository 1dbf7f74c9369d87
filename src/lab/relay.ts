// The wire with a delay: every frame that arrives at one end leaves the other a fixed time after it arrived.
//
// The kernel's own way, netem, is a module that many kernels lack, so a process does it. It owns its process and blocks
// in ppoll; nothing else may run on its event loop.
import {writeFileSync} from 'node:fs'
import {type FrameQueue, frameQueue} from '../net/packet/relay-queue.ts'
import {fixedAddress, openRelaySocket, type Poller, poller, type RelaySocket} from '../net/packet/relay-socket.ts'

/** One relayed wire. */
export interface RelayWire {
  /** The two interfaces it joins. */
  readonly ends: readonly [string, string]
  /** One-way delay, ms, each direction. */
  readonly delayMs: number
  /** Mean of an exponentially distributed extra delay, ms; frames keep their order. 0 for none. */
  readonly jitterMs: number
  /** Share of frames lost, 0 to 1. */
  readonly loss: number
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
  readonly queue: FrameQueue
  readonly delayOf: () => number
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
  return [[a, b] as const, [b, a] as const].map(([from, to]) => {
    const passed = {frames: 0, bytes: 0, lost: 0}
    const delayOf = (): number => {
      if (wire.loss > 0 && random() < wire.loss) {
        passed.lost++
        return -1
      }
      return wire.jitterMs > 0 ? wire.delayMs - Math.log(1 - random()) * wire.jitterMs : wire.delayMs
    }
    const queue = frameQueue({capacityBytes: queueBytes, capacityFrames: QUEUE_FRAMES, addressOf: fixedAddress})
    return {from, to, queue, delayOf, passed}
  })
}

/** Sends every frame whose time has come; returns when the next one is due, ms. */
function sendDue(directions: readonly Direction[], now: number): number {
  let next = Number.POSITIVE_INFINITY
  for (const {queue, to, passed} of directions) {
    if (queue.length === 0) continue
    if (queue.dueMs(0) <= now) {
      const before = queue.length
      const bytes = queue.bytes
      // A full device queue empties by itself; asking again every 50 us costs nothing next to waiting longer.
      if (!to.send(queue, now)) next = Math.min(next, now + 0.05)
      passed.frames += before - queue.length
      passed.bytes += bytes - queue.bytes
    }
    if (queue.length > 0) next = Math.min(next, Math.max(queue.dueMs(0), now))
  }
  return next
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
    const {from, queue, delayOf} = directions[i]!
    const count = from.receive(queue, delayOf)
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
    ({from, to, queue, passed}): RelayCounters => ({
      from: from.interfaceName,
      to: to.interfaceName,
      frames: passed.frames,
      bytes: passed.bytes,
      lost: passed.lost,
      overflowed: queue.dropped,
      refused: to.refused(),
    }),
  )
  try {
    writeFileSync(file, `${JSON.stringify(counters)}\n`)
  } catch {
    // Counters are for people who look; the wire goes on without them.
  }
}
