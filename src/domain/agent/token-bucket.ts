// How many signatures may be checked: verifying is what a flood would make us do.

export interface TokenBucket {
  /** Takes one, if there is one at `nowMs`, on a clock that never goes back. */
  take(nowMs: number): boolean
}

/** Full at first; `perSecond` come back, up to `burst`. */
export function tokenBucket(perSecond: number, burst: number): TokenBucket {
  let tokens = burst
  let atMs = Number.NEGATIVE_INFINITY
  return {
    take(nowMs) {
      tokens = Math.min(burst, tokens + (Math.max(0, nowMs - atMs) / 1000) * perSecond)
      atMs = nowMs
      if (tokens < 1) return false
      tokens--
      return true
    },
  }
}
