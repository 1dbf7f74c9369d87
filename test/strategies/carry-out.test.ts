import {describe, expect, it} from 'vitest'
import {EXIT, Failure} from '../../src/errors.ts'
import {carryOut, exitOf, type SwitchEnd} from '../../src/strategies/carry-out.ts'
import {chooseStrategies, loadStrategies, type Registered} from '../../src/strategies/registry.ts'
import type {Strategy, Verdict} from '../../src/strategies/strategy.ts'
import {gatewayNamed, strategyNamed, verdict} from '../support/strategy.ts'
import {fakeWorld} from '../support/world.ts'

interface Told {
  readonly ends?: Verdict | Error
  readonly execute?: Error
  readonly verify?: Verdict | Error
  readonly rollback?: Verdict | Error
  readonly hold?: Verdict | Error
}

/** Carries out what does as it is told, and writes down what was asked of whom. */
async function run(told: Told, options: {acceptUnverified?: boolean; hold?: boolean; arm?: Error} = {}) {
  const log: string[] = []
  const answer = <T>(step: string, value: T | Error): T => {
    log.push(step)
    if (value instanceof Error) throw value
    return value
  }
  const strategy = strategyNamed('s', {
    look: async (plan) => {
      const ends = answer('look', told.ends ?? null)
      return {plan: {...(plan as object), seen: true}, uses: gatewayNamed('bx'), ends}
    },
    execute: async () => answer('execute', told.execute ?? 'what it saw'),
    verify: async (_plan, _stage, seen) => {
      expect(seen).toBe('what it saw')
      return answer('verify', told.verify ?? verdict('served'))
    },
    rollback: async (plan) => {
      expect(plan, 'with what was observed before').toMatchObject({seen: true})
      return answer('rollback', told.rollback ?? {...verdict('elsewhere'), ok: true})
    },
    ...(told.hold && {hold: async () => answer('hold', told.hold!)}),
  })
  const outcome = await carryOut(strategy, {by: 's'}, fakeWorld(), {
    ...{signal: new AbortController().signal, acceptUnverified: options.acceptUnverified, hold: options.hold},
    arm: async () => answer('arm', options.arm ?? undefined),
    disarm: () => void log.push('disarm'),
  })
  return {log: log.join(' '), outcome}
}

const OK = 'look arm execute verify'
const boom = (kind: 'runtime' | 'refused' | 'silent' = 'runtime') => new Failure(kind, 'boom')

