// Destinations that are traced without an end: what each is, by the last seconds of its samples, and what changed when.
import {traceReport} from './document.ts'
import type {TraceEvidence} from './evidence.ts'
import type {InboundVerdict} from './inbound.ts'
import {nextStep, type PlanOptions, type Step} from './plan.ts'
import type {PairReport, TraceReport} from './report.ts'
import {QUEUE_PATIENCE_MS} from './sequential.ts'
import {shiftOf} from './two-sample.ts'
import {type EgressVerdict, type Judgement, judge, type Reason, type TraceExit, worstExit} from './verdict.ts'

export const WATCH_SCHEMA = 'gwswitch.trace-watch/1'

/** What a watch is asked for. */
export interface WatchOrder {
  readonly destinations: readonly string[]
  /** Packets a second, over all of them. */
  readonly rate: number
  /** Pairs through each alternative that the window has room for. */
  readonly pairs: number
  /** Mean time between pairs, ms; undefined: as quick as a trace, once that has begun. */
  readonly intervalMs: number | undefined
  readonly plan: PlanOptions
}

/** Something is otherwise than it was. */
export interface WatchChange {
  /** ISO 8601 in UTC: when it was seen. */
  readonly at: string
  readonly what: 'gateway' | 'egress' | 'inbound' | 'round trip'
  readonly from: string
  readonly to: string
}

/** One destination's last window as a line of JSON. Times in ms. */
export interface WatchLine {
  readonly schema: typeof WATCH_SCHEMA
  readonly at: string
  readonly destination: string
  /** How far back the samples go that the line is about; 0 where there are none. */
  readonly windowMs: number
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
  readonly exitCode: TraceExit
}

/** One pair of the strip: its difference in ms, or null where one side was not answered. */
export interface StripPair {
  readonly differenceMs: number | null
}

export interface WatchedDestination {
  /** As it was asked for. */
  readonly destination: string
  readonly windowMs: number
  /** By the last window that there was; null before the first. */
  readonly report: TraceReport | null
  /** Why it cannot be traced now; null if it can. */
  readonly failure: string | null
  /** Of all pairs that are remembered, the newest last. */
  readonly strip: readonly StripPair[]
  readonly exitCode: TraceExit
  readonly memory: Memory
}

export interface WatchState {
  /** In the order asked for. */
  readonly watched: readonly WatchedDestination[]
  /** Of all destinations, the newest last. */
  readonly changes: readonly (WatchChange & {readonly destination: string})[]
}

export type WatchEvent =
  /** What is known now, of the run that goes on: its pairs, at least those of the window. */
  | {readonly kind: 'seen'; readonly destination: string; readonly evidence: TraceEvidence}
  /** It cannot be traced, or not any more. */
  | {
      readonly kind: 'failed'
      readonly destination: string
      readonly at: string
      readonly message: string
      readonly exitCode: TraceExit
    }

/** What a destination's window does not show. Times in ms from the start of the run. */
interface Memory {
  /** A run ends where the gateway in use changes: its start tells one from the other. */
  readonly run: string | null
  /** When what was asked through each exit alone, by TCP flows, and of the hops, was asked last. */
  readonly checkedAtMs: Readonly<Record<number, number>>
  readonly flowsAtMs: number
  readonly hopsAtMs: number
  readonly toldAtMs: number
  /** When the failure was told last, ISO 8601 in UTC; null before the first. */
  readonly failureToldAt: string | null
  /** When the path changed last: what was before does not count, also where the window shows too little of it to tell. */
  readonly changedAtMs: number
  /** Strips of the runs before. */
  readonly past: readonly StripPair[]
  /** What was last said, and what changes are told against. */
  readonly said: {readonly [what in 'gateway' | 'egress' | 'inbound']?: string | undefined}
  /** Round trips of the last two blocks of pairs, and the index of the first pair after them. */
  readonly blocks: readonly (readonly number[])[]
  readonly blockEnd: number
}

