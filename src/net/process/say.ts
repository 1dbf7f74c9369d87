// The one place where anything is printed or logged: nothing that others say steers a terminal or makes up a line.
import {fstatSync, writeSync} from 'node:fs'
import {localClock, localStamp} from '../../wire/local-time.ts'
import {harmlessJson, printable} from '../../wire/printable.ts'
import {inAscii, isUtf8} from './terminal.ts'

/** A line as it is shown: harmless, and without our drawings where the locale has none. */
export const shown = (line: string): string => (isUtf8(process.env) ? printable(line) : inAscii(printable(line)))

/** A line for whoever watches or reads the log. */
export const say = (line: string): void => void process.stderr.write(`${shown(line)}\n`)

/** Whether standard error is systemd's journal, which writes the time itself (systemd.exec(5), JOURNAL_STREAM). */
function isJournal(): boolean {
  const {JOURNAL_STREAM: stream} = process.env
  if (!stream) return false
  const {dev, ino} = fstatSync(2)
  return stream === `${dev}:${ino}`
}

/** A line of a service's log, with the time by the clock on the wall. */
export const sayLogged = (line: string): void => say(isJournal() ? line : `${localStamp(Date.now())} ${line}`)

/** A line for whoever watches what is done, and when. */
export const sayNow = (line: string): void => say(`${localClock(Date.now())} ${line}`)

/** A line of the result. */
export const print = (line: string): void => void process.stdout.write(`${shown(line)}\n`)

/** Cells of a line of the result, a tab between them. */
export const printRow = (cells: readonly string[]): void =>
  void process.stdout.write(`${cells.map(shown).join('\t')}\n`)

/** The same for a program whose event loop turns no more. */
export const sayAtOnce = (line: string): void => void writeSync(2, `${shown(line)}\n`)
export const printAtOnce = (line: string): void => void writeSync(1, `${shown(line)}\n`)

/** A result for programs, in one line, or laid out by `indent` spaces. */
export const printJson = (value: unknown, indent?: number): void =>
  void process.stdout.write(`${harmlessJson(JSON.stringify(value, undefined, indent))}\n`)

/** The same for whoever watches, in one line on standard error. */
export const sayJson = (value: unknown): void => void process.stderr.write(`${harmlessJson(JSON.stringify(value))}\n`)

/** In place of the line that a terminal shows last; an empty text takes it away. */
export function overwrite(text: string): void {
  // A line that wraps cannot be written over.
  process.stderr.write(`\r\x1b[K${shown(text).slice(0, (process.stderr.columns || 80) - 1)}`)
}

/** An internal error with where it came from, a line each. */
export function sayStack(prefix: string, error: Error): void {
  for (const line of `${prefix}${error.stack ?? error.message}`.split('\n')) say(line)
}
