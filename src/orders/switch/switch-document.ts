// The document gwswitch.switch/1: of a switch that is planned, that has ended, or that was cut short.
import type {Switchover} from '../../domain/inventory/switchover.ts'
import {EXIT, Failure, type FailureKind} from '../../errors.ts'
import type {SwitchEnd, SwitchStep} from '../../strategies/carry-out.ts'
import type {Strategy, Verdict} from '../../strategies/strategy.ts'

/** What is about to be done. */
export interface Prepared {
  readonly switchover: Switchover
  readonly strategy: Strategy
  readonly plan: unknown
  /** The plan in words. */
  readonly describe: readonly string[]
  /** Strategies that came first and cannot make this switchover, with their reasons. */
  readonly passedOver: readonly {readonly strategy: string; readonly reason: string}[]
}

type GatewayRow = Pick<Switchover['to'], 'name' | 'site' | 'ip' | 'mac'>

export interface SwitchDocument {
  readonly schema: 'gwswitch.switch/1'
  readonly dryRun: boolean
  readonly vm: {readonly name: string; readonly ip: string; readonly mac: string; readonly segment: string}
  /** The gateway that the switch is away from, by the inventory. */
  readonly from: GatewayRow
  readonly to: GatewayRow
  /** The gateway that the VM was seen to use before; null: not seen, or not looked. */
  readonly before: GatewayRow | null
  /** The gateway that the VM uses now, as last seen; null: unknown. */
  readonly uses: GatewayRow | null
  readonly strategy: string
  readonly passedOver: Prepared['passedOver']
  readonly plan: unknown
  readonly describe: readonly string[]
  readonly steps: readonly SwitchStep[]
  /** How it ended; null for a dry run. */
  readonly end: SwitchEnd | null
  /** What the network said; null where it was not asked. */
  readonly code: Verdict['code'] | null
  readonly verified: boolean | null
  readonly evidence: readonly string[]
  readonly rolledBack: boolean
  readonly rollback: Verdict | null
  /** What went wrong, and in the rollback after it. */
  readonly error: DocumentError | null
  readonly rollbackError: DocumentError | null
  /** That of the process. */
  readonly exitCode: number
}

export interface DocumentError {
  readonly kind: FailureKind
  /** The exit code of its kind; that of the process tells also what became of the VM. */
  readonly exit: number
  readonly message: string
}

const gatewayRow = ({name, site, ip, mac}: GatewayRow): GatewayRow => ({name, site, ip, mac})
export const rowOf = (gateway: GatewayRow | null | undefined): GatewayRow | null =>
  gateway ? gatewayRow(gateway) : null

export function errorRow(error: Error | undefined): DocumentError | null {
  if (error === undefined) return null
  const kind = error instanceof Failure ? error.kind : 'runtime'
  return {kind, exit: EXIT[kind], message: error.message.replaceAll(/\s*\n\s*/g, ' ')}
}

/** What is known of it before it begins. */
export type Planned = Pick<SwitchDocument, 'vm' | 'from' | 'to' | 'strategy' | 'passedOver' | 'plan' | 'describe'>

export function plannedOf({switchover, strategy, plan, describe, passedOver}: Prepared): Planned {
  const {vm, segment, from, to} = switchover
  return {
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac, segment: segment.name},
    ...{from: gatewayRow(from), to: gatewayRow(to), strategy: strategy.name, passedOver, plan, describe},
  }
}

export type Ended = Omit<SwitchDocument, 'schema' | keyof Planned> & {readonly plan?: unknown}

const NOTHING: Ended = {
  ...{dryRun: false, before: null, uses: null, steps: [], end: null, code: null, verified: null, evidence: []},
  ...{rolledBack: false, rollback: null, error: null, rollbackError: null, exitCode: 0},
}

export const switchDocument = (planned: Planned, ended: Partial<Ended>): SwitchDocument => ({
  schema: 'gwswitch.switch/1',
  ...planned,
  ...NOTHING,
  ...ended,
})

/** The document of a dry run. */
export const plannedSwitch = (prepared: Prepared): SwitchDocument => switchDocument(plannedOf(prepared), {dryRun: true})

/** The document of what was put back, by somebody else than who did it: by its guard, or by `undo`. */
export function takenBack(
  planned: Planned,
  rollback: Verdict | Error,
  steps: readonly SwitchStep[] = [],
): SwitchDocument {
  if (rollback instanceof Error)
    return switchDocument(planned, {steps, end: 'unknown', rollbackError: errorRow(rollback), exitCode: EXIT.unknown})
  return switchDocument(planned, {
    ...{steps, rollback, end: rollback.ok ? 'rolled-back' : 'unknown', rolledBack: rollback.ok},
    ...{uses: rowOf(rollback.uses), exitCode: rollback.ok ? 0 : EXIT.unknown},
  })
}
