// What failed and must be done all the same is tried again, later and later, and said now and then.

/** ms from one attempt to the next: twice as long each time, up to the last. */
const FIRST_MS = 250
const LAST_MS = 5000
/** At most one line about attempts that fail in this time, ms. */
const LOG_EVERY_MS = 60_000

export interface Retry {
  /** Attempts that failed, in a row. */
  readonly failures: number
  /** When the first of them did; undefined if none did. */
  readonly sinceMs: number | undefined
  /** When it is tried again, ms; undefined if it did not fail. On the clock of the `nowMs` that {@link failed} gets. */
  readonly againMs: number | undefined
  readonly loggedMs: number
}

export const NO_FAILURE: Retry = {
  ...{failures: 0, sinceMs: undefined, againMs: undefined},
  loggedMs: Number.NEGATIVE_INFINITY,
}

/** After an attempt that failed, and whether that is to be said. */
export function failed(before: Retry, nowMs: number): {readonly retry: Retry; readonly say: boolean} {
  const {failures, sinceMs = nowMs, loggedMs} = before
  const say = nowMs - loggedMs >= LOG_EVERY_MS
  const againMs = nowMs + Math.min(FIRST_MS * 2 ** failures, LAST_MS)
  return {retry: {failures: failures + 1, sinceMs, againMs, loggedMs: say ? nowMs : loggedMs}, say}
}
