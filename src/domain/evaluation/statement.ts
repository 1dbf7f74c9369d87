// What the repetitions can and cannot tell apart, row by row.
import type {Shift} from '../trace/two-sample.ts'
import {CONFIDENCE, type Difference, type FamilyFigures, type RowFigures, shareLeftOpen} from './figures.ts'

/** An interruption that is longer than the control's by no more than this is what is asked of a method, ms. */
export const LIMIT_MS = 20

export type Told = 'longer' | 'shorter' | 'not-told-apart' | 'too-few'

export interface Verdict {
  readonly told: Told
  /** Whether a difference above {@link LIMIT_MS} is excluded. */
  readonly excludes: boolean
}

/**
 * By the interval alone: one that has zero in it tells nothing apart, and is no proof of being equal either.
 * @internal
 */
export function verdictOn({shift}: Difference): Verdict {
  if (shift === null) return {told: 'too-few', excludes: false}
  const told = shift.lo > 0 ? 'longer' : shift.hi < 0 ? 'shorter' : 'not-told-apart'
  return {told, excludes: shift.hi <= LIMIT_MS}
}

/** Echoes that were lost after the first one that came back, both users together. */
export const lostOf = ({near, far}: FamilyFigures): number => near.lostInAll + far.lostInAll

/** Sentences about a row, beside those about its control. A control has none of the second kind. */
export function statementOn(figures: RowFigures, control: RowFigures | undefined): readonly string[] {
  const {ipv4, ipv6, n, voids, row} = figures
  const reasons = [...new Set(row.samples.flatMap((sample) => sample.void ?? []))].join('; ')
  const voided = voids === 0 ? [] : [`Void, and left out: ${voids} of ${n + voids} (${reasons}).`]
  if (ipv4 === null) return [...voided, 'No migration counts: nothing is said.']
  return [
    ...lostSentence(ipv4, n, control),
    ...(ipv4.toControlMs === null ? noControl(row.kind) : gapSentences(ipv4.toControlMs, ipv4.beyondMs !== null)),
    ...downtimeSentence(figures.downtimeToControlMs),
    ...(ipv6?.toControlMs?.shift ? [ipv6Sentence(ipv6.toControlMs, ipv6.toControlMs.shift)] : []),
    ...voided,
  ]
}

const noControl = (kind: RowFigures['row']['kind']): readonly string[] =>
  kind === 'control' ? [] : ['Its control did not run: the gap is compared with nothing.']

function lostSentence(ipv4: FamilyFigures, n: number, control: RowFigures | undefined): readonly string[] {
  const lost = lostOf(ipv4)
  const beside = control?.ipv4 && control.ipv4 !== ipv4 ? ` (control: ${lostOf(control.ipv4)} in ${control.n})` : ''
  const open = ` That leaves open up to ${percent(shareLeftOpen(n))} of migrations with a loss (${percent(CONFIDENCE)}).`
  return [`Lost after the first echo that came back: ${lost} in ${n}${beside}.${lost === 0 ? open : ''}`]
}

/** The gap, beyond the downtime where that is known. */
function gapSentences(difference: Difference, isBeyond: boolean): readonly string[] {
  const {shift, n, controls} = difference
  if (shift === null)
    return [`The gap is not compared with the control's: ${n} and ${controls} migrations are too few.`]
  const {told, excludes} = verdictOn(difference)
  const what = `The gap${isBeyond ? ' beyond the downtime' : ''}`
  const said =
    told === 'not-told-apart'
      ? `${what} is not told apart from the control's: ${intervalText(shift)}.`
      : `${what} is ${told} than the control's: ${signedMs(shift.value)} ms, ${intervalText(shift)}.`
  return [said, `More than ${LIMIT_MS} ms longer ${excludes ? 'is excluded' : `cannot be excluded with ${n}`}.`]
}

/** The same of IPv6, in short. */
function ipv6Sentence(difference: Difference, shift: Shift): string {
  const {told, excludes} = verdictOn(difference)
  const word = told === 'not-told-apart' ? 'not told apart' : told
  const limit = `more than ${LIMIT_MS} ms longer ${excludes ? 'is' : 'cannot be'} excluded`
  return `IPv6: ${word}, ${intervalText(shift)}; ${limit}.`
}

/** Said only where it is longer: a method that keeps the hypervisor waiting. */
function downtimeSentence(difference: Difference | null): readonly string[] {
  const shift = difference?.shift
  if (!shift || shift.lo <= 0) return []
  return [`The downtime itself is longer than the control's: ${signedMs(shift.value)} ms, ${intervalText(shift)}.`]
}

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`

/** With a sign, and a tenth below ten: echoes are milliseconds apart. */
export function signedMs(ms: number, round: (ms: number) => number = Math.round): string {
  const [value, digits] = Math.abs(ms) < 9.95 ? [round(ms * 10) / 10, 1] : [round(ms), 0]
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`
}

/** Rounded outwards: an interval that is shown leaves nothing out. */
const intervalText = ({lo, hi, coverage}: Shift): string =>
  `${signedMs(lo, Math.floor)} to ${signedMs(hi, Math.ceil)} ms (${percent(coverage)})`

/** What holds for all rows together. */
export function statementOnAll(rows: readonly RowFigures[]): readonly string[] {
  const told = rows.flatMap(({ipv4}) => (ipv4?.toControlMs?.shift ? [ipv4.toControlMs] : []))
  const coverage = Math.min(...told.map(({shift}) => shift!.coverage))
  const chance = told.reduce((sum, {shift}) => sum + 1 - shift!.coverage, 0)
  if (told.length === 0) return ['No row is compared with its control: too few migrations count.']
  const apart = told.filter((difference) => verdictOn(difference).told !== 'not-told-apart').length
  const excluding = told.filter((difference) => verdictOn(difference).excludes).length
  return [
    `${told.length} rows are compared with their control, each by an interval that covers the difference with at least ${percent(coverage)}; about ${chance.toFixed(1)} of them miss it by chance.`,
    `${apart} of them ${apart === 1 ? 'is' : 'are'} told apart from the control; for ${excluding} a gap more than ${LIMIT_MS} ms longer is excluded.`,
  ]
}
