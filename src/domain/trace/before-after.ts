// Has it got worse? Two traces of the same destinations, from the same place, aspect by aspect.
import type {Ipv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {InboundVerdict} from './inbound.ts'
import type {CandidateReport, PairReport, TraceDocument, TraceReport} from './report.ts'
import {type Share, type Shift, shareShift, shiftOf} from './two-sample.ts'

export const COMPARISON_SCHEMA = 'gwswitch.trace-comparison/1'

/** `unclear`: it may be worse by more than counts, and may not. `incomparable`: one of the two says nothing. */
export type Change = 'worse' | 'better' | 'same' | 'unclear' | 'incomparable'

export interface Aspect<T> {
  readonly change: Change
  readonly before: T | null
  readonly after: T | null
  /** After less before; null where there is no interval. Times in ms, losses as shares. */
  readonly shift: Shift | null
}

export interface DestinationComparison {
  readonly destination: Ipv4 | Ipv6
  /** The worst of its aspects. */
  readonly change: Change
  readonly aspects: {
    /** Through the exit in use, median in ms. */
    readonly roundTrip: Aspect<number>
    /** Of the exit in use against the other, median in ms. */
    readonly penalty: Aspect<number>
    /** Of what was sent through the exit in use. */
    readonly loss: Aspect<number>
    readonly inbound: Aspect<InboundVerdict>
    /** What an exit that was tried alone was answered: `small syn full`, those that were. */
    readonly works: Aspect<string>
  }
}

export interface TraceComparison {
  readonly schema: typeof COMPARISON_SCHEMA
  readonly before: {readonly file: string; readonly startedAt: string}
  readonly destinations: readonly DestinationComparison[]
  /** Destinations that one of the two has not. */
  readonly missing: readonly (Ipv4 | Ipv6)[]
  readonly after: TraceDocument
  /** 10 if anything got worse, 11 if that is not known, 0 if nothing did. */
  readonly exitCode: 0 | 10 | 11
}

/** What a comparison reads of the earlier document: the rest may be of another version. */
export interface EarlierTrace {
  readonly startedAt: string
  readonly results: readonly EarlierReport[]
}
export type EarlierReport = Pick<TraceReport, 'pairs'> & {
  readonly host: Pick<TraceReport['host'], 'ip'>
  readonly destination: Pick<TraceReport['destination'], 'ip'>
  readonly probe: Pick<TraceReport['probe'], 'proto'>
  readonly egress: Pick<TraceReport['egress'], 'alternative'>
  readonly inbound: Pick<TraceReport['inbound'], 'verdict'>
  readonly candidates: readonly Pick<CandidateReport, 'mac' | 'works'>[]
}

/** Differences in ms that nobody minds: what two runs over one and the same path differ by. */
const NEGLIGIBLE_MS = 0.5
/** Chance, over all aspects and destinations together, of calling something worse that is as it was. */
const ERROR = 0.01
/** Aspects with an interval of times. */
const TIMED = 2

export function compareTraces(file: string, before: EarlierTrace, after: TraceDocument): TraceComparison {
  const pairs = after.results.flatMap((report) => {
    const earlier = before.results.find(({destination}) => destination.ip === report.destination.ip)
    return earlier === undefined ? [] : [{earlier, report}]
  })
  // Two-sided intervals, of which one side makes it worse.
  const confidence = 1 - (2 * ERROR) / (TIMED * Math.max(1, pairs.length))
  const destinations = pairs.map(({earlier, report}) => compareReports(earlier, report, confidence))
  const compared = new Set(destinations.map(({destination}) => destination))
  const all = [...before.results, ...after.results].map(({destination}) => destination.ip)
  const missing = [...new Set(all)].filter((ip) => !compared.has(ip))
  const changes = destinations.map(({change}) => change)
  const known = changes.length > 0 && missing.length === 0 && !changes.some((each) => UNKNOWN.has(each))
  return {
    schema: COMPARISON_SCHEMA,
    before: {file, startedAt: before.startedAt},
    destinations,
    missing,
    after,
    exitCode: changes.includes('worse') ? 10 : known ? 0 : 11,
  }
}

const UNKNOWN: ReadonlySet<Change> = new Set(['unclear', 'incomparable'])
const WORST_FIRST: readonly Change[] = ['worse', 'incomparable', 'unclear', 'better', 'same']

function compareReports(before: EarlierReport, after: TraceReport, confidence: number): DestinationComparison {
  const alike = before.probe.proto === after.probe.proto && before.host.ip === after.host.ip
  const timed = (valuesOf: (report: EarlierReport) => readonly number[]): Aspect<number> =>
    timesAspect(valuesOf(before), valuesOf(after), alike ? confidence : undefined)
  const aspects = {
    roundTrip: timed((report) => counted(report).flatMap(({currentMs}) => currentMs ?? [])),
    penalty: timed(penalties),
    loss: lossAspect(lost(before), lost(after)),
    inbound: inboundAspect(before.inbound.verdict, after.inbound.verdict),
    works: worksAspect(before, after),
  }
  // What neither of them tells is no doubt about the others, nor is a loss that so few probes cannot rule out.
  const telling = Object.values(aspects).filter(({change, before: a, after: b}) => change !== 'incomparable' || a !== b)
  const changes = [
    ...telling.map((aspect) => (aspect === aspects.loss && aspect.change === 'unclear' ? 'same' : aspect.change)),
    aspects.roundTrip.change,
  ]
  return {destination: after.destination.ip, change: WORST_FIRST.find((each) => changes.includes(each))!, aspects}
}

/** Pairs with the alternative that spoke for the destination; all, where none did. */
const counted = ({pairs, egress}: EarlierReport): readonly PairReport[] =>
  pairs.filter((pair) => !pair.warmUp && (egress.alternative === null || pair.alternative === egress.alternative))

const penalties = (report: EarlierReport): readonly number[] =>
  counted(report).flatMap(({currentMs, alternativeMs}) =>
    currentMs === null || alternativeMs === null ? [] : [currentMs - alternativeMs],
  )

function lost(report: EarlierReport): Share {
  const all = counted(report)
  return {k: all.filter(({currentMs}) => currentMs === null).length, n: all.length}
}

function timesAspect(
  before: readonly number[],
  after: readonly number[],
  confidence: number | undefined,
): Aspect<number> {
  const shift = confidence === undefined ? undefined : shiftOf(before, after, confidence)
  return {
    change: shift === undefined ? 'incomparable' : changeBy(shift, NEGLIGIBLE_MS),
    before: middle(before),
    after: middle(after),
    shift: shift ? rounded(shift) : null,
  }
}

function changeBy({lo, hi}: Shift, negligible: number): Change {
  if (lo > negligible) return 'worse'
  if (hi < -negligible) return 'better'
  return hi <= negligible ? 'same' : 'unclear'
}

const middle = (values: readonly number[]): number | null =>
  values.length === 0 ? null : round(values.toSorted((a, b) => a - b)[values.length >> 1]!)

/** A share of losses that nobody minds. */
const NEGLIGIBLE_LOSS = 0.02

function lossAspect(before: Share, after: Share): Aspect<number> {
  const share = ({k, n}: Share): number | null => (n === 0 ? null : round(k / n))
  if (before.n === 0 || after.n === 0)
    return {change: 'incomparable', before: share(before), after: share(after), shift: null}
  const shift = shareShift(before, after)
  const change = shift.lo > 0 ? 'worse' : shift.hi < 0 ? 'better' : shift.hi <= NEGLIGIBLE_LOSS ? 'same' : 'unclear'
  return {change, before: share(before), after: share(after), shift: rounded(shift)}
}

const INBOUND_RANK: Readonly<Partial<Record<InboundVerdict, number>>> = {
  local: 0,
  direct: 0,
  mixed: 1,
  'inbound-trombone': 2,
}

function inboundAspect(before: InboundVerdict, after: InboundVerdict): Aspect<InboundVerdict> {
  const [a, b] = [INBOUND_RANK[before], INBOUND_RANK[after]]
  const change = a === undefined || b === undefined ? 'incomparable' : b > a ? 'worse' : b < a ? 'better' : 'same'
  return {change, before, after, shift: null}
}

/** Of exits that were tried alone both times: what one answered before and does no more is worse. */
function worksAspect(before: EarlierReport, after: EarlierReport): Aspect<string> {
  const both = after.candidates.flatMap(({mac, works}) => {
    const earlier = before.candidates.find((each) => each.mac === mac)?.works
    return works && earlier ? [{before: answered(earlier), after: answered(works)}] : []
  })
  const joined = (side: 'before' | 'after'): string | null =>
    both.length === 0 ? null : both.map((each) => each[side].join(' ') || 'nothing').join(', ')
  const gone = both.some((each) => each.before.some((what) => !each.after.includes(what)))
  const come = both.some((each) => each.after.some((what) => !each.before.includes(what)))
  const change = both.length === 0 ? 'incomparable' : gone ? 'worse' : come ? 'better' : 'same'
  return {change, before: joined('before'), after: joined('after'), shift: null}
}

const answered = (works: NonNullable<CandidateReport['works']>): string[] =>
  (['small', 'syn', 'full'] as const).filter((what) => works[what].answered > 0)

const rounded = ({value, lo, hi, coverage}: Shift): Shift => ({
  ...{value: round(value), lo: round(lo), hi: round(hi)},
  coverage: Number(coverage.toFixed(4)),
})

function round(value: number): number {
  const at = Number(value.toFixed(3))
  return at === 0 ? 0 : at
}
