// What the records of switches mean for whoever comes later: what is half done, where a VM was last seen to be served, and
// what may be taken back.
import type {JournalEntry} from './entry.ts'
import type {LastProved, SwitchName} from './journal.ts'

/** Of switches of one VM, oldest first: the last word of the network about where it is served. */
export function provedBy(entries: readonly JournalEntry[]): LastProved | undefined {
  for (const {document, stateAtMs, state, verdict, to} of entries.toReversed()) {
    const uses = document?.rolledBack ? document.rollback?.uses : document?.verified ? (document.uses ?? to) : undefined
    const held =
      document === undefined && (state === 'verified' || state === 'guarding') ? (verdict?.uses ?? to) : undefined
    const gateway = uses ?? held
    if (gateway) return {site: gateway.site, gateway: gateway.name, atMs: stateAtMs}
  }
  return undefined
}

/**
 * How things stand with a switch. `under-way`: a process sees to it. `not-begun`: nothing was done for the VM.
 * `half-done`: the VM was told, and nobody has seen what came of it. `served`: it was proved, and only the end is not written
 * down. `ended`: what its document says.
 */
export type Standing = 'under-way' | 'not-begun' | 'half-done' | 'served' | 'ended'

/** `isLive`: whether a process that sees to it is seen to run. */
export function standingOf({state}: Pick<JournalEntry, 'state'>, isLive: boolean): Standing {
  if (state === 'ended') return 'ended'
  if (isLive) return 'under-way'
  switch (state) {
    case 'planned':
      return 'not-begun'
    case 'executing':
    case 'rolling-back':
      return 'half-done'
    case 'verified':
    case 'guarding':
      return 'served'
  }
}

/** What `undo` does about a switch: take it back by its plan, or nothing, and why. */
export type Undoable = {readonly take: 'back'} | {readonly take: 'none'; readonly why: string}

const none = (why: string): Undoable => ({take: 'none', why})
const back: Undoable = {take: 'back'}

/**
 * Whether a switch can be taken back. `later`: the switches of the same VM that were written down after it, oldest first.
 */
export function undoable(entry: JournalEntry, standing: Standing, later: readonly JournalEntry[]): Undoable {
  const {vm, run} = entry
  if (standing === 'under-way') return none(`${vm.name}: run ${run} is under way: stop it, or wait for it`)
  if (standing === 'not-begun' || !entry.wasBegun) return none(`${vm.name}: run ${run} changed nothing`)
  if (entry.undoes && standing === 'ended')
    return none(`${vm.name}: run ${run} took run ${entry.undoes.run} back: switch it again instead`)
  const moved = later.find((each) => hasMoved(each, entry, later))
  if (moved) {
    const did = moved.undoes ? `took run ${moved.undoes.run} back` : `moved it to ${moved.to.name}`
    return none(`${vm.name}: run ${moved.run} ${did} since: undo that first`)
  }
  if (standing !== 'ended') return back
  return entry.document?.rolledBack ? none(`${vm.name}: run ${run} was taken back already`) : back
}

/** Whether a later switch changed the VM, and that still counts. */
function hasMoved(each: JournalEntry, entry: JournalEntry, later: readonly JournalEntry[]): boolean {
  if (!each.wasBegun) return false
  if (each.undoes) return isBefore(each.undoes, entry) && each.document?.rolledBack === true
  if (each.document?.rolledBack) return false
  return !later.some(({undoes, document}) => undoes && isSame(undoes, each) && document?.rolledBack)
}

const isSame = (a: SwitchName, b: SwitchName): boolean => a.run === b.run && a.n === b.n
const isBefore = (a: SwitchName, b: SwitchName): boolean => a.run < b.run || (a.run === b.run && a.n < b.n)
