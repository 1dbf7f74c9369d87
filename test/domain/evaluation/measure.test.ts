import {describe, expect, it} from 'vitest'
import {
  measureFamily,
  measureSession,
  type SeenPacket,
  type SeenSegment,
} from '../../../src/domain/evaluation/measure.ts'
import {shuffled} from '../../../src/domain/evaluation/round-order.ts'

const stretch = {from: 'x', to: 'y', stoppedMs: -100, sinceMs: -600, untilMs: 3000} as const

/** An echo of a user, each 10 ms from -600 ms on by its number; which gateway its answer took, and after how long. */
interface Echo {
  readonly number: number
  readonly by?: 'x' | 'y'
  readonly afterMs?: number
}
const sentMs = (number: number): number => -600 + number * 10

function packets(user: 'x' | 'y', echoes: readonly Echo[]): SeenPacket[] {
  return echoes.flatMap(({number, by, afterMs = 1}): SeenPacket[] => {
    const echo = {user, number}
    const asked = sentMs(number)
    const answered = asked + afterMs
    const port = `port-${asked < 0 ? 'x' : 'y'}` as const
    const out = [
      {atMs: asked, where: `user-${user}`, direction: 'to-vm', echo},
      {atMs: asked, where: port, direction: 'to-vm', echo},
    ] as const
    if (by === undefined) return [...out]
    return [
      ...out,
      {atMs: answered - 0.5, where: `port-${answered < 0 ? 'x' : 'y'}`, direction: 'from-vm', echo},
      {atMs: answered - 0.5, where: `gateway-${by}`, direction: 'from-vm', echo},
      {atMs: answered, where: `user-${user}`, direction: 'from-vm', echo},
    ]
  })
}
const range = (from: number, to: number, of: Omit<Echo, 'number'>): Echo[] =>
  Array.from({length: to - from}, (_, i) => ({number: from + i, ...of}))

/** Stopped from 50 to 60; then by the old gateway until 80, by the new one from there. */
const MOVED = [
  ...range(0, 50, {by: 'x', afterMs: 20}),
  ...range(50, 60, {}),
  ...range(60, 80, {by: 'x', afterMs: 21}),
  ...range(80, 360, {by: 'y', afterMs: 1}),
]

describe('the figures of one migration', () => {
  const figures = measureFamily([...packets('y', MOVED), ...packets('x', MOVED)], stretch)

  it('count what still reached the old gateway after RESUME, and tell when the new one had its first', () => {
    expect(figures.trombone).toBe(40)
    expect(figures.toFirstMs).toBe(sentMs(80) + 0.5)
  })

  it('tell the round trips before, on the trombone and at the end apart', () => {
    expect(figures.near.rttMs).toEqual({before: 20, trombone: 21, after: 1})
  })

  it('say when those were sent that never came back, and which of them after the first that did', () => {
    expect(figures.near.lostAtMs).toEqual(range(50, 60, {}).map(({number}) => sentMs(number)))
    expect(figures.near.lostAfter).toBe(0)
    const holed = MOVED.map((echo) => (echo.number === 70 || echo.number === 200 ? {number: echo.number} : echo))
    expect(measureFamily(packets('y', holed), stretch).near.lostAfter).toBe(2)
    // One that was under way when it was stopped is answered at the destination, before those behind it are heard.
    const underWay = MOVED.map((echo) => (echo.number === 50 ? ({...echo, by: 'x', afterMs: 140} as const) : echo))
    expect(measureFamily(packets('y', underWay), stretch).near.lostAfter).toBe(0)
  })

  it.each([
    ['of a VM that is never heard again', range(0, 50, {by: 'x'}), 3000 - sentMs(49) - 1],
    ['of one that was not heard before', range(61, 360, {by: 'y'}), sentMs(61) + 1 + 600],
    ['of one that is heard all the while', range(0, 361, {by: 'y'}), 10],
  ])('have a gap that reaches from end to end %s', (_, echoes, gapMs) => {
    expect(measureFamily(packets('y', echoes), stretch).near.gapOutMs).toBe(gapMs)
  })

  it('know no gateway of a VM that says nothing', () => {
    const silent = measureFamily(packets('y', range(0, 360, {})), stretch)
    expect(silent).toMatchObject({toFirstMs: null, trombone: 0, near: {sent: 360, lostAfter: 0, gapOutMs: 3600}})
    expect(silent.near.rttMs).toEqual({before: null, trombone: null, after: null})
  })

  it('do not take what waits at the old port while the VM is stopped for received', () => {
    // Sent to x until the bridge learns: the VM does not hear it.
    const late = packets('y', range(0, 60, {by: 'x'})).concat(packets('y', range(60, 360, {by: 'y'})))
    expect(measureFamily(late, stretch).near.gapInMs).toBe(100)
  })
})

