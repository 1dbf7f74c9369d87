import {expect, it} from 'vitest'
import {pause, startSchedule} from '../../src/probe/schedule.ts'
import {fakeWorld} from '../support/world.ts'

it('waits until an offset from the start, and not at all for one that has passed', async () => {
  const world = fakeWorld()
  const schedule = startSchedule(world, new AbortController().signal)
  await schedule.until(300)
  expect(schedule.elapsedMs()).toBe(300)
  await schedule.until(100)
  expect(schedule.elapsedMs()).toBe(300)
})

it('ends early once it is done, and does not wait again', async () => {
  const world = fakeWorld()
  const done = new AbortController()
  const schedule = startSchedule(world, new AbortController().signal)
  void world.sleep(50).then(() => done.abort())
  await schedule.until(300, done.signal)
  await schedule.until(400, done.signal)
  expect(schedule.elapsedMs()).toBe(50)
})

it('throws the reason of an abort, before a wait, in it, and also where it is done', async () => {
  const world = fakeWorld()
  const stop = new AbortController()
  const waiting = pause(world, 300, undefined, stop.signal)
  stop.abort(new Error('stopped'))
  await expect(waiting).rejects.toThrow('stopped')
  await expect(pause(world, 0, AbortSignal.abort(), stop.signal)).rejects.toThrow('stopped')
})
