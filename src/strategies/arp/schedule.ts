// When announcements are repeated. Repeats cover frame loss only: one `ask` moves an entry at once.

/**
 * Offsets in ms. The first three rounds bring the chance that all are lost at 30 % frame loss to 2.7 %; the last falls
 * outside the lock time of a second, for the forms that are bound by it.
 */
export const DEFAULT_SCHEDULE_MS: readonly number[] = [0, 100, 300, 700, 1200, 2300]

/**
 * Send times from the flags. An interval makes them regular; a count alone cuts the default schedule, or continues it
 * once a second.
 */
export function scheduleMs(options: {count?: number | undefined; intervalMs?: number | undefined}): readonly number[] {
  const {count = DEFAULT_SCHEDULE_MS.length, intervalMs} = options
  if (intervalMs !== undefined) return Array.from({length: count}, (_, i) => i * intervalMs)
  const last = DEFAULT_SCHEDULE_MS.at(-1)!
  return Array.from(
    {length: count},
    (_, i) => DEFAULT_SCHEDULE_MS[i] ?? last + (i - DEFAULT_SCHEDULE_MS.length + 1) * 1000,
  )
}