/** Lines from `first` on, `count` of them, one a segment each 10 ms from `atMs`; by `sequence`, as TCP numbers bytes. */
function counted(peer: string, atMs: number, first: number, count: number, sequence = 1000): SeenSegment[] {
  let next = sequence
  return Array.from({length: count}, (_, i) => {
    const payload = `${first + i}\n`
    const segment = {atMs: atMs + i * 10, peer, sequence: next, opens: false, ends: false, payload}
    next = (next + payload.length) % 2 ** 32
    return segment
  })
}
const OWN = '10.0.0.10:4711'
const OTHER = '10.0.0.10:4712'
const open: Omit<SeenSegment, 'atMs' | 'peer'> = {sequence: 1, opens: true, ends: false, payload: ''}

describe('a session that counts on', () => {
  const whole = counted(OWN, -600, 10, 360)
  const without = (from: number, to: number): SeenSegment[] => whole.filter((_, i) => i < from || i >= to)
  /** What was lost comes again, in one. */
  const again = (from: number, to: number, atMs: number): SeenSegment => ({
    ...whole[from]!,
    atMs,
    payload: whole
      .slice(from, to)
      .map(({payload}) => payload)
      .join(''),
  })

  it.each([
    ['without a hole', whole, {session: {end: 'alive', gapMs: 10}, jumped: false}],
    [
      'that comes again out of order',
      [...without(50, 80), again(50, 80, sentMs(90) + 5)],
      {session: {end: 'alive', gapMs: sentMs(90) + 5 - sentMs(49)}, jumped: false},
    ],
    ['that comes twice', [...whole, again(40, 60, 500)], {session: {end: 'alive', gapMs: 10}, jumped: false}],
    [
      'over the end of 32 bits',
      counted(OWN, -600, 10, 360, 2 ** 32 - 100),
      {session: {end: 'alive', gapMs: 10}, jumped: false},
    ],
    ['that falls silent', whole.slice(0, 50), {session: {end: 'silent', gapMs: 3000 - sentMs(49)}, jumped: false}],
    [
      'that is reset, and begun again',
      [
        ...whole.slice(0, 50),
        {atMs: 100, peer: OWN, ...open, opens: false, ends: true},
        {atMs: 300, peer: OTHER, ...open},
        ...counted(OTHER, 310, 0, 200),
      ],
      // The first line of the new one has nothing before it that says that it is whole.
      {session: {end: 'cut', gapMs: 320 - sentMs(49)}, jumped: false},
    ],
    ['that jumps', [...whole.slice(0, 100), ...counted(OWN, 400, 900, 260, whole[100]!.sequence)], {jumped: true}],
  ] as const)('%s', (_, segments, expected) => {
    expect(measureSession(segments, stretch)).toMatchObject(expected)
  })

  it('that was not there before is none', () => {
    expect(measureSession(counted(OWN, 10, 0, 100), stretch)).toBeUndefined()
  })
})

describe('the order of rows in a round', () => {
  const rows = Array.from({length: 12}, (_, i) => i)
  it('is the same by the same seed, and another in another round', () => {
    expect(shuffled(rows, 1, 1)).toEqual(shuffled(rows, 1, 1))
    expect(shuffled(rows, 1, 1)).not.toEqual(shuffled(rows, 1, 2))
    expect(shuffled(rows, 1, 1)).not.toEqual(shuffled(rows, 2, 1))
    expect(shuffled(rows, 1, 1).toSorted((a, b) => a - b)).toEqual(rows)
  })
  it('has each row in each place about as often', () => {
    const places = Array.from({length: 2000}, (_, i) => shuffled([0, 1, 2, 3], 7, i + 1).indexOf(0))
    for (const place of [0, 1, 2, 3]) {
      const often = places.filter((each) => each === place).length
      expect(often).toBeGreaterThan(400)
      expect(often).toBeLessThan(600)
    }
  })
})
