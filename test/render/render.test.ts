import {readFileSync} from 'node:fs'
import displayWidth from 'string-width'
import {describe, expect, it} from 'vitest'
import {REASONS, type Reason} from '../../src/domain/trace/decision-table.ts'
import {traceDocument, traceReport} from '../../src/domain/trace/document.ts'
import {judge} from '../../src/domain/trace/verdict.ts'
import {EGRESS_WORD, INBOUND_WORD, ms, percent, signedMs} from '../../src/render/measures.ts'
import {paintWith} from '../../src/render/paint.ts'
import {crossingsText, pathSketch} from '../../src/render/path-sketch.ts'
import {sideBySide, table, tableLines} from '../../src/render/table.ts'
import {type Advice, adviceOn} from '../../src/render/trace-advice.ts'
import {outcomeLine, summaryLines} from '../../src/render/trace-summary.ts'
import {traceSvg} from '../../src/render/trace-svg.ts'
import {traceText} from '../../src/render/trace-text.ts'
import {DECISION_ROWS} from '../domain/trace/decision-rows.ts'
import {evidenceOf, RY, type Spec, TROMBONE} from '../domain/trace/evidence-maker.ts'
import {SCENARIOS} from '../domain/trace/scenarios.ts'

const NO_INVENTORY: Spec = {
  current: {...TROMBONE.current, name: null},
  alternatives: [{...TROMBONE.alternatives[0]!, name: null}],
  known: {sites: [], gateways: [], segment: null, siteRegex: null},
  host: {name: null, site: null},
}
const THREE: Spec = {
  ...TROMBONE,
  alternatives: [
    TROMBONE.alternatives[0]!,
    {
      ip: '10.9.0.3',
      mac: '02:00:00:00:0b:03',
      firstHopMs: 0.05,
      rttMs: 5,
      returnMac: RY.mac,
      hops: [['10.9.0.3', 0.05, '02:00:00:00:0b:03'], null, ['203.0.113.10', 5, RY.mac]],
    },
  ],
}
const scenario = (name: string): Spec => SCENARIOS.find((each) => each.name === name)!.spec
const judged = (spec: Spec) => {
  const evidence = evidenceOf(spec)
  return {evidence, judgement: judge(evidence)}
}
const RUN = {
  startedAt: '2026-03-01T10:00:00.000Z',
  finishedAt: '2026-03-01T10:00:07.000Z',
  complete: true,
  rate: {perSecond: 25, packetsSent: 60},
}
const documentOf = (...specs: Spec[]) => traceDocument(specs.map(judged), [], RUN)
const reportOf = (spec: Spec) => traceReport(judged(spec))
const ASKED = {program: 'gwswitch', common: ['-f', 'my sites.yaml'], trace: ['--via', '10.9.0.2', '--rate', '50']}
const plain = {colour: false, columns: 110}
const snapshot = (name: string) => `./snapshots/${name}`

const CODES = readFileSync(new URL('../../docs/reference/codes.md', import.meta.url), 'utf8')
const DOCS = readFileSync(new URL('../../docs/trace.md', import.meta.url), 'utf8')

it('has every reason in the table of the documentation, and no other, each with what to do', () => {
  const table = CODES.split('## Reasons of a trace')[1]!.split('\n## ')[0]!
  const rows = [...table.matchAll(/^\| `([a-z-]+)` \| ([^|]+) \| \d+ \| ([^|]+) \| ([^|]+) \|$/gm)]
  expect(rows.map(([, reason]) => reason)).toEqual(REASONS)
  for (const [, reason, verdict] of rows) {
    const {spec} = DECISION_ROWS.find((row) => row.reason === reason)!
    expect(verdict, reason).toBe(reportOf(spec).egress.verdict)
  }
})

