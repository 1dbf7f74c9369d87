import {describe, expect, it} from 'vitest'
import {FEWEST, type PairValue, sideOf, signEValue, tight} from '../../../src/domain/trace/sequential.ts'
import {lastStretch} from '../../../src/domain/trace/stretch.ts'
import {seeded} from './evidence-maker.ts'

/** Pairs 200 ms apart whose alternative takes 5 ms. */
const pairs = (differences: readonly number[], apartMs = 200): PairValue[] =>
  differences.map((ms, i) => ({currentMs: 5 + ms, alternativeMs: 5, atMs: i * apartMs}))
const times = (n: number, ms: number): number[] => Array.from({length: n}, () => ms)

describe('signEValue', () => {
  it('is 1 before anything is seen, and its mean over fair coins stays 1', () => {
    expect(signEValue(0, 0)).toBeCloseTo(1, 12)
    for (const n of [1, 5, 20]) {
      let mean = 0
      let choose = 1
      for (let k = 0; k <= n; k++) {
        mean += (choose / 2 ** n) * signEValue(k, n)
        choose = (choose * (n - k)) / (k + 1)
      }
      expect(mean).toBeCloseTo(1, 9)
    }
  })

  it.each([
    [8, 8, 56.8],
    [9, 9, 102.3],
    [12, 13, 89.9],
    [0, 9, 0.1],
  ])('%i of %i: %d', (k, n, expected) => expect(signEValue(k, n)).toBeCloseTo(expected, 1))

  it('bears thousands', () => expect(signEValue(1500, 2000)).toBeGreaterThan(1e100))
})

describe('sideOf', () => {
  it('needs nine pairs that agree, and no more where they are calm', () => {
    expect(sideOf(pairs(times(FEWEST - 1, 20)), 10, 0.01)).toBeUndefined()
    expect(sideOf(pairs(times(FEWEST, 20)), 10, 0.01)).toBe('above')
    expect(sideOf(pairs(times(FEWEST, 0)), 10, 0.01)).toBe('below')
  })

  it('asks for more where several alternatives share the chance of error', () => {
    expect(sideOf(pairs(times(10, 20)), 10, 0.005)).toBeUndefined()
    expect(sideOf(pairs(times(11, 20)), 10, 0.005)).toBe('above')
  })

  it('takes pairs on the threshold for none', () => {
    expect(sideOf(pairs(times(60, 10)), 10, 0.01)).toBeUndefined()
  })

  it('waits four seconds where the differences differ: a burst of load is all of one kind too', () => {
    // Load that both exits share, but not to the same part.
    const uneven = Array.from({length: 30}, (_, i): PairValue => {
      const load = (i % 4) * 8
      return {currentMs: 25 + load, alternativeMs: 5 + load * (i % 3 === 0 ? 0.7 : 1), atMs: i * 200}
    })
    const slower = uneven.map((pair) => ({...pair, atMs: pair.atMs * 2.5}))
    expect(sideOf(uneven.slice(0, 20), 10, 0.01)).toBeUndefined()
    expect(sideOf(uneven, 10, 0.01)).toBe('above')
    expect(sideOf(slower.slice(0, 20), 10, 0.01)).toBe('above')
  })

  it.each([
    ['above', 'current'],
    ['below', 'alternative'],
  ] as const)(
    'waits nearly eight where %s rests on a restless way through the %s exit: so does a queue that stays for seconds',
    (side, restless) => {
      const loaded = Array.from({length: 60}, (_, i): PairValue => {
        const ms = 30 + (i % 8) * 5
        return restless === 'current'
          ? {currentMs: ms, alternativeMs: 5, atMs: i * 200}
          : {currentMs: 5, alternativeMs: ms, atMs: i * 200}
      })
      expect(sideOf(loaded.slice(0, 38), 10, 0.01)).toBeUndefined()
      expect(sideOf(loaded.slice(0, 39), 10, 0.01)).toBe(side)
      const calm = loaded.map(({atMs}) => ({currentMs: 5, alternativeMs: 5, [`${restless}Ms`]: 40, atMs}) as PairValue)
      expect(sideOf(calm, 10, 0.01)).toBe(side)
    },
  )

  it.each([
    ['above', 20, [11, 11]],
    ['below', 2, [-20, -20]],
  ])('does not say %s where the minima lie on the other side', (_, ms, [last]) => {
    // One round trip of the current exit, or of the other, that was as quick as could be.
    const odd: PairValue =
      ms > 10 ? {currentMs: 6, alternativeMs: 5, atMs: 0} : {currentMs: 30, alternativeMs: 5, atMs: 0}
    const rest = pairs(times(20, ms)).map((pair) => (ms > 10 ? pair : {...pair, currentMs: 30, alternativeMs: 28}))
    expect(last).toBeDefined()
    expect(sideOf([odd, ...rest], 10, 0.01)).toBeUndefined()
  })

  it('errs on either side in at most 1 % of runs, looked at after every pair, where the truth is the threshold', () => {
    const random = seeded(3)
    const wrong = {above: 0, below: 0}
    for (let run = 0; run < 400; run++) {
      // Symmetric around the threshold, and spread over time, so that neither of the other two rules protects it.
      const side = sideOf(
        pairs(
          Array.from({length: 60}, () => 10 + (random() - 0.5) * 2),
          1000,
        ),
        10,
        0.01,
      )
      if (side !== undefined) wrong[side]++
    }
    expect(wrong.above).toBeLessThanOrEqual(8)
    expect(wrong.below).toBeLessThanOrEqual(8)
  })
})

describe('tight', () => {
  it.each([
    [[1, 1, 1, 90], true],
    [[1, 1, 90, 90], false],
    [[-50, 1, 1.1, 1.2], true],
    [[1, 2], true],
  ])('%j within 1, but for one at either end: %s', (values, expected) => expect(tight(values, 1)).toBe(expected))
})

describe('lastStretch', () => {
  const noisy = (n: number, ms: number, seed: number): number[] => {
    const random = seeded(seed)
    return Array.from({length: n}, () => ms + random() * 0.3)
  }

  it('is the whole run where nothing changed', () => {
    const all = pairs(noisy(40, 20, 1))
    expect(lastStretch(all, 10)).toEqual({pairs: all, changedAtMs: null})
  })

  it.each([4, 9, 20])('begins where the path changed, after %i pairs', (at) => {
    const {pairs: rest, changedAtMs} = lastStretch(pairs([...noisy(at, 0, 2), ...noisy(10, 20, 3)]), 10)
    expect(rest).toHaveLength(10)
    expect(changedAtMs).toBe(at * 200)
  })

  it('is the last of several', () => {
    const {pairs: rest} = lastStretch(pairs([...noisy(9, 0, 4), ...noisy(9, 20, 5), ...noisy(9, 0, 6)]), 10)
    expect(rest).toHaveLength(9)
  })

  it('bears single late answers', () => {
    const after = noisy(12, 20, 7).with(5, 55)
    expect(lastStretch(pairs([...noisy(12, 0, 8), ...after]), 10).pairs).toHaveLength(12)
  })

  it('does not take load that comes for a path that changed', () => {
    const random = seeded(9)
    const load = Array.from({length: 12}, () => 20 + random() * 20)
    expect(lastStretch(pairs([...noisy(12, 0, 10), ...load]), 10).changedAtMs).toBeNull()
  })

  it('does not ask for a change of less than the threshold', () => {
    expect(lastStretch(pairs([...noisy(12, 0, 11), ...noisy(12, 8, 12)]), 10).changedAtMs).toBeNull()
  })
})
