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
export function scheduleMs(
  options: {count?: number | undefined; intervalMs?: number | undefined},
  schedule: readonly number[] = DEFAULT_SCHEDULE_MS,
): readonly number[] {
  const {count = schedule.length, intervalMs} = options
  if (intervalMs !== undefined) return Array.from({length: count}, (_, i) => i * intervalMs)
  const last = schedule.at(-1)!
  return Array.from({length: count}, (_, i) => schedule[i] ?? last + (i - schedule.length + 1) * 1000)
}
