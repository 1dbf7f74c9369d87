// What a process leaves for the one that it becomes: not an argument, as it may be longer than those may be.
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'

/** Writes `value` as JSON where its owner alone can read it; returns the file. */
export function leaveHandover(value: unknown): string {
  const file = join(mkdtempSync(join(tmpdir(), 'gwswitch-handover-')), 'value.json')
  writeFileSync(file, JSON.stringify(value), {mode: 0o600})
  return file
}

/** Reads what {@link leaveHandover} left, and removes it. */
export function takeHandover(file: string): unknown {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
  dropHandover(file)
  return value
}

export const dropHandover = (file: string): void => rmSync(dirname(file), {recursive: true})
