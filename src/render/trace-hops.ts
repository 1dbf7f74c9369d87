// Where the packets of a trace went, for a terminal.
import displayWidth from 'string-width'
import type {CandidateReport, TraceReport} from '../domain/trace/report.ts'
import {candidateLabel, chosenAlternative, whereabouts} from './measures.ts'
import type {Paint} from './paint.ts'
import {crossingsText, pathSketch} from './path-sketch.ts'
import {sideBySide, tableLines} from './table.ts'

/** The hops behind every candidate, side by side where the terminal is wide enough. */
export function hopColumns(report: TraceReport, paint: Paint, columns: number): string[] {
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

/** The way of the packets now, and as it could be. */
export function pathLines(report: TraceReport, paint: Paint): string[] {
  const rows = report.candidates.map((candidate) => {
    const sketch = pathSketch(report, candidate)
    const when = candidate.role === 'current' ? 'now' : candidate === chosenAlternative(report) ? 'possible' : 'or'
    return [sketch.text, paint.dim(when), crossingsText(sketch)]
  })
  return tableLines(rows, {indent: '  ', gap: '    '})
}
