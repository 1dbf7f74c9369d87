// What `who --watch` calls a change, and what it shows.
import {describe, expect, it} from 'vitest'
import {type WhoDocument, type WhoRow, whoDocument} from '../../src/domain/who.ts'
import {NOT_LOOKED, type WhoChange, type WhoWatchState, whoWatchStep} from '../../src/domain/who-watch.ts'
import {whoLineText, whoScreen} from '../../src/render/who-screen.ts'

const [BX, BY] = [
  {name: 'bx', site: 'x', mac: '02:00:00:00:0a:02'},
  {name: 'by', site: 'y', mac: '02:00:00:00:0b:02'},
]
const row = (name: string, over: Partial<WhoRow> = {}): WhoRow => ({
  ...{
    vm: {name, ip: '10.1.0.10', mac: '02:00:00:00:01:10', segment: 's'},
    should: BY!,
    uses: {mac: BY!.mac, gateways: [BY!]},
  },
  ...{provedBy: 'off-segment-echo', entry: BY!.mac, verdict: 'as-expected', code: 'served', ...over},
})
const OTHER: Partial<WhoRow> = {
  uses: {mac: BX!.mac, gateways: [BX!]},
  entry: BX!.mac,
  verdict: 'other-site',
  code: 'elsewhere',
}
const SILENT: Partial<WhoRow> = {uses: null, provedBy: null, entry: null, verdict: 'silent', code: 'silent'}
const gateway = {...BY!, segment: 's', family: 4, code: 'served', evidence: 'by takes packets on'} as const
const stranger = {mac: '02:00:00:00:0e:0e', ip: '10.1.0.254', segment: 's', text: 'a stranger'}
const look = (rows: readonly WhoRow[], over: Partial<WhoDocument> = {}): WhoDocument =>
  whoDocument({ports: ['br0'], rows, gateways: [gateway], strangers: [], absent: [], ...over})

const AT = '2026-12-01T10:00:00.000Z'
const watched = (...looks: readonly Parameters<typeof whoWatchStep>[2][]) =>
  looks.reduce<{state: WhoWatchState; changes: readonly WhoChange[]}>(
    ({state}, each) => {
      const step = whoWatchStep(state, AT, each)
      return {state: step.state, changes: step.line.changes}
    },
    {state: NOT_LOOKED, changes: []},
  )

describe('a change', () => {
  const dead = {...gateway, code: 'target-dead'} as const
  const lost = {failure: 'loc went down', exitCode: 1}
  it.each<[string, Parameters<typeof whoWatchStep>[2][], Omit<WhoChange, 'at'>[]]>([
    ['is none in the first look', [look([row('a', OTHER)])], []],
    ['is none where all is as it was', [look([row('a')]), look([row('a')])], []],
    [
      'is another gateway, and what follows',
      [look([row('a', OTHER)]), look([row('a')])],
      [
        {what: 'uses', of: 'a 10.1.0.10', from: 'bx', to: 'by'},
        {what: 'verdict', of: 'a 10.1.0.10', from: 'other-site', to: 'as-expected'},
      ],
    ],
    [
      'is one that falls silent',
      [look([row('a')]), look([row('a', SILENT)])],
      [
        {what: 'uses', of: 'a 10.1.0.10', from: 'by', to: '-'},
        {what: 'verdict', of: 'a 10.1.0.10', from: 'as-expected', to: 'silent'},
      ],
    ],
    [
      'is a gateway that dies',
      [look([row('a')]), look([row('a')], {gateways: [dead]})],
      [{what: 'gateway', of: 'by IPv4', from: 'served', to: 'target-dead'}],
    ],
    [
      'is a stranger that comes',
      [look([row('a')]), look([row('a')], {strangers: [stranger]})],
      [{what: 'stranger', of: 's 02:00:00:00:0e:0e', from: '-', to: '10.1.0.254'}],
    ],
    ['is none while nothing can be seen', [look([row('a')]), lost], []],
    [
      'is seen over a time in which nothing could be',
      [look([row('a')]), lost, look([row('a')], {gateways: [dead]})],
      [{what: 'gateway', of: 'by IPv4', from: 'served', to: 'target-dead'}],
    ],
  ])('%s', (_name, looks, changes) => {
    expect(watched(...looks).changes).toEqual(changes.map((change) => ({at: AT, ...change})))
  })
})

it('a watch that ends in its first look has seen nothing, which is not well', () => {
  expect(watched().state).toMatchObject({looks: 0, exitCode: 11})
})

describe('the screen', () => {
  const options = {colour: false, elapsedMs: 65_000}

  it('shows the counts, the table and what changed', () => {
    const {state} = watched(look([row('a', OTHER), row('b', SILENT)]), look([row('a'), row('b', SILENT)]))
    expect(whoScreen(state, {...options, rows: 30})).toEqual([
      '1 as expected, 1 unknown: silent',
      '',
      'VM  ADDRESS    SHOULD USE                     USES                           PROVED BY',
      'a   10.1.0.10  by 02:00:00:00:0b:02 (site y)  by 02:00:00:00:0b:02 (site y)  off-segment echo  as expected',
      'b   10.1.0.10  by 02:00:00:00:0b:02 (site y)  -                              -                 unknown: silent',
      'SERVES: by takes packets on',
      '',
      'changes',
      '  10:00:00  a 10.1.0.10: uses bx → by',
      "  10:00:00  a 10.1.0.10: ANOTHER SITE'S → as expected",
      '',
      '1:05, look 2; Ctrl-C ends it',
    ])
  })

  it.each([6, 10, 24])('fits %i rows, those first that are not as expected, and says how many are left out', (rows) => {
    const many = [...Array.from({length: 40}, (_, i) => row(`vm-${i}`)), row('odd', OTHER)]
    const lines = whoScreen(watched(look(many)).state, {...options, rows})
    expect(lines.length).toBeLessThanOrEqual(rows)
    const shown = lines.filter((line) => /^(?:vm-|odd)/.test(line))
    expect(lines).toContain(`and ${41 - shown.length} more`)
    if (rows > 6) expect(shown[0]).toMatch(/^odd/)
  })

  it('says why nothing can be seen, beside what was seen last', () => {
    const lines = whoScreen(watched(look([row('a')]), {failure: 'loc went down', exitCode: 1}).state, {
      ...options,
      rows: 30,
    })
    expect(lines).toContain('loc went down')
    expect(lines[0]).toBe('1 as expected')
  })

  it('is a line a look where there is none', () => {
    const {line} = whoWatchStep(watched(look([row('a', OTHER)])).state, AT, look([row('a')]))
    expect(whoLineText(line, false)).toEqual([
      '10:00:00  1 as expected',
      '10:00:00  a 10.1.0.10: uses bx → by',
      "10:00:00  a 10.1.0.10: ANOTHER SITE'S → as expected",
    ])
  })
})
