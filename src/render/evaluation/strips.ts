// Charts of a run, a strip for each row: as wide as the page is, whatever that is, with letters of one size. Colour says what
// kind a row is, and so does the shape.
import {type ScaleLinear, type ScaleSymLog, scaleLinear, scaleLog, scaleSymlog} from 'd3-scale'
import {type SymbolType, symbol, symbolCircle, symbolDiamond, symbolSquare} from 'd3-shape'
import {counted, type RowFigures, type Spread} from '../../domain/evaluation/figures.ts'
import type {LabRunRow, LabRunSample, LabRunStream} from '../../domain/evaluation/lab-run.ts'
import {xml} from '../svg.ts'
import {spreadText} from './cells.ts'

/** A place on a strip, per cent of its width. */
const at = (value: number): string => `${Number(value.toFixed(2))}%`
const HEIGHT = 24

const SHAPES: Readonly<Record<LabRunRow['kind'], SymbolType>> = {
  control: symbolSquare,
  gwswitch: symbolCircle,
  other: symbolDiamond,
}

/** The mark of a kind, for charts and their keys. */
export const kindMark = (kind: LabRunRow['kind'], x: string, y: number): string =>
  `<svg x="${x}" y="${y}" class="over"><path class="dot ${kind}" d="${symbol(SHAPES[kind], 52).digits(1)()}"/></svg>`

const upright = (x: string, y1: number, y2: number, style: string): string =>
  `<line class="${style}" x1="${x}" x2="${x}" y1="${y1}" y2="${y2}"/>`

/** What is known of a strip chart before its rows. */
interface Axis {
  readonly ticks: readonly {readonly x: number; readonly label: string}[]
  x(value: number | null): number
}

/** Round values of a logarithmic scale. */
const ROUND = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000]
/** Where marks begin and end; letters have room on either side. */
const [LEFT, RIGHT] = [3, 97]
/** Beside the end of the axis, for what never came. */
const NEVER = 94

/** From a few ms to minutes, on a logarithmic scale; what never came is behind its end. */
function logAxis(values: readonly (number | null)[]): Axis {
  const known = values.filter((value) => value !== null).map((value) => Math.max(1, value))
  const [least, most] = known.length === 0 ? [10, 1000] : [Math.min(...known), Math.max(...known)]
  const isNever = values.includes(null)
  const scale = scaleLog([least / 1.3, most * 1.3], [LEFT, isNever ? 84 : RIGHT])
  const ticks = ROUND.filter((tick) => tick >= least / 1.3 && tick <= most * 1.3)
  return {
    x: (value) => (value === null ? NEVER : scale(Math.max(1, value))),
    ticks: [
      ...ticks.map((tick) => ({x: scale(tick), label: `${tick}`})),
      ...(isNever ? [{x: NEVER, label: 'never'}] : []),
    ],
  }
}

function linearAxis(values: readonly (number | null)[]): Axis {
  const scale = scaleLinear([0, Math.max(10, ...values.map((value) => value ?? 0))], [LEFT, RIGHT]).nice(5)
  return {
    x: (value) => scale(value ?? 0),
    ticks: scale.ticks(5).map((tick) => ({x: scale(tick), label: `${tick}`})),
  }
}

/** Labels of an axis, the second of two that would touch on a telephone left out. */
function axisStrip({ticks}: Axis): string {
  let last = Number.NEGATIVE_INFINITY
  const labels = ticks.flatMap(({x, label}) => {
    const isRoom = x - last >= 11
    if (isRoom) last = x
    return isRoom ? [`<text class="tick" x="${at(x)}" y="14" text-anchor="middle">${xml(label)}</text>`] : []
  })
  return `<svg class="strip" height="18" aria-hidden="true">${labels.join('')}</svg>`
}

/** A line of a chart: what it is of, its strip, and its numbers in words. */
const chartRow = (label: string, strip: string, value: string, style = ''): string =>
  `<div class="row${style}"><span class="label">${label}</span>${strip}<span class="value">${value}</span></div>`

const axisRow = (axis: Axis, what: string): string => chartRow('', axisStrip(axis), xml(what), ' axis')

/** Each sample a dot, the median a line. */
function dots(row: RowFigures, values: readonly (number | null)[], spread: Spread | null, axis: Axis): string {
  const said = spreadText(spread)
  const middle = spread === null ? '' : upright(at(axis.x(spread.median)), 2, HEIGHT - 2, 'median')
  const strip = [
    `<svg class="strip" height="${HEIGHT}" role="img" aria-label="${xml(`${row.row.title}: ${said} ms`)}">`,
    ...axis.ticks.map(({x}) => upright(at(x), 0, HEIGHT, 'grid')),
    ...values.map((value) => kindMark(row.row.kind, at(axis.x(value)), HEIGHT / 2)),
    `${middle}</svg>`,
  ].join('')
  return chartRow(xml(row.row.title), strip, xml(said))
}

/** One chart of distributions, a row each. */
function distribution(
  rows: readonly RowFigures[],
  measure: (sample: LabRunSample) => number | null,
  spread: (row: RowFigures) => Spread | null,
  axisOf: (values: readonly (number | null)[]) => Axis,
): string {
  const values = rows.map(({row}) => counted(row).map(measure))
  const axis = axisOf(values.flat())
  return [
    '<div class="chart">',
    axisRow(axis, 'ms'),
    ...rows.map((row, i) => dots(row, values[i]!, spread(row), axis)),
    axisRow(axis, 'ms'),
    '</div>',
  ].join('\n')
}

