// Which VM is switched when: a few at once, one at a time for a VM, not again and again for one that fails, and none at all
// once the fuse is blown. Pure: news comes in as events with the time, what is to be done goes out as actions.
import {burn, type Fuse, type FuseLimits, NEW_FUSE} from './fuse.ts'

/** What is made of the wish for a switch. */
export type Offered = 'begun' | 'queued' | 'under-way' | 'here-already' | 'too-soon' | 'backing-off' | 'full' | 'fuse'

export interface DispatchLimits {
  readonly atOnce: number
  readonly waiting: number
  /** Between the end of a switch and the next one of the same VM, ms. */
  readonly gapMs: number
  /** The same after one that failed, and after each more in a row. */
  readonly backOffMs: readonly number[]
  /** So often an arrival whose switch failed is tried again by itself, after the same times. */
  readonly retries: number
  /** How long a proof is taken for true without asking, ms: a VM may leave unseen. */
  readonly trustMs: number
  /** Absent: nothing stops it. */
  readonly fuse?: FuseLimits | undefined
}

export const DISPATCH_LIMITS: DispatchLimits = {
  atOnce: 16,
  waiting: 4096,
  gapMs: 5000,
  backOffMs: [30_000, 60_000, 120_000, 300_000, 600_000],
  retries: 5,
  trustMs: 30_000,
}

/** How a switch ended. `nothing`: it was not begun, and the new gateway has no part in that. */
export type Ended = 'proved' | 'failed' | 'nothing'

export type DispatchEvent =
  | {
      readonly kind: 'wanted'
      readonly vm: string
      /** `arrival`: it came here. `asked`: it says that it is not where it should be. `order`: somebody wants it now. */
      readonly why: 'arrival' | 'asked' | 'order'
      /** Since it was last proved to be served here, ms; undefined: it never was, or elsewhere since. */
      readonly provedMs?: number | undefined
      /** Something says that it is here already, and nothing that it came: it is asked before it is told. */
      readonly likelyHere?: boolean | undefined
    }
  | {readonly kind: 'ended'; readonly vm: string; readonly how: Ended}
  /** It is about to come. */
  | {readonly kind: 'expected'; readonly vm: string; readonly forMs: number}
  /** It left, or does not come. */
  | {readonly kind: 'gone'; readonly vm: string}
  /** The time of a `retry` has come. */
  | {readonly kind: 'due'; readonly vm: string}
  | {readonly kind: 'reset'}
  | {readonly kind: 'close'}

/** `askFirst`: it is likely where it should be, so that it is asked before it is told. */
export type DispatchAction =
  | {readonly kind: 'begin'; readonly vm: string; readonly askFirst: boolean}
  | {readonly kind: 'drop'; readonly vm: string; readonly why: 'gone' | 'fuse' | 'closed'}
  | {readonly kind: 'blown'}
  /** It is to be tried again, the `nth` time, if it is still here then. */
  | {readonly kind: 'retry'; readonly vm: string; readonly inMs: number; readonly nth: number}
  /** It was tried often enough. */
  | {readonly kind: 'left-alone'; readonly vm: string}

interface VmWork {
  readonly state: 'idle' | 'waiting' | 'running'
  readonly askFirst: boolean
  /** It left, or was about to come, since it was last proved: that proof says nothing any more. */
  readonly moved: boolean
  /** It left while it was switched, and came again. */
  readonly again: boolean
  /** It came here: it is tried again if it fails. */
  readonly arrived: boolean
  /** Which switch that was begun is its last, or the first of those in a row that failed. */
  readonly begun: number
  readonly failures: number
  readonly notBeforeMs: number
  readonly expectedUntilMs: number
}

export interface Dispatch {
  /** Those of whom there is something to remember. */
  readonly vms: ReadonlyMap<string, VmWork>
  readonly waiting: readonly string[]
  readonly running: number
  /** Switches that were ever begun. */
  readonly begun: number
  readonly fuse: Fuse
  readonly closed: boolean
}

