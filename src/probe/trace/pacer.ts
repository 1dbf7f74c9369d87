// When the next packet may go: one promise for a whole run, over all destinations, gateways and protocols.
import type {World} from '../../net/world.ts'

export interface Pace {
  /** Most packets in any second, of all kinds together. */
  readonly perSecond: number
  /** Most packets in any second that one router has to answer itself: those that expire there. */
  readonly perRouter: number
}

export const POLITE: Pace = {perSecond: 25, perRouter: 10}

/** What a turn is asked for. */
export interface Turn {
  /** Packets that go out in this turn; default 1. */
  readonly packets?: number | undefined
  /** Time over which they go out, ms; default 0. */
  readonly spreadMs?: number | undefined
  /** The router at which they expire, by any name that is the same for all who ask it; undefined: none. */
  readonly router?: string | undefined
}

export interface Granted {
  /** Its packets have left by now, maybe later than they were to: a timer is late where the CPU is busy. */
  left(): void
}

export interface Pacer {
  /** Resolves when the packets may be sent. Those who wait are served in order; who waits for a router holds up no other. */
  turn(turn: Turn, signal?: AbortSignal): Promise<Granted>
  /** Packets let through so far. */
  readonly sent: () => number
}

const WINDOW_MS = 1000
/** A sending thread may be held up after its turn: the window is kept a little longer than promised. */
const MARGIN_MS = 25
/** Least time between two turns, so that what is allowed in a second is no burst. */
const SPACING_MS = 15

interface Waiting extends Turn {
  go(granted: Granted): void
}

export function makePacer(world: Pick<World, 'monotonic' | 'sleep'>, pace: Pace): Pacer {
  const recent: {atMs: number; readonly router: string | undefined}[] = []
  const inOrder = (): unknown => recent.sort((a, b) => a.atMs - b.atMs)
  const queue: Waiting[] = []
  let lastMs = Number.NEGATIVE_INFINITY
  let total = 0
  let serving = false
  let woken = new AbortController()
  const nowMs = (): number => Number(world.monotonic()) / 1e6

  /** Time until `packets` more fit below `most` of those that `counts`. */
  const waitFor = (now: number, packets: number, most: number, counts: (router: string | undefined) => boolean) => {
    const mine = recent.filter(({router}) => counts(router))
    const over = mine.length + Math.min(packets, most) - most
    return over <= 0 ? 0 : mine[over - 1]!.atMs + WINDOW_MS + MARGIN_MS - now
  }
  const waitOf = (now: number, {packets = 1, router}: Turn): number =>
    Math.max(
      lastMs + SPACING_MS - now,
      waitFor(now, packets, pace.perSecond, () => true),
      router === undefined ? 0 : waitFor(now, packets, pace.perRouter, (each) => each === router),
    )
  const grant = (now: number, {packets = 1, spreadMs = 0, router, go}: Waiting): void => {
    lastMs = now
    total += packets
    // The last of them counts for all: they leave the window no sooner than it does.
    const mine = Array.from({length: packets}, () => ({atMs: now + spreadMs, router}))
    recent.push(...mine)
    inOrder()
    const left = (): void => {
      const leftMs = nowMs()
      for (const each of mine) each.atMs = Math.max(each.atMs, leftMs)
      inOrder()
    }
    go({left})
  }
  const serve = async (): Promise<void> => {
    serving = true
    while (queue.length > 0) {
      const now = nowMs()
      while (recent[0] !== undefined && recent[0].atMs + WINDOW_MS + MARGIN_MS <= now) recent.shift()
      const waits = queue.map((each) => waitOf(now, each))
      const next = waits.findIndex((wait) => wait <= 0)
      if (next >= 0) grant(now, queue.splice(next, 1)[0]!)
      else {
        woken = new AbortController()
        await world.sleep(Math.max(1, Math.min(...waits)), woken.signal).catch(() => {})
      }
    }
    serving = false
  }

  return {
    sent: () => total,
    turn(turn, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const waiting: Waiting = {
          ...turn,
          go(granted) {
            signal?.removeEventListener('abort', leave)
            resolve(granted)
          },
        }
        const leave = (): void => {
          const at = queue.indexOf(waiting)
          if (at >= 0) queue.splice(at, 1)
          reject(signal!.reason)
        }
        queue.push(waiting)
        // One signal may stand for a run without an end.
        signal?.addEventListener('abort', leave, {once: true})
        if (serving) woken.abort()
        else void serve()
      })
    },
  }
}
