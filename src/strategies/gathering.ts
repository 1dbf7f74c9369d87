// A strategy's forms for many, behind its forms for one: what is asked of it for several VMs at the same time is done in one
// go. Whoever carries out one switch carries out many, with the same guarantees for each.
import {setTimeout as delay} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import type {Registered} from './registry.ts'
import type {Stage, Strategy, StrategyEvent} from './strategy.ts'

/** Plans in one go, at most: none waits for more than so many others. */
const MOST = 128
/** How long plans are gathered from the first on, ms: switches are begun a few at a time. */
const GATHER_MS = 50

/** The strategies of `installed`, each gathering what is asked of it. */
export function gatheringAll(installed: ReadonlyMap<string, Registered>): ReadonlyMap<string, Registered> {
  return new Map(
    [...installed].map(([name, registered]) => {
      let loaded: Promise<Strategy> | undefined
      const load = (): Promise<Strategy> => {
        loaded ??= registered.load().then((strategy) => gathering(strategy))
        return loaded
      }
      return [name, {...registered, load}]
    }),
  )
}

/**
 * The same strategy; forms for one are left as they are where there is none for many. A form for many that fails fails for
 * each of its plans; a failed `planMany` is asked again of each alone, which says whose failure it is. The stages of what is
 * gathered are of one run: its world and its signal are the same.
 */
function gathering<Plan, Seen>(strategy: Strategy<Plan, Seen>): Strategy<Plan, Seen> {
  const {name, planMany, executeMany, verifyMany, rollbackMany} = strategy
  /** Gathers the plans of a step; `many` does all of them. */
  const step = <A extends {readonly stage: Stage}, R>(
    many: (all: readonly A[], stage: Stage) => Promise<readonly R[]>,
  ) => gather<A, R>(name, (all) => many(all, stageOf(all.map(({stage}) => stage))))
  const plan =
    planMany &&
    gather<Parameters<Strategy<Plan, Seen>['plan']>, Plan>(name, (all) => {
      const [, options, world] = all[0]!
      return planMany.call(
        strategy,
        all.map(([switchover]) => switchover),
        options,
        world,
      )
    })
  const execute =
    executeMany && step<Doing<Plan>, Seen>((all, stage) => executeMany.call(strategy, plansOf(all), stage))
  const verify =
    verifyMany &&
    step<Doing<Plan> & {readonly seen: Seen | undefined}, Awaited<ReturnType<Strategy['verify']>>>((all, stage) =>
      verifyMany.call(
        strategy,
        plansOf(all),
        stage,
        all.map(({seen}) => seen),
      ),
    )
  const rollback =
    rollbackMany &&
    step<Doing<Plan>, Awaited<ReturnType<Strategy['rollback']>>>((all, stage) =>
      rollbackMany.call(strategy, plansOf(all), stage),
    )
  return {
    ...strategy,
    ...(plan && {plan: (...asked) => plan(asked).catch(() => strategy.plan(...asked))}),
    ...(execute && {execute: (each, stage) => execute({plan: each, stage})}),
    ...(verify && {verify: (each, stage, seen) => verify({plan: each, stage, seen})}),
    ...(rollback && {rollback: (each, stage) => rollback({plan: each, stage})}),
  }
}

interface Doing<Plan> {
  readonly plan: Plan
  readonly stage: Stage
}

const plansOf = <Plan>(all: readonly Doing<Plan>[]): readonly Plan[] => all.map(({plan}) => plan)

/** What is observed is of all of them. */
const stageOf = (stages: readonly Stage[]): Stage => ({
  ...stages[0]!,
  observe(event: StrategyEvent) {
    for (const stage of stages) stage.observe(event)
  },
})

interface Waiting<A, R> {
  readonly asked: A
  resolve(result: R): void
  reject(error: unknown): void
}

/** Collects what is asked for a moment, and has `many` do it. */
function gather<A, R>(name: string, many: (all: readonly A[]) => Promise<readonly R[]>): (asked: A) => Promise<R> {
  let waiting: Waiting<A, R>[] = []
  const go = async (): Promise<void> => {
    await delay(GATHER_MS)
    const all = waiting
    waiting = []
    for (let at = 0; at < all.length; at += MOST) void inOneGo(all.slice(at, at + MOST))
  }
  async function inOneGo(all: readonly Waiting<A, R>[]): Promise<void> {
    try {
      const results = await many(all.map(({asked}) => asked))
      if (results.length !== all.length)
        throw new Failure(
          'runtime',
          `the ${name} strategy was asked for ${all.length} VMs and answers for ${results.length}`,
        )
      for (const [i, {resolve}] of all.entries()) resolve(results[i]!)
    } catch (error) {
      for (const {reject} of all) reject(error)
    }
  }
  return (asked) =>
    new Promise((resolve, reject) => {
      if (waiting.push({asked, resolve, reject}) === 1) void go()
    })
}