describe('carryOut', () => {
  it('keeps the guard armed until it is written that the VM is verified', async () => {
    const log: string[] = []
    await carryOut(strategyNamed('s'), {by: 's'}, fakeWorld(), {
      signal: new AbortController().signal,
      onVerified: async () => {
        await new Promise(setImmediate)
        log.push('written')
      },
      disarm: () => void log.push('disarmed'),
    })
    expect(log).toEqual(['written', 'disarmed'])
  })

  it.each<[string, Told, Parameters<typeof run>[1], string, SwitchEnd, number]>([
    ['verified', {}, {}, `${OK} disarm`, 'switched', 0],
    ['held', {hold: verdict('served')}, {hold: true}, `${OK} disarm hold`, 'switched', 0],
    ['not to be held', {hold: verdict('served')}, {}, `${OK} disarm`, 'switched', 0],
    ['a hold that fails undoes nothing', {hold: boom()}, {hold: true}, `${OK} disarm hold`, 'switched', 0],
    [
      'moved away while held',
      {hold: verdict('elsewhere', ['gone'], 'bx')},
      {hold: true},
      `${OK} disarm hold`,
      'lost',
      3,
    ],
    ['lost out of sight while held', {hold: verdict('silent')}, {hold: true}, `${OK} disarm hold`, 'lost', 7],
    ['there already', {ends: verdict('already')}, {}, 'look disarm', 'already', 0],
    [
      'there already, and held',
      {ends: verdict('already'), hold: verdict('already')},
      {hold: true},
      'look disarm hold',
      'already',
      0,
    ],
    [
      'there already, and moved away while held',
      {ends: verdict('already'), hold: verdict('elsewhere', ['gone'], 'bx')},
      {hold: true},
      'look disarm hold',
      'lost',
      3,
    ],
    [
      'there already, and a hold that fails',
      {ends: verdict('already'), hold: boom()},
      {hold: true},
      'look disarm hold',
      'already',
      0,
    ],
    ['the target is dead', {ends: verdict('target-dead')}, {}, 'look disarm', 'not-begun', 3],
    [
      'what cannot begin is not held',
      {ends: verdict('target-dead'), hold: verdict('served')},
      {hold: true},
      'look disarm',
      'not-begun',
      3,
    ],
    ['the VM is not here', {ends: verdict('not-here')}, {}, 'look disarm', 'not-begun', 3],
    ['the VM is silent', {ends: verdict('silent')}, {}, 'look disarm', 'not-begun', 5],
    ['given already, and out of sight', {ends: verdict('unverified')}, {}, 'look disarm', 'not-begun', 3],
    ['the same, as accepted', {ends: verdict('unverified')}, {acceptUnverified: true}, 'look disarm', 'accepted', 0],
    [
      'the target is dead, whatever is accepted',
      {ends: verdict('target-dead')},
      {acceptUnverified: true},
      'look disarm',
      'not-begun',
      3,
    ],
    ['it cannot be looked', {ends: boom()}, {}, 'look disarm', 'not-begun', 1],
    ['nothing would take it back', {}, {arm: boom()}, 'look arm disarm', 'not-begun', 1],
    ['not verified', {verify: verdict('unverified')}, {}, `${OK} rollback disarm`, 'rolled-back', 3],
    [
      'unverified, as accepted',
      {verify: verdict('unverified')},
      {acceptUnverified: true},
      `${OK} disarm`,
      'accepted',
      0,
    ],
    ['partial, as accepted', {verify: verdict('partial')}, {acceptUnverified: true}, `${OK} disarm`, 'accepted', 0],
    [
      'dead is never accepted',
      {verify: verdict('target-dead')},
      {acceptUnverified: true},
      `${OK} rollback disarm`,
      'rolled-back',
      3,
    ],
    [
      'elsewhere is never accepted',
      {verify: verdict('elsewhere')},
      {acceptUnverified: true},
      `${OK} rollback disarm`,
      'rolled-back',
      3,
    ],
    [
      'not verified, and the rollback is not confirmed',
      {verify: verdict('silent'), rollback: verdict('silent')},
      {},
      `${OK} rollback disarm`,
      'unknown',
      7,
    ],
    ['refused, and as it was', {execute: boom('refused')}, {}, 'look arm execute rollback disarm', 'rolled-back', 4],
    [
      'refused, and unknown',
      {execute: boom('refused'), rollback: verdict('silent')},
      {},
      'look arm execute rollback disarm',
      'unknown',
      7,
    ],
    ['no answer, and as it was', {execute: boom('silent')}, {}, 'look arm execute rollback disarm', 'rolled-back', 5],
    ['verify fails', {verify: boom()}, {}, `${OK} rollback disarm`, 'rolled-back', 1],
    // The guard is left armed: it tries again when this process has ended.
    ['the rollback fails too', {verify: boom(), rollback: new Error('and this')}, {}, `${OK} rollback`, 'unknown', 7],
  ])('%s', async (_name, told, options, log, end, exit) => {
    const found = await run(told, options)
    expect({log: found.log, end: found.outcome.end, exit: exitOf(found.outcome, undefined)}).toEqual({log, end, exit})
    expect(found.outcome.before?.name).toBe(told.ends instanceof Error ? undefined : 'bx')
  })

  describe('of a VM that has just arrived', () => {
    /** What was armed, and what came of it. */
    async function atOnce(over: Partial<Strategy>, options: {armed?: Error; armedAgain?: Error} = {}) {
      const log: string[] = []
      const armed: [unknown, boolean][] = []
      const rolledBack: unknown[] = []
      const strategy = strategyNamed('s', {
        look: async () => Promise.reject(new Error('it looked')),
        execute: async () => Promise.reject(new Error('it was told without a question')),
        standby: {
          check: async () => null,
          async atOnce(planned, stage) {
            const plan = {...(planned as object), now: true}
            log.push('asked')
            await stage.arm(plan)
            log.push('told')
            stage.amend({plan: {...plan, before: 'bx'}, uses: gatewayNamed('bx')})
          },
        },
        rollback: async (plan) => {
          rolledBack.push(plan)
          return {...verdict('elsewhere'), ok: true}
        },
        ...over,
      })
      const outcome = await carryOut(strategy, {by: 's'}, fakeWorld(), {
        ...{signal: new AbortController().signal, atOnce: true},
        arm: async (plan, urgent) => {
          armed.push([plan, urgent])
          log.push('armed')
          const error = urgent ? options.armed : options.armedAgain
          if (error) throw error
        },
        disarm: () => void log.push('disarmed'),
      })
      return {log, armed, rolledBack, outcome}
    }
    const amended = {by: 's', now: true, before: 'bx'}

    it('there is no look; what is seen while it is told is armed too, and is what was before', async () => {
      const {log: order, armed, outcome} = await atOnce({})
      expect(order).toEqual(['asked', 'armed', 'told', 'armed', 'disarmed'])
      expect(armed).toEqual([
        [{by: 's', now: true}, true],
        [amended, false],
      ])
      expect(outcome).toMatchObject({end: 'switched', before: {name: 'bx'}, plan: amended})
      expect(outcome.steps.map(({step}) => step)).toEqual(['execute', 'verify'])
    })

    it('is put back to that where it is not proved', async () => {
      const {rolledBack, outcome} = await atOnce({verify: async () => verdict('not-here')})
      expect({rolledBack, end: outcome.end}).toEqual({rolledBack: [amended], end: 'rolled-back'})
    })

    it('is asked, and told nothing, where the way back is not safe', async () => {
      const {log: order, rolledBack, outcome} = await atOnce({}, {armed: boom()})
      expect(order).toEqual(['asked', 'armed', 'disarmed'])
      expect({rolledBack, end: outcome.end, error: outcome.error?.message}).toEqual({
        ...{rolledBack: [], end: 'not-begun', error: 'boom'},
      })
    })

    it('is put back where the guard does not take what was seen', async () => {
      const {rolledBack, outcome} = await atOnce({}, {armedAgain: boom()})
      expect({rolledBack, end: outcome.end, error: outcome.error?.message}).toEqual({
        ...{rolledBack: [amended], end: 'rolled-back', error: 'boom'},
      })
    })

    it('is looked at first by a strategy that knows no other way', async () => {
      const strategy = strategyNamed('s')
      const outcome = await carryOut(strategy, {}, fakeWorld(), {signal: new AbortController().signal, atOnce: true})
      expect(outcome.steps.map(({step}) => step)).toEqual(['look', 'execute', 'verify'])
    })
  })

  it('keeps the first error beside that of the rollback', async () => {
    const {outcome} = await run({verify: boom(), rollback: new Error('and this')})
    expect([outcome.error?.message, outcome.rollbackError?.message]).toEqual(['boom', 'and this'])
  })

  it('rolls back when it is interrupted, and cannot be interrupted in that', async () => {
    const stop = new AbortController()
    let rollbackSignal: AbortSignal | undefined
    const slow: Strategy = strategyNamed('s', {
      execute: async (_plan, {world, signal}) => {
        stop.abort(new Failure('runtime', 'stopped by SIGINT'))
        await world.sleep(1000, signal)
      },
      rollback: async (_plan, {signal}) => {
        rollbackSignal = signal
        return {...verdict('elsewhere'), ok: true}
      },
    })
    const outcome = await carryOut(slow, {}, fakeWorld(), {signal: stop.signal})
    expect(outcome).toMatchObject({end: 'rolled-back', error: {message: 'stopped by SIGINT'}})
    expect(rollbackSignal?.aborted).toBe(false)
    expect(exitOf(outcome, 130)).toBe(130)
    expect(exitOf({...outcome, end: 'unknown'}, 130), 'what is not known outranks the signal').toBe(EXIT.unknown)
  })

  it('begins nothing when it is interrupted in the look', async () => {
    const stop = new AbortController()
    const log: string[] = []
    const strategy = strategyNamed('s', {
      look: async (plan) => {
        stop.abort(new Failure('runtime', 'stopped by SIGTERM'))
        return {plan, uses: null, ends: null}
      },
      execute: async () => void log.push('execute'),
    })
    const outcome = await carryOut(strategy, {}, fakeWorld(), {signal: stop.signal})
    expect({end: outcome.end, log, exit: exitOf(outcome, 143)}).toEqual({end: 'not-begun', log: [], exit: 143})
  })
})

