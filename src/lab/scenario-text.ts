// What a scenario's run said, as a line for people.
import {basename} from 'node:path'
import type {ScenarioRun} from './scenario.ts'

/** `ok    detour.yaml           trombone, detour, 10, 1.4 s`, or with what is wrong. */
export function runLine(file: string, {exitCode, verdict, reason, durationMs, wrong}: ScenarioRun): string {
  const seconds = durationMs === null ? '' : `, ${(durationMs / 1000).toFixed(1)} s`
  const said = `${verdict ?? 'no verdict'}, ${reason ?? '-'}, ${exitCode}${seconds}`
  const line = `${wrong.length === 0 ? 'ok  ' : 'FAIL'}  ${basename(file).padEnd(28)}  ${said}`
  return wrong.length === 0 ? line : `${line}\n      ${wrong.join('; ')}`
}
