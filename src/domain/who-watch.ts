// `who` again and again: what it is now, and what changed.
import type {WhoDocument, WhoRow} from './who.ts'

/** Something is otherwise than in the look before. */
export interface WhoChange {
  /** ISO 8601 in UTC: the start of the look that shows it. */
  readonly at: string
  readonly what: 'uses' | 'verdict' | 'gateway' | 'stranger'
  /** `VM ADDRESS`, the name of a gateway, or `SEGMENT MAC`. */
  readonly of: string
  /** `-`: it was not there, or not seen. */
  readonly from: string
  readonly to: string
}

/** One look as a line of JSON. */
export interface WhoWatchLine {
  readonly schema: 'gwswitch.who-watch/2'
  readonly at: string
  /** Null where nothing could be looked at; `failure` says why. */
  readonly document: WhoDocument | null
  readonly changes: readonly WhoChange[]
  readonly failure: string | null
  readonly exitCode: number
}

export interface WhoWatchState {
  readonly looks: number
  /** The last one that was possible. */
  readonly document: WhoDocument | null
  /** Why the last one was not; null if it was. */
  readonly failure: string | null
  readonly changes: readonly WhoChange[]
  readonly exitCode: number
}

/** Nothing is known: 11, as where nobody answered. */
export const NOT_LOOKED: WhoWatchState = {looks: 0, document: null, failure: null, changes: [], exitCode: 11}

/** Changes that are kept. */
const CHANGES = 50

export interface FailedLook {
  readonly failure: string
  readonly exitCode: number
}

/** The state after one more look, and what that look says. */
export function whoWatchStep(
  state: WhoWatchState,
  at: string,
  look: WhoDocument | FailedLook,
): {readonly state: WhoWatchState; readonly line: WhoWatchLine} {
  const {exitCode} = look
  const [document, failure] = 'failure' in look ? [null, look.failure] : [look, null]
  const changes = document && state.document ? changesSince(state.document, document, at) : []
  return {
    state: {
      ...{looks: state.looks + 1, document: document ?? state.document, failure, exitCode},
      changes: [...state.changes, ...changes].slice(-CHANGES),
    },
    line: {schema: 'gwswitch.who-watch/2', at, document, changes, failure, exitCode},
  }
}

function changesSince(before: WhoDocument, now: WhoDocument, at: string): WhoChange[] {
  const told: readonly (readonly [
    WhoChange['what'],
    (document: WhoDocument) => readonly (readonly [string, string])[],
  ])[] = [
    ['uses', ({rows}) => rows.map((row) => [`${row.vm.name} ${row.vm.ip}`, usesOf(row)])],
    ['verdict', ({rows}) => rows.map(({vm, verdict}) => [`${vm.name} ${vm.ip}`, verdict])],
    ['gateway', ({gateways}) => gateways.map(({name, family, code}) => [`${name} IPv${family}`, code])],
    ['stranger', ({strangers}) => strangers.map(({segment, mac, ip}) => [`${segment} ${mac}`, ip])],
  ]
  return told.flatMap(([what, of]) => {
    const [was, is] = [new Map(of(before)), new Map(of(now))]
    return [...new Set([...was.keys(), ...is.keys()])].flatMap((key) => {
      const [from, to] = [was.get(key) ?? '-', is.get(key) ?? '-']
      return from === to ? [] : {at, what, of: key, from, to}
    })
  })
}

const usesOf = ({uses}: WhoRow): string =>
  uses === null ? '-' : uses.gateways.map(({name}) => name).join(', ') || uses.mac
