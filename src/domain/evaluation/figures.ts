// What a run comes to: each row's medians with ranges, and how far it is from its control. Samples that are void count for
// nothing, and are counted.
import {median} from '../trace/statistics.ts'
import {type Shift, shiftOf} from '../trace/two-sample.ts'
import type {LabRun, LabRunFamily, LabRunRow, LabRunSample, LabRunSession, LabRunStream} from './lab-run.ts'

/** At least so sure are intervals; what each really covers stands beside it, for it cannot be chosen freely with few samples. */
export const CONFIDENCE = 0.95

/** Median and range. Null is what did not happen in the window, later than all that did: `never`. */
export interface Spread {
  readonly n: number
  readonly median: number | null
  readonly lo: number | null
  readonly hi: number | null
}

/** A row's samples less its control's. */
export interface Difference {
  /** Null where there are too few for {@link CONFIDENCE}: three of each, or two and five. */
  readonly shift: Shift | null
  readonly n: number
  readonly controls: number
}

/** Of so many sessions, those that counted on without a hole. */
export interface Sessions {
  readonly alive: number
  readonly of: number
  /** Longest time without a new line, ms. */
  readonly gapMs: Spread
}

export interface StreamFigures {
  readonly lost: Spread
  /** Of all samples together. */
  readonly lostInAll: number
  readonly gapOutMs: Spread
  readonly gapInMs: Spread
  /** The longer of the two directions. */
  readonly gapMs: Spread
  readonly rttMs: {readonly before: Spread | null; readonly trombone: Spread | null; readonly after: Spread | null}
}

export interface FamilyFigures {
  readonly toFirstMs: Spread
  readonly trombone: Spread
  readonly near: StreamFigures
  readonly far: StreamFigures
  /** Longest gap of either user in either direction. */
  readonly gapMs: Spread
  /** The same less the sample's own downtime, which is the hypervisor's; null where there was none to take away. */
  readonly beyondMs: Spread | null
  /** Of {@link beyondMs}, else of {@link gapMs}; null for a control, and where it did not run. */
  readonly toControlMs: Difference | null
}

export interface RowFigures {
  readonly row: LabRunRow
  readonly n: number
  readonly voids: number
  readonly downtimeMs: Spread | null
  /** What a method that keeps a hypervisor waiting would add to, and {@link FamilyFigures.beyondMs} would not show. */
  readonly downtimeToControlMs: Difference | null
  /** Null where no sample counts. */
  readonly ipv4: FamilyFigures | null
  readonly ipv6: FamilyFigures | null
  readonly plain: Sessions | null
  readonly nat: Sessions | null
  readonly unreachable: Spread | null
}

/** In the order of the run's rows. */
export function figuresOf(run: Pick<LabRun, 'rows'>): readonly RowFigures[] {
  return run.rows.map((row) => {
    const control = row.kind === 'control' ? undefined : run.rows.find(({id}) => id === row.control)
    return rowFigures(row, counted(row), control && counted(control))
  })
}

/** Samples that are not void. */
export const counted = (row: LabRunRow): readonly LabRunSample[] =>
  row.samples.filter((sample) => sample.void === undefined)

function rowFigures(
  row: LabRunRow,
  samples: readonly LabRunSample[],
  controls: readonly LabRunSample[] | undefined,
): RowFigures {
  const isTimed = [...samples, ...(controls ?? [])].every(({downtimeMs}) => downtimeMs !== null)
  const family = (name: 'ipv4' | 'ipv6') => familyFigures(name, samples, controls, isTimed)
  const nat = samples.flatMap(({tcp}) => tcp.nat ?? [])
  return {
    row,
    n: samples.length,
    voids: row.samples.length - samples.length,
    downtimeMs: spreadOf(known(samples.map(({downtimeMs}) => downtimeMs))),
    downtimeToControlMs: isTimed ? differenceOf(samples, controls, ({downtimeMs}) => downtimeMs) : null,
    ipv4: family('ipv4'),
    ipv6: family('ipv6'),
    plain: sessionsOf(samples.map(({tcp}) => tcp.plain)),
    nat: sessionsOf(nat),
    unreachable: spreadOf(known(samples.map(({unreachable}) => unreachable))),
  }
}

