// Which of several sites a VM is in, by the round trips to their gateways.

/** The nearest must be below this part of the next, and this much nearer, ms: less may be the weather of two hosts. */
const PART = 0.5
const MARGIN_MS = 0.5

/** Round trips in ms by site; undefined for a site whose gateways do not answer. */
export type SiteRtts = ReadonlyMap<string, number | undefined>

const clearly = (near: number, far: number): boolean => near < far * PART && far - near >= MARGIN_MS

/**
 * The site that a VM is in; undefined if that cannot be said. `heard` are the sites whose beacons come here, `inUseMs` is
 * the round trip to the gateway in use where that is none of theirs: a site that is clearly farther than it is not here,
 * however alone it is heard.
 */
export function nearestSite(rtts: SiteRtts, heard: readonly string[], inUseMs: number | undefined): string | undefined {
  const [only, ...others] = heard
  if (only === undefined) return undefined
  if (others.length === 0) {
    const rttMs = rtts.get(only)
    const farther = inUseMs !== undefined && rttMs !== undefined && clearly(inUseMs, rttMs)
    return farther ? undefined : only
  }
  // A gateway that answers no echo could be the nearest one.
  const answered = heard.flatMap((site) => rtts.get(site) ?? [])
  if (answered.length < heard.length) return undefined
  const bestMs = Math.min(...answered)
  const best = heard.find((site) => rtts.get(site) === bestMs)
  const far = [...heard.filter((site) => site !== best).map((site) => rtts.get(site)), inUseMs]
  return far.every((ms) => ms === undefined || clearly(bestMs, ms)) ? best : undefined
}
