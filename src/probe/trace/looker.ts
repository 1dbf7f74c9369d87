// Who is on the way: TTL-limited probes through every exit, beside the pairs.
import type {ProbeProtocol} from '../../domain/trace/evidence.ts'
import type {Exit} from './exit.ts'
import {hopScan} from './hop-scan.ts'
import type {Station, TraceRun} from './run.ts'

export interface Looker {
  /** One TTL-limited probe through each exit, while there is something to learn from it; behind the first hop only with `hops`. */
  look(hops: boolean): void
  /** Forgets what was seen. */
  afresh(): void
  /** Asks again what was asked more than `ageMs` ago; what is known stands until the answers are there. */
  again(ageMs: number): void
  /** Waits for what is under way; with `hops`, looks at the rest of them first. */
  finish(hops: boolean): Promise<void>
}

/** Time between two looks when nothing else is to be done, ms. */
const TICK_MS = 20

export function makeLooker(
  {world, pacer}: TraceRun,
  station: Station,
  exits: readonly Exit[],
  protocol: () => ProbeProtocol,
  stop: AbortSignal,
): Looker {
  const pending = new Set<Promise<void>>()

  const ask = (exit: Exit, ttl: number): void => {
    const {firstHop, scan} = exit
    if (ttl === 1) firstHop.asked()
    const asked = (async () => {
      await pacer.turn({router: `${exit.candidate.mac} ${ttl}`}, stop)
      return station.prober.send(exit.probe(protocol(), 0, ttl))
    })()
      .catch(() => undefined)
      .then((reply) => {
        pending.delete(asked)
        if (ttl === 1) firstHop.heard(reply)
        scan.heard(ttl, reply)
      })
    pending.add(asked)
  }
  const look = (hops: boolean): void => {
    for (const exit of exits) {
      const ttl = exit.firstHop.wanted() ? 1 : hops ? exit.scan.next() : undefined
      if (ttl !== undefined) ask(exit, ttl)
    }
  }
  return {
    look,
    afresh() {
      for (const exit of exits) {
        exit.firstHop.reset()
        exit.scan = hopScan()
        exit.scanned = []
      }
    },
    again(ageMs) {
      for (const exit of exits) {
        exit.firstHop.again(ageMs)
        if (!exit.scan.done()) continue
        exit.scanned = exit.scan.hops()
        exit.scan = hopScan()
      }
    },
    async finish(hops) {
      while (hops && !stop.aborted && exits.some(({scan}) => !scan.done())) {
        look(true)
        await world.sleep(TICK_MS, stop).catch(() => {})
      }
      if (!stop.aborted) await Promise.all(pending)
    },
  }
}
