// What a journal of switches takes and tells. Every switch of this host goes through one, whoever asked for it.
import type {Json, Verdict} from '../../strategies/strategy.ts'
import type {Mac} from '../../wire/address.ts'
import type {Prepared, SwitchDocument} from '../switch/switch-document.ts'

/** Who wanted it, and how it was put. */
export interface RunOrder {
  /** `switch`, `undo`, `resume`: a command. `arrival`, `event`, `socket`, `note`: the site service, and why. */
  readonly by: 'switch' | 'undo' | 'resume' | 'arrival' | 'event' | 'socket' | 'note'
  /** In its own words: the command line, the line on the socket, what was seen of an arrival. */
  readonly asked: string
  /** What whoever resumes it has to know beside VM and target: the options, as the command took them. */
  readonly options?: Json | undefined
}

/**
 * How far a switch of a run has come. `planned`: nothing was done. `executing`: the VM is about to be told, and how it was
 * before is kept. `verified`: it is served by its new gateway. `guarding`: and held there. `rolling-back`: it is being put
 * back. `ended`: nothing is left to do.
 */
export type Mark =
  | {
      readonly n: number
      readonly state: 'executing'
      /** Undefined: as it was planned. */
      readonly plan?: unknown
      /** The pid of the guard that puts it back if this process dies. */
      readonly guard?: number | undefined
    }
  | {readonly n: number; readonly state: 'verified'; readonly verdict?: Verdict | undefined}
  | {readonly n: number; readonly state: 'guarding' | 'rolling-back'}
  | {
      readonly n: number
      readonly state: 'ended'
      readonly document: SwitchDocument
      /** Who ended it, where that is not the process that made it: its guard, or one that came later. */
      readonly by?: 'guard' | 'later' | undefined
    }

export type SwitchState = 'planned' | Mark['state']

/** A switch, by the run that it is of and its number there, from 1. */
export interface SwitchName {
  readonly run: string
  readonly n: number
}

export interface JournalRun {
  /** Sorts by time, and is short enough to be typed. */
  readonly id: string
  /** Where it is written, for the guard, which writes there too; undefined: nowhere that another process could. */
  readonly file?: string | undefined
  /**
   * Writes switches down before anything is done for them; on disk when it returns. The number of each within the run.
   * @throws Failure `runtime` if it cannot: then nothing is begun.
   */
  plan(switches: readonly Prepared[]): readonly number[]
  /**
   * Writes one down as planned and as being carried out, at once: for a VM that waits. `guard`: as in {@link Mark}.
   * @throws Failure `runtime` if it cannot: then it is not begun.
   */
  planBegun(one: Prepared, guard: number | undefined): number
  /** How far some have come, in one transaction; on disk when it returns, or resolves. @throws Failure `runtime` if it cannot. */
  mark(marks: readonly Mark[]): void | Promise<void>
}

/** Where a VM was last proved to be served. */
export interface LastProved {
  readonly site: string
  readonly gateway: string
  /** ms since the epoch. */
  readonly atMs: number
}

export interface Journal {
  begin(order: RunOrder): JournalRun
  /** Undefined if it never was, as far as this host knows. */
  lastProved(mac: Mac): LastProved | undefined
  close(): void
}
