import displayWidth from 'string-width'
import {describe, expect, it} from 'vitest'
import {
  notWatched,
  type WatchEvent,
  type WatchOrder,
  type WatchState,
  watchExit,
  watchStep,
  windowOf,
} from '../../../src/domain/trace/watch.ts'
import {watchLineText, watchScreen} from '../../../src/render/watch-screen.ts'
import {complaints} from '../../support/schemas.ts'
import {evidenceOf, NEAR_X, NEAR_Y, RX, type Side, type Spec, TROMBONE, worksBut} from './evidence-maker.ts'

const PLAN = {protocols: ['icmp', 'tcp', 'udp']} as const
const orderOf = (...destinations: string[]): WatchOrder => ({
  ...{destinations, rate: 25, pairs: 20, intervalMs: undefined, plan: PLAN},
})
const [CURRENT, OTHER] = [TROMBONE.current, TROMBONE.alternatives[0]!]
/** The VM went over to the gateway of its own site. */
const SWITCHED: Pick<Spec, 'current' | 'alternatives'> = {current: OTHER, alternatives: [CURRENT]}
const both = (current: Side['rttMs'], alternative: Side['rttMs']): Pick<Spec, 'current' | 'alternatives'> => ({
  current: {...CURRENT, rttMs: current},
  alternatives: [{...OTHER, rttMs: alternative}],
})

/** A run that has lasted for so many pairs, 200 ms apart; the second of those that are named began later. */
function seen(spec: Partial<Spec> & {readonly run?: number} = {}): WatchEvent {
  const {run = 0, pairs = 30, destination = NEAR_Y, ...rest} = spec
  const made = evidenceOf({...TROMBONE, ...rest, destination, pairs})
  const evidence = {
    ...made,
    startedAt: `2026-03-01T10:0${run}:00.000Z`,
    durationMs: made.pairs.at(-1)!.sentAtMs + 50,
  }
  return {kind: 'seen', destination, evidence}
}
const failed = (destination: string, second = 9, message = 'eth0 is down'): WatchEvent => ({
  ...{kind: 'failed', destination, message},
  ...{at: new Date(Date.UTC(2026, 2, 1, 10, 0, second)).toISOString(), exitCode: 1},
})

function watched(order: WatchOrder, ...events: readonly WatchEvent[]) {
  let state: WatchState = notWatched(order)
  const outcomes = events.map((event) => {
    const outcome = watchStep(order, state, event)
    state = outcome.state
    if (outcome.line !== null) expect(complaints(outcome.line)).toEqual([])
    return outcome
  })
  return {state, lines: outcomes.map(({line}) => line), steps: outcomes.map(({step}) => step)}
}
const ONE = orderOf(NEAR_Y)
const changes = ({changes: all}: WatchState) => all.map(({what, from, to}) => [what, from, to])

