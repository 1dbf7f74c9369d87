import {expect, it} from 'vitest'
import {freshness} from '../../../src/domain/movement/fresh.ts'
import type {Movement} from '../../../src/domain/movement/movement.ts'

const START_MS = 1_796_115_814_000
const movement = (atMs: number | null, over: Partial<Movement> = {}): Movement => ({
  ...{kind: 'arrived', mac: null, vm: 'web-07', host: 'y', atMs, source: 'vcenter', port: null},
  ...over,
})

it('news of before is old, what was said before is told, and what has no time is new', () => {
  const judge = freshness(START_MS)
  expect(judge(movement(START_MS - 60_000))).toBe('old')
  expect(judge(movement(START_MS - 60_000))).toBe('told')
  // Its clock may be a little behind ours.
  expect(judge(movement(START_MS - 9000))).toBe('new')
  expect(judge(movement(START_MS + 1))).toBe('new')
  expect(judge(movement(START_MS + 1))).toBe('told')
  expect(judge(movement(START_MS + 1, {kind: 'left'}))).toBe('new')
  expect(judge(movement(START_MS + 1, {vm: 'db'}))).toBe('new')
  expect(judge(movement(START_MS + 2))).toBe('new')
  expect([judge(movement(null)), judge(movement(null))]).toEqual(['new', 'new'])
})
