// A trace as a picture for a ticket: the hop profiles on the left, which look alike with and without a detour, and on the
// right the paired differences, which do not. One file, no scripts, no fonts of its own; colours follow light and dark, and
// every series also has a shape of its own. Red and green are for verdicts alone.
import {type ScaleLinear, type ScalePoint, scaleBand, scaleLinear, scalePoint} from 'd3-scale'
import {
  line as path,
  type SymbolType,
  symbol,
  symbolCircle,
  symbolDiamond,
  symbolSquare,
  symbolTriangle,
} from 'd3-shape'
import type {CandidateReport, HopReport, PairReport, TraceReport} from '../domain/trace/report.ts'
import {candidateLabel, chosenAlternative, EGRESS_WORD, ms, percent, placed, signedMs} from './measures.ts'
import {crossingsText, pathSketch} from './path-sketch.ts'
import {DARK, LIGHT, line, type Palette, px, text, xml} from './svg.ts'
import {adviceOn} from './trace-advice.ts'

const WIDTH = 1180
const TOP = 154
const ROW = 44
const LEFT = {x: 64, width: 420}
const RIGHT = {x: 690, width: 440}

/** All destinations below each other, as a complete SVG document. There must be one at least. */
export function traceSvg(reports: readonly TraceReport[]): string {
  const panels = reports.map(panelOf)
  const height = panels.reduce((sum, panel) => sum + panel.height, 0)
  const title = reports.map(titleOf).join('; ')
  let y = 0
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="t d">`,
    `<title id="t">${xml(title)}</title>`,
    `<desc id="d">${xml(reports.map((report) => adviceOn(report).meaning).join('; '))}</desc>`,
    STYLE,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    ...panels.flatMap((panel) => {
      const placed = [`<g transform="translate(0 ${y})">`, ...(y === 0 ? [] : [BETWEEN]), ...panel.lines, '</g>']
      y += panel.height
      return placed
    }),
    '</svg>',
    '',
  ].join('\n')
}

const BETWEEN = `<line class="grid" x1="24" y1="0" x2="${WIDTH - 24}" y2="0"/>`

/** One destination: what is said, the way of its packets, hops and pairs. */
function panelOf(report: TraceReport): {readonly lines: readonly string[]; readonly height: number} {
  const rows = differenceRows(report)
  const plot = Math.max(220, rows.length * ROW + 20)
  return {
    height: TOP + plot + 66 + 18 * Math.max(2, report.candidates.length),
    lines: [
      text(24, 32, titleOf(report), `title ${report.egress.verdict}`),
      text(24, 54, sentence(adviceOn(report).meaning), 'said'),
      text(24, 76, subtitleOf(report), 'small'),
      ...sketchLines(report),
      ...hopPlot(report, plot),
      ...differencePlot(report, rows, plot),
    ],
  }
}

/** The way of the packets now, and as it could be. */
function sketchLines(report: TraceReport): string[] {
  const shown = [report.candidates[0], chosenAlternative(report)].filter((each) => each !== undefined)
  return shown.map((candidate, i) => {
    const sketch = pathSketch(report, candidate)
    const words = [`${i === 0 ? 'now' : 'possible'}: ${sketch.text}`, crossingsText(sketch)].filter(
      (part) => part !== '',
    )
    return text(24, 98 + 18 * i, words.join(', '), `name c${i}`)
  })
}

/** Written out for each palette: converters that turn SVG into a bitmap know no custom properties. */
const colours = ({paper, ink, soft, grid, series, verdicts: [bad, good, open]}: Palette): string =>
  [
    `.paper { fill: ${paper}; } text, .median { fill: ${ink}; } .small, .tiny { fill: ${soft}; }`,
    `.axis { stroke: ${soft}; } .grid { stroke: ${grid}; } .tau { stroke: ${ink}; } .min { fill: ${paper}; stroke: ${ink}; }`,
    `.trombone, .local-exit-unusable, .current-exit-dead { fill: ${bad}; } .none { fill: ${good}; } .inconclusive { fill: ${open}; }`,
    ...series.map(
      (c, i) => `.line.c${i}, .pair.c${i}, .bar.c${i} { stroke: ${c}; } .dot.c${i}, .name.c${i} { fill: ${c}; }`,
    ),
  ].join('\n  ')

const STYLE = `<style>
  text { font: 12px system-ui, "DejaVu Sans", sans-serif; }
  .title { font-size: 17px; font-weight: 600; } .said { font-size: 13px; } .tiny { font-size: 10px; } .name { font-weight: 600; }
  .line { fill: none; stroke-width: 2; } .line.c1 { stroke-dasharray: 7 4; } .line.c2 { stroke-dasharray: 2 4; }
  .pair { stroke-opacity: .45; } .bar { stroke-width: 7; } .min { stroke-width: 1.5; } .tau { stroke-dasharray: 5 4; }
  ${colours(LIGHT)}
  @media (prefers-color-scheme: dark) {
  ${colours(DARK)}
  }
</style>`

function titleOf({host, destination, egress}: TraceReport): string {
  const penalty = egress.penaltyMs === null ? '' : `, ${signedMs(egress.penaltyMs.median)} ms`
  return `${host.name ?? host.ip} → ${destination.name ?? destination.ip}: ${EGRESS_WORD[egress.verdict]} (${egress.reason}${penalty})`
}

function subtitleOf(report: TraceReport): string {
  const {probe, startedAt, dci} = report
  const rtt = dci.rttMs === null ? '' : `, DCI RTT ${ms(dci.rttMs)} ms (${dci.source})`
  return `${startedAt}, ${probe.proto}, ${probe.pairsUsed} of ${probe.pairsSent} pairs answered${rtt}`
}

type Linear = ScaleLinear<number, number>
type Ttls = ScalePoint<number>

/** Round numbers to mark on a scale, about so many. */
const TICKS = 5

function hopPlot(report: TraceReport, plot: number): string[] {
  const bottom = TOP + plot
  const heard = report.candidates.flatMap((candidate) => candidate.hops.flatMap((hop) => hop.minMs ?? []))
  const last = Math.max(2, ...report.candidates.flatMap((candidate) => candidate.hops.map((hop) => hop.ttl)))
  const ttls = Array.from({length: last}, (_, i) => i + 1)
  const y = scaleLinear([0, Math.max(1, ...heard) * 1.15], [bottom, TOP]).nice(TICKS)
  const x = scalePoint(ttls, [LEFT.x + 30, LEFT.x + LEFT.width - 30])
  return [
    text(LEFT.x, TOP - 14, 'Hops: smallest RTT, ms (a detour does not show here)', 'small'),
    ...y
      .ticks(TICKS)
      .flatMap((tick) => [
        line(LEFT.x, y(tick), LEFT.x + LEFT.width, y(tick), 'grid'),
        text(LEFT.x - 8, y(tick) + 4, y.tickFormat(TICKS)(tick), 'tiny', 'end'),
      ]),
    line(LEFT.x, bottom, LEFT.x + LEFT.width, bottom, 'axis'),
    ...ttls.map((ttl) => text(x(ttl)!, bottom + 18, `${ttl}`, 'tiny', 'middle')),
    text(LEFT.x + LEFT.width / 2, bottom + 36, 'hop (TTL)', 'tiny', 'middle'),
    // The disc of the exit in use lies on top: of a square below it the corners are seen.
    ...report.candidates
      .map((candidate, i) => profile(candidate, i, x, y))
      .reverse()
      .flat(),
    ...report.candidates.flatMap((candidate, i) => legend(report, candidate, i, bottom + 58 + i * 18)),
    ...addresses(report, ttls, x, y),
    ...(heard.length === 0
      ? [text(LEFT.x + LEFT.width / 2, TOP + plot / 2, 'no hop answered', 'small', 'middle')]
      : []),
  ]
}

const styleOf = (i: number): string => `c${Math.min(i, 2)}`
const isHeard = ({minMs, addr}: HopReport): boolean => minMs !== null && addr !== null

/** A line through the hops that answered, broken where one did not. */
function profile({hops}: CandidateReport, i: number, x: Ttls, y: Linear): string[] {
  const through = path<HopReport>(
    ({ttl}) => x(ttl)!,
    ({minMs}) => y(minMs ?? 0),
  )
    .defined(isHeard)
    .digits(1)
  const drawn = through(hops)
  return [
    ...(drawn === null ? [] : [`<path class="line ${styleOf(i)}" d="${drawn}"/>`]),
    ...hops.filter(isHeard).map((hop) => marker(x(hop.ttl)!, y(hop.minMs!), i)),
  ]
}

function legend(report: TraceReport, candidate: CandidateReport, i: number, y: number): string[] {
  const label = `via ${placed(candidateLabel(report, candidate), candidate)}${i === 0 ? ', in use' : ''}`
  return [marker(LEFT.x + 8, y - 4, i), text(LEFT.x + 22, y, label, `name ${styleOf(i)}`)]
}

/** The addresses above their points; where profiles meet, above each other, and once where they are the same. */
function addresses(report: TraceReport, ttls: readonly number[], x: Ttls, y: Linear): string[] {
  const lines: string[] = []
  for (const ttl of ttls) {
    const hops = report.candidates.flatMap((candidate) =>
      candidate.hops.filter((hop) => hop.ttl === ttl && isHeard(hop)),
    )
    const points = hops.map((hop) => ({at: y(hop.minMs!) - 10, label: hop.addr!})).sort((a, b) => b.at - a.at)
    let above = Number.POSITIVE_INFINITY
    let before = ''
    for (const {at, label} of points) {
      if (label === before && above - at < 11) continue
      above = Math.min(at, above - 11)
      before = label
      lines.push(text(x(ttl)!, above, label, 'tiny', 'middle'))
    }
  }
  return lines
}

/** A shape for each candidate. */
const SHAPES = [symbolCircle, symbolSquare, symbolTriangle]
const marker = (x: number, y: number, i: number): string => mark(SHAPES[Math.min(i, 2)]!, x, y, `dot ${styleOf(i)}`)

/** A symbol of so many square pixels. */
const mark = (shape: SymbolType, x: number, y: number, style: string, size = 64): string =>
  `<path class="${style}" transform="translate(${px(x)} ${px(y)})" d="${symbol(shape, size).digits(1)()}"/>`
const median = (x: number, y: number): string => mark(symbolCircle, x, y, 'median', 38)
const minima = (x: number, y: number): string => mark(symbolDiamond, x, y, 'min', 70)

/** One line of paired differences: all pairs with an alternative, or those of one flow. */
interface DifferenceRow {
  readonly label: string
  readonly note: string
  readonly differences: readonly number[]
  readonly summary:
    | {readonly median: number; readonly lo: number; readonly hi: number; readonly min: number}
    | undefined
  readonly flowMedian: number | undefined
}

function differenceRows(report: TraceReport): DifferenceRow[] {
  const rows = report.comparisons.map((comparison): DifferenceRow => {
    const candidate = report.candidates[comparison.alternative ?? 1]!
    const {penaltyMs} = comparison
    return {
      label: `in use − ${candidateLabel(report, candidate)}`,
      note: penaltyMs === null ? comparison.reason : `${percent(penaltyMs.coverage)} interval`,
      differences: differencesOf(report.pairs, comparison.alternative ?? 1),
      summary: penaltyMs ?? undefined,
      flowMedian: undefined,
    }
  })
  const chosen = report.egress.alternative
  if (chosen === null || report.egress.flows.length < 2) return rows
  const flows = report.egress.flows.map(
    (flow): DifferenceRow => ({
      label: `flow ${flow.id}`,
      note: flow.n === 1 ? '1 pair' : `${flow.n} pairs`,
      differences: differencesOf(report.pairs, chosen, flow.id),
      summary: undefined,
      flowMedian: flow.medianMs,
    }),
  )
  return [...rows, ...flows]
}

const differencesOf = (pairs: readonly PairReport[], alternative: number, flow?: number): readonly number[] =>
  pairs
    .filter((pair) => !pair.warmUp && pair.alternative === alternative && (flow === undefined || pair.flow === flow))
    .flatMap((pair) =>
      pair.currentMs === null || pair.alternativeMs === null ? [] : [pair.currentMs - pair.alternativeMs],
    )

function differencePlot(report: TraceReport, rows: readonly DifferenceRow[], plot: number): string[] {
  const bottom = TOP + plot
  const threshold = report.egress.thresholdMs
  const values = [...rows.flatMap((row) => row.differences), threshold ?? 0, 0]
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const margin = (most - least || 1) * 0.04
  const x = scaleLinear([least - margin, most + margin], [RIGHT.x, RIGHT.x + RIGHT.width]).nice(TICKS)
  const y = scaleBand([...rows.keys()], [TOP + 10, TOP + 10 + ROW * rows.length])
  const nothing = rows.length === 0 || chosenAlternative(report) === undefined
  return [
    text(RIGHT.x, TOP - 14, 'Pairs: RTT through the gateway in use less RTT through the other, ms', 'small'),
    ...x
      .ticks(TICKS)
      .flatMap((tick) => [
        line(x(tick), TOP, x(tick), bottom, tick === 0 ? 'axis' : 'grid'),
        text(x(tick), bottom + 18, x.tickFormat(TICKS)(tick), 'tiny', 'middle'),
      ]),
    line(RIGHT.x, bottom, RIGHT.x + RIGHT.width, bottom, 'axis'),
    ...(threshold === null ? [] : [line(x(threshold), TOP, x(threshold), bottom, 'tau')]),
    ...rows.flatMap((row, i) => differenceRow(row, y(i)! + ROW / 2, x)),
    ...(nothing ? [text(RIGHT.x + RIGHT.width / 2, TOP + plot / 2, 'nothing to compare with', 'small', 'middle')] : []),
    ...key(threshold, bottom + 58),
  ]
}

function differenceRow({label, note, differences, summary, flowMedian}: DifferenceRow, y: number, x: Linear): string[] {
  const none = text(RIGHT.x + RIGHT.width / 2, y + 4, 'no pair was answered on both sides', 'small', 'middle')
  const middle = summary?.median ?? flowMedian
  return [
    text(RIGHT.x - 12, y - 1, label, 'small', 'end'),
    text(RIGHT.x - 12, y + 12, note, 'tiny', 'end'),
    ...(differences.length === 0 ? [none] : []),
    ...differences.map((value) => line(x(value), y - 8, x(value), y + 8, 'pair c0')),
    // The diamond before the median: where nothing queues the two coincide, and the smaller mark must stay visible.
    ...(summary === undefined
      ? []
      : [line(x(summary.lo), y, Math.max(x(summary.hi), x(summary.lo) + 1), y, 'bar c0'), minima(x(summary.min), y)]),
    ...(middle === undefined ? [] : [median(x(middle), y)]),
  ]
}

/** What the marks mean. */
function key(threshold: number | null, y: number): string[] {
  const x = RIGHT.x - 110
  const tau =
    threshold === null
      ? []
      : [line(x + 424, y - 10, x + 424, y + 4, 'tau'), text(x + 432, y, `threshold ${ms(threshold)} ms`, 'tiny')]
  return [
    line(x, y - 10, x, y + 4, 'pair c0'),
    text(x + 8, y, 'one pair', 'tiny'),
    line(x + 66, y - 4, x + 90, y - 4, 'bar c0'),
    text(x + 98, y, 'interval of the median', 'tiny'),
    median(x + 228, y - 4),
    text(x + 236, y, 'median', 'tiny'),
    minima(x + 294, y - 4),
    text(x + 304, y, 'difference of minima', 'tiny'),
    ...tau,
  ]
}

const sentence = (words: string): string => words.slice(0, 1).toUpperCase() + words.slice(1)