describe('the window', () => {
  it.each([
    ['one destination', orderOf(NEAR_Y), 1, 9000],
    ['ten, at the usual rate', orderOf(...Array.from({length: 10}, (_, i) => `${i}`)), 1, 20_000],
    ['ten, at a hundred a second', {...orderOf(...Array.from({length: 10}, (_, i) => `${i}`)), rate: 100}, 1, 9000],
    ['two alternatives', orderOf('1', '2', '3', '4'), 2, 16_000],
    ['pairs that are far apart', {...ONE, intervalMs: 1000}, 1, 20_000],
    ['fewer pairs', {...ONE, intervalMs: 1000, pairs: 10}, 1, 10_000],
  ])('of %s has room for its pairs, and for 9 s', (_what, order, alternatives, ms) => {
    expect(windowOf(order, alternatives)).toBe(ms)
  })

  it('slides: a line, the verdict and the report are about what is in it', () => {
    const {state, lines} = watched(ONE, seen({pairs: 60}))
    expect(lines[0]).toMatchObject({
      ...{schema: 'gwswitch.trace-watch/1', destination: NEAR_Y, windowMs: 9000, lost: 0, changes: [], failure: null},
      ...{egress: {verdict: 'trombone', reason: 'detour'}, inbound: 'local', gateway: RX.mac, exitCode: 10},
    })
    const {report, strip} = state.watched[0]!
    expect(lines[0]!.pairs).toBe(report!.egress.penaltyMs === null ? 0 : report!.probe.pairsUsed)
    expect(lines[0]!.pairs).toBeLessThan(50)
    expect(strip).toHaveLength(60)
  })

  it('has no redirect that was heard last before it, and no answer dropped before it', () => {
    const redirect = {from: '10.9.0.252', mac: OTHER.mac, gateway: CURRENT.ip}
    const flagsAt = (atMs: number) => {
      const integrity = {redirectsSeen: [{...redirect, atMs}], clockSteps: [atMs]}
      const {report} = watched(ONE, seen({pairs: 60, integrity})).state.watched[0]!
      return [report!.flags.map(({code}) => code), report!.integrity.redirectsSeen, report!.integrity.clockSteps]
    }
    expect(flagsAt(8000)).toEqual([expect.arrayContaining(['redirects-seen', 'clock-stepped']), [redirect], 1])
    expect(flagsAt(1000)).toEqual([[], [], 0])
  })

  it('is long enough that a restless trombone is believed', () => {
    const restless = seen({...both((pair) => 20.4 + (pair % 4) * 8, 0.03), pairs: 60})
    expect(watched(ONE, restless).lines[0]).toMatchObject({egress: {verdict: 'trombone', reason: 'detour'}})
  })

  it('begins anew where the path changed, as soon as it is clear how things are since', () => {
    const at30 = (before: number, after: number) => (pair: number) => (pair < 30 ? before : after)
    const jump = both(at30(20.44, 20.44), at30(0.03, 60))
    const {state, lines} = watched(
      ONE,
      seen({...jump, pairs: 29}),
      ...[45, 51, 56].map((pairs) => seen({...jump, pairs})),
    )
    expect(changes(state)).toEqual([['egress', 'trombone', 'none']])
    // Of the pairs from before the change that are still in its time, none counts.
    expect(lines.at(-1)).toMatchObject({egress: {verdict: 'none'}, pairs: 26})
  })
})

describe('changes', () => {
  it('are told once, with the time at which they were seen', () => {
    const later = seen({...SWITCHED, run: 1, pairs: 12})
    const {state, lines} = watched(ONE, seen(), seen({...SWITCHED, run: 1, pairs: 4}), later, later)
    expect(changes(state)).toEqual([
      ['gateway', 'rx', 'ry'],
      ['egress', 'trombone', 'none'],
      ['round trip', expect.stringMatching(/^20\.\d+ ms$/), expect.stringMatching(/^0\.\d+ ms$/)],
    ])
    expect(lines[1]).toMatchObject({
      egress: {reason: 'too-few-pairs'},
      changes: [{what: 'gateway', at: expect.stringContaining('T10:01:0')}],
    })
    expect(state.watched[0]!.strip).toHaveLength(42)
  })

  it.each([
    ['as it was', {}, []],
    ['slower by what nobody minds', both(20.74, 0.33), []],
    ['slower', both(30.44, 10.03), ['round trip']],
    ['not answered', both(null, 0.03), ['egress']],
    [
      'come back another way',
      {current: {...CURRENT, returnMac: RX.mac}, alternatives: [{...OTHER, returnMac: RX.mac}]},
      ['inbound'],
    ],
    ['met by an exit that drops large packets', {alternatives: [{...OTHER, works: worksBut('full')}]}, ['egress']],
  ] as [string, Partial<Spec>, string[]][])('of a destination that is %s', (_what, now, expected) => {
    const {state} = watched(ONE, seen(), seen({...now, run: 1}))
    expect(state.changes.map(({what}) => what)).toEqual(expected)
  })

  it('are none over what could not be traced meanwhile, which is told once a second', () => {
    const {state, lines} = watched(ONE, seen(), failed(NEAR_Y), failed(NEAR_Y), seen({run: 1}))
    expect(lines[1]).toMatchObject({egress: null, windowMs: 0, failure: 'eth0 is down', exitCode: 1})
    expect(lines[2]).toBeNull()
    expect(state.changes).toEqual([])
    expect(state.watched[0]).toMatchObject({failure: null, exitCode: 10})
  })

  it('are remembered as far as they can be shown', () => {
    const events = Array.from({length: 80}, (_, i) => seen({...(i % 2 === 0 ? TROMBONE : SWITCHED), run: i % 10}))
    const {state} = watched(ONE, ...events)
    expect([state.watched[0]!.strip.length, state.changes.length]).toEqual([500, 50])
  })
})

