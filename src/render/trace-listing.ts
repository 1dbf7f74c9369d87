// The rows of `trace -o`: a row a destination, those that could not be traced at the end.
import type {TraceDocument, TraceFailure, TraceReport} from '../domain/trace/report.ts'
import type {Columns} from './listing.ts'

interface TraceRow {
  readonly report?: TraceReport
  readonly failure?: TraceFailure
}

export const traceRows = ({results, failures}: TraceDocument): TraceRow[] => [
  ...results.map((report) => ({report})),
  ...failures.map((failure) => ({failure})),
]

const gatewayOf = ({report}: TraceRow, index: number | null | undefined) =>
  index === null || index === undefined ? undefined : report?.candidates[index]

/** The current gateway is the first candidate. */
const current = (row: TraceRow) => gatewayOf(row, 0)
const alternative = (row: TraceRow) => gatewayOf(row, row.report?.egress.alternative)

export const TRACE_COLUMNS: Columns<TraceRow> = [
  ['destination', ({report, failure}) => failure?.destination ?? report?.destination.name ?? report?.destination.ip],
  ['ip', ({report}) => report?.destination.ip],
  ['egress', ({report, failure}) => (failure ? 'failed' : report?.egress.verdict)],
  ['egress_reason', ({report, failure}) => failure?.message ?? report?.egress.reason],
  ['gateway', (row) => current(row)?.name],
  ['gateway_mac', (row) => current(row)?.mac],
  ['alternative', (row) => alternative(row)?.name],
  ['alternative_mac', (row) => alternative(row)?.mac],
  ['penalty_ms', ({report}) => (report?.egress.counts ? report.egress.penaltyMs?.median : null)],
  ['inbound', ({report}) => report?.inbound.verdict],
  ['inbound_reason', ({report}) => report?.inbound.reason],
]
