// What `trace --watch` shows: the verdict of the last seconds, a strip of all differences, where the packets go, what
// changed; of several destinations a row each, and the worst in detail.
import displayWidth from 'string-width'
import type {TraceReport} from '../domain/trace/report.ts'
import type {StripPair, WatchChange, WatchedDestination, WatchLine, WatchState} from '../domain/trace/watch.ts'
import {harmless} from '../wire/printable.ts'
import {candidateLabel, clock, EGRESS_WORD, INBOUND_WORD, ms, signedMs} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import {hopColumns} from './trace-hops.ts'
import {outcomeHead} from './trace-summary.ts'
import {subject, verdictWord} from './trace-text.ts'

export interface ScreenOptions {
  readonly colour: boolean
  readonly columns: number
  readonly rows: number
  /** Since the watch began, ms. */
  readonly elapsedMs: number
}

/** Changes that are shown before hops are. */
const LAST_CHANGES = 3

/** Lines that fit the screen; what there is no room for is left out: older changes, then hops. */
export function watchScreen(state: WatchState, {colour, columns, rows, elapsedMs}: ScreenOptions): string[] {
  const paint = paintWith(colour)
  const {watched} = state
  const several = watched.length > 1
  const shown = several ? gravest(watched) : watched[0]
  const span = shown === undefined || shown.windowMs === 0 ? '' : `, the last ${Math.round(shown.windowMs / 1000)} s`
  const foot = paint.dim(`${clock(elapsedMs)}${span}; Ctrl-C ends it`)
  const size = {columns, rows}
  const head = several ? tableOf(watched, size, paint) : []
  const body = shown?.report == null ? [] : detail(shown, shown.report, several, columns, paint)
  if (!several && body.length === 0) body.push(harmless(shown?.failure ?? 'the first samples are on their way'), '')
  const free = rows - head.length - body.length - 2
  const told = state.changes.slice(-Math.max(LAST_CHANGES, free))
  const changes = told.map((change) => `  ${changeText(change, several, paint)}`)
  const last = changes.length === 0 ? [] : ['  changes', ...changes]
  const all = [...[...head, ...body].slice(0, Math.max(LEAST, rows - 1 - last.length)), ...last]
  return [...all.slice(0, Math.max(0, rows - 1)), foot].slice(-rows)
}

/** The one that is shown in detail: the first of the gravest, so that it stays the same among equals. */
const gravest = (watched: readonly WatchedDestination[]): WatchedDestination | undefined =>
  watched.filter(({report, failure}) => report !== null && failure === null).toSorted((a, b) => rank(a) - rank(b))[0]

/** Lines at the top that no change takes the place of. */
const LEAST = 6
/** Lines below the table: the detail of one, the changes, the foot. */
const DETAIL = 10

/** A row each; of more than there is room for, those that matter most. */
function tableOf(
  watched: readonly WatchedDestination[],
  {columns, rows}: {readonly columns: number; readonly rows: number},
  paint: Paint,
): string[] {
  const room = Math.max(2, rows - DETAIL)
  const grave = watched.toSorted((a, b) => rank(a) - rank(b)).slice(0, watched.length > room ? room - 1 : room)
  const shown = watched.filter((each) => grave.includes(each))
  const left = watched.length - shown.length
  return [
    ...shown.map((each) => rowOf(each, columns, paint)),
    ...(left === 0 ? [] : [paint.dim(`  and ${left} more that are no worse`)]),
    paint.dim('  ▁ within the threshold, █ the slowest of the row, ▽ faster, x lost'),
    '',
  ]
}

/** Exit codes, the gravest first (verdict.ts, `worstExit`). */
const rank = ({exitCode}: WatchedDestination): number => [10, 12, 1, 11, 0].indexOf(exitCode)

function rowOf({destination, report, failure, strip}: WatchedDestination, columns: number, paint: Paint): string {
  if (failure !== null || report === null) {
    const what =
      failure === null ? 'the first samples are on their way' : `${paint.bad('not traced')}  ${harmless(failure)}`
    return `  ${harmless(destination).padEnd(24)}  ${what}`
  }
  const head = outcomeHead(report, paint)
  const room = Math.max(1, columns - displayWidth(head) - 3)
  return `${head}  ${signsOf(strip, report, room, paint).text}`
}

