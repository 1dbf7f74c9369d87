// From "this VM to that site" to the document gwswitch.switch/1.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {resolveSwitchover, type Switchover, switchoverFrom} from '../../domain/inventory/switchover.ts'
import {Failure} from '../../errors.ts'
import type {DeadMan} from '../../net/process/dead-man.ts'
import type {World} from '../../net/world.ts'
import {redirectOf, redirectText} from '../../probe/redirects.ts'
import {carryOut, exitOf, type StepName, type SwitchOutcome} from '../../strategies/carry-out.ts'
import {chooseStrategies, type Registered} from '../../strategies/registry.ts'
import {destinationsOf} from '../../strategies/scene.ts'
import type {Json, OptionName, StrategyOptions} from '../../strategies/strategy.ts'
import type {JournalRun, Mark} from '../journal/journal.ts'
import {
  type Ended,
  errorRow,
  type Prepared,
  plannedOf,
  rowOf,
  type SwitchDocument,
  switchDocument,
} from './switch-document.ts'

export {type Prepared, plannedSwitch, type SwitchDocument} from './switch-document.ts'

export interface SwitchOrder extends StrategyOptions {
  readonly vm: string
  readonly to: string
  readonly from?: string | undefined
  /** Strategies asked for, in order; empty leaves it to the inventory. */
  readonly strategies: readonly string[]
}

/** What a journal keeps of an order beside VM and target, which each switch has. */
export function keptOptions({vm: _vm, to: _to, ...options}: SwitchOrder): Json {
  return asJson(options)
}

/** As JSON says it: what is undefined is not there. */
export const asJson = (value: object): Json => JSON.parse(JSON.stringify(value)) as Json

const OPTION_FLAGS: Readonly<Record<OptionName, string>> = {
  guardMs: '--guard',
  arrivalMs: '--before-resume',
  vlanId: '--vlan',
  verifyTo: '--verify-to',
}

/** The options of the order that not every strategy takes. */
const optionsOf = (order: StrategyOptions): OptionName[] =>
  (Object.keys(OPTION_FLAGS) as OptionName[]).filter((name) => order[name] !== undefined)

/**
 * Finds the first strategy that can make the switchover. Sends nothing.
 * @throws Failure `usage` with the reason of each if none can.
 */
export async function prepareSwitch(
  order: SwitchOrder,
  inventory: Inventory,
  installed: ReadonlyMap<string, Registered>,
  world: World,
): Promise<Prepared> {
  const switchover = switchoverFrom(resolveSwitchover(inventory, order), order.from)
  const passedOver: {strategy: string; reason: string}[] = []
  const redirect = await redirectHere(switchover, world)
  for (const chosen of chooseStrategies(installed, order.strategies, switchover.vm.strategies)) {
    const strategy = await chosen.load()
    const untaken = optionsOf(order).find((name) => !strategy.takes.includes(name))
    if (untaken !== undefined) {
      passedOver.push({
        strategy: strategy.name,
        reason: `the ${strategy.name} strategy does not take ${OPTION_FLAGS[untaken]}`,
      })
      continue
    }
    if (redirect?.isInTheWay && strategy.name !== redirect.strategy) {
      passedOver.push({strategy: strategy.name, reason: redirect.says})
      continue
    }
    try {
      const plan = await strategy.plan(switchover, order, world)
      return {
        switchover,
        strategy,
        plan,
        describe: [
          ...notes(switchover, order),
          ...(redirect && strategy.name !== redirect.strategy ? [redirect.says] : []),
          ...strategy.describe(plan),
        ],
        passedOver,
      }
    } catch (error) {
      if (!(error instanceof Failure) || error.kind !== 'usage') throw error
      passedOver.push({strategy: strategy.name, reason: error.message})
    }
  }
  const reasons =
    passedOver.length === 1
      ? passedOver[0]!.reason
      : passedOver.map(({strategy, reason}) => `${strategy}: ${reason}`).join('; ')
  throw new Failure('usage', reasons)
}

/** What a bridge here makes of what the VM sends to another gateway, whatever the VM is told. */
async function redirectHere({vm, segment, to}: Switchover, world: World) {
  const standing = await redirectOf(vm.mac, world)
  if (standing === undefined) return undefined
  const {says, lift} = redirectText(standing, vm, segment.gateways)
  const isInTheWay = standing.to !== to.mac
  // The strategy that made it puts another in its place, or takes it away.
  return {
    strategy: 'mac-proxy',
    isInTheWay,
    says: isInTheWay ? `${says}: lift that first, ${lift}` : `${says}; ${lift} lifts that`,
  }
}

/** What there is to know about the order itself, whatever the strategy. */
function notes(switchover: Switchover, {verifyTo}: SwitchOrder): string[] {
  const {vm, to} = switchover
  const isElsewhere = vm.site !== undefined && vm.site !== to.site
  const isBlind = verifyTo === undefined && destinationsOf(switchover).length === 0
  return [
    // An inventory that says otherwise is not silently overruled: it may be old, or the switch for the wrong site.
    ...(isElsewhere
      ? [`the inventory has ${vm.name} at site ${vm.site}; whether it is at site ${to.site} is looked at first`]
      : []),
    ...(isBlind
      ? [
          `the inventory names nothing beyond the gateways (sites.NAME.probes, prefixes): the next hop of ${to.name} is asked, and where that is silent the switch stays unverified`,
        ]
      : []),
  ]
}

