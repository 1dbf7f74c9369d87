// What `who --watch` shows: the table of the last look, what changed, and a line a look where there is no screen.
import type {WhoDocument, WhoRow, WhoVerdict} from '../domain/who.ts'
import type {WhoChange, WhoWatchLine, WhoWatchState} from '../domain/who-watch.ts'
import {harmless} from '../wire/printable.ts'
import {clock} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import type {ScreenOptions} from './watch-screen.ts'
import {VERDICT_WORDS, whoText} from './who-text.ts'

/** Changes that always have room. */
const SOME_CHANGES = 5

/** Lines that fit the screen. What there is no room for is counted: VMs that are as expected first. */
export function whoScreen(state: WhoWatchState, {colour, rows, elapsedMs}: Omit<ScreenOptions, 'columns'>): string[] {
  const paint = paintWith(colour)
  const {document, failure, looks, changes} = state
  const foot = paint.dim(`${clock(elapsedMs)}, look ${looks}; Ctrl-C ends it`)
  if (document === null) return [harmless(failure ?? 'the first look is on its way'), '', foot].slice(0, rows)
  const told = changes.slice(-SOME_CHANGES).map((change) => changeText(change, paint))
  const below = [
    ...(failure === null ? [] : ['', paint.warn(harmless(failure))]),
    ...(told.length === 0 ? [] : ['', 'changes', ...told.map((line) => `  ${line}`)]),
    '',
    foot,
  ]
  const room = rows - below.length - 2
  const table = fitting(document, room, paint)
  return [countsText(document, paint), '', ...table, ...below].slice(0, rows)
}

/** The text of `who`, with as many rows as there is room for. */
function fitting(document: WhoDocument, room: number, paint: Paint): string[] {
  const whole = whoText(document, paint)
  if (whole.length <= room) return whole
  const beside = whole.length - document.rows.length
  const shown = Math.max(0, room - beside - 1)
  const odd = (row: WhoRow): number => Number(row.verdict === 'as-expected')
  const rows = document.rows.toSorted((a, b) => odd(a) - odd(b)).slice(0, shown)
  const left = document.rows.length - rows.length
  return [...whoText({...document, rows}, paint), `and ${left} more`]
}

/** How many of each verdict. */
function countsText({rows}: WhoDocument, paint: Paint): string {
  const verdicts = Object.keys(VERDICT_WORDS) as WhoVerdict[]
  const counts = verdicts.flatMap((verdict) => {
    const count = rows.filter((row) => row.verdict === verdict).length
    return count === 0 ? [] : `${count} ${VERDICT_WORDS[verdict]}`
  })
  return paint.bold(counts.join(', ') || 'nobody is here')
}

function changeText({at, what, of, from, to}: WhoChange, paint: Paint): string {
  const word = (value: string): string =>
    harmless(what === 'verdict' ? (VERDICT_WORDS[value as WhoVerdict] ?? value) : value)
  return `${at.slice(11, 19)}  ${harmless(of)}: ${what === 'verdict' ? '' : `${what} `}${word(from)} → ${paint.bold(word(to))}`
}

/** One look in lines, where there is no screen: how many of each verdict, and what changed. */
export function whoLineText({at, document, changes, failure}: WhoWatchLine, colour: boolean): string[] {
  const paint = paintWith(colour)
  const now = document === null ? paint.warn(harmless(failure ?? '')) : countsText(document, paint)
  return [`${at.slice(11, 19)}  ${now}`, ...changes.map((change) => changeText(change, paint))]
}
