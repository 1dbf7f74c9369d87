// `gwswitch switch --resume RUN`: what is left of a run, as a run of its own.
import type {ManyOrder} from '../switch/run-many.ts'
import {type Resumable, resumable} from './choose.ts'
import type {JournalFile} from './journal-file.ts'
import {endCutShort} from './settle.ts'

export interface Resumption {
  /** What is carried out anew. */
  readonly order: ManyOrder
  /** Ends what it left half done, of VMs of which a later run has seen to that. */
  endedBy(run: string, vms: ReadonlySet<string>): void
}

/** @throws Failure `usage` as `resumable` */
export function resumption(journal: JournalFile, id: string): Resumption {
  const left = resumable(journal, id)
  return {
    order: orderOf(left),
    endedBy(run, vms) {
      const again = left.entries.filter(({document, vm}) => document === undefined && vms.has(vm.name))
      endCutShort(journal, again, `done again by run ${run}`)
    },
  }
}

/** The options are those of the run; of one VM, the journal has where it was to go. */
function orderOf({order: {options}, entries}: Resumable): ManyOrder {
  const {segment: _segment, all: _all, ...kept} = (options ?? {}) as Partial<ManyOrder>
  return {strategies: [], to: entries[0]!.to.name, ...kept, names: entries.map(({vm}) => vm.name)}
}