/** What the guard is handed. */
export interface GuardOrder {
  readonly strategy: string
  readonly plan: unknown
  readonly vm: string
  readonly audit: string | undefined
  /** Where it writes what it did, if it is written down at all. */
  readonly journal?: {readonly file: string; readonly run: string; readonly n: number} | undefined
}

/** Where a switch is written down. */
export interface Journaled {
  readonly run: JournalRun
  /** Its number in the run, if it was planned already. */
  readonly n?: number | undefined
  /** Told of what could not be written when it was too late to leave the switch alone. */
  onTrouble(error: Error): void
}

/** What `performSwitch` needs beside the plan. */
export interface PerformOptions {
  readonly signal: AbortSignal
  /** The exit code that goes with the signal that ended it; undefined if none did. */
  stopped?(): number | undefined
  /** Rolls back if this process dies in between. */
  readonly deadMan: DeadMan
  readonly acceptUnverified?: boolean | undefined
  /** File in which the guard writes down what it did. */
  readonly audit?: string | undefined
  /** It has just arrived, and its new gateway was asked a moment ago: see `CarryOutOptions`. */
  readonly atOnce?: boolean | undefined
  /** Where it is written down, before the look; undefined: nowhere. */
  readonly journal?: Journaled | undefined
  /** Hold it on its new gateway once verified, for as long as the plan says. */
  readonly hold?: boolean | undefined
  readonly onStep?: ((step: StepName) => void) | undefined
  readonly onEvent?: ((event: {readonly atMs: number; readonly text: string}) => void) | undefined
}

/**
 * Carries the plan out, verifies it and takes it back if the network does not agree. Whatever happens after the look began
 * is in the document. @throws Failure `runtime` if it cannot be written down: nothing is begun then.
 */
export async function performSwitch(
  prepared: Prepared,
  world: World,
  options: PerformOptions,
): Promise<SwitchDocument> {
  const {strategy, plan: planned, switchover} = prepared
  const {deadMan, acceptUnverified, onStep, onEvent, signal, hold, audit, atOnce} = options
  const journal = options.journal && marking(options.journal, prepared, atOnce === true)
  const outcome = await carryOut(strategy, planned, world, {
    ...{signal, acceptUnverified, onEvent, hold, atOnce},
    async arm(plan, urgent) {
      // One commit stands before the frame that tells a VM that waits; its guard is told right after, and before it.
      const isWritten = urgent && journal?.beginNow(plan, deadMan.pid) === true
      const order = {strategy: strategy.name, plan, vm: switchover.vm.name, audit}
      const kept = deadMan.arm({...order, ...(journal && {journal: journal.place()})} satisfies GuardOrder)
      // In the pipe of a guard that runs it outlives us; that it is taken out there is waited for the next time.
      if (urgent && deadMan.pid !== undefined) kept.catch(() => {})
      else await kept
      if (!isWritten) await journal?.begun(plan, deadMan.pid)
    },
    disarm: () => deadMan.disarm(),
    onVerified: (verdict) => journal?.mark({state: 'verified', verdict}),
    onStep(step) {
      if (step === 'hold') void journal?.mark({state: 'guarding'})
      if (step === 'rollback') void journal?.mark({state: 'rolling-back'})
      onStep?.(step)
    },
  })
  const ended = switchDocument(plannedOf(prepared), endOf(outcome, options.stopped?.()))
  await journal?.mark({state: 'ended', document: ended})
  return ended
}

type MarkOf<M> = M extends unknown ? Omit<M, 'n'> : never

/**
 * How far it has come, in the journal. Once the VM was told, nothing there keeps a switch from its proof. `atOnce`: nothing is
 * written down before the VM is to be told.
 */
function marking({run, onTrouble, ...planned}: Journaled, prepared: Prepared, atOnce: boolean) {
  let n = planned.n
  const number = (): number => (n ??= run.plan([prepared])[0]!)
  if (!atOnce) number()
  return {
    place: () => (run.file === undefined ? undefined : {file: run.file, run: run.id, n: number()}),
    /** Whether that was all in one; it is not where the guard has to be started first. */
    beginNow(plan: unknown, guard: number | undefined): boolean {
      if (n !== undefined || guard === undefined) return false
      n = run.planBegun({...prepared, plan}, guard)
      return true
    },
    begun: async (plan: unknown, guard: number | undefined): Promise<void> =>
      run.mark([{n: number(), state: 'executing', plan, guard}]),
    async mark(mark: MarkOf<Exclude<Mark, {state: 'executing'}>>): Promise<void> {
      try {
        await run.mark([{n: number(), ...mark}])
      } catch (error) {
        onTrouble(error as Error)
      }
    },
  }
}

function endOf(outcome: SwitchOutcome, stopped: number | undefined): Ended {
  const {end, steps, plan, before, verdict, rollback, error, rollbackError} = outcome
  const asked = rollback ?? (end === 'not-begun' || end === 'unknown' ? undefined : verdict)
  return {
    ...{dryRun: false, plan, steps, end},
    before: rowOf(before),
    uses: rowOf(asked?.uses ?? (end === 'not-begun' ? (verdict?.uses ?? before) : null)),
    code: verdict?.code ?? null,
    verified: verdict === undefined ? null : verdict.ok,
    evidence: verdict?.evidence ?? [],
    rolledBack: end === 'rolled-back',
    rollback: rollback ?? null,
    error: errorRow(error),
    rollbackError: errorRow(rollbackError),
    exitCode: exitOf(outcome, stopped),
  }
}
