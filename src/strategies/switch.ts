// plan → execute → verify, and back again if the network does not agree.
import type {World} from '../net/world.ts'
import type {EventFrame, Strategy, StrategyEvent, Verdict} from './strategy.ts'

export interface SwitchStep {
  readonly step: 'execute' | 'verify' | 'rollback'
  /** From the start of the switch, ms. */
  readonly atMs: number
  readonly durationMs: number
  readonly events: readonly {readonly atMs: number; readonly text: string; readonly frame?: EventFrame}[]
}

export interface SwitchOutcome {
  readonly steps: readonly SwitchStep[]
  readonly verdict: Verdict
  /** What the network said after the rollback; undefined if there was none to do. */
  readonly rollback?: Verdict
}

/**
 * Carries out a plan. Whatever goes wrong after `execute` began, Ctrl-C included, ends in `rollback`; an error is thrown
 * again after it. The rollback itself cannot be interrupted by `signal`.
 */
export async function carryOut<Plan>(
  strategy: Strategy<Plan>,
  plan: Plan,
  world: World,
  signal: AbortSignal,
): Promise<SwitchOutcome> {
  const startedNs = world.now()
  const steps: SwitchStep[] = []
  const sinceStart = (ns: bigint): number => Number(ns - startedNs) / 1e6
  async function step<T>(
    name: SwitchStep['step'],
    work: (stage: {world: World; signal: AbortSignal; observe(event: StrategyEvent): void}) => Promise<T>,
  ): Promise<T> {
    const beganNs = world.now()
    const events: {atMs: number; text: string; frame?: EventFrame}[] = []
    const observe = ({atNs, text, frame}: StrategyEvent): void => {
      events.push({atMs: sinceStart(atNs), text, ...(frame && {frame})})
      world.log(`${sinceStart(atNs).toFixed(2).padStart(8)} ms  ${text}`)
    }
    try {
      return await work({world, signal: name === 'rollback' ? new AbortController().signal : signal, observe})
    } finally {
      steps.push({
        step: name,
        atMs: sinceStart(beganNs),
        durationMs: sinceStart(world.now()) - sinceStart(beganNs),
        events,
      })
    }
  }
  const back = (): Promise<Verdict> => step('rollback', (stage) => strategy.rollback(plan, stage))
  try {
    await step('execute', (stage) => strategy.execute(plan, stage))
    const verdict = await step('verify', (stage) => strategy.verify(plan, stage))
    if (verdict.ok) return {steps, verdict}
    return {verdict, rollback: await back(), steps}
  } catch (error) {
    await back()
    throw error
  }
}
