// A trace for a terminal: the verdict first, then what it rests on, then what to do.
import displayWidth from 'string-width'
import {
  type CandidateReport,
  type EgressReport,
  reportsOf,
  type TraceDocument,
  type TraceReport,
} from '../domain/trace/report.ts'
import type {EgressVerdict} from '../domain/trace/verdict.ts'
import {harmless} from '../wire/printable.ts'
import {
  candidateLabel,
  chosenAlternative,
  EGRESS_WORD,
  INBOUND_WORD,
  ms,
  percent,
  placed,
  signedMs,
  whereabouts,
} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import {crossingsText, pathSketch} from './path-sketch.ts'
import {sideBySide, tableLines} from './table.ts'
import {adviceOn} from './trace-advice.ts'

export interface TraceTextOptions {
  readonly colour: boolean
  /** Columns of the terminal; 120 if nobody knows. */
  readonly columns?: number | undefined
}

/** What `gwswitch trace` prints: all about one destination, or one line each for several, the worst last. */
export function traceText(document: TraceDocument, options: TraceTextOptions): string[] {
  const paint = paintWith(options.colour)
  const reports = reportsOf(document)
  if (reports.length === 1) return reportLines(reports[0]!, paint, options.columns ?? 120)
  return summaryLines(reports, paint, options.columns ?? 120)
}

function verdictWord(verdict: EgressVerdict, paint: Paint): string {
  const colour = {
    trombone: paint.bad,
    none: paint.good,
    inconclusive: paint.warn,
    'local-exit-unusable': paint.bad,
    'current-exit-dead': paint.bad,
  }
  return paint.bold(colour[verdict](EGRESS_WORD[verdict]))
}

function reportLines(report: TraceReport, paint: Paint, columns: number): string[] {
  const {meaning, next} = adviceOn(report)
  return [
    headLine(report),
    '',
    ...tableLines(
      [
        ['EGRESS', verdictWord(report.egress.verdict, paint), egressNumbers(report)],
        ['', '', meaning],
        ...report.egress.because.map((line) => ['', '', line]),
        ['INBOUND', inboundWord(report, paint), inboundWords(report)],
      ].flatMap(([label = '', word = '', text = '']) => foldRow(label, word, text, columns)),
      {indent: '  '},
    ),
    '',
    ...hopColumns(report, paint, columns),
    ...pathLines(report, paint),
    '',
    ...tableLines(
      [
        ['checks', checks(report)],
        ...report.flags.map((flag) => ['note', harmless(flag.detail)]),
        ['next', next],
      ].flatMap(([label = '', text = '']) => fold(text, columns - 10).map((line, i) => [i === 0 ? label : '', line])),
      {indent: '  '},
    ),
  ]
}

function headLine({host, destination, probe, durationMs, candidates}: TraceReport): string {
  const from = subject(host.name, host.ip, host.site)
  const to = subject(destination.name, destination.ip, destination.site)
  const flows = `${probe.flows} ${probe.flows === 1 ? 'flow' : 'flows'}`
  const port = probe.port === null ? '' : `/${probe.port}`
  const alternatives = candidates.length > 2 ? `, ${candidates.length - 1} alternatives` : ''
  return `${from} → ${to}     ${probe.proto}${port}, ${flows}, ${probe.pairsSent} pairs${alternatives}, ${(durationMs / 1000).toFixed(1)} s`
}

function subject(name: string | null, ip: string, site: string | null): string {
  const inside = [...(name === null ? [] : [ip]), ...(site === null ? [] : [`site ${site}`])].join(', ')
  return `${harmless(name ?? ip)}${inside === '' ? '' : ` (${inside})`}`
}

function egressNumbers(report: TraceReport): string {
  const {egress, dci} = report
  const {penaltyMs: penalty, verdict} = egress
  if (verdict === 'local-exit-unusable' || verdict === 'current-exit-dead')
    return `${egress.reason}   ${lossWords(report)}`
  // Up to row 8 the table says that the numbers mean nothing.
  if (penalty === null || egress.row <= 8) return egress.reason
  const numbers = `${signedMs(penalty.median)} ms  [${ms(penalty.lo)} … ${ms(penalty.hi)}, ${percent(penalty.coverage)}]`
  const threshold = `threshold ${ms(egress.thresholdMs!)} ms`
  if (verdict !== 'trombone') return `${egress.reason}   ${numbers}   ${threshold}`
  const ratio =
    egress.ratioToDci === null ? threshold : `= ${egress.ratioToDci.toFixed(2)} × DCI RTT (${ms(dci.rttMs!)} ms)`
  return `${numbers}   ${ratio}   ${madeOf(report, penalty)}`
}

