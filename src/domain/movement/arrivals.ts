// Whether a VM came, left, or merely talks, told from where its frames come in and what they are. One VM at a time.
import type {Mac} from '../../wire/address.ts'
import type {Movement} from './movement.ts'

/**
 * `rarp`: its hypervisor announces it (QEMU and ESXi do once its CPU runs there). `arp`: it announces its own address.
 * `fdb`: a bridge has learned its MAC behind a port. `frame`: anything else that it sent.
 */
export type Sign = 'rarp' | 'arp' | 'fdb' | 'frame'

/** Where a port leads. `local`: to VMs of this host. `other`: out of it, nobody knows to which site. */
export type PortSide = 'local' | 'inter-site' | 'other'

export type ArrivalEvent =
  | {
      readonly kind: 'seen'
      readonly port: string
      readonly side: PortSide
      readonly sign: Sign
      readonly atMs: number
    }
  | {
      readonly kind: 'port'
      readonly port: string
      readonly state: 'gone' | 'no-carrier' | 'up'
      readonly atMs: number
    }
  /** Due at {@link dueMs}. */
  | {readonly kind: 'tick'; readonly atMs: number}

/** All in ms, but for the number of changes. */
export interface ArrivalLimits {
  /** How long a sign of an arrival that is no announcement must stand uncontradicted. */
  readonly settleMs: number
  /** The same of leaving, which nobody waits for. The last frames of a VM's old site may come after its first ones here. */
  readonly leaveMs: number
  /** The hold-down doubles with each arrival of this time, up to `holdMaxMs`. */
  readonly flapWindowMs: number
  readonly holdMaxMs: number
  /** Back at the other site so soon after its arrival, its migration did not succeed. */
  readonly cancelMs: number
  /** So many changes of port within so long are two stations with one MAC, or a loop. */
  readonly disputeChanges: number
  readonly disputeWindowMs: number
}

const ARRIVAL_LIMITS: ArrivalLimits = {
  settleMs: 1000,
  leaveMs: 3000,
  flapWindowMs: 600_000,
  holdMaxMs: 60_000,
  cancelMs: 30_000,
  disputeChanges: 6,
  disputeWindowMs: 10_000,
}

/** `away`: at another site. `gone`: not here any more, and not seen elsewhere. */
type Place = 'unknown' | 'here' | 'away' | 'gone'

interface Pending {
  readonly place: Exclude<Place, 'unknown'>
  readonly port: string
  readonly source: Sign | 'port'
  /** When it was first seen so. */
  readonly sinceMs: number
  readonly dueMs: number
}

export interface Whereabouts {
  readonly mac: Mac
  readonly vm: string | null
  readonly place: Place
  /** The local port at which it was seen; null: it was never seen here, or is not here. */
  readonly port: string | null
  /** When it was last seen at a local port. */
  readonly hereMs: number
  /** The place that is believed unless something speaks against it until it is due. */
  readonly pending: Pending | null
  /** When its arrivals were told, as far back as they count. */
  readonly arrivals: readonly number[]
  readonly seenAt: string | null
  /** When it was seen at another port than before, as far back as that counts. */
  readonly changes: readonly number[]
  readonly disputed: boolean
}

/** A MAC that is seen at two ports in turn. */
export interface Dispute {
  readonly mac: Mac
  readonly vm: string | null
  readonly ports: readonly [string, string]
  readonly atMs: number
}

export interface ArrivalStep {
  readonly state: Whereabouts
  /** Their `atMs` is on the clock of the events: when the sign was seen that is believed. */
  readonly movements: readonly Movement[]
  /** One when it begins. */
  readonly dispute: Dispute | null
}

/** A VM that was not seen yet, by the site where it was last known to be; undefined: nobody knows. */
export const unseen = ({mac, vm}: Pick<Whereabouts, 'mac' | 'vm'>, last: 'here' | 'away' | undefined): Whereabouts => ({
  ...{mac, vm, place: last ?? 'unknown', port: null, hereMs: Number.NEGATIVE_INFINITY, pending: null},
  ...{arrivals: [], seenAt: null, changes: [], disputed: false},
})

/** When a tick is wanted; undefined: none is. */
export const dueMs = ({pending}: Whereabouts): number | undefined => pending?.dueMs

/** Times of events never go back. */
export function arrivalStep(before: Whereabouts, event: ArrivalEvent, limits = ARRIVAL_LIMITS): ArrivalStep {
  const {state, movements} = settle(before, event.atMs, limits)
  if (event.kind === 'tick') return {state, movements, dispute: null}
  if (event.kind === 'port') return withEarlier(movements, atPort(state, event, limits))
  return withEarlier(movements, seen(state, event, limits))
}

const withEarlier = (movements: readonly Movement[], step: ArrivalStep): ArrivalStep => ({
  ...step,
  movements: [...movements, ...step.movements],
})

function settle(state: Whereabouts, atMs: number, limits: ArrivalLimits): ArrivalStep {
  if (state.pending === null || state.pending.dueMs > atMs) return {state, movements: [], dispute: null}
  return believe(state, state.pending, limits)
}

const recent = (times: readonly number[], atMs: number, windowMs: number): readonly number[] =>
  times.filter((each) => atMs - each < windowMs)

