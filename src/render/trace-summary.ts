// Several destinations for a terminal: a line as each is decided, and at the end what matters most.
import type {TraceDocument, TraceFailure, TraceReport} from '../domain/trace/report.ts'
import {harmless} from '../wire/printable.ts'
import {fold} from './fold.ts'
import {candidateLabel, EGRESS_WORD, INBOUND_WORD, placed, signedMs} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import {adviceOn, NOTHING_ASKED} from './trace-advice.ts'
import {subject, type TraceTextOptions, verdictWord} from './trace-text.ts'

const COLUMNS = 80
const WIDTHS = {destination: 24, verdict: 12, penalty: 9}

/** `203.0.113.10 (site y)  TROMBONE   +20.1 ms`, a row of several. */
export function outcomeHead({destination, egress}: TraceReport, paint: Paint): string {
  const penalty = egress.penaltyMs === null || !egress.counts ? '' : `${signedMs(egress.penaltyMs.median)} ms`
  const word = verdictWord(egress.verdict, paint) + ' '.repeat(WIDTHS.verdict - EGRESS_WORD[egress.verdict].length)
  const name = subject(destination.name, destination.ip, destination.site).padEnd(WIDTHS.destination)
  return `  ${name}  ${word} ${penalty.padStart(WIDTHS.penalty)}`
}

/** The same, and why. */
export function outcomeLine(outcome: TraceReport | TraceFailure, {colour}: TraceTextOptions): string {
  const paint = paintWith(colour)
  if ('message' in outcome)
    return `  ${harmless(outcome.destination).padEnd(WIDTHS.destination)}  ${paint.bad('not traced')}  ${harmless(outcome.message)}`
  const {egress, inbound} = outcome
  return `${outcomeHead(outcome, paint)}  ${egress.reason}, inbound ${INBOUND_WORD[inbound.verdict]}`
}

/** Exit codes in the order of how much they matter. */
const GRAVITY = [0, 11, 12, 10]

/** What is said when all are decided: of whom, how many of what, and what to do about the worst. */
export function summaryLines(
  {results, failures, durationMs, rate}: TraceDocument,
  options: TraceTextOptions,
): string[] {
  const {columns = COLUMNS, asked = NOTHING_ASKED} = options
  const worst = results
    .toSorted(
      (a, b) =>
        GRAVITY.indexOf(a.exitCode) - GRAVITY.indexOf(b.exitCode) ||
        (a.egress.penaltyMs?.median ?? 0) - (b.egress.penaltyMs?.median ?? 0),
    )
    .at(-1)
  const counts = Object.entries(EGRESS_WORD).flatMap(([verdict, word]) => {
    const n = results.filter(({egress}) => egress.verdict === verdict).length
    return n === 0 ? [] : [`${n} ${word}`]
  })
  if (failures.length > 0) counts.push(`${failures.length} not traced`)
  const how = `${(durationMs / 1000).toFixed(1)} s, ${rate.packetsSent} packets`
  if (worst === undefined) return ['', `  ${counts.join(', ')}     ${how}`]
  const {meaning, next, command} = adviceOn(worst, asked)
  const current = worst.candidates[0]!
  return [
    '',
    `  ${counts.join(', ')}     ${how}`,
    ...fold(
      `${subject(worst.host.name, worst.host.ip, worst.host.site)}, out through ${placed(candidateLabel(worst, current), current)}`,
      columns - 2,
    ).map((line) => `  ${line}`),
    '',
    ...fold(`${worst.destination.ip}: ${meaning}`, columns - 2).map((line) => `  ${line}`),
    ...(next === null ? [] : fold(`next    ${next}`, columns - 2).map((line) => `  ${line}`)),
    ...(command === null ? [] : [`          ${command}`]),
  ]
}
