// Numbers, names and verdicts of a trace as people read them.
import type {EgressVerdict} from '../domain/trace/decision-table.ts'
import type {InboundVerdict} from '../domain/trace/inbound.ts'
import type {CandidateReport, TraceReport} from '../domain/trace/report.ts'

/** What each verdict is called, in text, in pictures and in docs/trace.md. Capitals: there is something to do. */
export const EGRESS_WORD: Readonly<Record<EgressVerdict, string>> = {
  trombone: 'TROMBONE',
  none: 'no trombone',
  inconclusive: 'INCONCLUSIVE',
  'local-exit-unusable': 'UNUSABLE',
  'current-exit-dead': 'EXIT DEAD',
}
/** The same of the way back. */
export const INBOUND_WORD: Readonly<Record<InboundVerdict, string>> = {
  local: 'local',
  direct: 'direct',
  'inbound-trombone': 'TROMBONE',
  'follows-exit': 'follows exit',
  mixed: 'mixed',
  unknown: 'unknown',
}

/** Milliseconds with the digits that mean something: `20.5`, `0.03`; a minus sign, not a hyphen. */
export function ms(value: number): string {
  const text = Math.abs(value).toFixed(Math.abs(value) >= 9.95 ? 1 : 2)
  return value < 0 && Number(text) !== 0 ? `−${text}` : text
}

/** The same with a sign always. */
export const signedMs = (value: number): string => (ms(value).startsWith('−') ? ms(value) : `+${ms(value)}`)

/** A share as per cent: `99.7 %`. */
export const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`

/** What to call a first hop: its name, else its address, with its MAC where another has the same address. */
export function candidateLabel(report: TraceReport, candidate: CandidateReport): string {
  if (candidate.name !== null) return candidate.name
  const shared = report.candidates.some((other) => other !== candidate && other.ip === candidate.ip)
  return shared ? `${candidate.ip}=${candidate.mac}` : candidate.ip
}

/** `site Y`, or how far it is where sites have no names, or nothing. */
export function whereabouts(place: {readonly site: string | null; readonly local: boolean | null}): string {
  if (place.site !== null) return `site ${place.site}`
  return place.local === null ? '' : place.local ? 'near' : 'far'
}

/** `Ry (site Y)`, or the label alone. */
export function placed(label: string, place: {readonly site: string | null; readonly local: boolean | null}): string {
  const where = whereabouts(place)
  return where === '' ? label : `${label} (${where})`
}

/** The alternative that the verdict speaks of. */
export const chosenAlternative = (report: TraceReport): CandidateReport | undefined =>
  report.egress.alternative === null ? undefined : report.candidates[report.egress.alternative]

/** Minutes and seconds of a time in ms: `1:05`. */
export function clock(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
