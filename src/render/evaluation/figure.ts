// The one figure of a run: when the first packet came to the new gateway, and by how much the gap differs from the control's.
import {type ScaleLinear, scaleBand, scaleLinear, scaleLog} from 'd3-scale'
import {symbol, symbolCircle, symbolDiamond, symbolSquare} from 'd3-shape'
import {counted, figuresOf, type RowFigures} from '../../domain/evaluation/figures.ts'
import type {LabRun} from '../../domain/evaluation/lab-run.ts'
import {LIMIT_MS} from '../../domain/evaluation/statement.ts'
import {DARK, LIGHT, line, type Palette, px, text, xml} from '../svg.ts'
import {headline} from './tables.ts'

const WIDTH = 980
const [TOP, ROW] = [84, 24]
const LABELS = 24
const FIRST = {from: 322, to: 622}
const NEVER = 650
const GAP = {from: 716, to: 950}
const SHAPES = {control: symbolSquare, gwswitch: symbolCircle, other: symbolDiamond} as const

type Rows = readonly RowFigures[]
type Place = (row: RowFigures) => number

export function runFigure(run: LabRun): string {
  const rows = figuresOf(run).filter(({n}) => n > 0)
  const bands = scaleBand(
    rows.map(({row}) => row.id),
    [TOP, TOP + ROW * rows.length],
  )
  const y: Place = ({row}) => bands(row.id)! + ROW / 2
  const bottom = TOP + ROW * rows.length
  const height = bottom + 66
  const [title = '', where = ''] = headline(run)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="t d">`,
    `<title id="t">${xml(`First packet at the new gateway, and gap to the control: ${title}`)}</title>`,
    `<desc id="d">${xml(where)}</desc>`,
    STYLE,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    text(LABELS, 28, title, 'title'),
    text(LABELS, 48, where, 'small'),
    ...rows.map((row) => text(LABELS, y(row) + 4, row.row.title, 'label')),
    ...firstPackets(rows, y, bottom),
    ...gaps(rows, y, bottom),
    ...key(bottom + 50),
    '</svg>',
    '',
  ].join('\n')
}

function firstPackets(rows: Rows, y: Place, bottom: number): string[] {
  const times = rows.map(({row}) => counted(row).map(({ipv4}) => ipv4.toFirstMs))
  const known = times.flat().filter((time) => time !== null)
  const [least, most] = known.length === 0 ? [10, 1000] : [Math.min(...known), Math.max(...known)]
  const scale = scaleLog([Math.max(1, least) / 1.2, Math.max(1, most) * 1.2], [FIRST.from, FIRST.to])
  const x = (time: number | null): number => (time === null ? NEVER : scale(Math.max(1, time)))
  const ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]
  return [
    text(FIRST.from, TOP - 12, 'RESUME to the first packet at the new gateway, ms', 'small'),
    ...ticks
      .filter((tick) => tick >= scale.domain()[0]! && tick <= scale.domain()[1]!)
      .flatMap((tick) => [
        line(x(tick), TOP, x(tick), bottom, 'grid'),
        text(x(tick), bottom + 16, `${tick}`, 'tiny', 'middle'),
      ]),
    ...(times.flat().includes(null) ? [text(NEVER, bottom + 16, 'never', 'tiny', 'middle')] : []),
    ...rows.flatMap((row, i) => [
      ...times[i]!.map((time) => dot(row, x(time), y(row))),
      line(x(row.ipv4!.toFirstMs.median), y(row) - 8, x(row.ipv4!.toFirstMs.median), y(row) + 8, 'median'),
    ]),
  ]
}

function gaps(rows: Rows, y: Place, bottom: number): string[] {
  const shifts = rows.flatMap(({ipv4}) => ipv4?.toControlMs?.shift ?? [])
  const ends = shifts.flatMap(({lo, hi}) => [lo, hi])
  const scale = scaleLinear([Math.min(-LIMIT_MS, ...ends), Math.max(2 * LIMIT_MS, ...ends)], [GAP.from, GAP.to]).nice(4)
  return [
    text(GAP.from, TOP - 12, "gap less downtime, to the control's, ms", 'small'),
    ...scale
      .ticks(4)
      .flatMap((tick) => [
        line(scale(tick), TOP, scale(tick), bottom, tick === 0 ? 'axis' : 'grid'),
        text(scale(tick), bottom + 16, `${tick}`.replace('-', '−'), 'tiny', 'middle'),
      ]),
    line(scale(LIMIT_MS), TOP, scale(LIMIT_MS), bottom, 'limit'),
    ...rows.flatMap((row) => interval(row, y(row), scale)),
  ]
}

function interval(row: RowFigures, y: number, x: ScaleLinear<number, number>): string[] {
  if (row.row.kind === 'control') return [text(x(LIMIT_MS) + 8, y + 4, 'control', 'tiny')]
  const shift = row.ipv4?.toControlMs?.shift
  if (!shift) return [text(x(LIMIT_MS) + 8, y + 4, 'not compared', 'tiny')]
  return [line(x(shift.lo), y, x(shift.hi), y, `bar ${row.row.kind}`), dot(row, x(shift.value), y)]
}

const dot = ({row: {kind}}: RowFigures, x: number, y: number): string =>
  `<path class="dot ${kind}" transform="translate(${px(x)} ${px(y)})" d="${symbol(SHAPES[kind], 46).digits(1)()}"/>`

function key(y: number): string[] {
  const shape = (kind: keyof typeof SHAPES, x: number): string =>
    `<path class="dot ${kind}" transform="translate(${x} ${y - 4})" d="${symbol(SHAPES[kind], 46).digits(1)()}"/>`
  return [
    ...[shape('gwswitch', 30), text(40, y, 'gwswitch', 'tiny')],
    ...[shape('other', 116), text(126, y, 'without gwswitch', 'tiny')],
    ...[shape('control', 240), text(250, y, 'control: nothing is done', 'tiny')],
    ...[line(400, y - 11, 400, y + 3, 'median'), text(408, y, 'median', 'tiny')],
    ...[line(GAP.from, y - 4, GAP.from + 24, y - 4, 'bar gwswitch'), text(GAP.from + 30, y, 'interval', 'tiny')],
    ...[line(GAP.from + 96, y - 11, GAP.from + 96, y + 3, 'limit')],
    text(GAP.from + 104, y, `${LIMIT_MS} ms longer`, 'tiny'),
  ]
}

const colours = ({paper, ink, soft, grid, series}: Palette): string =>
  [
    `.paper { fill: ${paper}; } text { fill: ${ink}; } .small, .tiny { fill: ${soft}; } .grid { stroke: ${grid}; } .axis { stroke: ${soft}; }`,
    `.median, .limit { stroke: ${ink}; } .dot.control { stroke: ${soft}; }`,
    `.dot.gwswitch, .bar.gwswitch { stroke: ${series[0]}; } .dot.gwswitch { fill: ${series[0]}; }`,
    `.dot.other, .bar.other { stroke: ${series[1]}; } .dot.other { fill: ${series[1]}; }`,
  ].join('\n  ')

const STYLE = `<style>
  text { font: 12.5px system-ui, "DejaVu Sans", sans-serif; } .title { font-size: 16px; font-weight: 600; } .small { font-size: 12px; } .tiny { font-size: 11px; }
  .dot { fill-opacity: .6; stroke-width: 1.2; } .dot.control { fill: none; stroke-width: 1.5; } .median { stroke-width: 2.2; } .bar { stroke-width: 5; stroke-opacity: .4; } .limit { stroke-dasharray: 5 4; }
  ${colours(LIGHT)}
  @media (prefers-color-scheme: dark) {
  ${colours(DARK)}
  }
</style>`
