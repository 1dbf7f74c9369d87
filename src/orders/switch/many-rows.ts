// What is known of each of many VMs, as a row, and what the process says of all.
import {EXIT} from '../../errors.ts'
import type {SwitchEnd} from '../../strategies/carry-out.ts'
import type {Excluded} from './select-vms.ts'
import {type DocumentError, errorRow, type Prepared, type SwitchDocument} from './switch-document.ts'

/**
 * `refused`: it cannot be switched, by what was known before anything was sent. `left-alone`: it is at another site.
 * `not-started`: whoever ordered it stopped it before its turn. The others as in gwswitch.switch/1.
 */
export type ManyEnd = SwitchEnd | 'refused' | 'left-alone' | 'not-started'

/** Of one VM. Fields of the same names are those of gwswitch.switch/1. */
export interface ManyRow {
  /** `ip`, `mac` and `segment` are null for a VM that the inventory does not know. */
  readonly vm: {
    readonly name: string
    readonly ip: string | null
    readonly mac: string | null
    readonly segment: string | null
  }
  readonly from: SwitchDocument['from'] | null
  readonly to: SwitchDocument['to'] | null
  readonly before: SwitchDocument['before']
  readonly uses: SwitchDocument['uses']
  readonly strategy: string | null
  readonly passedOver: SwitchDocument['passedOver']
  /** null in a dry run, for a VM that would be switched. */
  readonly end: ManyEnd | null
  readonly code: SwitchDocument['code']
  /** What the network said, of the VM as it is now; why it was refused, or left alone. */
  readonly evidence: readonly string[]
  readonly error: DocumentError | null
  readonly rollbackError: DocumentError | null
  /** From the start of the first switch, and how long it took, ms; null for a VM that was not begun. */
  readonly beganMs: number | null
  readonly durationMs: number | null
  /** That of a switch of this VM alone; 0 for one that is left alone, or was not started. */
  readonly exitCode: number
}

export interface SwitchManyDocument {
  readonly schema: 'gwswitch.switch-many/1'
  readonly dryRun: boolean
  /** As it was ordered: a site, or a gateway. */
  readonly to: string
  /** In the journal; null where none was kept. */
  readonly run: string | null
  /** Those that were refused or left alone first, then all others in their order. */
  readonly rows: readonly ManyRow[]
  /** From the start of the first switch to the end of the last one, ms; null in a dry run. */
  readonly durationMs: number | null
  /** That of the process: the worst of all, see {@link WORST}. */
  readonly exitCode: number
}

/** The names of those that were begun: something came of each. */
export const begunOf = ({rows}: SwitchManyDocument): ReadonlySet<string> =>
  new Set(rows.filter(({beganMs}) => beganMs !== null).map(({vm}) => vm.name))

/** Exit codes, the worse ones first. A signal that left VMs unswitched comes after what is not known, before all others. */
const WORST: readonly number[] = [
  EXIT.runtime,
  EXIT.privilege,
  EXIT.refused,
  EXIT['rolled-back'],
  EXIT.silent,
  EXIT.usage,
]

/** `stopped`: the code of the signal that left some unswitched; 0: none did. */
export function worstOf(rows: readonly Pick<ManyRow, 'exitCode'>[], stopped: number): number {
  const codes = new Set(rows.map(({exitCode}) => exitCode))
  if (codes.has(EXIT.unknown)) return EXIT.unknown
  if (stopped !== 0) return stopped
  return WORST.find((code) => codes.has(code)) ?? [...codes].find((code) => code !== 0) ?? 0
}

const NOTHING = {
  ...{from: null, to: null, before: null, uses: null, strategy: null, passedOver: [], end: null, code: null},
  ...{evidence: [], error: null, rollbackError: null, beganMs: null, durationMs: null, exitCode: 0},
} as const

export function excludedRow({name, vm, kind, code, reason, failure}: Excluded): ManyRow {
  const {ip = null, mac = null, segment = null} = vm ?? {}
  return {
    ...NOTHING,
    ...{vm: {name, ip, mac, segment}, end: kind, code, evidence: [reason]},
    exitCode: failure === null ? 0 : EXIT[failure],
  }
}

export function plannedRow({switchover: {vm, segment, from, to}, strategy, passedOver}: Prepared): ManyRow {
  const gateway = ({name, site, ip, mac}: typeof from): SwitchDocument['from'] => ({name, site, ip, mac})
  return {
    ...NOTHING,
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac, segment: segment.name},
    ...{from: gateway(from), to: gateway(to), strategy: strategy.name, passedOver},
  }
}

export const notBegunRow = (prepared: Prepared): ManyRow => ({...plannedRow(prepared), end: 'not-started'})

/** Nothing is known of it but what went wrong. */
export const failedRow = (
  prepared: Prepared,
  error: unknown,
  times: Pick<ManyRow, 'beganMs' | 'durationMs'>,
): ManyRow => ({
  ...plannedRow(prepared),
  ...times,
  ...{end: 'unknown', exitCode: EXIT.unknown},
  error: errorRow(error instanceof Error ? error : new Error(String(error))),
})

export function rowOf(
  {vm, from, to, before, uses, strategy, passedOver, end, code, exitCode, ...rest}: SwitchDocument,
  times: Pick<ManyRow, 'beganMs' | 'durationMs'>,
): ManyRow {
  const {evidence, rollback, error, rollbackError} = rest
  return {
    ...{vm, from, to, before, uses, strategy, passedOver, end, code, error, rollbackError, ...times, exitCode},
    evidence: [...evidence, ...(rollback?.evidence ?? []).map((line) => `after the rollback: ${line}`)],
  }
}
