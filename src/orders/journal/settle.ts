// What earlier processes left unfinished: what was proved is ended, what is half done is told.
import {EXIT, Failure} from '../../errors.ts'
import {isRunning} from '../../net/process/owner.ts'
import {errorRow, type Planned, switchDocument} from '../switch/switch-document.ts'
import {type JournalEntry, MANY} from './entry.ts'
import type {JournalFile, JournalReader} from './journal-file.ts'
import {type Standing, standingOf} from './standing.ts'

export const standingNow = (entry: JournalEntry): Standing => standingOf(entry, entry.processes.some(isRunning))

/** Lines: what is finished, and each run of which something is half done, and how to go on. Writes the ends that nobody wrote. */
export function settle(journal: JournalFile): string[] {
  for (const entry of journal.half()) if (standingNow(entry) === 'served') endServed(journal, entry)
  return [...endFinished(journal), ...halfDone(journal)]
}

function endServed(journal: JournalFile, entry: JournalEntry): void {
  const {verdict, state} = entry
  const evidence = [
    ...(verdict?.evidence ?? []),
    `its process ended ${state === 'guarding' ? 'while it held the VM' : 'before it wrote so down'}`,
  ]
  const document = switchDocument(plannedPart(entry), {
    ...{end: 'switched', verified: true, code: verdict?.code ?? 'served', uses: verdict?.uses ?? entry.to, evidence},
  })
  journal.reopen(entry.run).mark([{n: entry.n, state: 'ended', document, by: 'later'}])
}

/** Ends earlier switches that nobody brought to their end: what came of each is not known, and what was done about it is. */
export function endCutShort(journal: JournalFile, entries: readonly JournalEntry[], since: string): void {
  const error = errorRow(new Failure('runtime', `it was cut short; ${since}`))
  for (const [run, ofRun] of Map.groupBy(entries, (entry) => entry.run))
    journal.reopen(run).mark(
      ofRun.map((entry) => {
        const ended = entry.wasBegun
          ? ({end: 'unknown', error, exitCode: EXIT.unknown} as const)
          : ({end: 'not-begun', error, exitCode: EXIT.runtime} as const)
        return {n: entry.n, state: 'ended', document: switchDocument(plannedPart(entry), ended), by: 'later'}
      }),
    )
}

/** Ends switches that were cut short, and whose VM a later one has seen served by the same gateway; a line for each. */
export function endFinished(journal: JournalFile): string[] {
  return journal.half().flatMap((entry) => {
    if (entry.undoes || standingNow(entry) !== 'half-done') return []
    const {vm, to, run, n} = entry
    const all = journal.entries({vm: vm.mac ?? vm.name}, MANY)
    const later = all.slice(all.findIndex((each) => each.run === run && each.n === n) + 1)
    const proof = later.find(({document, to: {name}}) => document?.verified === true && name === to.name)
    if (proof === undefined) return []
    endCutShort(journal, [entry], `run ${proof.run} found ${vm.name} served by ${to.name} since`)
    return [
      `run ${run}: the switch of ${vm.name} to ${to.name}, which was cut short, is finished: run ${proof.run} found it so`,
    ]
  })
}

/** Of an entry, what its document begins with. */
export const plannedPart = ({vm, from, to, strategy, passedOver, plan, describe}: Planned): Planned => ({
  ...{vm, from, to, strategy, passedOver, plan, describe},
})

/** A line for each run of which something is half done. */
export function halfDone(journal: Pick<JournalReader, 'half'>): string[] {
  const left = journal.half().filter((entry) => standingNow(entry) === 'half-done')
  return Object.entries(Object.groupBy(left, ({run}) => run)).map(([run, entries]) => {
    const [{vm, to, undoes}, ...others] = entries as [JournalEntry, ...JournalEntry[]]
    const more = others.length === 0 ? '' : ` (and of ${others.length} more)`
    const what = undoes ? `undoing run ${undoes.run} at ${vm.name}` : `the switch of ${vm.name} to ${to.name}`
    const again = undoes ? '' : `, or finish it by "gwswitch switch --resume ${run}"`
    return `run ${run}: ${what}${more} was cut short, and how the VM is now is not known: put it back by "gwswitch undo ${run}"${again}`
  })
}
