import {describe, expect, it} from 'vitest'
import type {PairReport, TraceReport} from '../../../src/domain/trace/report.ts'
import {NOT_WATCHED, type WatchState, watchStep} from '../../../src/domain/trace/watch.ts'
import {watchLineText, watchScreen} from '../../../src/render/watch-screen.ts'
import {complaints} from '../../support/schemas.ts'

const DESTINATION = '203.0.113.10'
const FAILED = {at: '2026-01-01T00:00:09.000Z', failure: 'eth0 is down', exitCode: 1}

interface Spec {
  readonly gateway?: string
  readonly verdict?: TraceReport['egress']['verdict']
  readonly inbound?: TraceReport['inbound']['verdict']
  readonly current?: number | null
  readonly alternative?: number
}

function window({
  gateway = 'bx',
  verdict = 'trombone',
  inbound = 'local',
  current = 20,
  alternative = 0.5,
}: Spec = {}): TraceReport {
  const pairs = Array.from({length: 9}, (_, i) => ({
    ...{i, alternative: 1, flow: 0, first: 'current', sentAtMs: i, warmUp: false},
    currentMs: current === null ? null : current + i / 100,
    alternativeMs: alternative,
  })) as unknown as PairReport[]
  const exit = (name: string) => ({
    name,
    ip: '10.1.0.254',
    mac: `02:00:00:00:00:${name === 'bx' ? '0a' : '0b'}`,
    hops: [],
  })
  const seen = {
    startedAt: '2026-01-01T00:00:01.000Z',
    host: {name: 'db-03', ip: '10.1.0.10', site: 'y'},
    destination: {ip: DESTINATION, name: null, site: 'y'},
    egress: {
      ...{verdict, reason: 'detour', thresholdMs: 10},
      penaltyMs: current === null ? null : {median: current - alternative, lo: 19, hi: 21, coverage: 0.99, min: 19},
    },
    inbound: {verdict: inbound},
    candidates: [{...exit(gateway), medianMs: current}, exit(gateway === 'bx' ? 'by' : 'bx')],
    ...{pairs, exitCode: verdict === 'trombone' ? 10 : 0},
  }
  return seen as unknown as TraceReport
}

const watched = (...windows: readonly (TraceReport | typeof FAILED)[]) => {
  let state: WatchState = NOT_WATCHED
  const lines = windows.map((each) => {
    const step = watchStep(state, DESTINATION, each)
    state = step.state
    expect(complaints(step.line)).toEqual([])
    return step.line
  })
  return {state, lines}
}

describe('a watch', () => {
  it('tells what each window found, and ends as the last', () => {
    const {state, lines} = watched(window(), window({gateway: 'by', verdict: 'none', current: 0.5, alternative: 20}))
    expect(lines[0]).toMatchObject({
      ...{schema: 'gwswitch.trace-watch/1', destination: DESTINATION, egress: {verdict: 'trombone'}, pairs: 9, lost: 0},
      ...{roundTripMs: 20, gateway: '02:00:00:00:00:0a', changes: [], failure: null, exitCode: 10},
    })
    expect(state).toMatchObject({windows: 2, exitCode: 0})
    expect(state.strip).toHaveLength(18)
  })

  it('tells what changed, and when', () => {
    const {lines} = watched(window(), window({gateway: 'by', verdict: 'none', inbound: 'mixed', current: 0.5}))
    expect(lines[1]!.changes.map(({what, from, to}) => [what, from, to])).toEqual([
      ['gateway', 'bx', 'by'],
      ['egress', 'trombone', 'none'],
      ['inbound', 'local', 'mixed'],
      ['round trip', '20 ms', '0.5 ms'],
    ])
  })

  it.each([
    ['as it was', {}, []],
    ['slower by what nobody minds', {current: 20.3}, []],
    ['slower', {current: 30}, ['round trip']],
    ['not answered', {current: null}, []],
  ] as const)('sees a round trip that is %s', (_what, now, changes) => {
    expect(watched(window(), window(now)).lines[1]!.changes.map(({what}) => what)).toEqual(changes)
  })

  it('goes on over a window that failed, and compares with the last that did not', () => {
    const {state, lines} = watched(window(), FAILED, window({gateway: 'by'}))
    expect(lines[1]).toMatchObject({egress: null, failure: 'eth0 is down', exitCode: 1})
    expect(lines[2]!.changes).toMatchObject([{what: 'gateway', from: 'bx', to: 'by'}])
    expect(state).toMatchObject({windows: 3, failure: null})
  })

  it('writes lines that the published schema refuses with a field more, or another verdict', () => {
    const [line] = watched(window()).lines
    expect(complaints({...line, more: 1})).not.toEqual([])
    expect(complaints({...line, egress: {...line!.egress, verdict: 'odd'}})).not.toEqual([])
  })

  it('keeps no more than it shows', () => {
    const {state} = watched(...Array.from({length: 100}, (_, i) => window({gateway: i % 2 === 0 ? 'bx' : 'by'})))
    expect([state.strip.length, state.changes.length]).toEqual([500, 50])
  })
})

describe('its screen', () => {
  const size = {colour: false, columns: 80, rows: 24, elapsedMs: 83_000}
  const {state} = watched(
    window(),
    window({current: null}),
    window({gateway: 'by', verdict: 'none', current: 0.5, alternative: 20}),
    window({current: 20, alternative: 20, verdict: 'none'}),
  )

  it('has the verdict, a sign for every pair, and what changed', () => {
    const screen = watchScreen(state, size).join('\n')
    expect(screen).toContain('EGRESS   no trombone')
    expect(screen).toContain(`${'█'.repeat(9)}${'x'.repeat(9)}${'▽'.repeat(9)}${'▁'.repeat(9)}`)
    expect(screen).toMatch(/\d\d:\d\d:\d\d {2}gateway: bx → by/)
    expect(screen).toMatch(/1:23, window 4; Ctrl-C ends it$/)
  })

  it.each([24, 12, 5, 1])('fits %i rows, the last of which says how to end it', (rows) => {
    const lines = watchScreen(state, {...size, rows})
    expect(lines.length).toBeLessThanOrEqual(rows)
    expect(lines.at(-1)).toContain('Ctrl-C')
  })

  it('says why a window failed, also the first', () => {
    expect(watchScreen(watched(window(), FAILED).state, size).join('\n')).toContain('eth0 is down')
    expect(watchScreen(watched(FAILED).state, size)[0]).toBe('eth0 is down')
    expect(watchLineText(watched(FAILED).lines[0]!, false)).toBe('00:00:09  eth0 is down')
  })

  it('is a line a window where there is no screen', () => {
    const [, , line] = watched(window(), window(), window({gateway: 'by', verdict: 'none', current: 0.5})).lines
    expect(watchLineText(line!, false)).toBe(
      '00:00:01  no trombone  +0.00 ms  inbound local; gateway: by; egress: no trombone; round trip: 0.5 ms',
    )
  })
})