/** What the penalty is made of: the part that shows in the minima, and what waits in queues; or paths of unlike length. */
function madeOf({egress}: TraceReport, penalty: {readonly median: number; readonly min: number}): string {
  const medians = egress.flows.map((flow) => flow.medianMs)
  const [low, high] = [Math.min(...medians), Math.max(...medians)]
  if (medians.length > 1 && high - low > egress.thresholdMs!) return `flows from ${ms(low)} to ${ms(high)} ms`
  return `geometry ${ms(penalty.min)} + queue ${ms(Math.max(0, penalty.median - penalty.min))}`
}

/** `12/12 lost via Ry, 0/12 via Rx`. */
function lossWords(report: TraceReport): string {
  const shown = [report.candidates[0]!, ...(chosenAlternative(report) ? [chosenAlternative(report)!] : [])]
  return shown
    .toSorted((a, b) => b.sent - b.received - (a.sent - a.received))
    .map(
      (each, i) =>
        `${each.sent - each.received}/${each.sent} ${i === 0 ? 'lost ' : ''}via ${candidateLabel(report, each)}`,
    )
    .join(', ')
}

function inboundWord({inbound}: TraceReport, paint: Paint): string {
  const word = INBOUND_WORD[inbound.verdict]
  if (inbound.verdict === 'inbound-trombone') return paint.bold(paint.bad(word))
  return inbound.verdict === 'local' || inbound.verdict === 'direct' ? paint.good(word) : paint.warn(word)
}

function inboundWords(report: TraceReport): string {
  const {via, reason, costAtLeastMs} = report.inbound
  const total = via.reduce((n, each) => n + each.replies, 0)
  const entries = via
    .map((each) => `${each.replies}/${total} replies entered through ${placed(each.gateway ?? each.mac, each)}`)
    .join(', ')
  switch (reason) {
    case 'all-local':
    case 'both':
      return entries
    case 'all-at-destination':
      return `${entries}, where the destination is: no detour`
    case 'all-far':
      return `${entries}${costAtLeastMs === null ? '' : `, which costs ${ms(costAtLeastMs)} ms or more`}`
    case 'too-few-replies':
      return total === 0 ? 'no replies to read it from' : `too few replies to say: ${entries}`
    case 'unknown-mac':
      return `${entries}: not a gateway that is known here`
    case 'shared-mac':
      return `${entries}: a MAC that several gateways share`
    case 'site-unknown':
      return `${entries}: at which site that is, is not known`
  }
}

function hopColumns(report: TraceReport, paint: Paint, columns: number): string[] {
  const blocks = report.candidates.map((candidate) => hopBlock(report, candidate, paint))
  if (report.candidates.every((candidate) => candidate.hops.length === 0)) return []
  const together = sideBySide(blocks)
  const lines =
    Math.max(...together.map((line) => displayWidth(line))) + 2 <= columns
      ? together
      : blocks.flatMap((block, i) => (i === 0 ? block : ['', ...block]))
  const returns = report.candidates.some((candidate) =>
    candidate.hops.some((hop) => otherReturn(report, candidate, hop.returnGateway)),
  )
  return [
    ...lines.map((line) => (line === '' ? '' : `  ${line}`)),
    ...(returns
      ? ['', `  ${paint.dim('↩ = the answer came in through another gateway than the probe went out')}`]
      : []),
    '',
  ]
}

/** The gateway an answer came back through, if it is not the one that its probe left by. */
function otherReturn(report: TraceReport, candidate: CandidateReport, through: string | null): string | undefined {
  return through !== null && through !== candidateLabel(report, candidate) && through !== candidate.ip
    ? through
    : undefined
}

