// The demo's last page: before and after in one table, the path as a sketch, and what had to be so.
import type {TraceReport} from '../domain/trace/report.ts'
import {EGRESS_WORD, signedMs} from '../render/measures.ts'
import type {Paint} from '../render/paint.ts'
import {crossingsText, pathSketch} from '../render/path-sketch.ts'
import {tableLines} from '../render/table.ts'
import type {GatewayCounters} from './counters.ts'
import type {DemoResult} from './demo.ts'
import type {FlowReport} from './session-record.ts'

export function demoSummary(result: DemoResult, paint: Paint): string[] {
  const {traces, checks} = result
  const failed = checks.filter(({ok}) => !ok)
  return [
    paint.bold('Summary'),
    '',
    `  before  ${sketch(traces.tromboned)}`,
    `  after   ${sketch(traces.switched)}`,
    '',
    ...tableLines(summaryRows(result), {indent: '  ', align: ['left', 'right', 'right', 'right']}),
    '',
    ...checks.map(({what, ok, saw}) => `  ${ok ? paint.good('✓ ok  ') : paint.bad('✗ FAIL')} ${what}: ${saw}`),
    '',
    failed.length === 0
      ? paint.good('All as it should be.')
      : paint.bad(`${failed.length} of ${checks.length} not as they should be.`),
  ]
}

function sketch(report: TraceReport): string {
  const path = pathSketch(report, report.candidates.find(({role}) => role === 'current')!)
  return `${path.text}   ${crossingsText(path)}`
}

function summaryRows({traces, counters, session}: DemoResult): string[][] {
  const phases = ({phases}: FlowReport) =>
    ['start', 'trombone', 'switched'].map((name) => phases.find((each) => each.name === name))
  const used = (report: TraceReport) => report.candidates.find(({role}) => role === 'current')!
  const ms = (value: number | null | undefined): string =>
    value === null || value === undefined ? '–' : `${value.toFixed(1)} ms`
  const packets = (of: readonly GatewayCounters[], name: string): string =>
    `${of.find(({gateway}) => gateway === name)?.egress.packets ?? 0}`
  const three = [traces.atX, traces.tromboned, traces.switched]
  const [tcp, udp] = [phases(session.tcp), phases(session.udp)]
  return [
    ['', 'at X', 'moved to Y', 'switched'],
    ['gateway the VM uses', ...three.map((report) => `${used(report).name ?? '?'} (${used(report).site ?? '?'})`)],
    ['verdict of trace', ...three.map(({egress}) => EGRESS_WORD[egress.verdict])],
    ['round trip of trace, median', ...three.map((report) => ms(used(report).medianMs))],
    [
      'penalty against the other gateway',
      ...three.map(({egress: {penaltyMs}}) => (penaltyMs ? `${signedMs(penaltyMs.median)} ms` : '–')),
    ],
    ['TCP session: round trip, median', ...tcp.map((each) => ms(each?.rttMedianMs))],
    ['TCP session: longest gap', ...tcp.map((each) => ms(each?.longestGapMs))],
    ['UDP stream: longest gap', ...udp.map((each) => ms(each?.longestGapMs))],
    ['UDP stream: datagrams lost', ...udp.map((each) => `${each?.lost ?? '–'} of ${each?.sent ?? '–'}`)],
    ['packets out through bx (X)', '', packets(counters.tromboned, 'bx'), packets(counters.switched, 'bx')],
    ['packets out through by (Y)', '', packets(counters.tromboned, 'by'), packets(counters.switched, 'by')],
  ]
}
