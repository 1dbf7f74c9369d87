// What `trace --watch` shows: the verdict of the last window, a strip of all differences, where the packets go, what changed.
import type {TraceReport} from '../domain/trace/report.ts'
import type {StripPair, WatchChange, WatchLine, WatchState} from '../domain/trace/watch.ts'
import {harmless} from '../wire/printable.ts'
import {candidateLabel, clock, EGRESS_WORD, INBOUND_WORD, ms, signedMs} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import {hopColumns} from './trace-hops.ts'
import {subject, verdictWord} from './trace-text.ts'

export interface ScreenOptions {
  readonly colour: boolean
  readonly columns: number
  readonly rows: number
  /** Since the watch began, ms. */
  readonly elapsedMs: number
}

/** Lines that fit the screen; what there is no room for is left out, the changes first. */
export function watchScreen(state: WatchState, {colour, columns, rows, elapsedMs}: ScreenOptions): string[] {
  const paint = paintWith(colour)
  const {report, failure, windows, strip, changes} = state
  const foot = paint.dim(`${clock(elapsedMs)}, window ${windows}; Ctrl-C ends it`)
  if (report === null) return [harmless(failure ?? 'the first window is on its way'), '', foot].slice(0, rows)
  const head = [
    `${subject(report.host.name, report.host.ip, report.host.site)} → ${subject(report.destination.name, report.destination.ip, report.destination.site)}`,
    '',
    `  EGRESS   ${verdictWord(report.egress.verdict, paint)}  ${numbers(report)}`,
    `  INBOUND  ${INBOUND_WORD[report.inbound.verdict]}`,
    ...(failure === null ? [] : [`  ${paint.warn(harmless(failure))}`]),
    '',
    ...stripLines(strip, report, columns, paint),
    '',
  ]
  const hops = hopColumns(report, paint, columns)
  const room = rows - head.length - hops.length - 2
  const shown = room > 1 ? changes.slice(-(room - 1)) : []
  const told = shown.length === 0 ? [] : ['  changes', ...shown.map((change) => `  ${changeText(change, paint)}`)]
  const all = [...head, ...hops, ...told]
  return [...all.slice(0, Math.max(0, rows - 1)), foot].slice(-rows)
}

function numbers(report: TraceReport): string {
  const {penaltyMs: penalty, reason} = report.egress
  const [current] = report.candidates
  const through = current ? `through ${candidateLabel(report, current)}` : ''
  if (penalty === null) return `${reason}  ${through}`
  return `${signedMs(penalty.median)} ms  [${ms(penalty.lo)} … ${ms(penalty.hi)}]  ${through}`
}

const STEPS = '▂▃▄▅▆▇█'

/** One sign a pair: how much slower through the gateway in use, by its height; `▁` as good, `▽` faster, `x` lost. */
function stripLines(strip: readonly StripPair[], report: TraceReport, columns: number, paint: Paint): string[] {
  const threshold = report.egress.thresholdMs ?? 0.5
  const shown = strip.slice(-Math.max(1, columns - 4))
  const most = Math.max(threshold, ...shown.map(({differenceMs}) => differenceMs ?? 0))
  const sign = ({differenceMs: value}: StripPair): string => {
    if (value === null) return paint.warn('x')
    if (value < -threshold) return paint.good('▽')
    if (value <= threshold) return paint.good('▁')
    return paint.bad(STEPS[Math.min(STEPS.length - 1, Math.floor((value / most) * STEPS.length))]!)
  }
  return [
    `  ${shown.map(sign).join('')}`,
    paint.dim(`  a sign a pair: ▁ within ${ms(threshold)} ms, █ ${ms(most)} ms slower, ▽ faster, x lost`),
  ]
}

function changeText({at, what, from, to}: WatchChange, paint: Paint): string {
  return `${at.slice(11, 19)}  ${what}: ${harmless(wordOf(what, from))} → ${paint.bold(harmless(wordOf(what, to)))}`
}

/** Verdicts as they are called elsewhere. */
function wordOf(what: WatchChange['what'], value: string): string {
  const words: Readonly<Record<string, string>> =
    what === 'egress' ? EGRESS_WORD : what === 'inbound' ? INBOUND_WORD : {}
  return words[value] ?? value
}

/** One window in one line, where there is no screen. */
export function watchLineText(line: WatchLine, colour: boolean): string {
  const paint = paintWith(colour)
  const time = line.at.slice(11, 19)
  if (line.egress === null) return `${time}  ${paint.warn(harmless(line.failure ?? ''))}`
  const penalty = line.penaltyMs === null ? line.egress.reason : `${signedMs(line.penaltyMs.median)} ms`
  const changes = line.changes.map((change) => `; ${change.what}: ${harmless(wordOf(change.what, change.to))}`).join('')
  return `${time}  ${verdictWord(line.egress.verdict, paint)}  ${penalty}  inbound ${INBOUND_WORD[line.inbound ?? 'unknown']}${changes}`
}
