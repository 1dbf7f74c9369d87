// look → execute → verify, and back again if the network does not agree. However it ends, it ends in an outcome that says
// how things stand.

import type {NamedGateway} from '../domain/proof/gateway.ts'
import {EXIT, Failure, type FailureKind} from '../errors.ts'
import type {World} from '../net/world.ts'
import {ACCEPTABLE, type Before, type EventFrame, type Strategy, type StrategyEvent, type Verdict} from './strategy.ts'

export type StepName = 'look' | 'execute' | 'verify' | 'hold' | 'rollback'

export interface SwitchStep {
  readonly step: StepName
  /** From the start of the switch, ms. */
  readonly atMs: number
  readonly durationMs: number
  readonly events: readonly {readonly atMs: number; readonly text: string; readonly frame?: EventFrame}[]
}

/** How a switch ends, and how things stand then. */
export const SWITCH_END = {
  switched: 'verified',
  accepted: 'not verified, and left in place as asked',
  already: 'nothing to do but to hold it',
  'not-begun': 'nothing was done',
  'rolled-back': 'the VM is as it was',
  lost: 'verified, and then moved away by somebody else while it was held',
  unknown: 'something was done, and how the VM is now is not known',
} as const
export type SwitchEnd = keyof typeof SWITCH_END

export interface SwitchOutcome<Plan = unknown> {
  readonly end: SwitchEnd
  readonly steps: readonly SwitchStep[]
  /** The plan with what was observed before. */
  readonly plan: Plan
  /** The gateway that the VM was seen to use before; null: not seen; undefined: not looked. */
  readonly before: NamedGateway | null | undefined
  /** What the network said; undefined if it was not asked before an error came. */
  readonly verdict: Verdict | undefined
  /** What the network said after the rollback; undefined if there was none to do, or if it failed. */
  readonly rollback: Verdict | undefined
  /** What went wrong, first things first: in the switch, and in the rollback after it. */
  readonly error: Error | undefined
  readonly rollbackError: Error | undefined
}

export interface CarryOutOptions {
  readonly signal: AbortSignal
  /** A verified VM is to be held where it is. */
  readonly hold?: boolean | undefined
  /** Leave in place what could not be verified: codes `unverified` and `partial`. */
  readonly acceptUnverified?: boolean | undefined
  /** The new gateway was asked a moment ago, and the VM has just arrived: it is told at once where the strategy can do that. */
  readonly atOnce?: boolean | undefined
  /**
   * Called with the plan as it is after the look, before anything is done, and again where more was seen of before in the
   * meantime; resolves when the way back is safe. `urgent`: the VM waits, and this is called once more after it was told.
   */
  arm?(plan: unknown, urgent: boolean): Promise<void>
  /** Called once it is verified, or the rollback has returned: nobody need act any more. */
  disarm?(): void
  /** Verified: nothing undoes it from here on. Called before `disarm`, which waits for it. */
  readonly onVerified?: ((verdict: Verdict) => void | Promise<void>) | undefined
  /** A step begins; something happened in it. */
  readonly onStep?: ((step: StepName) => void) | undefined
  readonly onEvent?: ((event: {readonly atMs: number; readonly text: string}) => void) | undefined
}

/**
 * Carries out a plan. Whatever goes wrong after `execute` began, Ctrl-C included, ends in `rollback`, which cannot be
 * interrupted by the signal; once `verify` has said yes, nothing does. Never rejects.
 */