const plugin = (name: string, result: unknown) => ({plugin: {name}, result})
const runner = (
  successes: {plugin: {name: string}; result: unknown}[],
  failures: {plugin: {name: string}; error: Error}[] = [],
) => ({
  runHook: async () => ({successes, failures}),
})

describe('loadStrategies', () => {
  const one = strategyNamed('one')
  it('collects what all plugins bring', async () => {
    const found = await loadStrategies(runner([plugin('a', [one]), plugin('b', [strategyNamed('two')])]))
    expect([...found].map(([name, {plugin: from}]) => [name, from])).toEqual([
      ['one', 'a'],
      ['two', 'b'],
    ])
  })
  it('loads none before it is chosen', async () => {
    const loads: string[] = []
    const load = async () => {
      loads.push('one')
      return one
    }
    const lazy = {contract: one.contract, name: 'one', load}
    const found = await loadStrategies(runner([plugin('a', [lazy])]))
    expect(loads).toEqual([])
    expect(await found.get('one')!.load()).toBe(one)
  })
  it.each([
    [
      'a plugin that fails',
      runner([], [{plugin: {name: 'bad'}, error: new Error('boom')}]),
      /bad gives no strategies: boom/,
    ],
    ['a name twice', runner([plugin('a', [one]), plugin('b', [one])]), /both a and b bring a strategy called one/],
    [
      'a contract of another version',
      runner([plugin('old', [{...one, contract: 2} as unknown as Strategy])]),
      /^the plugin old brings one for version 2 of the strategy contract, and this gwswitch speaks 1: update the plugin$/,
    ],
    [
      'a contract of no version',
      runner([plugin('old', [{...one, contract: undefined} as unknown as Strategy])]),
      /for version none of the strategy contract/,
    ],
    ['no list', runner([plugin('a', undefined)]), /a answers gwswitch:strategies with no list/],
  ])('refuses %s, which oclif would swallow', async (_name, hooks, message) => {
    await expect(loadStrategies(hooks)).rejects.toThrow(message)
  })
})

describe('chooseStrategies', () => {
  const installed = new Map<string, Registered>(
    ['arp', 'agent'].map((name) => [name, {name, plugin: 'gwswitch', load: async () => strategyNamed(name)}]),
  )
  it.each([
    ['those asked for, in order', ['agent', 'arp'], [], ['agent', 'arp']],
    ["the VM's own, as far as installed", [], ['dhcp', 'agent'], ['agent']],
    ['all', [], [], ['arp', 'agent']],
  ])('%s', (_name, asked, ofVm, names) => {
    expect(chooseStrategies(installed, asked, ofVm).map(({name}) => name)).toEqual(names)
  })
  it.each([
    ['one that is not installed', ['dns'], [], /no strategy dns is installed \(known: arp, agent\)/],
    ['a VM that takes none that is', [], ['dhcp'], /takes dhcp, none of which is installed/],
  ])('refuses %s', (_name, asked, ofVm, message) => {
    expect(() => chooseStrategies(installed, asked, ofVm)).toThrow(message)
  })
})