it('has one word for a verdict, in text, in pictures and in the documentation', () => {
  const said = DOCS.split('## What it says')[1]!
  const [egress, inbound] = [said.split('**INBOUND**')[0]!, said.split('**INBOUND**')[1]!.split('\n')[0]!]
  expect([...egress.matchAll(/^\| `([^`]+)`/gm)].map(([, word]) => word)).toEqual(Object.values(EGRESS_WORD))
  for (const word of Object.values(INBOUND_WORD)) expect(inbound).toContain(`\`${word}\``)
  for (const spec of [TROMBONE, scenario('S3'), scenario('S10'), scenario('S17')]) {
    const word = EGRESS_WORD[reportOf(spec).egress.verdict]
    expect(traceText(documentOf(spec), plain).join('\n')).toMatch(new RegExp(`EGRESS +${word} `))
    expect(traceSvg([reportOf(spec)])).toContain(`: ${word} (`)
  }
})

describe('a trace as text', () => {
  it.each([
    ['trombone.txt', TROMBONE],
    ['inbound-trombone.txt', scenario('S2')],
    ['destination-far.txt', scenario('S3')],
    ['both-cross-dci.txt', scenario('S13')],
    ['silent-hops.txt', scenario('S5')],
    ['alternative-dead.txt', scenario('S10')],
    ['vmac-unstable.txt', scenario('S12')],
    ['inconclusive.txt', scenario('S17')],
    ['ecmp.txt', scenario('S9')],
    ['no-inventory.txt', NO_INVENTORY],
    ['three-first-hops.txt', THREE],
    ['no-alternative.txt', {...TROMBONE, alternatives: []}],
  ])('%s', async (name, spec) => {
    await expect(`${traceText(documentOf(spec), plain).join('\n')}\n`).toMatchFileSnapshot(snapshot(name))
  })

  it('gives several destinations a line each as they are decided, and ends with the worst', async () => {
    const document = documentOf(TROMBONE, scenario('S3'), scenario('S10'), scenario('S17'))
    const failure = {destination: '10.9.0.77', kind: 'usage', message: '10.9.0.77 is on-link on eth0'} as const
    const lines = [
      ...[...document.results, failure].map((outcome) => outcomeLine(outcome, plain)),
      ...summaryLines({...document, failures: [failure]}, {...plain, asked: ASKED}),
    ]
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(snapshot('several.txt'))
    expect(lines.join('\n')).toContain('1 TROMBONE, 1 no trombone, 1 INCONCLUSIVE, 1 UNUSABLE, 1 not traced')
  })

  it('says the same with colour and without', () => {
    for (const spec of [TROMBONE, scenario('S10'), scenario('S17'), THREE]) {
      const colourful = traceText(documentOf(spec), {...plain, colour: true}).join('\n')
      expect(colourful).toContain('\u001b[')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins every colour
      expect(colourful.replace(/\u001b\[[\d;]+m/g, '')).toBe(traceText(documentOf(spec), plain).join('\n'))
    }
  })

  it.each([80, 100, 160])('keeps to %i columns, but for path sketches', (columns) => {
    for (const {spec} of [...SCENARIOS, ...DECISION_ROWS]) {
      const lines = traceText(documentOf(spec), {colour: false, columns})
      expect(lines.filter((line) => displayWidth(line) > columns && !line.includes('▶'))).toEqual([])
    }
  })

  it('stands in columns: every round trip ends under its heading', () => {
    for (const spec of [TROMBONE, scenario('S13'), scenario('S5'), THREE]) {
      const lines = traceText(documentOf(spec), plain)
      const heads = lines.flatMap((line, i) => (line.includes('min ms') ? [i] : []))
      expect(heads.length).toBeGreaterThan(0)
      for (const head of heads) {
        const ends = [...lines[head]!.matchAll(/min ms/g)].map((match) => match.index + match[0].length)
        const below = lines.slice(head + 1)
        for (const line of below.slice(0, below.indexOf(''))) {
          for (const match of line.matchAll(/(?<![\d.])\d+\.\d\d(?= |$)/g)) {
            expect(ends).toContain(match.index + match[0].length)
          }
        }
      }
    }
  })

  it('lets no name from outside steer the terminal', () => {
    const lines = traceText(
      documentOf({...TROMBONE, rest: {destination: {ip: '203.0.113.10', name: 'a\u001b]0;x\u0007b\u202e'}}}),
      plain,
    )
    expect(lines.join('\n')).toContain('a\\u001b]0;x\\u0007b\\u202e')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u202e]/)
  })
})

