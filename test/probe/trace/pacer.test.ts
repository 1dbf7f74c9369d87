import {getEventListeners} from 'node:events'
import {describe, expect, it} from 'vitest'
import {makePacer, type Turn} from '../../../src/probe/trace/pacer.ts'
import {fakeWorld} from '../../support/world.ts'

/** When each turn came, ms, all of them asked for at once. */
async function times(turns: readonly Turn[], pace = {perSecond: 10, perRouter: 3}): Promise<number[]> {
  const world = fakeWorld()
  const pacer = makePacer(world, pace)
  const started = world.monotonic()
  const at = await Promise.all(
    turns.map((turn) => pacer.turn(turn).then(() => Number(world.monotonic() - started) / 1e6)),
  )
  expect(pacer.sent()).toBe(turns.reduce((sum, {packets = 1}) => sum + packets, 0))
  return at
}
const most = (at: readonly number[]): number =>
  Math.max(...at.map((start) => at.filter((each) => each >= start && each <= start + 1000).length))

describe('a pacer', () => {
  it('lets no more through in any second than was promised', async () => {
    const at = await times(Array.from({length: 45}, () => ({})))
    expect(most(at)).toBe(10)
    expect(at.at(-1)).toBeLessThan(5 * 1100)
  })

  it('counts the packets of a pair', async () => {
    const at = await times(Array.from({length: 20}, () => ({packets: 2, spreadMs: 20})))
    expect(most(at)).toBe(5)
  })

  it('asks one router less often, and holds up nobody else for it', async () => {
    const turns = Array.from({length: 8}, (_, i) => (i < 6 ? {router: 'rx 1'} : {}))
    const at = await times(turns, {perSecond: 100, perRouter: 3})
    expect(most(at.slice(0, 6))).toBe(3)
    expect(Math.max(...at.slice(6))).toBeLessThan(200)
  })

  it('serves in order, and not all at once', async () => {
    const at = await times(
      Array.from({length: 5}, () => ({})),
      {perSecond: 1000, perRouter: 1000},
    )
    expect(at).toEqual(at.toSorted((a, b) => a - b))
    expect(Math.min(...at.slice(1).map((each, i) => each - at[i]!))).toBeGreaterThanOrEqual(15)
  })

  it('lets a turn through that is more than a whole second’s worth', async () => {
    expect(await times([{packets: 2}], {perSecond: 1, perRouter: 1})).toEqual([0])
  })

  it('counts packets from when they left, if that was later than they were to', async () => {
    const world = fakeWorld()
    const pacer = makePacer(world, {perSecond: 4, perRouter: 4})
    const started = world.monotonic()
    const atMs = (): number => Number(world.monotonic() - started) / 1e6
    for (let pair = 0; pair < 2; pair++) {
      const granted = await pacer.turn({packets: 2, spreadMs: 20})
      await world.sleep(300)
      granted.left()
    }
    const lastLeft = atMs()
    await pacer.turn({packets: 4})
    expect(atMs()).toBeGreaterThan(lastLeft + 1000)
  })

  it('forgets who is aborted', async () => {
    const world = fakeWorld()
    const pacer = makePacer(world, {perSecond: 1, perRouter: 1})
    await pacer.turn({})
    const abort = new AbortController()
    const waiting = pacer.turn({}, abort.signal)
    abort.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(pacer.sent()).toBe(1)
  })

  it('leaves nothing at a signal that outlasts its turns', async () => {
    const pacer = makePacer(fakeWorld(), {perSecond: 10, perRouter: 3})
    const {signal} = new AbortController()
    for (let turn = 0; turn < 5; turn++) await pacer.turn({}, signal)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})