function familyFigures(
  name: 'ipv4' | 'ipv6',
  samples: readonly LabRunSample[],
  controls: readonly LabRunSample[] | undefined,
  isTimed: boolean,
): FamilyFigures | null {
  const families = samples.flatMap((sample) => sample[name] ?? [])
  const toFirstMs = spreadOf(families.map((family) => family.toFirstMs))
  const trombone = spreadOf(families.map((family) => family.trombone))
  const near = streamFigures(families.map((family) => family.near))
  const far = streamFigures(families.map((family) => family.far))
  const gapMs = spreadOf(families.map(longestGap))
  if (!toFirstMs || !trombone || !near || !far || !gapMs) return null
  const beyond = (sample: LabRunSample): number | null => beyondDowntime(sample, name, isTimed)
  return {
    ...{toFirstMs, trombone, near, far, gapMs},
    beyondMs: isTimed ? spreadOf(known(samples.map(beyond))) : null,
    toControlMs: differenceOf(samples, controls, beyond),
  }
}

const longestGap = ({near, far}: LabRunFamily): number =>
  Math.max(near.gapOutMs, near.gapInMs, far.gapOutMs, far.gapInMs)

/** How long the longest gap of a sample was beyond its own downtime; null where it has no such family. */
function beyondDowntime(sample: LabRunSample, name: 'ipv4' | 'ipv6', isTimed: boolean): number | null {
  const family = sample[name]
  return family === null ? null : longestGap(family) - (isTimed ? (sample.downtimeMs ?? 0) : 0)
}

function streamFigures(streams: readonly LabRunStream[]): StreamFigures | null {
  const lost = spreadOf(streams.map(({lostAfter}) => lostAfter))
  const gapOutMs = spreadOf(streams.map((stream) => stream.gapOutMs))
  const gapInMs = spreadOf(streams.map((stream) => stream.gapInMs))
  const gapMs = spreadOf(streams.map((stream) => Math.max(stream.gapOutMs, stream.gapInMs)))
  if (!lost || !gapOutMs || !gapInMs || !gapMs) return null
  const rtt = (when: keyof LabRunStream['rttMs']) => spreadOf(known(streams.map(({rttMs}) => rttMs[when])))
  return {
    ...{lost, gapOutMs, gapInMs, gapMs},
    lostInAll: streams.reduce((sum, {lostAfter}) => sum + lostAfter, 0),
    rttMs: {before: rtt('before'), trombone: rtt('trombone'), after: rtt('after')},
  }
}

function sessionsOf(sessions: readonly LabRunSession[]): Sessions | null {
  const gapMs = spreadOf(sessions.map((session) => session.gapMs))
  return gapMs && {alive: sessions.filter(({end}) => end === 'alive').length, of: sessions.length, gapMs}
}

function differenceOf(
  samples: readonly LabRunSample[],
  controls: readonly LabRunSample[] | undefined,
  measure: (sample: LabRunSample) => number | null,
): Difference | null {
  if (controls === undefined) return null
  const [before, after] = [controls, samples].map((each) => known(each.map(measure))) as [number[], number[]]
  return {shift: shiftOf(before, after, CONFIDENCE) ?? null, n: after.length, controls: before.length}
}

const known = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null)

/**
 * Null of no values. What is null in them is later than all that is not.
 * @internal
 */
export function spreadOf(values: readonly (number | null)[]): Spread | null {
  if (values.length === 0) return null
  const late = values.map((value) => value ?? Number.POSITIVE_INFINITY)
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)
  return {
    n: values.length,
    median: finite(median(late)),
    lo: finite(Math.min(...late)),
    hi: finite(Math.max(...late)),
  }
}

/**
 * What none in `n` migrations leaves open: the largest share of all migrations in which it may happen all the same, by
 * Clopper and Pearson's exact interval, one-sided (Biometrika 26, 1934).
 */
export const shareLeftOpen = (n: number): number => 1 - (1 - CONFIDENCE) ** (1 / n)
