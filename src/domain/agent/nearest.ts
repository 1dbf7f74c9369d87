// Which of several sites a VM is in, by the round trips to their gateways.

/** The nearest must be below this part of the next, and this much nearer, ms: less may be the weather of two hosts. */
const PART = 0.5
const MARGIN_MS = 0.5

/** Round trips in ms by site; undefined for a site whose gateways do not answer. */
export type SiteRtts = ReadonlyMap<string, number | undefined>

const clearly = (near: number, far: number): boolean => near < far * PART && far - near >= MARGIN_MS

/** The gateway in use, where it is none of the heard sites'. */
export interface InUse {
  readonly ms: number | undefined
  /** It answers something, if no echo. */
  readonly living: boolean
  /** The VM was moved, and has left the place of this gateway for all that is heard. */
  readonly arrived: boolean
}

/**
 * The site that a VM is in; undefined if that cannot be said. `heard` are the sites whose beacons come here. A site that
 * is heard alone is no proof while the gateway in use lives: the other one's controller may have been stopped.
 */
export function nearestSite(rtts: SiteRtts, heard: readonly string[], inUse: InUse): string | undefined {
  const [only, ...others] = heard
  if (only === undefined) return undefined
  if (others.length === 0) return isHere(rtts.get(only), inUse) ? only : undefined
  // A gateway that answers no echo could be the nearest one.
  const answered = heard.flatMap((site) => rtts.get(site) ?? [])
  if (answered.length < heard.length) return undefined
  const bestMs = Math.min(...answered)
  const best = heard.find((site) => rtts.get(site) === bestMs)
  const far = [...heard.filter((site) => site !== best).map((site) => rtts.get(site)), inUse.ms]
  return far.every((ms) => ms === undefined || clearly(bestMs, ms)) ? best : undefined
}

/** Whether the only site that is heard, at this distance, is where the VM is. */
function isHere(rttMs: number | undefined, {ms, living, arrived}: InUse): boolean {
  if (!living) return true
  if (ms === undefined || rttMs === undefined) return arrived
  return clearly(rttMs, ms) || (arrived && !clearly(ms, rttMs))
}
