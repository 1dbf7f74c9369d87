// Whether the realtime clock, by which frames are stamped, was set while a probe was under way.
import type {World} from '../../net/world.ts'

/** The realtime clock's lead over the monotonic one, and when it was read. */
export interface ClockReading {
  readonly leadNs: bigint
  readonly atNs: bigint
}

/** What two readings may differ by though nobody set the clock: the time that reading takes, ns. */
const READING_NS = 200_000n
/** Fastest slew of adjtimex(2), 500 ppm: one part in so many. */
const SLEW = 2000n
/** A reading that took longer than this was interrupted: it is taken again, so many times at most. */
const UNDISTURBED_NS = 50_000n
const ATTEMPTS = 5

/** Reads both clocks as close to each other as it goes. */
export function clockReading(world: Pick<World, 'now' | 'monotonic'>): ClockReading {
  let best: (ClockReading & {readonly tookNs: bigint}) | undefined
  for (let i = 0; i < ATTEMPTS; i++) {
    const before = world.monotonic()
    const now = world.now()
    const tookNs = world.monotonic() - before
    if (best === undefined || tookNs < best.tookNs) best = {leadNs: now - (before + tookNs / 2n), atNs: before, tookNs}
    if (tookNs <= UNDISTURBED_NS) break
  }
  return best!
}

/** True if the realtime clock was set between two readings. */
export function steppedBetween(earlier: ClockReading, later: ClockReading): boolean {
  const moved = later.leadNs - earlier.leadNs
  const tolerated = READING_NS + (later.atNs - earlier.atNs) / SLEW
  return moved > tolerated || moved < -tolerated
}
