// Directives of two servers of one segment: which of two counts, whatever the order in which they come. Pure.
import type {Directive, Version} from './lease.ts'

/** The greatest sequence that is taken from another server, far beyond any clock. */
export const MOST_SEQUENCE = 2 ** 52

const NONE: Version = {sequence: 0, origin: ''}

/** Above every version before, by the clock where that is ahead: what is said later counts, also of servers apart. */
export const nextSequence = (last: number, nowMs: number): number => Math.max(last + 1, nowMs)

/** Below zero where `a` is the older version. */
function compareVersions(a: Version = NONE, b: Version = NONE): number {
  return a.sequence - b.sequence || (a.origin < b.origin ? -1 : a.origin > b.origin ? 1 : 0)
}

/**
 * What holds of a client of which `held` is known, after `came`: `held` itself where that changes nothing. It depends on
 * neither order nor repetition. Of two copies of one directive, what either has done with is done with: a NAK that was
 * sent, and a site that a newer inventory put an end to.
 */
export function merged(held: Directive | undefined, came: Directive): Directive {
  const order = held === undefined ? -1 : compareVersions(held.version, came.version)
  if (held === undefined || order < 0) return came
  const isDone = {nak: held.nak && !came.nak, site: held.site !== undefined && came.site === undefined}
  if (order > 0 || !(isDone.nak || isDone.site)) return held
  return {...held, nak: held.nak && came.nak, site: isDone.site ? undefined : held.site}
}