describe('advice', () => {
  it('has its own words for every reason', async () => {
    const advice = new Map<Reason, Advice>()
    for (const {spec, reason} of DECISION_ROWS)
      if (!advice.has(reason)) advice.set(reason, adviceOn(reportOf(spec), ASKED))
    expect(advice.size).toBe(REASONS.length)
    expect(new Set([...advice.values()].map(({meaning}) => meaning)).size).toBe(REASONS.length)
    const text = [...advice].map(([reason, {meaning, next, command}]) =>
      [reason, `  ${meaning}`, ...(next ? [`  next: ${next}`] : []), ...(command ? [`  $ ${command}`] : []), ''].join(
        '\n',
      ),
    )
    expect(text.join('\n')).not.toMatch(/undefined|null|NaN/)
    await expect(text.join('\n')).toMatchFileSnapshot(snapshot('advice.txt'))
  })

  it('is a command that can be pasted, with the flags that were given', () => {
    const open = DECISION_ROWS.find(({reason}) => reason === 'ci-straddles-threshold')!.spec
    expect(adviceOn(reportOf(open), ASKED).command).toBe(
      "gwswitch trace 203.0.113.10 -f 'my sites.yaml' --via 10.9.0.2 --rate 50 --pairs 200",
    )
    expect(adviceOn(reportOf(TROMBONE), ASKED)).toMatchObject({
      next: 'run on ry, or wherever this segment is:',
      command: "gwswitch switch web-07 --to y -f 'my sites.yaml' --dry-run",
    })
  })

  it('has nothing to do where nothing can be recommended', () => {
    for (const reason of ['no-penalty', 'current-better', 'destination-far']) {
      const {spec} = DECISION_ROWS.find((row) => row.reason === reason)!
      expect(adviceOn(reportOf(spec), ASKED)).toMatchObject({next: null, command: null})
      expect(traceText(documentOf(spec), plain).join('\n')).not.toMatch(/^ {2}next/m)
    }
  })
})

describe('the path as a sketch', () => {
  const sketches = (spec: Spec) => {
    const report = reportOf(spec)
    return report.candidates.map((candidate) => {
      const sketch = pathSketch(report, candidate)
      return `${sketch.text} | ${crossingsText(sketch)}`
    })
  }

  it.each([
    [
      'a trombone',
      TROMBONE,
      ['VM(y) ══DCI══▶ rx(x) ──WAN──▶ y ──▶ dst | 2 crossings', 'VM(y) ──▶ ry(y) ──▶ dst | 0 crossings'],
    ],
    [
      'hops that are silent',
      scenario('S5'),
      ['VM(y) ══DCI══▶ rx(x) ──WAN──▶ y ──▶ dst | 2 crossings', 'VM(y) ──▶ ry(y) ──▶ dst | 0 crossings'],
    ],
    [
      'an alternative that goes by the far site',
      scenario('S13'),
      [
        'VM(y) ══DCI══▶ rx(x) ──WAN──▶ y ──▶ dst | 2 crossings',
        'VM(y) ──▶ ry(y) ══DCI══▶ rx(x) ──WAN──▶ y ──▶ dst | 2 crossings',
      ],
    ],
    [
      'a dead end',
      scenario('S10'),
      ['VM(y) ══DCI══▶ rx(x) ──WAN──▶ y ──▶ dst | 2 crossings', 'VM(y) ──▶ ry(y) ──✗ dst | 0 crossings'],
    ],
    [
      'no inventory',
      NO_INVENTORY,
      ['VM ══DCI══▶ 10.9.0.1 ──▶ dst | at least 1 crossing', 'VM ──▶ 10.9.0.2 ──▶ dst | '],
    ],
  ])('%s', (_, spec, expected) => expect(sketches(spec)).toEqual(expected))
})

