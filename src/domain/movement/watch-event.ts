// What `gwswitch watch` says: a line for each movement, and how many they were.
import type {Dispute} from './arrivals.ts'
import type {Movement} from './movement.ts'

/** What would be done about an arrival. */
export type WatchPlan =
  | {readonly strategy: string; readonly to: string; readonly describe: readonly string[]}
  /** Why nothing would be. */
  | {readonly none: string}

/** `two-ports`: a MAC is seen at two ports in turn; nothing is made of it. `ended`: the watch. */
export interface WatchEvent {
  readonly schema: 'gwswitch.watch-event/1'
  readonly event: Movement['kind'] | 'two-ports'
  /** When it was seen or, of events, happened; where a source does not say, when it was read. ISO 8601. */
  readonly at: string
  /** ms from then to this line. */
  readonly afterMs: number
  /** By the inventory, else as the source calls it; null: nobody knows. */
  readonly vm: string | null
  readonly mac: string | null
  readonly ip: string | null
  readonly segment: string | null
  /** Of `two-ports` both. */
  readonly ports: readonly string[]
  readonly host: string | null
  /** {@link Movement.source}; of `two-ports` null. */
  readonly source: string | null
  /** The site where it was last known to be; null: nobody knows. */
  readonly lastSite: string | null
  /** Of an arrival of a VM of the inventory; null: there is no inventory, or nobody knows which site this is. */
  readonly plan: WatchPlan | null
}

export interface WatchSummary {
  readonly schema: 'gwswitch.watch-event/1'
  readonly event: 'ended'
  readonly at: string
  readonly seconds: number
  readonly arrived: number
  readonly left: number
  readonly cancelled: number
  /** Those that are here now of those that came or went meanwhile, by name, else by MAC. */
  readonly here: readonly string[]
  /** And those that are not. */
  readonly away: readonly string[]
  readonly exitCode: number
}

/** The VM that an event is about, as far as the inventory knows it. */
export type KnownVm = Pick<WatchEvent, 'vm' | 'mac' | 'ip' | 'segment' | 'lastSite'>

export interface WatchClock {
  /** ms since the epoch. */
  readonly nowMs: number
}

const isoOf = (ms: number): string => new Date(ms).toISOString()
const sinceMs = (atMs: number, {nowMs}: WatchClock): number => Math.max(0, Math.round((nowMs - atMs) * 1000) / 1000)

export function movementEvent(movement: Movement, vm: KnownVm, plan: WatchPlan | null, now: WatchClock): WatchEvent {
  const {kind, atMs, port, host, source} = movement
  return {
    ...{schema: 'gwswitch.watch-event/1', event: kind, at: isoOf(atMs ?? now.nowMs)},
    ...{afterMs: sinceMs(atMs ?? now.nowMs, now), ...vm, ports: port === null ? [] : [port], host, source, plan},
  }
}

export const disputeEvent = ({ports, atMs}: Dispute, vm: KnownVm, now: WatchClock): WatchEvent => ({
  ...{schema: 'gwswitch.watch-event/1', event: 'two-ports', at: isoOf(atMs), afterMs: sinceMs(atMs, now)},
  ...{...vm, ports, host: null, source: null, plan: null},
})

/** What was told from `startedMs` on. `here`: by name, else by MAC, whether it is here now. */
export interface WatchCounts {
  readonly arrived: number
  readonly left: number
  readonly cancelled: number
  readonly here: ReadonlyMap<string, boolean>
}

export function summaryOf(
  {arrived, left, cancelled, here}: WatchCounts,
  startedMs: number,
  {nowMs}: WatchClock,
): WatchSummary {
  const names = (isHere: boolean): string[] => [...here].filter(([, is]) => is === isHere).map(([name]) => name)
  return {
    ...{schema: 'gwswitch.watch-event/1', event: 'ended', at: isoOf(nowMs), seconds: (nowMs - startedMs) / 1000},
    ...{arrived, left, cancelled, here: names(true), away: names(false), exitCode: 0},
  }
}
