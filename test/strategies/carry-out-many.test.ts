import {describe, expect, it} from 'vitest'
import {Failure} from '../../src/errors.ts'
import {carryOut, type SwitchEnd} from '../../src/strategies/carry-out.ts'
import {carryOutMany, type ManyPace} from '../../src/strategies/carry-out-many.ts'
import {gatheringAll} from '../../src/strategies/gathering.ts'
import type {Strategy, Verdict} from '../../src/strategies/strategy.ts'
import {strategyNamed, verdict} from '../support/strategy.ts'
import {fakeWorld} from '../support/world.ts'

const ENDLESS = new AbortController().signal
const BACK: Verdict = {...verdict('elsewhere', ['as it was']), ok: true}
type Plan = string

/** What a strategy for many answers, all plans in one call, and what it is asked. */
interface Told {
  readonly ends?: (plan: Plan) => Verdict | null
  readonly executeMany?: Strategy<Plan>['executeMany']
  readonly verdictOf?: (plan: Plan) => Verdict
  readonly rollbackMany?: Strategy<Plan>['rollbackMany']
  readonly arm?: (plan: Plan) => Promise<void>
}

/** As a switch of many loads it. */
async function gathering<P, S>(strategy: Strategy<P, S>): Promise<Strategy<P, S>> {
  const registered = {name: strategy.name, plugin: 'p', load: async () => strategy as Strategy}
  return (await gatheringAll(new Map([[strategy.name, registered]]))
    .get(strategy.name)!
    .load()) as Strategy<P, S>
}

async function carried(plans: readonly Plan[], told: Told = {}, pace: Partial<ManyPace> = {}) {
  const log: string[] = []
  const noted = (what: string, all: readonly Plan[]): void => void log.push(`${what} ${all.join('+')}`)
  const strategy = await gathering<Plan, string>({
    ...(strategyNamed('s') as Strategy<Plan, string>),
    look: async (plan) => ({plan, uses: null, ends: told.ends?.(plan) ?? null}),
    executeMany: async (all, stage) => {
      noted('execute', all)
      return ((await told.executeMany?.(all, stage)) as string[] | undefined) ?? all.map((plan) => `saw ${plan}`)
    },
    verifyMany: async (all, _stage, seen) => {
      noted('verify', all)
      expect(seen).toEqual(all.map((plan) => `saw ${plan}`))
      return all.map((plan) => told.verdictOf?.(plan) ?? verdict('served'))
    },
    rollbackMany: async (all, stage) => {
      noted('rollback', all)
      return (await told.rollbackMany?.(all, stage)) ?? all.map(() => BACK)
    },
  })
  const ends = new Map<Plan, SwitchEnd>()
  const world = fakeWorld()
  const left = await carryOutMany(
    plans,
    async (plan) => {
      const outcome = await carryOut(strategy, plan, world, {
        signal: ENDLESS,
        arm: async () => {
          log.push(`arm ${plan}`)
          await told.arm?.(plan)
        },
        disarm: () => void log.push(`disarm ${plan}`),
      })
      ends.set(plan, outcome.end)
    },
    world,
    {concurrency: 100, stop: ENDLESS, ...pace},
  )
  return {log, ends: Object.fromEntries(ends), left}
}

const three = ['a', 'b', 'c']
const all = (end: SwitchEnd) => ({a: end, b: end, c: end})
const only = (odd: Plan, is: Verdict) => (plan: Plan) => (plan === odd ? is : verdict('served'))
const boom = async (): Promise<never> => {
  throw new Failure('runtime', 'boom')
}

