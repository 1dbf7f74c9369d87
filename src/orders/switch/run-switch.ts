// From "this VM to that site" to the document gwswitch.switch/1.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {resolveSwitchover, type Switchover, switchoverFrom} from '../../domain/inventory/switchover.ts'
import {EXIT, Failure} from '../../errors.ts'
import {recordingWorld} from '../../net/packet/recording.ts'
import type {DeadMan} from '../../net/process/dead-man.ts'
import type {World} from '../../net/world.ts'
import {chooseStrategies, type Registered} from '../../strategies/registry.ts'
import type {Strategy, StrategyOptions, Verdict} from '../../strategies/strategy.ts'
import {carryOut, type SwitchStep} from '../../strategies/switch.ts'

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

export interface SwitchDocument {
  readonly schema: 'gwswitch.switch/1'
  readonly dryRun: boolean
  readonly vm: {readonly name: string; readonly ip: string; readonly mac: string; readonly segment: string}
  readonly from: {readonly name: string; readonly site: string; readonly ip: string; readonly mac: string}
  readonly to: {readonly name: string; readonly site: string; readonly ip: string; readonly mac: string}
  readonly strategy: string
  readonly passedOver: Prepared['passedOver']
  readonly plan: unknown
  readonly describe: readonly string[]
  readonly steps: readonly SwitchStep[]
  readonly verified: boolean | null
  readonly evidence: readonly string[]
  readonly rolledBack: boolean
  readonly rollback: Verdict | null
  readonly exitCode: number
}

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
  for (const strategy of chooseStrategies(installed, order.strategies, switchover.vm.strategies)) {
    try {
      const plan = await strategy.plan(switchover, order, world)
      return {switchover, strategy, plan, describe: strategy.describe(plan), passedOver}
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

function document(
  prepared: Prepared,
  result: Pick<SwitchDocument, 'dryRun' | 'steps' | 'verified' | 'evidence' | 'rolledBack' | 'rollback' | 'exitCode'>,
): SwitchDocument {
  const {switchover, strategy, plan, describe, passedOver} = prepared
  const {vm, segment, from, to} = switchover
  const gateway = ({name, site, ip, mac}: Switchover['to']) => ({name, site, ip, mac})
  return {
    schema: 'gwswitch.switch/1',
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac, segment: segment.name},
    from: gateway(from),
    to: gateway(to),
    strategy: strategy.name,
    passedOver,
    plan,
    describe,
    ...result,
  }
}

/** The document of a dry run. */
export const plannedSwitch = (prepared: Prepared): SwitchDocument =>
  document(prepared, {
    dryRun: true,
    steps: [],
    verified: null,
    evidence: [],
    rolledBack: false,
    rollback: null,
    exitCode: 0,
  })

/** What `performSwitch` needs beside the plan. */
export interface PerformOptions {
  readonly pcap?: string | undefined
  readonly signal: AbortSignal
  /** Rolls back if this process dies in between. */
  readonly deadMan: DeadMan
}

/** Carries the plan out, verifies it and takes it back if the network does not agree. */
export async function performSwitch(
  prepared: Prepared,
  world: World,
  options: PerformOptions,
): Promise<SwitchDocument> {
  const recording = options.pcap === undefined ? undefined : recordingWorld(world, options.pcap)
  try {
    await options.deadMan.arm({strategy: prepared.strategy.name, plan: prepared.plan, vm: prepared.switchover.vm.name})
    const outcome = await carryOut(prepared.strategy, prepared.plan, recording?.world ?? world, options.signal)
    return document(prepared, {
      dryRun: false,
      steps: outcome.steps,
      verified: outcome.verdict.ok,
      evidence: outcome.verdict.evidence,
      rolledBack: outcome.rollback !== undefined,
      rollback: outcome.rollback ?? null,
      exitCode: outcome.verdict.ok ? 0 : EXIT['rolled-back'],
    })
  } finally {
    options.deadMan.disarm()
    recording?.close()
  }
}
