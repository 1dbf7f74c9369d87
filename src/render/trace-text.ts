// A trace for a terminal: the verdict first, then what it rests on, then what to do.
import type {EgressVerdict} from '../domain/trace/decision-table.ts'
import type {EgressReport, TraceDocument, TraceReport} from '../domain/trace/report.ts'
import {harmless} from '../wire/printable.ts'
import {fold} from './fold.ts'
import {candidateLabel, chosenAlternative, EGRESS_WORD, INBOUND_WORD, ms, placed, signedMs} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import {tableLines} from './table.ts'
import {type Asked, adviceOn, NOTHING_ASKED} from './trace-advice.ts'
import {hopColumns, pathLines} from './trace-hops.ts'

export interface TraceTextOptions {
  readonly colour: boolean
  /** Columns of the terminal; 80 if nobody knows. */
  readonly columns?: number | undefined
  /** How it was asked for, so that advice can be pasted. */
  readonly asked?: Asked | undefined
}

const COLUMNS = 80
/** Room that labels take before the text of a row. */
const LABELS = 11

/** What `gwswitch trace` prints of one destination; of several, see trace-summary.ts. */
export function traceText({results}: TraceDocument, options: TraceTextOptions): string[] {
  const [report] = results
  return report === undefined ? [] : reportLines(report, options)
}

export function verdictWord(verdict: EgressVerdict, paint: Paint): string {
  const colour = {
    trombone: paint.bad,
    none: paint.good,
    inconclusive: paint.warn,
    'local-exit-unusable': paint.bad,
    'current-exit-dead': paint.bad,
  }
  return paint.bold(colour[verdict](EGRESS_WORD[verdict]))
}

function reportLines(
  report: TraceReport,
  {colour, columns = COLUMNS, asked = NOTHING_ASKED}: TraceTextOptions,
): string[] {
  const paint = paintWith(colour)
  const {meaning, next, command} = adviceOn(report, asked)
  const rows = (rows: readonly (readonly [label: string, text: string])[]): string[] =>
    tableLines(
      rows.flatMap(([label, text]) => fold(text, columns - LABELS).map((line, i) => [i === 0 ? label : '', line])),
      {indent: '  '},
    )
  const egress = `${verdictWord(report.egress.verdict, paint)}  ${egressNumbers(report)}`
  return [
    ...headLines(report, columns),
    '',
    ...rows([
      ['EGRESS', egress],
      ['       ', meaning],
      ...report.egress.because.map((line) => ['', line] as const),
      ['INBOUND', `${inboundWord(report, paint)}  ${inboundWords(report)}`],
    ]),
    '',
    ...hopColumns(report, paint, columns),
    ...pathLines(report, paint),
    '',
    ...rows([
      ['checks', checks(report)],
      ...report.flags.map((flag) => ['note', harmless(flag.detail)] as const),
      ...(next === null ? [] : [['next', next] as const]),
    ]),
    // Never folded: it is there to be pasted.
    ...(command === null ? [] : [`${' '.repeat(LABELS - 1)}${paint.bold(command)}`]),
  ]
}

function headLines(report: TraceReport, columns: number): string[] {
  const {host, destination} = report
  const line = `${subject(host.name, host.ip, host.site)} → ${subject(destination.name, destination.ip, destination.site)}`
  const how = howMeasured(report)
  return line.length + how.length + 5 <= columns ? [`${line}     ${how}`] : [line, how]
}

function howMeasured({probe, durationMs, candidates}: TraceReport): string {
  const port =
    probe.port === null ? '' : ` to port ${probe.port}, ${probe.flows} ${probe.flows === 1 ? 'flow' : 'flows'}`
  const alternatives = candidates.length > 2 ? `, ${candidates.length - 1} alternatives` : ''
  return `${probe.proto}${port}, ${probe.pairsSent} pairs${alternatives}, ${(durationMs / 1000).toFixed(1)} s`
}

export function subject(name: string | null, ip: string, site: string | null): string {
  const inside = [...(name === null ? [] : [ip]), ...(site === null ? [] : [`site ${site}`])].join(', ')
  return `${harmless(name ?? ip)}${inside === '' ? '' : ` (${inside})`}`
}

function egressNumbers(report: TraceReport): string {
  const {egress, dci} = report
  const {penaltyMs: penalty, verdict} = egress
  if (egress.reason === 'alternative-dead' || egress.reason === 'current-dead')
    return `${egress.reason}   ${lossWords(report)}`
  if (penalty === null || !egress.counts) return egress.reason
  const numbers = `${signedMs(penalty.median)} ms  [${ms(penalty.lo)} … ${ms(penalty.hi)}]`
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
  return `distance ${ms(penalty.min)} + queue ${ms(Math.max(0, penalty.median - penalty.min))}`
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
    case 'each-by-its-exit':
      return `${entries}: each by the exit that its probe took`
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
  const sent = candidates.reduce((n, each) => n + each.sent, 0)
  const lost = sent - candidates.reduce((n, each) => n + each.received, 0)
  return [route, redirects, ...flowCheck(report), `loss ${lost}/${sent}`, ...aloneCheck(report)].join('   ')
}

/** Echoes have no ports: that theirs agree says nothing of the flows that programs have. */
function flowCheck({egress, probe}: TraceReport): string[] {
  if (egress.reason === 'flows-disagree')
    return [probe.proto === 'icmp' ? 'TCP flows disagree ✗' : `flows disagree ✗ (${flowWords(egress)})`]
  return probe.proto === 'icmp' || egress.flows.length < 2 ? [] : ['flows agree ✓']
}

const flowWords = ({flows, thresholdMs}: EgressReport): string => {
  const slow = flows.filter((flow) => flow.medianMs > (thresholdMs ?? 0)).length
  return `${slow} of ${flows.length} take the detour; ${flows.map((flow) => `${flow.id}: ${signedMs(flow.medianMs)} ms`).join(', ')}`
}

/** What the alternative was tried for alone. */
function aloneCheck(report: TraceReport): string[] {
  const alternative = chosenAlternative(report)
  if (alternative?.works == null) return []
  const {small, syn, full} = alternative.works
  const mark = (name: string, check: {readonly sent: number; readonly answered: number}): string[] =>
    check.sent === 0 ? [] : [`${name} ${check.answered > 0 ? '✓' : '✗'}`]
  const large = full.mtu === null ? mark(`${full.bytes} bytes`, full) : [`MTU ${full.mtu}`]
  const {proto} = report.probe
  const first = proto === 'icmp' ? 'echo' : proto.toUpperCase()
  const all = [...mark(first, small), ...(proto === 'tcp' ? [] : mark('TCP', syn)), ...large]
  return [`${candidateLabel(report, alternative)} alone: ${all.join(', ')}`]
}