export const NEW_DISPATCH: Dispatch = {vms: new Map(), waiting: [], running: 0, begun: 0, fuse: NEW_FUSE, closed: false}

const IDLE: VmWork = {
  ...{state: 'idle', askFirst: false, moved: false, again: false, arrived: false, begun: 0, failures: 0},
  ...{notBeforeMs: Number.NEGATIVE_INFINITY, expectedUntilMs: Number.NEGATIVE_INFINITY},
}

export interface DispatchStep {
  readonly state: Dispatch
  readonly actions: readonly DispatchAction[]
  /** Of a wish. */
  readonly offered?: Offered
}

const workOf = ({vms}: Dispatch, vm: string): VmWork => vms.get(vm) ?? IDLE

function withWork(state: Dispatch, vm: string, over: Partial<VmWork>): Dispatch {
  return {...state, vms: new Map(state.vms).set(vm, {...workOf(state, vm), ...over})}
}

/** ms until a VM may be switched again; 0 if it may now. */
export const waitMs = (state: Dispatch, vm: string, nowMs: number): number =>
  Math.max(0, workOf(state, vm).notBeforeMs - nowMs)

/** Something said that it left, or is about to come, since it was last switched: what was proved before says nothing. */
export function isNewHere(state: Dispatch, vm: string, nowMs: number): boolean {
  const {moved, expectedUntilMs} = workOf(state, vm)
  return moved || nowMs < expectedUntilMs
}

export function step(state: Dispatch, event: DispatchEvent, limits: DispatchLimits, nowMs: number): DispatchStep {
  switch (event.kind) {
    case 'wanted':
      return wanted(state, event, limits, nowMs)
    case 'ended':
      return ended(state, event, limits, nowMs)
    case 'expected':
      return only(withWork(state, event.vm, {moved: true, expectedUntilMs: nowMs + event.forMs}))
    case 'gone':
      return gone(state, event.vm)
    case 'due':
      return due(state, event.vm, limits, nowMs)
    case 'reset':
      return only({...state, fuse: NEW_FUSE})
    case 'close':
      return dropAll({...state, closed: true}, 'closed')
  }
}

const only = (state: Dispatch, actions: readonly DispatchAction[] = []): DispatchStep => ({state, actions})

function wanted(
  state: Dispatch,
  {vm, why, provedMs, likelyHere = false}: Extract<DispatchEvent, {kind: 'wanted'}>,
  limits: DispatchLimits,
  nowMs: number,
): DispatchStep {
  const work = workOf(state, vm)
  const not = (offered: Offered, next = state): DispatchStep => ({state: next, actions: [], offered})
  if (work.state === 'running') return not('under-way', work.moved ? withWork(state, vm, {again: true}) : state)
  if (work.state === 'waiting') return not('under-way')
  if (state.fuse.blown) return not('fuse')
  const isNew = isNewHere(state, vm, nowMs)
  if (why === 'arrival' && !isNew && provedMs !== undefined && provedMs < limits.trustMs) return not('here-already')
  // A VM that left and comes again does not wait for what was before.
  if (why !== 'order' && !(isNew && work.failures === 0) && nowMs < work.notBeforeMs)
    return not(work.failures > 0 ? 'backing-off' : 'too-soon')
  if (state.closed || state.waiting.length >= limits.waiting) return not('full')
  const askFirst = why !== 'arrival' || (!isNew && (provedMs !== undefined || likelyHere))
  return queue(withWork(state, vm, {arrived: why === 'arrival', askFirst}), vm, limits)
}

function queue(state: Dispatch, vm: string, limits: DispatchLimits): DispatchStep {
  if (state.running < limits.atOnce) return {...begin(state, vm, workOf(state, vm).askFirst), offered: 'begun'}
  return {...only(withWork({...state, waiting: [...state.waiting, vm]}, vm, {state: 'waiting'})), offered: 'queued'}
}