function detail(
  {failure, strip}: WatchedDestination,
  report: TraceReport,
  several: boolean,
  columns: number,
  paint: Paint,
): string[] {
  const {host, destination, egress, inbound} = report
  return [
    `${subject(host.name, host.ip, host.site)} → ${subject(destination.name, destination.ip, destination.site)}`,
    ...(several ? [] : ['']),
    `  EGRESS   ${verdictWord(egress.verdict, paint)}  ${numbers(report)}`,
    `  INBOUND  ${INBOUND_WORD[inbound.verdict]}`,
    ...(failure === null ? [] : [`  ${paint.warn(harmless(failure))}`]),
    '',
    ...(several ? [] : [...stripLines(strip, report, columns, paint), '']),
    ...hopColumns(report, paint, columns),
  ]
}

function numbers(report: TraceReport): string {
  const {penaltyMs: penalty, reason} = report.egress
  const [current] = report.candidates
  const through = current ? `through ${candidateLabel(report, current)}` : ''
  if (penalty === null) return `${reason}  ${through}`
  return `${signedMs(penalty.median)} ms  [${ms(penalty.lo)} … ${ms(penalty.hi)}]  ${through}`
}

const STEPS = '▂▃▄▅▆▇█'

const thresholdOf = ({egress}: TraceReport): number => egress.thresholdMs ?? 0.5

/** One sign a pair: how much slower through the gateway in use, by its height; `▁` as good, `▽` faster, `x` lost. */
function signsOf(strip: readonly StripPair[], report: TraceReport, room: number, paint: Paint) {
  const threshold = thresholdOf(report)
  const shown = strip.slice(-Math.max(1, room))
  const most = Math.max(threshold, ...shown.map(({differenceMs}) => differenceMs ?? 0))
  const sign = ({differenceMs: value}: StripPair): string => {
    if (value === null) return paint.warn('x')
    if (value < -threshold) return paint.good('▽')
    if (value <= threshold) return paint.good('▁')
    return paint.bad(STEPS[Math.min(STEPS.length - 1, Math.floor((value / most) * STEPS.length))]!)
  }
  return {text: shown.map(sign).join(''), most}
}

function stripLines(strip: readonly StripPair[], report: TraceReport, columns: number, paint: Paint): string[] {
  const {text, most} = signsOf(strip, report, columns - 4, paint)
  return [
    `  ${text}`,
    paint.dim(`  a sign a pair: ▁ within ${ms(thresholdOf(report))} ms, █ ${ms(most)} ms slower, ▽ faster, x lost`),
  ]
}

function changeText(
  {at, destination, what, from, to}: WatchState['changes'][number],
  named: boolean,
  paint: Paint,
): string {
  return `${at.slice(11, 19)}  ${named ? `${harmless(destination)}  ` : ''}${what}: ${harmless(wordOf(what, from))} → ${paint.bold(harmless(wordOf(what, to)))}`
}

/** Verdicts as they are called elsewhere. */
function wordOf(what: WatchChange['what'], value: string): string {
  const words: Readonly<Record<string, string>> =
    what === 'egress' ? EGRESS_WORD : what === 'inbound' ? INBOUND_WORD : {}
  return words[value] ?? value
}

/** One window in one line, where there is no screen; `named` where there are several destinations. */
export function watchLineText(line: WatchLine, named: boolean, colour: boolean): string {
  const paint = paintWith(colour)
  const time = `${line.at.slice(11, 19)}  ${named ? `${harmless(line.destination)}  ` : ''}`
  if (line.egress === null) return `${time}${paint.warn(harmless(line.failure ?? ''))}`
  const penalty = line.penaltyMs === null ? line.egress.reason : `${signedMs(line.penaltyMs.median)} ms`
  const changes = line.changes.map((change) => `; ${change.what}: ${harmless(wordOf(change.what, change.to))}`).join('')
  return `${time}${verdictWord(line.egress.verdict, paint)}  ${penalty}  inbound ${INBOUND_WORD[line.inbound ?? 'unknown']}${changes}`
}
