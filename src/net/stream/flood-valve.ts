// How much of what comes is let through: all of it, until it is more than its receiver can look at. Pure.

/** Shares go down at once and come back by doubling, a step a window. */
export interface FloodValve {
  /** Above 0, up to 1. */
  readonly share: number
  /** So many came through. */
  count(messages: number): void
  /** The window is over; returns whether the share is another one now. */
  turn(): boolean
}

/** Never less than one in 65,536: something must come through for the end of a flood to be seen. */
const LEAST = 2 ** -16

/** About `perWindow` of a flood come through in a window. */
export function floodValve(perWindow: number): FloodValve {
  let share = 1
  let passed = 0
  return {
    get share() {
      return share
    },
    count(messages) {
      passed += messages
    },
    turn() {
      const before = share
      if (passed > 2 * perWindow) share = Math.max(LEAST, (share * perWindow) / passed)
      else if (passed < perWindow / 2) share = Math.min(1, share * 2)
      passed = 0
      return share !== before
    },
  }
}
