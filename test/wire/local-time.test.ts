import {afterEach, expect, it} from 'vitest'
import {localClock, localStamp, localTime} from '../../src/wire/local-time.ts'

const zone = process.env.TZ
afterEach(() => {
  if (zone === undefined) delete process.env.TZ
  else process.env.TZ = zone
})

it.each([
  ['UTC', '2026-03-01 09:05:07 +0000'],
  ['Europe/Berlin', '2026-03-01 10:05:07 +0100'],
  ['America/St_Johns', '2026-03-01 05:35:07 -0330'],
  ['Asia/Kolkata', '2026-03-01 14:35:07 +0530'],
])('is of the clock on the wall, with its zone (%s)', (TZ, text) => {
  process.env.TZ = TZ
  const atMs = Date.UTC(2026, 2, 1, 9, 5, 7, 45)
  expect(localTime(atMs)).toBe(text)
  expect(localStamp(atMs)).toBe(text.replace(/^(\S+) (\S+) (...)(..)$/, '$1T$2.045$3:$4'))
  expect(Date.parse(localStamp(atMs))).toBe(atMs)
  expect(localClock(atMs)).toBe(`${text.slice(11, 19)}.045`)
})