const NOTHING: Memory = {
  ...{run: null, checkedAtMs: {}, flowsAtMs: 0, hopsAtMs: 0, toldAtMs: 0, failureToldAt: null},
  ...{changedAtMs: 0, past: [], said: {}, blocks: [], blockEnd: 0},
}

export const notWatched = ({destinations}: WatchOrder): WatchState => ({
  watched: destinations.map((destination) => ({
    ...{destination, windowMs: 0, report: null, failure: null, strip: [], memory: NOTHING},
    exitCode: 11,
  })),
  changes: [],
})

/** Of all destinations together, by the rule of a trace of several. */
export const watchExit = ({watched}: WatchState): TraceExit => worstExit(watched.map(({exitCode}) => exitCode))

/** Pairs and changes that are remembered. */
export const REMEMBERED = 500
const CHANGES = 50
/** The window, at least: longer than what is least calm takes until it is believed. */
const SHORTEST_MS = QUEUE_PATIENCE_MS + 1500
/** Time between pairs where nothing hurries, and what is sent beside them, as a share of them. */
const USUAL_MS = 200
const BESIDE = 0.25
/** What was asked once is asked again after so long. */
const REFRESH_MS = 30_000
/** A destination in which nothing changes is told of so often. */
const TELL_MS = 1000
/** Pairs whose round trips are compared with those of as many before. */
const BLOCK = 10
/** A change of the round trip is one in a thousand blocks by chance, each being compared twice; below this, ms, it is none. */
const CONFIDENCE = 0.9995
const NEGLIGIBLE_MS = 0.5

/** How far back samples count, ms: long enough for the pairs that are wanted, at the rate that is promised. @internal */
export function windowOf({destinations, rate, pairs, intervalMs}: WatchOrder, alternatives: number): number {
  const turnMs = (2 * destinations.length * Math.max(1, alternatives) * (1 + BESIDE) * 1000) / rate
  return Math.max(SHORTEST_MS, Math.ceil(pairs * Math.max(turnMs, intervalMs ?? USUAL_MS)))
}

/** The state after an event; a line, if it is time for one or something changed; and what its run is to do next. */
export function watchStep(
  order: WatchOrder,
  state: WatchState,
  event: WatchEvent,
): {readonly state: WatchState; readonly line: WatchLine | null; readonly step: Step} {
  const at = state.watched.findIndex(({destination}) => destination === event.destination)
  const before = state.watched[at]!
  const {now, line, step} = event.kind === 'failed' ? failed(before, event) : seen(order, before, event.evidence)
  const changes = (line?.changes ?? []).map((change) => ({...change, destination: event.destination}))
  return {
    state: {watched: state.watched.with(at, now), changes: [...state.changes, ...changes].slice(-CHANGES)},
    ...{line, step},
  }
}

interface Outcome {
  readonly now: WatchedDestination
  readonly line: WatchLine | null
  readonly step: Step
}

function failed(before: WatchedDestination, event: WatchEvent & {readonly kind: 'failed'}): Outcome {
  const {destination, at, message: failure, exitCode} = event
  const sinceMs = before.failure === failure ? Date.parse(at) - Date.parse(before.memory.failureToldAt!) : TELL_MS
  // A clock that was set back keeps nothing silent.
  const told = sinceMs >= 0 && sinceMs < TELL_MS
  const nothing = {egress: null, inbound: null, gateway: null, penaltyMs: null, roundTripMs: null, pairs: 0, lost: 0}
  return {
    now: {...before, failure, exitCode, memory: told ? before.memory : {...before.memory, failureToldAt: at}},
    line: told
      ? null
      : {schema: WATCH_SCHEMA, at, destination, windowMs: 0, ...nothing, changes: [], failure, exitCode},
    step: {kind: 'done', hops: false},
  }
}