describe('carryOutMany by the forms for many', () => {
  it.each<[string, Told, Record<string, SwitchEnd>, readonly string[]]>([
    ['tells and proves all in one go', {}, all('switched'), ['execute a+b+c', 'verify a+b+c']],
    [
      'tells none that ended before',
      {ends: (plan) => (plan === 'b' ? verdict('silent') : null)},
      {...all('switched'), b: 'not-begun'},
      ['execute a+c', 'verify a+c'],
    ],
    [
      'tells none for which nothing would take it back',
      {arm: async (plan) => (plan === 'b' ? boom() : undefined)},
      {...all('switched'), b: 'not-begun'},
      ['execute a+c', 'verify a+c'],
    ],
    [
      'takes back the one that was not proved, and no other',
      {verdictOf: only('b', verdict('elsewhere'))},
      {...all('switched'), b: 'rolled-back'},
      ['execute a+b+c', 'verify a+b+c', 'rollback b'],
    ],
    [
      'takes all back where telling them failed',
      {executeMany: boom},
      all('rolled-back'),
      ['execute a+b+c', 'rollback a+b+c'],
    ],
    [
      'takes all back where it is not said what was seen of each',
      {executeMany: async () => ['saw a']},
      all('rolled-back'),
      ['execute a+b+c', 'rollback a+b+c'],
    ],
  ])('%s', async (_what, told, ends, steps) => {
    const {log, ends: found} = await carried(three, told)
    expect(found).toEqual(ends)
    expect(log.filter((line) => !/^(?:dis)?arm/.test(line))).toEqual(steps)
  })

  it('has every guard armed before any of them is told, and keeps those whose rollback failed', async () => {
    const {log, ends} = await carried(three, {verdictOf: only('b', verdict('elsewhere')), rollbackMany: boom})
    expect(log.slice(0, 4)).toEqual(['arm a', 'arm b', 'arm c', 'execute a+b+c'])
    expect(log.filter((line) => line.startsWith('disarm'))).toEqual(['disarm a', 'disarm c'])
    expect(ends.b).toBe('unknown')
  })

  it('has 128 in one go at most', async () => {
    const plans = Array.from({length: 300}, (_, i) => `${i}`)
    const {log} = await carried(plans, {}, {concurrency: 300})
    const told = log.filter((line) => line.startsWith('execute')).map((line) => line.split('+').length)
    expect(Math.max(...told)).toBeLessThanOrEqual(128)
    expect(told.reduce((a, b) => a + b)).toBe(300)
  })

  it('asks planMany once, and each alone where that fails', async () => {
    const asked: string[] = []
    const switchovers = three.map((name) => ({vm: {name}})) as unknown as Parameters<Strategy['plan']>[0][]
    const nameOf = ({vm}: {readonly vm: {readonly name: string}}) => vm.name
    const planned = async (planMany: NonNullable<Strategy<Plan>['planMany']>) => {
      const strategy = await gathering<Plan, unknown>({
        ...(strategyNamed('s') as Strategy<Plan, unknown>),
        planMany,
        plan: async (each) => {
          asked.push(nameOf(each))
          return nameOf(each) === 'b' ? boom() : `alone ${nameOf(each)}`
        },
      })
      return Promise.allSettled(switchovers.map((each) => strategy.plan(each, {}, fakeWorld())))
    }
    expect(await planned(async (each) => each.map((one) => `many ${nameOf(one)}`))).toMatchObject(
      three.map((name) => ({value: `many ${name}`})),
    )
    expect(asked).toEqual([])
    expect(await planned(boom)).toMatchObject([{value: 'alone a'}, {reason: {message: 'boom'}}, {value: 'alone c'}])
  })
})

describe('the pace of carryOutMany', () => {
  const jobs = Array.from({length: 40}, (_, i) => i)

  it('has no more under way than it may', async () => {
    const world = fakeWorld()
    let [under, most] = [0, 0]
    const work = async (): Promise<void> => {
      most = Math.max(most, ++under)
      await world.sleep(10)
      under--
    }
    expect(await carryOutMany(jobs, work, world, {concurrency: 7, stop: ENDLESS})).toEqual([])
    expect(most).toBe(7)
  })

  it('begins no more a second than it may, in their order', async () => {
    const world = fakeWorld()
    const startNs = world.now()
    const begun: [number, number][] = []
    const work = async (job: number): Promise<void> =>
      void begun.push([job, Math.round(Number(world.now() - startNs) / 1e6)])
    await carryOutMany(jobs, work, world, {concurrency: 40, rate: 20, stop: ENDLESS})
    expect(begun).toEqual(jobs.map((job) => [job, job * 50]))
  })

  it('begins nothing more once it is stopped, waits for what is under way, and gives back the rest', async () => {
    const world = fakeWorld()
    const stop = new AbortController()
    const ended: number[] = []
    const work = async (job: number): Promise<void> => {
      if (job === 2) stop.abort(new Failure('runtime', 'stopped by SIGINT'))
      await world.sleep(100)
      ended.push(job)
    }
    expect(await carryOutMany(jobs, work, world, {concurrency: 2, stop: stop.signal})).toEqual(jobs.slice(3))
    expect(ended).toEqual([0, 1, 2])
  })

  it('does all others where one fails', async () => {
    const ended: number[] = []
    const work = async (job: number): Promise<void> => {
      if (job === 3) throw new Error('boom')
      ended.push(job)
    }
    await expect(carryOutMany(jobs, work, fakeWorld(), {concurrency: 5, stop: ENDLESS})).rejects.toThrow('boom')
    expect(ended).toEqual(jobs.filter((job) => job !== 3))
  })
})