describe('a trace as a picture', () => {
  it.each([
    ['trombone.svg', TROMBONE],
    ['three-first-hops.svg', THREE],
    ['alternative-dead.svg', scenario('S10')],
    [
      'silent-hops.svg',
      {
        ...scenario('S5'),
        current: {...TROMBONE.current, hops: []},
        alternatives: [{...TROMBONE.alternatives[0]!, hops: []}],
      },
    ],
  ])('%s', async (name, spec) => {
    await expect(traceSvg([reportOf(spec)])).toMatchFileSnapshot(snapshot(name))
  })

  it('is well-formed, self-contained and finite, whatever the verdict and the names', () => {
    const specs = [...SCENARIOS, ...DECISION_ROWS].map(({spec}) => ({
      ...spec,
      host: {...spec.host, name: '<b a="&\u0007">'},
    }))
    for (const spec of specs) {
      const svg = traceSvg([reportOf(spec)])
      expect(openTags(svg)).toEqual([])
      expect(svg).not.toMatch(/NaN|Infinity|undefined|<script|<b |href|@import|url\(/)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 has no place for them
      expect(svg).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/)
    }
  })

  it('marks every pair that was answered on both sides once for all and once for its flow', () => {
    const svg = traceSvg([reportOf(TROMBONE)])
    expect(svg.match(/<line class="pair c0"/g)).toHaveLength(20 + 20 + 1)
    expect(svg.match(/<path class="min"/g)).toHaveLength(1 + 1)
    expect(svg.match(/<line class="tau"/g)).toHaveLength(1 + 1)
  })
})

/** What is left open at the end, or closed in the wrong order. */
function openTags(xml: string): string[] {
  const open: string[] = []
  const rest = xml.replace(
    /<(\/?)([a-z]+)((?: [\w:-]+="[^"<&]*(?:&(?:amp|lt|gt|quot);[^"<&]*)*")*)(\/?)>/g,
    (_, closing, name, __, selfClosing) => {
      if (closing === '/') {
        if (open.pop() !== name) open.push(`/${name}`)
      } else if (selfClosing !== '/') open.push(name)
      return ''
    },
  )
  return /[<]|&(?!amp;|lt;|gt;|quot;)/.test(rest) ? [...open, 'text'] : open
}

describe('tables', () => {
  it('align by what is seen, not by characters', () => {
    const rows = [
      ['a', paintWith(true).bad('12')],
      ['日本', '3'],
      ['e\u0301', '400'],
    ]
    const lines = tableLines(rows, {align: ['left', 'right'], indent: '> '})
    expect(lines.map((line) => displayWidth(line))).toEqual([11, 11, 11])
    expect(lines[1]).toBe('> 日本    3')
  })

  it('end lines at their last letter, and take rows of different length', () => {
    expect(table([['a', 'b', ''], ['long'], []])).toBe('a     b\nlong\n')
    expect(tableLines([])).toEqual([])
  })

  it('put blocks side by side', () => {
    expect(sideBySide([['one', 'two two'], ['1']], ' | ')).toEqual(['one     | 1', 'two two |'])
  })
})

describe('measures', () => {
  it.each([
    [20.482, '20.5', '+20.5'],
    [0.034, '0.03', '+0.03'],
    [9.96, '10.0', '+10.0'],
    [-20.67, '−20.7', '−20.7'],
    [-0.001, '0.00', '+0.00'],
    [0, '0.00', '+0.00'],
  ])('%d ms', (value, text, signed) => {
    expect(ms(value)).toBe(text)
    expect(signedMs(value)).toBe(signed)
  })

  it('per cent', () => {
    expect(percent(0.9974)).toBe('99.7 %')
    expect(percent(0.99)).toBe('99 %')
  })
})

it('prints nothing of no destination', () => {
  expect(traceText(traceDocument([], [], RUN), plain)).toEqual([])
})