function seen(order: WatchOrder, before: WatchedDestination, evidence: TraceEvidence): Outcome {
  const nowMs = evidence.durationMs
  const windowMs = windowOf(order, evidence.alternatives.length)
  const old = memoryOf(before, evidence)
  const fromMs = Math.max(nowMs - windowMs, old.changedAtMs)
  const recent = recentOf(evidence, fromMs)
  const judgement = judge(recent, order.plan)
  const report = traceReport({evidence: recent, judgement})
  const moved = roundTripOf(old, evidence)
  const said = sayings(report, nowMs - old.changedAtMs < windowMs)
  const changes = changesOf(old, said, moved.change, report.finishedAt)
  const tell = changes.length > 0 || nowMs - old.toldAtMs >= TELL_MS
  const {step, asked} = planned(order, recent, judgement, old)
  const now = {
    ...{destination: before.destination, windowMs, report, failure: null, exitCode: report.exitCode},
    strip: [...old.past, ...stripOf(evidence)].slice(-REMEMBERED),
    memory: {
      ...{...old, ...asked, blocks: moved.blocks, blockEnd: moved.blockEnd},
      ...{said: {...old.said, ...said}, toldAtMs: tell ? nowMs : old.toldAtMs},
      // Not before it is clear how things are since.
      changedAtMs: said.egress === undefined ? old.changedAtMs : (report.egress.changedAtMs ?? old.changedAtMs),
    },
  }
  return {now, line: tell ? lineOf(now, report, changes) : null, step}
}

/** What was seen from then on. */
function recentOf(evidence: TraceEvidence, fromMs: number): TraceEvidence {
  const {pairs, integrity} = evidence
  return {
    ...evidence,
    pairs: pairs.filter(({sentAtMs}) => sentAtMs >= fromMs),
    integrity: {
      ...integrity,
      redirectsSeen: integrity.redirectsSeen.filter(({atMs}) => atMs >= fromMs),
      clockSteps: integrity.clockSteps.filter((atMs) => atMs >= fromMs),
    },
  }
}

/** Another run begins with nothing asked. */
function memoryOf({memory, strip}: WatchedDestination, {startedAt}: TraceEvidence): Memory {
  if (memory.run === startedAt) return memory
  const {said, blocks} = memory
  return {...NOTHING, run: startedAt, past: strip, said, blocks}
}

const stripOf = ({pairs}: TraceEvidence): readonly StripPair[] =>
  pairs.flatMap(({warmUp, viaCurrent: {rttMs: a}, viaAlternative: {rttMs: b}}) =>
    warmUp ? [] : {differenceMs: a === null || b === null ? null : a - b},
  )

/** What a window says; nothing where it has hardly begun to, `young` while it is not full. */
function sayings({candidates: [current], egress, inbound}: TraceReport, young: boolean): Memory['said'] {
  const few = egress.reason === 'too-few-pairs' && (young || egress.changedAtMs !== null)
  return {
    gateway: current?.name ?? current?.mac ?? '-',
    ...(few || egress.reason === 'path-changed' ? {} : {egress: egress.verdict}),
    ...(young && inbound.reason === 'too-few-replies' ? {} : {inbound: inbound.verdict}),
  }
}

function changesOf(
  {said: before}: Memory,
  now: Memory['said'],
  roundTrip: {readonly from: string; readonly to: string} | undefined,
  at: string,
): WatchChange[] {
  const changes = (['gateway', 'egress', 'inbound'] as const).flatMap((what): WatchChange[] => {
    const [from, to] = [before[what], now[what]]
    return from === undefined || to === undefined || from === to ? [] : [{at, what, from, to}]
  })
  return roundTrip === undefined ? changes : [...changes, {at, what: 'round trip', ...roundTrip}]
}

/**
 * Blocks of pairs, one after the other: so that many looks do not find what is not there. A block is compared with the two
 * before it, since in one of them a change may lie.
 */