type Seen = Extract<ArrivalEvent, {kind: 'seen'}>

function seen(before: Whereabouts, event: Seen, limits: ArrivalLimits): ArrivalStep {
  const {state, dispute} = noteChange(before, event, limits)
  const {port, side, sign, atMs} = event
  // Where such a port leads nobody knows: it tells only of one that was seen here that it is not here any more.
  if (side === 'other' && state.port === null) return {state: {...state, pending: null}, movements: [], dispute}
  const place: Pending['place'] = side === 'local' ? 'here' : side === 'inter-site' ? 'away' : 'gone'
  if (place === state.place) {
    // What spoke against it is over: the last frames of its old site came late, or a reflection.
    const at = place === 'here' ? port : null
    return {state: {...state, port: at, pending: null}, movements: [], dispute}
  }
  const waiting = state.pending?.place === place ? state.pending : undefined
  const isBetter = waiting === undefined || (isAnnouncement(sign) && !isAnnouncement(waiting.source))
  const {source, sinceMs} = isBetter ? {source: sign, sinceMs: atMs} : waiting
  const due = Math.min(atMs + delayMs(state, place, event, limits), waiting?.dueMs ?? Number.POSITIVE_INFINITY)
  const next = {...state, pending: {place, port, source, sinceMs, dueMs: due}}
  return {...settle(next, atMs, limits), dispute}
}

const isAnnouncement = (sign: Sign | 'port'): boolean => sign === 'rarp' || sign === 'arp'

/** How long a sign of another place must stand. */
function delayMs(state: Whereabouts, place: Place, {sign, atMs}: Seen, limits: ArrivalLimits): number {
  if (state.disputed) return limits.disputeWindowMs
  const arrivals = recent(state.arrivals, atMs, limits.flapWindowMs).length
  const hold = arrivals === 0 ? 0 : Math.min(limits.settleMs * 2 ** (arrivals - 1), limits.holdMaxMs)
  if (place === 'here') return isAnnouncement(sign) ? hold : Math.max(hold, limits.settleMs)
  // An announcement comes back from a network with a loop.
  const isEcho = atMs - state.hereMs < limits.leaveMs
  return isAnnouncement(sign) && !isEcho ? hold : Math.max(hold, limits.leaveMs)
}

function noteChange(state: Whereabouts, {port, side, atMs}: Seen, limits: ArrivalLimits) {
  const {mac, vm, seenAt} = state
  const hereMs = side === 'local' ? atMs : state.hereMs
  const earlier = recent(state.changes, atMs, limits.disputeWindowMs)
  const changes = seenAt === null || seenAt === port ? earlier : [...earlier, atMs]
  const disputed = state.disputed ? earlier.length > 0 : changes.length >= limits.disputeChanges
  const ports: Dispute['ports'] = [seenAt ?? port, port]
  return {
    state: {...state, seenAt: port, hereMs, changes: changes.slice(-limits.disputeChanges), disputed},
    dispute: disputed && !state.disputed ? {mac, vm, ports, atMs} : null,
  }
}

function atPort(state: Whereabouts, event: Extract<ArrivalEvent, {kind: 'port'}>, limits: ArrivalLimits): ArrivalStep {
  const {port, atMs} = event
  const nothing = (pending: Pending | null): ArrivalStep => ({
    state: {...state, pending},
    movements: [],
    dispute: null,
  })
  const {pending} = state
  if (event.state === 'up') return nothing(pending?.source === 'port' && pending.port === port ? null : pending)
  if (pending?.place === 'here' && pending.port === port) return nothing(null)
  if (state.port !== port || (pending !== null && event.state === 'no-carrier')) return nothing(pending)
  const due = atMs + (event.state === 'gone' ? 0 : limits.leaveMs)
  return settle({...state, pending: {place: 'gone', port, source: 'port', sinceMs: atMs, dueMs: due}}, atMs, limits)
}

/** What was pending is so. */
function believe(state: Whereabouts, pending: Pending, limits: ArrivalLimits): ArrivalStep {
  const {place, port, source, sinceMs, dueMs: atMs} = pending
  const arrivals = recent(state.arrivals, atMs, limits.flapWindowMs)
  const kind = movementKind(state, pending, arrivals.at(-1), limits)
  const {mac, vm} = state
  return {
    state: {
      ...{...state, place, pending: null, port: place === 'here' ? port : null},
      arrivals: kind === 'arrived' ? [...arrivals, atMs] : arrivals,
    },
    movements: kind === null ? [] : [{kind, mac, vm, host: null, atMs: sinceMs, source, port}],
    dispute: null,
  }
}

function movementKind(
  {place, port}: Whereabouts,
  pending: Pending,
  arrivedMs: number | undefined,
  limits: ArrivalLimits,
): Movement['kind'] | null {
  if (pending.place === 'here') {
    // Where nobody knows where it was, one that merely talks may have been here all the time.
    return place === 'unknown' && !isAnnouncement(pending.source) ? null : 'arrived'
  }
  // What was never seen here did not leave.
  if (place !== 'here' || port === null) return null
  const isBack = pending.place === 'away' && arrivedMs !== undefined && pending.sinceMs - arrivedMs < limits.cancelMs
  return isBack ? 'cancelled' : 'left'
}
