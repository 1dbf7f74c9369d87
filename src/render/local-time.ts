// Times for people: of their own clock, with its zone.

const two = (value: number): string => String(Math.trunc(Math.abs(value))).padStart(2, '0')

/** `2026-12-01 09:47:58 +0100`, of ms since the epoch. */
export function localTime(atMs: number): string {
  const date = new Date(atMs)
  const eastMin = -date.getTimezoneOffset()
  const zone = `${eastMin < 0 ? '-' : '+'}${two(eastMin / 60)}${two(eastMin % 60)}`
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${day} ${time} ${zone}`
}