/** It is asked first: that it is still here is not known. */
function due(state: Dispatch, vm: string, limits: DispatchLimits, nowMs: number): DispatchStep {
  const {state: at, arrived, failures, notBeforeMs} = workOf(state, vm)
  const isDue = at === 'idle' && arrived && failures > 0 && nowMs >= notBeforeMs
  if (!isDue || state.closed || state.fuse.blown || state.waiting.length >= limits.waiting) return only(state)
  const {state: next, actions} = queue(withWork(state, vm, {askFirst: true}), vm, limits)
  return only(next, actions)
}

function begin(state: Dispatch, vm: string, askFirst: boolean): DispatchStep {
  const over = {state: 'running', moved: false, again: false, expectedUntilMs: IDLE.expectedUntilMs} as const
  const begun = state.begun + 1
  const {failures, moved, begun: before} = workOf(state, vm)
  // That it fails again, without having left, is no news: long after all others it would be one of the last.
  const its = failures > 0 && !moved ? before : begun
  const running = withWork({...state, begun, running: state.running + 1}, vm, {...over, begun: its})
  return only(running, [{kind: 'begin', vm, askFirst}])
}

function ended(
  state: Dispatch,
  {vm, how}: Extract<DispatchEvent, {kind: 'ended'}>,
  limits: DispatchLimits,
  nowMs: number,
): DispatchStep {
  const work = workOf(state, vm)
  const {backOffMs, gapMs} = limits
  const failures = how === 'proved' ? 0 : work.failures + 1
  const pauseMs = failures === 0 ? gapMs : (backOffMs[failures - 1] ?? backOffMs.at(-1) ?? gapMs)
  const fuse =
    limits.fuse === undefined || how === 'nothing'
      ? state.fuse
      : burn(state.fuse, {vm, proved: how === 'proved', begun: work.begun}, limits.fuse)
  const rest = {state: 'idle', again: false, failures, notBeforeMs: nowMs + pauseMs} as const
  const idle = withWork({...state, running: state.running - 1, fuse}, vm, rest)
  if (fuse.blown && !state.fuse.blown) {
    const dropped = dropAll(idle, 'fuse')
    return only(dropped.state, [{kind: 'blown'}, ...dropped.actions])
  }
  const more = work.again && how !== 'proved' && !idle.closed && !fuse.blown
  if (more) return next(withWork({...idle, waiting: [vm, ...idle.waiting]}, vm, {state: 'waiting', askFirst: true}))
  const isLeft = !work.arrived || work.moved || failures === 0 || idle.closed || fuse.blown
  if (isLeft) return next(idle)
  const isEnough = failures > limits.retries
  const {state: after, actions} = next(isEnough ? withWork(idle, vm, {arrived: false}) : idle)
  return only(after, [
    isEnough ? {kind: 'left-alone', vm} : {kind: 'retry', vm, inMs: pauseMs, nth: failures},
    ...actions,
  ])
}

/** The next one that waits, in the place of one that has ended. */
function next(state: Dispatch): DispatchStep {
  const [vm, ...waiting] = state.waiting
  return vm === undefined ? only(state) : begin({...state, waiting}, vm, workOf(state, vm).askFirst)
}

/** What runs goes on: its own proof decides, and puts back what is not so. */
function gone(state: Dispatch, vm: string): DispatchStep {
  const work = workOf(state, vm)
  const over = {moved: true, again: false, arrived: false, expectedUntilMs: IDLE.expectedUntilMs}
  if (work.state !== 'waiting') return only(withWork(state, vm, over))
  const waiting = state.waiting.filter((each) => each !== vm)
  return only(withWork({...state, waiting}, vm, {...over, state: 'idle'}), [{kind: 'drop', vm, why: 'gone'}])
}

function dropAll(state: Dispatch, why: 'fuse' | 'closed'): DispatchStep {
  const idle = state.waiting.reduce((left, vm) => withWork(left, vm, {state: 'idle'}), state)
  return only(
    {...idle, waiting: []},
    state.waiting.map((vm) => ({kind: 'drop', vm, why})),
  )
}