function hopBlock(report: TraceReport, candidate: CandidateReport, paint: Paint): string[] {
  const role =
    candidate.role === 'current'
      ? 'in use'
      : candidate === chosenAlternative(report) && candidate.local === true
        ? 'local'
        : ''
  const about = [whereabouts(candidate), role].filter((word) => word !== '' && word !== 'near').join(', ')
  const rows = candidate.hops.map((hop) => {
    const names = [hop.gateway, ...(hop.mpls === null ? [] : ['MPLS'])].filter((name) => name !== null).join(' ')
    const through = otherReturn(report, candidate, hop.returnGateway)
    return [
      `${hop.ttl}`,
      hop.addr === null ? '*' : `${hop.addr}${hop.addrs.length > 1 ? ` +${hop.addrs.length - 1}` : ''}`,
      names,
      hop.site ?? '',
      hop.minMs === null ? '' : hop.minMs.toFixed(2),
      through === undefined ? '' : `↩${through}`,
    ]
  })
  const lines = tableLines([['ttl', 'hop', '', 'site', 'min ms', ''], ...rows], {
    align: ['right', 'left', 'left', 'left', 'right', 'left'],
  })
  const title = `via ${candidateLabel(report, candidate)}${about === '' ? '' : `  (${about})`}`
  return [paint.bold(title), paint.dim(lines[0]!), ...lines.slice(1)]
}

function pathLines(report: TraceReport, paint: Paint): string[] {
  const rows = report.candidates.map((candidate) => {
    const sketch = pathSketch(report, candidate)
    const when = candidate.role === 'current' ? 'now' : candidate === chosenAlternative(report) ? 'possible' : 'or'
    return [sketch.text, paint.dim(when), crossingsText(sketch)]
  })
  return tableLines(rows, {indent: '  ', gap: '    '})
}

function checks(report: TraceReport): string {
  const {integrity, egress, candidates} = report
  const route = egress.reason === 'route-changed' ? 'route changed ✗' : 'route unchanged ✓'
  const seen = integrity.redirectsSeen.length
  const takes =
    integrity.acceptRedirects === true
      ? ', host accepts them (!)'
      : integrity.acceptRedirects === false
        ? ', host ignores them'
        : ''
  const redirects = `redirects: ${seen === 0 ? 'none' : seen} seen${takes}`
  const flows =
    egress.flows.length < 2
      ? []
      : [egress.reason === 'flows-disagree' ? `flows disagree ✗ (${flowWords(egress)})` : 'flows agree ✓']
  const sent = candidates.reduce((n, each) => n + each.sent, 0)
  const lost = sent - candidates.reduce((n, each) => n + each.received, 0)
  return [route, redirects, ...flows, `loss ${lost}/${sent}`].join('   ')
}

const flowWords = ({flows}: EgressReport): string =>
  flows.map((flow) => `${flow.id}: ${signedMs(flow.medianMs)} ms`).join(', ')

/** Exit codes in the order of how much they matter. */
const GRAVITY = [0, 11, 12, 10]

function summaryLines(reports: readonly TraceReport[], paint: Paint, columns: number): string[] {
  const sorted = reports.toSorted(
    (a, b) =>
      GRAVITY.indexOf(a.exitCode) - GRAVITY.indexOf(b.exitCode) ||
      (a.egress.penaltyMs?.median ?? 0) - (b.egress.penaltyMs?.median ?? 0),
  )
  const rows = sorted.map((report) => [
    subject(report.destination.name, report.destination.ip, report.destination.site),
    verdictWord(report.egress.verdict, paint),
    report.egress.penaltyMs === null ? '' : `${signedMs(report.egress.penaltyMs.median)} ms`,
    report.egress.reason,
    `inbound ${INBOUND_WORD[report.inbound.verdict]}`,
  ])
  const worst = sorted.at(-1)
  if (worst === undefined) return []
  const {meaning, next} = adviceOn(worst)
  const current = worst.candidates[0]!
  return [
    `${subject(worst.host.name, worst.host.ip, worst.host.site)}, out through ${placed(candidateLabel(worst, current), current)}`,
    '',
    ...tableLines(rows, {indent: '  ', align: ['left', 'left', 'right']}),
    '',
    ...fold(`${worst.destination.ip}: ${meaning}`, columns - 2).map((line) => `  ${line}`),
    ...fold(`next    ${next}`, columns - 2).map((line) => `  ${line}`),
  ]
}

/** A row whose last cell may need several lines. */
function foldRow(label: string, word: string, text: string, columns: number): string[][] {
  return fold(text, columns - 26).map((line, i) => (i === 0 ? [label, word, line] : ['', '', line]))
}

/**
 * Breaks text into lines of at most `width` columns: between items, which stand three blanks apart, where there are any,
 * else between words. What is longer stands alone.
 */
function fold(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const part of text.includes('   ') ? text.split(/(?=\s{3})/) : text.split(/(?<=\S)(?=\s)/)) {
    if (line !== '' && displayWidth(line + part) > width) {
      lines.push(line)
      line = part.trimStart()
    } else line += part
  }
  return [...lines, line]
}
