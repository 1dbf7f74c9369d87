// Which news are news: platforms repeat their last events to whoever asks anew, and tell those of before we listened.
import {remember} from './foreign.ts'
import type {Movement} from './movement.ts'

/** ms that the platform's clock may be behind ours. */
const SKEW_MS = 10_000

export type Freshness = 'new' | 'told' | 'old'

/**
 * `sinceMs`: when listening began, ms since the epoch. `told`: it said so before. `old`: it happened before that, by the
 * platform's clock. What says no time is new.
 */
export function freshness(sinceMs: number): (movement: Movement) => Freshness {
  const told = new Map<string, true>()
  return ({kind, mac, vm, host, atMs}) => {
    if (atMs === null) return 'new'
    const key = JSON.stringify([kind, mac, vm, host, atMs])
    if (told.has(key)) return 'told'
    remember(told, key, true)
    return atMs < sinceMs - SKEW_MS ? 'old' : 'new'
  }
}