describe('lines', () => {
  it('come once a second, and where something changed', () => {
    const counts = Array.from({length: 26}, (_, i) => seen({pairs: 5 + i}))
    const {lines} = watched(ONE, ...counts)
    const told = lines.filter((line) => line !== null).length
    expect(told).toBeGreaterThan(3)
    expect(told).toBeLessThan(9)
  })

  it('come once a second while it cannot be traced, and at once with another reason', () => {
    const down = [9, 9.9, 10, 10.5, 11, 3].map((second) => failed(NEAR_Y, second))
    const {lines} = watched(ONE, ...down, failed(NEAR_Y, 3, 'no route to 192.0.2.1'))
    expect(lines.map((line) => line?.at.slice(17, -1))).toEqual([
      ...['09.000', undefined, '10.000', undefined, '11.000'],
      ...['03.000', '03.000'],
    ])
  })

  it('are refused by the published schema with a field more, or another verdict', () => {
    const [line] = watched(ONE, seen()).lines
    expect(complaints({...line, more: 1})).not.toEqual([])
    expect(complaints({...line, egress: {...line!.egress, verdict: 'odd'}})).not.toEqual([])
  })
})

describe('what a run is to do next', () => {
  const unchecked = {alternatives: [{...OTHER, works: null}]}

  it('is more pairs, where a trace would be done', () => {
    expect(watched(ONE, seen()).steps).toEqual([{kind: 'pairs'}])
  })

  it('is whatever a trace would do first', () => {
    const {steps} = watched(ONE, seen(unchecked), seen({...TROMBONE, pairs: 31}))
    expect(steps).toEqual([{kind: 'check', exit: 1}, {kind: 'pairs'}])
  })

  it('is to ask again what was asked half a minute ago: of the exit, and of the hops', () => {
    const {steps, state} = watched(ONE, seen(unchecked), seen({pairs: 200}), seen({pairs: 201}), seen({pairs: 202}))
    expect(steps.slice(1)).toEqual([{kind: 'check', exit: 1}, {kind: 'again', ageMs: 30_000}, {kind: 'pairs'}])
    // What is known stands meanwhile.
    expect(state.watched[0]!.report!.egress.reason).toBe('detour')
  })

  it('is to begin with the first protocol again, where nothing has answered any for half a minute', () => {
    const silent = both(null, null)
    const probe = {protocol: 'udp', port: 33_434, silent: ['icmp', 'tcp']} as const
    const {steps} = watched(ONE, seen({...silent, probe, pairs: 20}), seen({...silent, probe, pairs: 200}))
    expect(steps).toEqual([{kind: 'pairs'}, {kind: 'protocol', protocol: 'icmp'}])
  })
})

describe('several destinations', () => {
  const order = orderOf(NEAR_Y, NEAR_X, '192.0.2.1')

  it('have each its own state, in the order asked, and end as the worst', () => {
    const {state} = watched(order, seen({destination: NEAR_X, ...SWITCHED}), failed('192.0.2.1'), seen())
    expect(state.watched.map(({destination, exitCode}) => [destination, exitCode])).toEqual([
      [NEAR_Y, 10],
      [NEAR_X, 0],
      ['192.0.2.1', 1],
    ])
    expect(watchExit(state)).toBe(10)
  })

  it.each([
    ['none was seen', [], 11],
    ['one cannot be traced', [seen(SWITCHED), seen({...SWITCHED, destination: NEAR_X}), failed('192.0.2.1')], 1],
    ['one was not seen yet', [seen(SWITCHED), seen({...SWITCHED, destination: NEAR_X})], 11],
    ['all are well', [NEAR_Y, NEAR_X, '192.0.2.1'].map((destination) => seen({...SWITCHED, destination})), 0],
  ] as [string, WatchEvent[], number][])('end, where %s, with %#: %j', (_what, events, code) => {
    expect(watchExit(watched(order, ...events).state)).toBe(code)
  })
})