function roundTripOf({blocks, blockEnd}: Memory, {pairs}: TraceEvidence) {
  const since = pairs.filter(({index, warmUp}) => !warmUp && index >= blockEnd)
  if (since.length < BLOCK) return {blocks, blockEnd, change: undefined}
  const next = {blockEnd: since.at(-1)!.index + 1}
  const block = since.flatMap(({viaCurrent: {rttMs}}) => rttMs ?? [])
  // What nothing answered is compared with nothing.
  if (block.length === 0) return {...next, blocks, change: undefined}
  const other = blocks.find((each) => {
    const shift = shiftOf(each, block, CONFIDENCE)
    return shift !== undefined && (shift.lo > NEGLIGIBLE_MS || shift.hi < -NEGLIGIBLE_MS)
  })
  if (other === undefined) return {...next, blocks: [...blocks.slice(-1), block], change: undefined}
  return {...next, blocks: [block], change: {from: middle(other), to: middle(block)}}
}

const middle = (values: readonly number[]): string =>
  `${Number(values.toSorted((a, b) => a - b)[values.length >> 1]!.toFixed(2))} ms`

/** What a trace would do next, what was asked long ago taken for not asked; instead of ending, it sends more pairs. */
function planned(order: WatchOrder, evidence: TraceEvidence, {chosen}: Judgement, memory: Memory) {
  const {plan} = order
  const nowMs = evidence.durationMs
  const since = Math.max(nowMs - REFRESH_MS, chosen?.changedAtMs ?? 0)
  const fresh = (exit: number): boolean => (memory.checkedAtMs[exit] ?? 0) >= since
  const [current, ...alternatives] = [evidence.current, ...evidence.alternatives].map((exit, i) => ({
    ...exit,
    works: fresh(i) ? exit.works : null,
    tcpFlows: memory.flowsAtMs >= since ? exit.tcpFlows : null,
  }))
  const step = nextStep({...evidence, current: current!, alternatives}, plan, true)
  if (step.kind === 'check') return {step, asked: {checkedAtMs: {...memory.checkedAtMs, [step.exit]: nowMs}}}
  if (step.kind === 'flows') return {step, asked: {flowsAtMs: nowMs}}
  if (step.kind === 'afresh') return {step, asked: {hopsAtMs: nowMs}}
  if (step.kind === 'protocol') return {step, asked: {}}
  if (nowMs - memory.hopsAtMs < REFRESH_MS) return {step: {kind: 'pairs'} as const, asked: {}}
  const [first] = plan.protocols
  const again: Step =
    chosen?.reason === 'destination-silent' && first !== undefined && first !== evidence.probe.protocol
      ? {kind: 'protocol', protocol: first}
      : {kind: 'again', ageMs: REFRESH_MS}
  return {step: again, asked: {hopsAtMs: nowMs}}
}

function lineOf(
  {destination, windowMs, memory}: WatchedDestination,
  report: TraceReport,
  changes: readonly WatchChange[],
): WatchLine {
  const {finishedAt, durationMs, egress, inbound, candidates, pairs, exitCode} = report
  const {verdict, reason, penaltyMs} = egress
  const counted = pairs.filter(({warmUp}: PairReport) => !warmUp)
  return {
    ...{schema: WATCH_SCHEMA, at: finishedAt, destination},
    windowMs: Math.round(Math.min(windowMs, durationMs - memory.changedAtMs)),
    ...{egress: {verdict, reason}, inbound: inbound.verdict},
    gateway: candidates[0]?.mac ?? null,
    penaltyMs: penaltyMs && {median: penaltyMs.median, lo: penaltyMs.lo, hi: penaltyMs.hi},
    roundTripMs: candidates[0]?.medianMs ?? null,
    pairs: counted.length,
    lost: counted.filter(({currentMs}) => currentMs === null).length,
    ...{changes, failure: null, exitCode},
  }
}
