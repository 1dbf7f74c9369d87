// A destination traced again and again: what it is now, what it was, and when it changed.
import type {EgressVerdict, Reason} from './decision-table.ts'
import type {InboundVerdict} from './inbound.ts'
import type {PairReport, TraceFailure, TraceReport} from './report.ts'
import {shiftOf} from './two-sample.ts'
import type {TraceExit} from './verdict.ts'

export const WATCH_SCHEMA = 'gwswitch.trace-watch/1'

/** Something is otherwise than in the window before. */
export interface WatchChange {
  /** ISO 8601 in UTC: the start of the window that shows it. */
  readonly at: string
  readonly what: 'gateway' | 'egress' | 'inbound' | 'round trip'
  readonly from: string
  readonly to: string
}

/** One window as a line of JSON. Times in ms. */
export interface WatchLine {
  readonly schema: typeof WATCH_SCHEMA
  readonly at: string
  readonly destination: string
  /** Null where the destination could not be traced; `failure` says why. */
  readonly egress: {readonly verdict: EgressVerdict; readonly reason: Reason} | null
  readonly inbound: InboundVerdict | null
  /** MAC of the gateway in use. */
  readonly gateway: string | null
  readonly penaltyMs: {readonly median: number; readonly lo: number; readonly hi: number} | null
  /** Through the gateway in use. */
  readonly roundTripMs: number | null
  readonly pairs: number
  readonly lost: number
  readonly changes: readonly WatchChange[]
  readonly failure: string | null
  readonly exitCode: number
}

/** One pair of the strip: its difference in ms, or null where one side was not answered. */
export interface StripPair {
  readonly differenceMs: number | null
}

export interface WatchState {
  readonly windows: number
  /** The last window that could be traced. */
  readonly report: TraceReport | null
  /** Why the last window could not be; null if it could. */
  readonly failure: string | null
  /** Of all windows, the newest last. */
  readonly strip: readonly StripPair[]
  readonly changes: readonly WatchChange[]
  readonly exitCode: number
}

export const NOT_WATCHED: WatchState = {windows: 0, report: null, failure: null, strip: [], changes: [], exitCode: 0}

/** Pairs and changes that are kept. */
const STRIP = 500
const CHANGES = 50
/** A change of the round trip is one in a thousand by chance, and is none below this, ms. */
const CONFIDENCE = 0.999
const NEGLIGIBLE_MS = 0.5

/** The state after one more window, and what that window says. */
export function watchStep(
  state: WatchState,
  destination: string,
  window: TraceReport | {readonly at: string; readonly failure: string; readonly exitCode: number},
): {readonly state: WatchState; readonly line: WatchLine} {
  if ('failure' in window) return failed(state, destination, window)
  const changes = state.report === null ? [] : changesSince(state.report, window)
  const counted = window.pairs.filter(({warmUp}) => !warmUp)
  const next: WatchState = {
    windows: state.windows + 1,
    report: window,
    failure: null,
    strip: [...state.strip, ...counted.map((pair) => ({differenceMs: differenceOf(pair)}))].slice(-STRIP),
    changes: [...state.changes, ...changes].slice(-CHANGES),
    exitCode: window.exitCode,
  }
  return {state: next, line: lineOf(destination, window, counted, changes)}
}

function failed(
  state: WatchState,
  destination: string,
  {at, failure, exitCode}: {readonly at: string; readonly failure: TraceFailure['message']; readonly exitCode: number},
): {readonly state: WatchState; readonly line: WatchLine} {
  const nothing = {egress: null, inbound: null, gateway: null, penaltyMs: null, roundTripMs: null, pairs: 0, lost: 0}
  return {
    state: {...state, windows: state.windows + 1, failure, exitCode},
    line: {schema: WATCH_SCHEMA, at, destination, ...nothing, changes: [], failure, exitCode},
  }
}

function lineOf(
  destination: string,
  {startedAt, egress, inbound, candidates, exitCode}: TraceReport,
  counted: readonly PairReport[],
  changes: readonly WatchChange[],
): WatchLine {
  const {verdict, reason, penaltyMs} = egress
  return {
    ...{schema: WATCH_SCHEMA, at: startedAt, destination, egress: {verdict, reason}, inbound: inbound.verdict},
    gateway: candidates[0]?.mac ?? null,
    penaltyMs: penaltyMs && {median: penaltyMs.median, lo: penaltyMs.lo, hi: penaltyMs.hi},
    roundTripMs: candidates[0]?.medianMs ?? null,
    pairs: counted.length,
    lost: counted.filter(({currentMs}) => currentMs === null).length,
    ...{changes, failure: null, exitCode: exitCode satisfies TraceExit},
  }
}

const differenceOf = ({currentMs, alternativeMs}: PairReport): number | null =>
  currentMs === null || alternativeMs === null ? null : currentMs - alternativeMs

function changesSince(before: TraceReport, now: TraceReport): WatchChange[] {
  const at = now.startedAt
  const named = ({candidates: [current]}: TraceReport): string => current?.name ?? current?.mac ?? '-'
  const told: readonly (readonly [what: WatchChange['what'], from: string, to: string])[] = [
    ['gateway', named(before), named(now)],
    ['egress', before.egress.verdict, now.egress.verdict],
    ['inbound', before.inbound.verdict, now.inbound.verdict],
  ]
  const changes = told.flatMap(([what, from, to]) => (from === to ? [] : [{at, what, from, to}]))
  const moved = roundTripChange(before, now)
  return moved === undefined ? changes : [...changes, {at, what: 'round trip', ...moved}]
}

function roundTripChange(before: TraceReport, now: TraceReport): {from: string; to: string} | undefined {
  const [a, b] = [before, now].map(({pairs}) =>
    pairs.flatMap(({warmUp, currentMs}) => (warmUp ? [] : (currentMs ?? []))),
  )
  const shift = shiftOf(a!, b!, CONFIDENCE)
  if (shift === undefined || (shift.lo <= NEGLIGIBLE_MS && shift.hi >= -NEGLIGIBLE_MS)) return undefined
  const text = ({candidates: [current]}: TraceReport): string => `${current?.medianMs ?? '-'} ms`
  return {from: text(before), to: text(now)}
}
