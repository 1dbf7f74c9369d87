// What the watch for the VM's site knows, is told and does. Pure; site-watch.ts goes from one to the next.
import type {NoteReason} from '../../wire/agent-beacon.ts'
import type {Endpoint} from '../../wire/endpoint.ts'

/** The last beacon of a key. */
export interface Heard {
  readonly site: string
  readonly segment: string | undefined
  readonly gateways: readonly string[]
  readonly ask: readonly Endpoint[]
  readonly atMs: number
  /** Until then it says that the site is here. */
  readonly untilMs: number
}

export interface KnownSite {
  readonly site: string
  readonly gateways: readonly string[]
}

export type WatchPhase =
  | {readonly kind: 'settled'}
  | {readonly kind: 'listening'; readonly untilMs: number}
  | {readonly kind: 'measuring'}
  | {readonly kind: 'asking'; readonly note: NoteOrder; readonly sent: number; readonly againMs: number}
  /** A switch failed: it asks again, if that is still to be wished then. */
  | {readonly kind: 'backing_off'; readonly untilMs: number}

export interface NoteOrder {
  readonly why: NoteReason
  /** Undefined: it does not know where it is. */
  readonly site: string | undefined
  readonly to: readonly Endpoint[]
}

export interface MeasureTarget {
  /** Undefined: the gateway in use, which no site claims. */
  readonly site: string | undefined
  readonly address: string
}

export interface SiteWatch {
  readonly phase: WatchPhase
  /** By kid: never more than there are trusted keys. */
  readonly heard: Readonly<Record<string, Heard>>
  /** Where it is; undefined while it does not know. */
  readonly site: string | undefined
  /** Where it was when it last knew. */
  readonly last: KnownSite | undefined
  readonly movedMs: number | undefined
  /** Sites that were heard at one time and one place: that one of them falls silent says nothing of where the VM is. */
  readonly together: readonly string[]
  /** The site that the VM is in fell silent, and no move was announced: when it is heard again, it is there as before. */
  readonly doubted: boolean
  /** Where it was when it took refuge in another site, as all of that one had fallen silent. */
  readonly home: string | undefined
  /** Another site than `last` that is the only or the nearest one, and since when. */
  readonly change: {readonly site: string; readonly sinceMs: number} | undefined
  readonly round: number
  readonly measuring: readonly MeasureTarget[] | undefined
  readonly measured: {readonly key: string; readonly atMs: number; readonly nearest: string | undefined} | undefined
  readonly note: SentNote | undefined
  /** Tries that came to nothing since it came here, and when the last one did; none before a switch has failed. */
  readonly failed: {readonly count: number; readonly atMs: number} | undefined
}

/** The last one. */
export interface SentNote {
  readonly why: NoteReason
  readonly site: string | undefined
  readonly atMs: number
  /** How often it was said so far. */
  readonly sent: number
}

export const NOTHING_HEARD: SiteWatch = {
  phase: {kind: 'settled'},
  heard: {},
  site: undefined,
  last: undefined,
  movedMs: undefined,
  together: [],
  doubted: false,
  home: undefined,
  change: undefined,
  round: 0,
  measuring: undefined,
  measured: undefined,
  note: undefined,
  failed: undefined,
}

export type WatchEvent =
  | {readonly kind: 'beacon'; readonly kid: string; readonly heard: Heard}
  /** A NIC announces itself (NOTIFY PEERS): the VM was probably moved. */
  | {readonly kind: 'notify_peers'}
  /**
   * What `measure` found, ms by address; without what did not answer. `resolved`: those that answer ARP or ND, as a
   * gateway may that answers no echo.
   */
  | {
      readonly kind: 'rtts'
      readonly round: number
      readonly rtts: ReadonlyMap<string, number>
      readonly resolved: ReadonlySet<string>
    }
  /** {@link dueMs} is over. */
  | {readonly kind: 'tick'}
  /** A switch command was obeyed: that is the answer, whatever becomes of it. */
  | {readonly kind: 'switch'}
  /** It came to nothing, or was undone: refused, rolled back. */
  | {readonly kind: 'switch_failed'}

export type WatchAction =
  | {readonly kind: 'measure'; readonly round: number; readonly targets: readonly MeasureTarget[]}
  | ({readonly kind: 'note'} & NoteOrder)
  | {readonly kind: 'log'; readonly text: string}

/** What is so now. */
export interface WatchNow {
  /** On a clock that never goes back, ms. */
  readonly nowMs: number
  /** Whether beacons are heard at all. */
  readonly beacons: boolean
  /** How many keys could send one: once all are heard, there is none to wait for. */
  readonly keys: number
  readonly askOnMove: readonly Endpoint[]
  gateways(): {readonly gw4?: string; readonly gw6?: string}
}

export interface WatchStep {
  readonly watch: SiteWatch
  readonly actions: readonly WatchAction[]
}

/** When a `tick` is wanted, ms; undefined if none is. */
export const dueMs = ({phase}: SiteWatch): number | undefined =>
  'untilMs' in phase ? phase.untilMs : phase.kind === 'asking' ? phase.againMs : undefined
