import {describe, expect, it} from 'vitest'
import {floodValve} from '../../../src/net/stream/flood-valve.ts'

/** What comes through of `rate` messages a window, over `windows`. */
function through(valve: ReturnType<typeof floodValve>, rate: number, windows: number): number[] {
  return Array.from({length: windows}, () => {
    const passed = Math.round(rate * valve.share)
    valve.count(passed)
    valve.turn()
    return passed
  })
}

describe('a valve', () => {
  it('is open for what its receiver can look at', () => {
    const valve = floodValve(25)
    expect(through(valve, 50, 20)).toEqual(Array(20).fill(50))
  })

  it.each([100, 1000, 100_000])('lets through what can be looked at of %i a window', (rate) => {
    const valve = floodValve(25)
    for (const passed of through(valve, rate, 100).slice(2)) expect(passed).toBeLessThanOrEqual(50)
    // And not nothing.
    expect(Math.max(...through(valve, rate, 100).slice(2))).toBeGreaterThan(5)
  })

  it('opens again soon after the flood', () => {
    const valve = floodValve(25)
    through(valve, 100_000, 50)
    through(valve, 0, 16)
    expect(valve.share).toBe(1)
  })
})