export const firstPacketChart = (rows: readonly RowFigures[]): string =>
  distribution(
    rows,
    ({ipv4}) => ipv4.toFirstMs,
    ({ipv4}) => ipv4?.toFirstMs ?? null,
    logAxis,
  )

export const gapChart = (rows: readonly RowFigures[]): string =>
  distribution(
    rows,
    ({ipv4: {near, far}}) => Math.max(near.gapOutMs, near.gapInMs, far.gapOutMs, far.gapInMs),
    ({ipv4}) => ipv4?.gapMs ?? null,
    linearAxis,
  )

/** Units across a lane: its ticks are in one path, which stretches with the strip. */
const UNITS = 1000
const LANE = 12

/** Each lost echo a tick, each migration a lane: the near user above, the far one below; before RESUME its downtime. */
export function lossChart(rows: readonly RowFigures[]): string {
  const axis = lossAxis(rows.flatMap(({row}) => counted(row)))
  return [
    '<div class="chart loss">',
    axisRow(axis, 'lost'),
    ...rows.map((row) => chartRow(xml(row.row.title), lanes(row.row, axis), lostWords(row))),
    axisRow(axis, 'lost'),
    '</div>',
  ].join('\n')
}

const lostWords = ({row, ipv4}: RowFigures): string => {
  const samples = counted(row)
  const all = samples.reduce((sum, {ipv4: {near, far}}) => sum + near.lostAtMs.length + far.lostAtMs.length, 0)
  const after = ipv4 === null ? 0 : ipv4.near.lostInAll + ipv4.far.lostInAll
  return samples.length === 0 ? 'none counts' : `${all}, ${after} of them after the first back`
}

function lossAxis(samples: readonly LabRunSample[]): Axis {
  const times = samples.flatMap(({downtimeMs, ipv4: {near, far}}) => [
    -(downtimeMs ?? 0),
    ...near.lostAtMs,
    ...far.lostAtMs,
  ])
  const [least, most] = times.reduce(([a, b], time) => [Math.min(a, time), Math.max(b, time)], [-50, 50])
  const domain = [least * 1.05, most * 1.05]
  // What was lost seconds later must not press the moments around RESUME into one line.
  const isLong = most - least > 1200
  const scale: ScaleLinear<number, number> | ScaleSymLog<number, number> = isLong
    ? scaleSymlog(domain, [LEFT, RIGHT]).constant(100)
    : scaleLinear(domain, [LEFT, RIGHT])
  const ticks = isLong
    ? [...ROUND.map((tick) => -tick).reverse(), 0, ...ROUND].filter(
        (tick) => Math.abs(tick) !== 1 && (tick === 0 || Math.abs(tick) >= 100) && tick >= least && tick <= most,
      )
    : scale.ticks(6)
  return {
    x: (value) => scale(value ?? 0),
    ticks: ticks.map((tick) => ({x: scale(tick), label: tick === 0 ? 'RESUME' : `${tick}`.replace('-', '−')})),
  }
}

function lanes(row: LabRunRow, axis: Axis): string {
  const samples = counted(row)
  const height = Math.max(1, samples.length) * (LANE + 2)
  const unit = (value: number): string => `${Number(((axis.x(value) * UNITS) / 100).toFixed(1))}`
  const drawn = samples.flatMap(({downtimeMs, ipv4: {near, far}}, i) => {
    const y = i * (LANE + 2) + 1
    const [from, to] = [unit(-(downtimeMs ?? 0)), unit(0)]
    return [
      `<path class="down" d="M${from} ${y}H${to}V${y + LANE}H${from}z"/>`,
      ...lostTicks(near, unit, y, 'near'),
      ...lostTicks(far, unit, y + LANE / 2 + 1, 'far'),
    ]
  })
  return [
    `<svg class="strip" height="${height}" role="img" aria-label="${xml(`${row.title}: echoes that were lost`)}">`,
    ...axis.ticks.map(({x, label}) => upright(at(x), 0, height, label === 'RESUME' ? 'resume' : 'grid')),
    `<svg viewBox="0 0 ${UNITS} ${height}" width="100%" height="${height}" preserveAspectRatio="none">`,
    ...drawn,
    '</svg></svg>',
  ].join('')
}

/** Those that were sent after the first one that came back are the last ones, and have a colour of their own. */
function lostTicks(
  {lostAtMs, lostAfter}: LabRunStream,
  unit: (value: number) => string,
  y: number,
  user: 'near' | 'far',
): readonly string[] {
  const times = [...lostAtMs].sort((a, b) => a - b)
  const path = (values: readonly number[]): string =>
    values.map((time) => `M${unit(time)} ${y}v${LANE / 2 - 1}`).join('')
  const [before, after] = [times.slice(0, times.length - lostAfter), times.slice(times.length - lostAfter)]
  return [
    ...(before.length === 0 ? [] : [`<path class="lost ${user}" d="${path(before)}"/>`]),
    ...(after.length === 0 ? [] : [`<path class="lost after" d="${path(after)}"/>`]),
  ]
}
