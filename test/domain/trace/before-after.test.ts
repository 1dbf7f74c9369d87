import {describe, expect, it} from 'vitest'
import {
  type EarlierReport,
  compareTraces as plainlyCompared,
  type TraceComparison,
} from '../../../src/domain/trace/before-after.ts'
import type {PairReport, TraceDocument, TraceReport} from '../../../src/domain/trace/report.ts'
import {stamped} from '../../../src/orders/document.ts'
import {comparisonText} from '../../../src/render/comparison-text.ts'
import {complaints} from '../../support/schemas.ts'
import {documentOf as wholeDocumentOf} from './document-maker.ts'
import {TROMBONE} from './evidence-maker.ts'

const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
/** The jitter of a run: values about 0, never the same twice. */
const jitter = (i: number, seed: number): number => ((i * 7 + seed * 3) % 11) / 100

interface Spec {
  readonly ip?: string
  readonly host?: string
  readonly proto?: 'icmp' | 'tcp'
  /** Round trips through the exit in use, and the other; null: not answered. */
  readonly current?: number | null
  readonly alternative?: number | null
  readonly pairs?: number
  /** That many are lost of those through the exit in use. */
  readonly lost?: number
  readonly inbound?: TraceReport['inbound']['verdict']
  /** What the other exit answered when it was tried alone; undefined: it was not. */
  readonly works?: readonly ('small' | 'syn' | 'full')[]
  readonly seed?: number
}

function report(spec: Spec): TraceReport {
  const {current = 20, alternative = 0.5, pairs = 20, lost = 0, seed = 1, works} = spec
  const at = (value: number | null, i: number): number | null => (value === null ? null : value + jitter(i, seed))
  const check = (what: 'small' | 'syn' | 'full') => ({sent: 1, answered: works?.includes(what) ? 1 : 0, minMs: null})
  const earlier: EarlierReport = {
    host: {ip: spec.host ?? '10.1.0.10'},
    destination: {ip: spec.ip ?? '203.0.113.10'},
    probe: {proto: spec.proto ?? 'icmp'},
    egress: {alternative: 1},
    inbound: {verdict: spec.inbound ?? 'local'},
    candidates: [
      {mac: BX, works: null},
      {
        mac: BY,
        works: works
          ? {small: check('small'), syn: check('syn'), full: {...check('full'), bytes: 1500, mtu: null}}
          : null,
      },
    ],
    pairs: Array.from(
      {length: pairs},
      (_, i): PairReport => ({
        ...{i, alternative: 1, flow: 0, first: 'current', sentAtMs: i, warmUp: false},
        ...{
          currentMs: i < lost ? null : at(current, i),
          currentReturnMac: null,
          currentReplyTtl: null,
          currentRefusal: null,
        },
        ...{
          alternativeMs: at(alternative, i),
          alternativeReturnMac: null,
          alternativeReplyTtl: null,
          alternativeRefusal: null,
        },
      }),
    ),
  }
  return earlier as TraceReport
}

const documentOf = (...specs: Spec[]): TraceDocument =>
  ({startedAt: '2026-01-01T00:00:00.000Z', results: specs.map(report)}) as unknown as TraceDocument
/** Held against the published schema, with a whole document in the place of the part that is read. */
function compareTraces(before: TraceDocument, after: TraceDocument): TraceComparison {
  const comparison = plainlyCompared('before.json', before, after)
  expect(complaints(stamped({...comparison, after: wholeDocumentOf(TROMBONE)}, 0))).toEqual([])
  return comparison
}
const compared = (before: Spec, after: Spec) => compareTraces(documentOf(before), documentOf({seed: 2, ...after}))
const change = (before: Spec, after: Spec, aspect: 'roundTrip' | 'penalty' | 'loss' | 'inbound' | 'works') =>
  compared(before, after).destinations[0]!.aspects[aspect].change

