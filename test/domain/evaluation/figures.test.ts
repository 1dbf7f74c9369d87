import {describe, expect, it} from 'vitest'
import {type Difference, figuresOf, shareLeftOpen, spreadOf} from '../../../src/domain/evaluation/figures.ts'
import type {LabRunSample} from '../../../src/domain/evaluation/lab-run.ts'
import {statementOn, statementOnAll, verdictOn} from '../../../src/domain/evaluation/statement.ts'
import {shiftOf} from '../../../src/domain/trace/two-sample.ts'
import {family, madeRun, row, run, sample, stream} from '../../support/made-run.ts'

/** Samples with these gaps of the near user, from the VM. */
const gaps = (values: readonly number[], over: Partial<LabRunSample> = {}) =>
  values.map((gapOutMs, i) =>
    sample({round: i + 1, downtimeMs: 100, ipv4: family({near: stream({gapOutMs: gapOutMs + 200})}), ...over}),
  )
const CONTROL = [90.1, 71.4, 103.2, 84.9, 66.3]
const pair = (control: readonly LabRunSample[], tried: readonly LabRunSample[]) =>
  figuresOf(run([row({id: 'nothing', kind: 'control', samples: control}), row({id: 'arp.x', samples: tried})]))

describe('the difference to a control', () => {
  // R 4.2.2: wilcox.test(after, before, conf.int = TRUE, exact = TRUE); the first pair is example 4.1 of Hollander & Wolfe,
  // who give -0.305 and (-0.76, 0.15) at 96 %. Coverages: 1 - 2 * pwilcox(u, m, n).
  it.each([
    [
      [0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
      [1.15, 0.88, 0.9, 0.74, 1.21],
      {value: -0.305, lo: -0.76, hi: 0.15, coverage: 0.96004},
    ],
    [CONTROL, [95.8, 88.2, 61.7, 110.4, 79.5], {value: 5.7, lo: -23.7, hi: 29.5, coverage: 0.968254}],
    [CONTROL, [295.8, 288.2, 261.7, 310.4, 279.5], {value: 205.7, lo: 176.3, hi: 229.5, coverage: 0.968254}],
  ])('%j to %j is as R has it', (before, after, expected) => {
    const shift = shiftOf(before, after, 0.95)!
    for (const [key, value] of Object.entries(expected)) expect(shift[key as 'value']).toBeCloseTo(value, 5)
  })

  it('is of the longest gap less the own downtime, in whichever direction and to whichever user', () => {
    const [, tried] = pair(gaps(CONTROL), [
      ...gaps([95.8, 88.2, 61.7, 110.4]),
      sample({downtimeMs: 300, ipv4: family({near: stream({gapOutMs: 20}), far: stream({gapInMs: 479.5})})}),
    ])
    expect(tried!.ipv4!.gapMs).toMatchObject({hi: 479.5})
    expect(tried!.ipv4!.beyondMs).toMatchObject({n: 5, lo: expect.closeTo(161.7), hi: expect.closeTo(210.4)})
    expect(tried!.ipv4!.toControlMs!.shift!.value).toBeCloseTo(5.7)
    // 300 in place of 100 ms, once: not the method's, as far as five can tell.
    expect(tried!.downtimeToControlMs!.shift).toMatchObject({lo: 0, hi: 200})
  })

  it('is of the whole gap where a namespace has no downtime', () => {
    const [, tried] = pair(gaps(CONTROL, {downtimeMs: null}), gaps(CONTROL, {downtimeMs: null}))
    expect(tried).toMatchObject({downtimeMs: null, downtimeToControlMs: null, ipv4: {beyondMs: null}})
    expect(tried!.ipv4!.toControlMs!.shift).toMatchObject({value: 0})
  })

  it('is none of void samples, of two, nor where the control did not run', () => {
    const bad = sample({void: 'a capture dropped packets', ipv4: family({near: stream({gapOutMs: 9000})})})
    const [control, tried] = pair([...gaps(CONTROL), bad], [...gaps(CONTROL.slice(3)), bad, bad])
    expect(control).toMatchObject({n: 5, voids: 1, ipv4: {gapMs: {hi: 303.2}, toControlMs: null}})
    expect(tried).toMatchObject({n: 2, voids: 2, ipv4: {toControlMs: {shift: null, n: 2, controls: 5}}})
    const [alone] = figuresOf(run([row({id: 'arp.x'})]))
    expect(alone!.ipv4!.toControlMs).toBeNull()
    expect(pair([bad], [bad])[1]).toMatchObject({n: 0, ipv4: null, ipv6: null, plain: null, downtimeMs: null})
  })
})

describe('a median with its range', () => {
  it.each([
    [[3, 1, 2], {n: 3, median: 2, lo: 1, hi: 3}],
    [[4, 1, 2, 3], {n: 4, median: 2.5, lo: 1, hi: 4}],
    [[null, 5, 7], {n: 3, median: 7, lo: 5, hi: null}],
    [[null, 5, null], {n: 3, median: null, lo: 5, hi: null}],
    [[null, 5], {n: 2, median: null, lo: 5, hi: null}],
    [[null], {n: 1, median: null, lo: null, hi: null}],
    [[], null],
  ])('of %j counts what never came as later than all that did', (values, spread) => {
    expect(spreadOf(values)).toEqual(spread)
  })

  it('is none of what was not asked, and of round trips that there were', () => {
    const samples = [
      sample({unreachable: null, ipv4: family({near: stream({rttMs: {before: 20, trombone: null, after: null}})})}),
      sample({unreachable: null, ipv4: family({near: stream({rttMs: {before: 22, trombone: 40, after: null}})})}),
    ]
    const [figures] = figuresOf(run([row({id: 'arp.x', samples})]))
    expect(figures).toMatchObject({unreachable: null, nat: null, ipv6: null, plain: {alive: 2, of: 2}})
    expect(figures!.ipv4!.near.rttMs).toMatchObject({
      before: {median: 21, n: 2},
      trombone: {median: 40, n: 1},
      after: null,
    })
  })
})

const difference = (lo: number, hi: number): Difference => ({
  ...{n: 5, controls: 5},
  shift: {value: (lo + hi) / 2, lo, hi, coverage: 0.968254},
})

describe('what is told apart', () => {
  it.each([
    [-23.7, 29.5, 'not-told-apart', false],
    [-23.7, 20, 'not-told-apart', true],
    [-23.7, 0, 'not-told-apart', true],
    [0, 12, 'not-told-apart', true],
    [0.1, 12, 'longer', true],
    [176.3, 229.5, 'longer', false],
    [-80, -1, 'shorter', true],
  ] as const)('by %d to %d ms: %s, a difference above 20 ms excluded: %s', (lo, hi, told, excludes) => {
    expect(verdictOn(difference(lo, hi))).toEqual({told, excludes})
  })

  it('is nothing by too few', () => {
    expect(verdictOn({shift: null, n: 3, controls: 5})).toEqual({told: 'too-few', excludes: false})
  })

  // R 4.2.2: binom.test(0, 5, alternative = "less")$conf.int; of three it is the cube root's.
  it.each([
    [5, 0.4507197],
    [3, 1 - Math.cbrt(0.05)],
    [59, 0.0495],
  ])('none in %i leaves open a share of %d', (n, share) => {
    expect(shareLeftOpen(n)).toBeCloseTo(share, 4)
  })
})

describe('the statement', () => {
  const said = (control: readonly LabRunSample[], tried: readonly LabRunSample[]) => {
    const [first, second] = pair(control, tried)
    return statementOn(second!, first)
  }

  it('says what is told apart, what is excluded, and what five without a loss leave open', () => {
    expect(said(gaps(CONTROL), gaps([95.8, 88.2, 61.7, 110.4, 79.5]))).toEqual([
      'Lost after the first echo that came back: 0 in 5 (control: 0 in 5). That leaves open up to 45.1 % of migrations with a loss (95 %).',
      "The gap beyond the downtime is not told apart from the control's: −24 to +30 ms (96.8 %).",
      'More than 20 ms longer cannot be excluded with 5.',
    ])
  })

  it('says by how much a gap is longer, and that the downtime is', () => {
    const slow = [95.8, 88.2, 61.7, 110.4, 79.5].map((gap) => gap + 200)
    expect(said(gaps(CONTROL), gaps(slow)).slice(1)).toEqual([
      "The gap beyond the downtime is longer than the control's: +206 ms, +176 to +230 ms (96.8 %).",
      'More than 20 ms longer cannot be excluded with 5.',
    ])
    expect(said(gaps(CONTROL), gaps([...CONTROL.map((gap) => gap + 400)], {downtimeMs: 500})).at(-1)).toBe(
      "The downtime itself is longer than the control's: +400 ms, +400 to +400 ms (96.8 %).",
    )
  })

  it('says that a difference is excluded where it is', () => {
    const narrow = [80, 81, 82, 83, 84]
    expect(said(gaps(narrow), gaps(narrow)).at(-1)).toBe('More than 20 ms longer is excluded.')
  })

  it('of losses names them beside the control’s, and what is void', () => {
    const lost = sample({ipv4: family({near: stream({lostAfter: 2}), far: stream({lostAfter: 1})})})
    expect(said([lost, sample()], [lost, lost, sample({void: 'jumped'})])).toEqual([
      'Lost after the first echo that came back: 6 in 2 (control: 3 in 2).',
      "The gap is not compared with the control's: 2 and 2 migrations are too few.",
      'Void, and left out: 1 of 3 (jumped).',
    ])
  })

  it('says nothing of a row of which none counts, and compares no control and nothing that has none', () => {
    expect(said([sample()], [])).toEqual(['No migration counts: nothing is said.'])
    const [alone] = figuresOf(run([row({id: 'arp.x'})]))
    expect(statementOn(alone!, undefined)).toContain('Its control did not run: the gap is compared with nothing.')
    const [control] = figuresOf(run([row({id: 'nothing', kind: 'control'})]))
    expect(statementOn(control!, undefined)).toHaveLength(1)
  })

  it('on all says how many may differ by chance', () => {
    expect(statementOnAll(figuresOf(madeRun()))[0]).toBe(
      '12 rows are compared with their control, each by an interval that covers the difference with at least 96.8 %; about 0.4 of them miss it by chance.',
    )
    expect(statementOnAll(figuresOf(run([row({id: 'arp.x'})])))).toEqual([
      'No row is compared with its control: too few migrations count.',
    ])
  })
})