export async function carryOut<Plan, Seen>(
  strategy: Strategy<Plan, Seen>,
  planned: Plan,
  world: World,
  options: CarryOutOptions,
): Promise<SwitchOutcome<Plan>> {
  const {steps, run} = makeSteps(world, options)
  const nothing = {verdict: undefined, rollback: undefined, error: undefined, rollbackError: undefined}
  const done = {...nothing, steps, before: undefined as SwitchOutcome['before']}
  const standby = options.atOnce ? strategy.standby : undefined
  let plan = planned
  let isArmed = false
  const arm = async (armed: Plan): Promise<void> => {
    plan = armed
    options.signal.throwIfAborted()
    await options.arm?.(armed, standby !== undefined)
    isArmed = true
  }
  let amended: Promise<void> | undefined
  const amend = (before: Pick<Before<Plan>, 'plan' | 'uses'>): void => {
    plan = before.plan
    done.before = before.uses
    amended = options.arm?.(plan, false)
    // Whoever waits for it hears of it.
    amended?.catch(() => {})
  }
  let verdict: Verdict | undefined
  try {
    if (standby === undefined) {
      const before = await run('look', (stage) => strategy.look(planned, stage))
      plan = before.plan
      done.before = before.uses
      if (before.ends) {
        options.disarm?.()
        const end = endBefore(before.ends, options)
        return {...done, plan, ...(end === 'already' ? await held(before.ends, end) : {verdict: before.ends, end})}
      }
      await arm(plan)
    }
    const seen = await run('execute', (stage) =>
      standby ? standby.atOnce(planned, {...stage, arm, amend}) : strategy.execute(plan, stage),
    )
    await amended
    verdict = await run('verify', (stage) => strategy.verify(plan, stage, seen))
  } catch (error) {
    if (isArmed) return {...done, plan, verdict, error: asError(error), ...(await back())}
    options.disarm?.()
    return {...done, plan, end: 'not-begun', error: asError(error)}
  }
  if (!verdict.ok && options.acceptUnverified && ACCEPTABLE.includes(verdict.code)) {
    options.disarm?.()
    return {...done, plan, verdict, end: 'accepted'}
  }
  if (!verdict.ok) return {...done, plan, verdict, ...(await back())}
  await options.onVerified?.(verdict)
  options.disarm?.()
  return {...done, plan, ...(await held(verdict, 'switched'))}

  async function back(): Promise<Pick<SwitchOutcome, 'end' | 'rollback' | 'rollbackError'>> {
    try {
      const rollback = await run('rollback', (stage) => strategy.rollback(plan, stage))
      options.disarm?.()
      return {end: rollback.ok ? 'rolled-back' : 'unknown', rollback, rollbackError: undefined}
    } catch (error) {
      // Not disarmed: the guard tries once more, when this process has ended.
      return {end: 'unknown', rollback: undefined, rollbackError: asError(error)}
    }
  }

  /** What is verified, or was so already, stays, whatever happens while it is held. */
  async function held(verified: Verdict, end: SwitchEnd): Promise<Pick<SwitchOutcome, 'end' | 'verdict'>> {
    const hold = strategy.hold?.bind(strategy)
    if (!hold || !options.hold) return {end, verdict: verified}
    try {
      const after = await run('hold', (stage) => hold(plan, stage, verified))
      return {end: after.ok ? end : 'lost', verdict: after}
    } catch (error) {
      const evidence = [...verified.evidence, `no longer held: ${asError(error).message}`]
      return {end, verdict: {...verified, evidence}}
    }
  }
}

/** What was done before, and cannot be proved now either, may be accepted as it is. */
const endBefore = ({ok, code}: Verdict, {acceptUnverified}: CarryOutOptions): SwitchEnd =>
  ok ? 'already' : acceptUnverified && ACCEPTABLE.includes(code) ? 'accepted' : 'not-begun'

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

/** Runs steps one after the other and keeps what happened in each. */
export function makeSteps(world: World, options: Pick<CarryOutOptions, 'signal' | 'onStep' | 'onEvent'>) {
  const startedNs = world.now()
  const steps: SwitchStep[] = []
  const sinceStart = (ns: bigint): number => Number(ns - startedNs) / 1e6
  async function run<T>(
    name: StepName,
    work: (stage: {world: World; signal: AbortSignal; observe(event: StrategyEvent): void}) => Promise<T>,
  ): Promise<T> {
    const beganNs = world.now()
    const events: {atMs: number; text: string; frame?: EventFrame}[] = []
    const observe = ({atNs, text, frame}: StrategyEvent): void => {
      events.push({atMs: sinceStart(atNs), text, ...(frame && {frame})})
      options.onEvent?.({atMs: sinceStart(atNs), text})
      world.log(`${sinceStart(atNs).toFixed(2).padStart(8)} ms  ${text}`)
    }
    options.onStep?.(name)
    try {
      return await work({world, signal: name === 'rollback' ? new AbortController().signal : options.signal, observe})
    } finally {
      const [atMs, endMs] = [sinceStart(beganNs), sinceStart(world.now())]
      steps.push({step: name, atMs, durationMs: endMs - atMs, events})
    }
  }
  return {steps, run}
}

/**
 * The exit code of an outcome. An unknown state outranks what caused it; where the VM is as it was, the error's own kind
 * says more than that it was rolled back. `stopped` is 128 + the number of the signal that ended it.
 */
export function exitOf({end, verdict, error}: SwitchOutcome, stopped: number | undefined): number {
  if (end === 'switched' || end === 'accepted' || end === 'already') return 0
  if (end === 'unknown' || (end === 'lost' && verdict?.uses === null)) return EXIT.unknown
  if (stopped !== undefined) return stopped
  if (error) return EXIT[error instanceof Failure ? (error.kind satisfies FailureKind) : 'runtime']
  return end === 'not-begun' && verdict?.code === 'silent' ? EXIT.silent : EXIT['rolled-back']
}
