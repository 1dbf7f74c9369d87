// One switch of the service: what `gwswitch switch VM --to SITE` does, with what is laid ready, and a record of how it ended.
import type {Vm} from '../../domain/inventory/site.ts'
import type {Ended} from '../../domain/movement/dispatch.ts'
import {EXIT, Failure, type FailureKind} from '../../errors.ts'
import type {AuditEvent} from '../../net/file/audit-log.ts'
import type {DeadMan} from '../../net/process/dead-man.ts'
import type {World} from '../../net/world.ts'
import type {Journal, RunOrder} from '../../orders/journal/journal.ts'
import {performSwitch, prepareSwitch, type SwitchDocument} from '../../orders/switch/run-switch.ts'
import type {SwitchEnd} from '../../strategies/carry-out.ts'
import type {Registered} from '../../strategies/registry.ts'
import type {Served} from './served.ts'
import type {Laid} from './standby.ts'

/** What is wanted of whom, by whom. */
export interface Wish extends RunOrder {
  readonly vm: Vm
  /** A gateway's name, or a site. */
  readonly to: string
  /** The gateway that it said it uses. */
  readonly from?: string | undefined
  /** The interface to act through where nothing is laid ready. */
  readonly interfaceName?: string | undefined
}

/** How one ended, as documents and answers carry it. */
export interface SiteSwitch {
  readonly vm: string
  readonly from: string
  readonly to: string
  readonly strategy: string | null
  /** `planned`: a dry run. `failed`: it could not be tried, or broke; `detail` says why. */
  readonly outcome: 'switched' | 'rolled_back' | 'failed' | 'planned'
  readonly detail: string
  /** Milliseconds from the beginning of the switch to its end. */
  readonly ms: number
}

/** The same with what tells more. */
export interface SwitchRecord extends SiteSwitch {
  readonly by: RunOrder['by']
  readonly asked: string
  /** When it began, ms since the epoch. */
  readonly atMs: number
  /** Null where it was not tried. */
  readonly end: SwitchEnd | null
  readonly code: SwitchDocument['code']
  /** The gateways that the VM was seen to use before, and last; null: not seen. */
  readonly before: string | null
  readonly uses: string | null
  /** It was told without a question before. */
  readonly atOnce: boolean
  readonly exitCode: number
  readonly error: {readonly kind: FailureKind; readonly message: string} | null
}

export interface SwitchStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly strategies: ReadonlyMap<string, Registered>
  readonly dryRun: boolean
  /** A guard for one switch. */
  deadMan(): DeadMan
  readonly journal?: Journal | undefined
  /** Ends switches that were cut short and are finished by what was proved since; a line for each. */
  endFinished?(): readonly string[]
  /** File in which the guard writes down what it did. */
  readonly auditFile?: string | undefined
  log(line: string): void
}

/** Never rejects. `laid`: what is ready for it. */
export async function switchOne(
  wish: Wish,
  {inventory}: Served,
  laid: Laid | undefined,
  stage: SwitchStage,
): Promise<SwitchRecord> {
  const {vm, by, asked, to, from} = wish
  const {world, signal} = stage
  const startedNs = world.now()
  const common = {vm: vm.name, by, asked, atMs: Math.round(Number(startedNs) / 1e6)}
  let planned = {strategy: null as string | null, from: from ?? '', to, atOnce: false}
  const ended = (outcome: SiteSwitch['outcome'], detail: string, more: Partial<SwitchRecord> = {}): SwitchRecord => ({
    ...{...common, ...planned, outcome, detail, ms: Math.round(Number(world.now() - startedNs) / 1e6)},
    ...{end: null, code: null, before: null, uses: null, exitCode: 0, error: null, ...more},
  })
  try {
    const order = {vm: vm.name, to, from, strategies: [], interfaceName: wish.interfaceName}
    const prepared = laid?.prepared ?? (await prepareSwitch(order, inventory, stage.strategies, world))
    const {switchover, strategy} = prepared
    planned = {
      ...{strategy: strategy.name, to: switchover.to.name, from: switchover.from.name},
      atOnce: laid?.atOnce === true,
    }
    if (stage.dryRun) return ended('planned', prepared.describe.join('; '))
    const run = stage.journal?.begin({by, asked})
    const done = await performSwitch(prepared, world, {
      ...{signal, deadMan: stage.deadMan(), audit: stage.auditFile, atOnce: planned.atOnce},
      ...(run && {journal: {run, onTrouble: (error: Error) => stage.log(error.message)}}),
    })
    if (done.verified) tellFinished(stage)
    const isBack = done.error === null && done.rolledBack
    return ended(done.verified ? 'switched' : isBack ? 'rolled_back' : 'failed', detailOf(done), moreOf(done))
  } catch (error) {
    const {kind, message} =
      error instanceof Failure
        ? error
        : {
            kind: 'runtime' as const,
            message: `internal error: ${(error as Error).stack?.split('\n').slice(0, 3).join(' ')}`,
          }
    return ended('failed', message, {exitCode: EXIT[kind], error: {kind, message}})
  }
}

/** A process before this one may have told the VM, and died. */
function tellFinished({endFinished, log}: SwitchStage): void {
  try {
    for (const line of endFinished?.() ?? []) log(line)
  } catch (error) {
    log((error as Error).message)
  }
}

function detailOf({error, rollbackError, evidence, rollback}: SwitchDocument): string {
  const said = [error?.message, ...evidence, ...(rollback?.evidence ?? []), rollbackError?.message]
  return said.filter((line) => line !== undefined).join('; ')
}

const moreOf = ({end, code, before, uses, exitCode, error}: SwitchDocument): Partial<SwitchRecord> => ({
  ...{end, code, exitCode, before: before?.name ?? null, uses: uses?.name ?? null},
  error: error && {kind: error.kind, message: error.message},
})

/** What it says of the new gateway: nothing where the VM is silent, or elsewhere, or nothing was begun. */
export function endedAs({end, code, outcome}: SwitchRecord, stopped: boolean): Ended {
  if (outcome === 'switched' || outcome === 'planned' || end === 'accepted') return 'proved'
  if (stopped || end === null || code === 'silent' || code === 'not-here') return 'nothing'
  return end === 'not-begun' && code !== 'target-dead' ? 'nothing' : 'failed'
}

export function outcomeText({vm, from, to, strategy, outcome, detail, ms}: SiteSwitch): string {
  const by = strategy === null ? '' : ` by ${strategy}`
  const took = outcome === 'planned' ? '' : ` after ${ms} ms`
  return `${vm}${from === '' ? '' : ` from ${from}`} to ${to}${by}: ${outcome.replace('_', ' ')}${took}: ${detail}`
}

export function switchEvent(done: SwitchRecord): AuditEvent {
  const {vm, from, to, strategy, outcome, detail, ms} = done
  const priority = outcome === 'switched' || outcome === 'planned' ? 5 : 4
  const fields = {vm, from, to, strategy: strategy ?? undefined, outcome, detail, ms}
  return {event: 'switch', message: outcomeText(done), priority, fields}
}

/** As documents of before carry it. */
export const shortly = ({vm, from, to, strategy, outcome, detail, ms}: SwitchRecord): SiteSwitch => ({
  ...{vm, from, to, strategy, outcome, detail, ms},
})
