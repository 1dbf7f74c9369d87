// From "this VM to that site" to the document gwswitch.switch/1.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {resolveSwitchover, type Switchover, switchoverFrom} from '../../domain/inventory/switchover.ts'
import {EXIT, Failure, type FailureKind} from '../../errors.ts'
import type {DeadMan} from '../../net/process/dead-man.ts'
import type {World} from '../../net/world.ts'
import {redirectOf, redirectText} from '../../probe/redirects.ts'
import {
  carryOut,
  exitOf,
  type StepName,
  type SwitchEnd,
  type SwitchOutcome,
  type SwitchStep,
} from '../../strategies/carry-out.ts'
import {chooseStrategies, type Registered} from '../../strategies/registry.ts'
import {destinationsOf} from '../../strategies/scene.ts'
import type {OptionName, Strategy, StrategyOptions, Verdict} from '../../strategies/strategy.ts'

export interface SwitchOrder extends StrategyOptions {
  readonly vm: string
  readonly to: string
  readonly from?: string | undefined
  /** Strategies asked for, in order; empty leaves it to the inventory. */
  readonly strategies: readonly string[]
}

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

const row = ({name, site, ip, mac}: GatewayRow): GatewayRow => ({name, site, ip, mac})
const rowOf = (gateway: GatewayRow | null | undefined): GatewayRow | null => (gateway ? row(gateway) : null)

export function errorRow(error: Error | undefined): DocumentError | null {
  if (error === undefined) return null
  const kind = error instanceof Failure ? error.kind : 'runtime'
  return {kind, exit: EXIT[kind], message: error.message.replaceAll(/\s*\n\s*/g, ' ')}
}

/** The document of a dry run. */
export const plannedSwitch = (prepared: Prepared): SwitchDocument =>
  document(prepared, {
    ...{dryRun: true, before: null, uses: null, steps: [], end: null, code: null, verified: null, evidence: []},
    ...{rolledBack: false, rollback: null, error: null, rollbackError: null, exitCode: 0},
  })

type Ended = Omit<SwitchDocument, 'schema' | 'vm' | 'from' | 'to' | 'strategy' | 'passedOver' | 'describe' | 'plan'> & {
  readonly plan?: unknown
}

function document(prepared: Prepared, ended: Ended): SwitchDocument {
  const {switchover, strategy, plan, describe, passedOver} = prepared
  const {vm, segment, from, to} = switchover
  return {
    schema: 'gwswitch.switch/1',
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac, segment: segment.name},
    ...{from: row(from), to: row(to), strategy: strategy.name, passedOver, plan, describe},
    ...ended,
  }
}

/** What the guard is handed. */
export interface GuardOrder {
  readonly strategy: string
  readonly plan: unknown
  readonly vm: string
  readonly audit: string | undefined
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
  /** Hold it on its new gateway once verified, for as long as the plan says. */
  readonly hold?: boolean | undefined
  readonly onStep?: ((step: StepName) => void) | undefined
  readonly onEvent?: ((event: {readonly atMs: number; readonly text: string}) => void) | undefined
}

/**
 * Carries the plan out, verifies it and takes it back if the network does not agree. Whatever happens after the look began
 * is in the document.
 */
export async function performSwitch(
  {strategy, plan: planned, switchover, ...prepared}: Prepared,
  world: World,
  options: PerformOptions,
): Promise<SwitchDocument> {
  const {deadMan, acceptUnverified, onStep, onEvent, signal, hold, audit} = options
  const outcome = await carryOut(strategy, planned, world, {
    ...{signal, acceptUnverified, onStep, onEvent, hold},
    arm: (plan) => deadMan.arm({strategy: strategy.name, plan, vm: switchover.vm.name, audit} satisfies GuardOrder),
    disarm: () => deadMan.disarm(),
  })
  return document({strategy, plan: planned, switchover, ...prepared}, endOf(outcome, options.stopped?.()))
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
