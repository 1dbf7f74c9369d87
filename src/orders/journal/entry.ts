// One switch as the records of a journal tell it.
import type {ChainRecord} from '../../domain/journal/chain.ts'
import type {ProcessName} from '../../net/process/owner.ts'
import type {Verdict} from '../../strategies/strategy.ts'
import type {Planned, SwitchDocument} from '../switch/switch-document.ts'
import type {RunOrder, SwitchName, SwitchState} from './journal.ts'

/** More than a run has, or one looks back to. */
export const MANY = 100_000

/** A run as its first record has it. */
export interface RunBody extends RunOrder {
  /** Who asked. */
  readonly user: string
  readonly process: ProcessName | undefined
}

/** What is about to be done. */
export interface PlannedBody extends Planned {
  /** The switch that this one takes back. */
  readonly undoes?: SwitchName | undefined
}

/** What a record of a later state says beside its state. */
export interface MarkBody {
  /** The plan with what was observed before; absent where that is as it was planned. */
  readonly plan?: unknown
  readonly verdict?: Verdict | undefined
  readonly document?: SwitchDocument | undefined
  /** Who ended it, if not the process that made it. */
  readonly by?: 'guard' | 'later' | undefined
  /** Who sees to it from here on; undefined: nobody new. */
  readonly processes?: readonly ProcessName[] | undefined
}

export interface JournalEntry extends SwitchName, PlannedBody {
  readonly order: RunBody
  /** When it was written down, ms since the epoch. */
  readonly atMs: number
  readonly state: SwitchState
  /** Since when it is in that state. */
  readonly stateAtMs: number
  /** Those that see to it, its guard too. */
  readonly processes: readonly ProcessName[]
  /** Whether it came as far as that something may have been done: `plan` then has what was observed before. */
  readonly wasBegun: boolean
  /** What the network said when it was verified. */
  readonly verdict: Verdict | undefined
  /** Undefined until it has ended. */
  readonly document: SwitchDocument | undefined
  readonly endedBy: 'process' | 'guard' | 'later' | undefined
}

/** What the records of one switch say, in their order, the first of them being `planned`. */
export function entryOf(order: RunBody, [first, ...marks]: readonly ChainRecord[]): JournalEntry {
  const {run, n, atMs} = first!
  const bodies = marks.map(({body}) => JSON.parse(body) as MarkBody)
  const last = marks.at(-1) ?? first!
  const planned = JSON.parse(first!.body) as PlannedBody
  return {
    ...planned,
    plan: bodies.findLast(({plan}) => plan !== undefined)?.plan ?? planned.plan,
    ...{run, n, order, atMs, state: last.kind as SwitchState, stateAtMs: last.atMs},
    processes: [order.process, ...bodies.flatMap(({processes}) => processes)].filter((each) => each !== undefined),
    wasBegun: marks.some(({kind}) => kind === 'executing'),
    verdict: bodies.findLast(({verdict}) => verdict)?.verdict,
    document: bodies.at(-1)?.document,
    endedBy: last.kind === 'ended' ? (bodies.at(-1)?.by ?? 'process') : undefined,
  }
}
