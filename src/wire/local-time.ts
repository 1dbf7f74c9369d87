// Times for people: of their own clock. All of them are ms since the epoch.

const two = (value: number): string => String(Math.trunc(Math.abs(value))).padStart(2, '0')
const day = (date: Date): string => [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
const time = (date: Date): string => [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
const ms = (date: Date): string => String(date.getMilliseconds()).padStart(3, '0')

function zone(date: Date, between: string): string {
  const eastMin = -date.getTimezoneOffset()
  return `${eastMin < 0 ? '-' : '+'}${two(eastMin / 60)}${between}${two(eastMin % 60)}`
}

/** `2026-12-01 09:47:58 +0100`, in tables. */
export function localTime(atMs: number): string {
  const date = new Date(atMs)
  return `${day(date)} ${time(date)} ${zone(date, '')}`
}

/** `2026-12-01T09:47:58.123+01:00` (RFC 3339), in logs, which may last for days. */
export function localStamp(atMs: number): string {
  const date = new Date(atMs)
  return `${day(date)}T${time(date)}.${ms(date)}${zone(date, ':')}`
}

/** `09:47:58.123`, for whoever sits before it. */
export function localClock(atMs: number): string {
  const date = new Date(atMs)
  return `${time(date)}.${ms(date)}`
}