describe('a destination since', () => {
  it.each([
    ['is as it was', {}, {}, 'same', 0],
    ['is as it was, but for what nobody minds', {current: 20}, {current: 20.3}, 'same', 0],
    ['got slower', {current: 20}, {current: 25}, 'worse', 10],
    ['got faster', {current: 20}, {current: 0.5, alternative: 20}, 'better', 0],
    ['loses more', {}, {lost: 8}, 'worse', 10],
    ['comes in at the wrong site', {inbound: 'local'}, {inbound: 'inbound-trombone'}, 'worse', 10],
    [
      'drops large packets at the other exit',
      {works: ['small', 'syn', 'full']},
      {works: ['small', 'syn']},
      'worse',
      10,
    ],
    ['is asked in another protocol', {proto: 'icmp'}, {proto: 'tcp'}, 'incomparable', 11],
    ['is traced from another host', {}, {host: '10.1.0.11'}, 'incomparable', 11],
    ['does not answer any more', {}, {current: null}, 'worse', 10],
    ['has too few pairs to tell', {pairs: 2}, {pairs: 2}, 'incomparable', 11],
  ] as [string, Spec, Spec, string, number][])('%s', (_what, before, after, expected, exitCode) => {
    const comparison = compared(before, after)
    expect(comparison.destinations[0]!.change).toBe(expected)
    expect(comparison.exitCode).toBe(exitCode)
  })

  it('may have got slower by what counts, or not: that is unclear', () => {
    const noisy = (seed: number) => {
      const plain = report({seed})
      return {...plain, pairs: plain.pairs.map((pair, i) => ({...pair, currentMs: 20 + ((i * 13 + seed) % 17)}))}
    }
    const [before, after] = [1, 4].map((seed) => ({...documentOf(), results: [noisy(seed)]}))
    const comparison = compareTraces(before!, after!)
    expect(comparison.destinations[0]!.change).toBe('unclear')
    expect(comparison.exitCode).toBe(11)
  })

  it.each([
    ['penalty', {current: 0.5, alternative: 20}, {current: 20, alternative: 0.5}, 'worse'],
    ['penalty', {current: 20, alternative: 0.5}, {current: 0.5, alternative: 20}, 'better'],
    ['loss', {pairs: 9}, {pairs: 9, lost: 1}, 'unclear'],
    ['loss', {lost: 12}, {lost: 0}, 'better'],
    ['inbound', {inbound: 'inbound-trombone'}, {inbound: 'local'}, 'better'],
    ['inbound', {inbound: 'local'}, {inbound: 'direct'}, 'same'],
    ['inbound', {inbound: 'unknown'}, {inbound: 'local'}, 'incomparable'],
    ['works', {works: []}, {works: ['small']}, 'better'],
    ['works', {}, {works: ['small']}, 'incomparable'],
  ] as ['penalty' | 'loss' | 'inbound' | 'works', Spec, Spec, string][])(
    '%s of %j, then %j: %s',
    (aspect, before, after, expected) => {
      expect(change(before, after, aspect)).toBe(expected)
    },
  )
})

describe('several destinations', () => {
  const other = {ip: '198.51.100.10'}

  it('are worse if one is, by intervals that allow for their number', () => {
    const comparison = compareTraces(documentOf({}, other), documentOf({seed: 2}, {...other, current: 30, seed: 3}))
    expect(comparison.destinations.map((each) => each.change)).toEqual(['same', 'worse'])
    expect(comparison.exitCode).toBe(10)
    const [first] = comparison.destinations
    expect(first!.aspects.roundTrip.shift!.coverage).toBeGreaterThanOrEqual(1 - 0.02 / 4)
  })

  it('tell which of them only one has, and know less by that', () => {
    const comparison = compareTraces(documentOf({}, other), documentOf({seed: 2}))
    expect(comparison).toMatchObject({missing: [other.ip], exitCode: 11})
    expect(comparisonText(comparison, false).at(-1)).toBe(`  ${other.ip}  in one of the two only`)
  })
})

it('is refused by its published schema with a field more', () => {
  const whole = {...compared({}, {}), after: wholeDocumentOf(TROMBONE)}
  expect(complaints(stamped({...whole, more: 1}, 0))).not.toEqual([])
  expect(complaints(stamped({...whole, after: {...whole.after, more: 1}}, 0))).not.toEqual([])
})

it('is told in text that fits, the worst in capitals', () => {
  const lines = comparisonText(compared({works: ['small', 'syn', 'full']}, {current: 25, works: ['small']}), false)
  expect(lines.join('\n')).toMatch(/203\.0\.113\.10 {2}WORSE/)
  expect(lines.join('\n')).toMatch(/round trip +20\.\d ms +25\.\d ms +\+\d\.\d+ +\[.* … .*\] +WORSE/)
  expect(lines.every((line) => line.length <= 100)).toBe(true)
})