describe('the screen', () => {
  const size = {colour: false, columns: 80, rows: 24, elapsedMs: 83_000}
  const lost = (pair: number) => (pair > 20 ? null : 20.44)
  const {state, lines} = watched(ONE, seen(both(lost, 0.03)), seen({...SWITCHED, run: 1}))

  it('of one destination has its verdict, a sign for every pair, hops, and what changed', () => {
    const screen = watchScreen(state, size).join('\n')
    expect(screen).toContain('EGRESS   no trombone')
    expect(screen).toMatch(/█{21}x{9}▽{30}/)
    expect(screen).toContain('  via ry  (site y, in use)')
    expect(screen).toMatch(/\d\d:\d\d:\d\d {2}gateway: rx → ry/)
    expect(screen).toMatch(/1:23, the last 9 s; Ctrl-C ends it$/)
  })

  it.each([24, 12, 5, 1])('fits %i rows, the last of which says how to end it', (rows) => {
    const all = watchScreen(state, {...size, rows})
    expect(all.length).toBeLessThanOrEqual(rows)
    expect(all.at(-1)).toContain('Ctrl-C')
  })

  it('says what is wrong, also at the beginning', () => {
    expect(watchScreen(watched(ONE, seen(), failed(NEAR_Y)).state, size).join('\n')).toContain('eth0 is down')
    expect(watchScreen(watched(ONE, failed(NEAR_Y)).state, size)[0]).toBe('eth0 is down')
    expect(watchScreen(notWatched(ONE), size)[0]).toBe('the first samples are on their way')
    expect(watchLineText(watched(ONE, failed(NEAR_Y)).lines[0]!, false, false)).toBe('10:00:09  eth0 is down')
  })

  it('is a line a second where there is none', () => {
    expect(watchLineText(lines[1]!, false, false)).toMatch(
      /^10:01:0\d {2}no trombone {2}−20\.\d ms {2}inbound local; gateway: ry; .*round trip: 0\.\d+ ms$/,
    )
    expect(watchLineText(lines[1]!, true, false)).toContain(`  ${NEAR_Y}  no trombone`)
  })

  describe('of several destinations', () => {
    const names = Array.from({length: 30}, (_, i) => `203.0.113.${i + 1}`)
    const order = orderOf(...names, '2001:db8:1234:5678:9abc:def0:1234:5678')
    const fine = names.slice(1, 29).map((destination) => seen({...SWITCHED, destination}))
    const moved = seen({run: 1, destination: names[0]!})
    const {state: many} = watched(
      order,
      seen({...SWITCHED, destination: names[0]!}),
      moved,
      ...fine,
      failed(names[29]!),
    )

    it.each([
      [80, 40],
      [80, 24],
      [120, 60],
      [80, 6],
      [80, 3],
    ])('has a row each, that fits, and the worst in detail: %i columns, %i rows', (columns, rows) => {
      const screen = watchScreen(many, {...size, columns, rows})
      expect(screen.length).toBeLessThanOrEqual(rows)
      expect(screen.filter((line) => displayWidth(line) > columns)).toEqual([])
      expect(screen[0]).toMatch(/203\.0\.113\.1 \(site y\) +TROMBONE +\+20\.\d ms +[▽█▇]+$/)
      expect(screen.at(-1)).toContain('Ctrl-C')
    })

    it('shows those that matter where there is no room for all', () => {
      const text = watchScreen(many, size).join('\n')
      expect(text).toMatch(/203\.0\.113\.30 +not traced {2}eth0 is down/)
      expect(text).toMatch(/and \d+ more that are no worse/)
      expect(text).toMatch(/web-07 .* → 203\.0\.113\.1 \(site y\)\n {2}EGRESS {3}TROMBONE/)
    })

    it('names the destination of a change', () => {
      expect(watchScreen(many, {...size, rows: 70}).join('\n')).toMatch(/203\.0\.113\.1 {2}gateway: ry → rx/)
    })
  })
})
