import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {Failure, type FailureKind} from '../../../src/errors.ts'
import type {DeadMan} from '../../../src/net/process/dead-man.ts'
import type {World} from '../../../src/net/world.ts'
import type {Mark, SwitchState} from '../../../src/orders/journal/journal.ts'
import {performSwitch, plannedSwitch, prepareSwitch} from '../../../src/orders/switch/run-switch.ts'
import type {Registered} from '../../../src/strategies/registry.ts'
import type {OptionName, Strategy, Verdict} from '../../../src/strategies/strategy.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {strategyNamed, verdict} from '../../support/strategy.ts'
import {fakeWorld} from '../../support/world.ts'

const YES: Verdict = verdict('served')
const NO: Verdict = verdict('unverified', ['not seen'])
/** The VM is as it was. */
const BACK: Verdict = {...verdict('elsewhere', ['as it was']), ok: true}
const signal = new AbortController().signal

interface Told {
  readonly plan?: unknown
  readonly execute?: unknown
  readonly verify?: unknown
  readonly rollback?: unknown
}

/** A strategy that does as it is told, an Error being thrown, and writes into `log` what it begins and ends. */
function strategyOf(name: string, log: string[], told: Told = {}): Strategy {
  const does = async (step: keyof Told, otherwise: unknown): Promise<never> => {
    const value = told[step] ?? otherwise
    log.push(`${name} ${step}`)
    await new Promise((resolve) => setImmediate(resolve))
    if (value instanceof Error) throw value
    log.push(`${name} ${step} done`)
    return value as never
  }
  return strategyNamed(name, {
    plan: () => does('plan', {by: name}),
    execute: () => does('execute', undefined),
    verify: () => does('verify', YES),
    rollback: () => does('rollback', BACK),
  })
}

/** The guard of a process that lives on. */
function guardIn(log: string[], arm: () => Promise<void> = async () => {}): DeadMan & {readonly orders: unknown[]} {
  const orders: unknown[] = []
  return {
    orders,
    async arm(order) {
      orders.push(order)
      await arm()
      log.push('armed')
    },
    disarm: () => void log.push('disarmed'),
  }
}

const ORDER = {vm: 'web-07', to: 'y', strategies: []}
const prepared = (...strategies: readonly Strategy[]) => preparedIn(fakeWorld(), ...strategies)

function preparedIn(world: World, ...strategies: readonly Strategy[]) {
  const installed = new Map<string, Registered>(
    strategies.map((each) => [each.name, {name: each.name, plugin: 'p', load: async () => each}]),
  )
  const names = strategies.map(({name}) => name)
  return prepareSwitch({...ORDER, strategies: names}, parseInventory(INVENTORY, 'gwswitch.yaml'), installed, world)
}

const failure = (kind: FailureKind): Failure => new Failure(kind, `${kind}: because`)

describe('prepareSwitch', () => {
  it('takes the first strategy that can, says why not those before it, and asks none behind it', async () => {
    const log: string[] = []
    const first = strategyOf('a', log, {plan: failure('usage')})
    const found = await prepared(first, strategyOf('b', log), strategyOf('c', log))
    expect(found).toMatchObject({
      strategy: {name: 'b'},
      plan: {by: 'b'},
      describe: ['by b'],
      passedOver: [{strategy: 'a', reason: 'usage: because'}],
      switchover: {vm: {name: 'web-07'}, from: {name: 'rx'}, to: {name: 'ry'}},
    })
    expect(log).toEqual(['a plan', 'b plan', 'b plan done'])
  })

  it.each([failure('runtime'), failure('privilege'), failure('silent'), failure('refused'), new TypeError('a bug')])(
    'passes over nobody because of a %s',
    async (error) => {
      const log: string[] = []
      await expect(prepared(strategyOf('a', log, {plan: error}), strategyOf('b', log))).rejects.toBe(error)
      expect(log).toEqual(['a plan'])
    },
  )

  it('gives the reason of each where none can', async () => {
    const log: string[] = []
    const cannot = (name: string) => strategyOf(name, log, {plan: failure('usage')})
    await expect(prepared(cannot('a'), cannot('b'))).rejects.toMatchObject({
      kind: 'usage',
      message: 'a: usage: because; b: usage: because',
    })
    await expect(prepared(cannot('a'))).rejects.toMatchObject({kind: 'usage', message: 'usage: because'})
  })
})

describe('prepareSwitch where the bridge redirects the VM', () => {
  const RX = '02:00:00:00:0a:01'
  const RY = '02:00:00:00:0b:01'
  const world = (to: string, vm = '020000000010'): World => {
    const rule = {chain: `vm_${vm}`, comment: `${RX} > ${to}`, code: '', counter: {packets: 1, bytes: 1}}
    const table = {declarations: [], sets: new Map(), elements: new Map(), devices: [], rules: [rule]}
    return {...fakeWorld(), nftTable: async () => table}
  }
  const lift = 'gwswitch mac-proxy release web-07'

  it('to another gateway, refuses before any strategy is asked, and names what lifts it', async () => {
    const log: string[] = []
    await expect(preparedIn(world('02:00:00:00:0c:01'), strategyOf('a', log))).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(new RegExp(`sends to rx .* to 02:00:00:00:0c:01 .*: lift that first, ${lift}$`)),
    })
    expect(log).toEqual([])
  })

  it.each([
    [
      'to another gateway, lets the strategy that redirects put another in its place',
      '02:00:00:00:0c:01',
      'mac-proxy',
      [],
    ],
    [
      'to the gateway that it shall use, goes on and says so',
      RY,
      'a',
      [expect.stringContaining(`; ${lift} lifts that`)],
    ],
  ])('%s', async (_what, to, name, said) => {
    const {describe} = await preparedIn(world(to), strategyOf(name, []))
    expect(describe).toEqual([...said, `by ${name}`])
  })

  it('as another VM is, goes on', async () => {
    expect(await preparedIn(world('02:00:00:00:0c:01', '020000000011'), strategyOf('a', []))).toMatchObject({
      describe: ['by a'],
    })
  })

  it('and nobody may look, goes on', async () => {
    const blind: World = {...fakeWorld(), nftTable: () => Promise.reject(failure('privilege'))}
    expect(await preparedIn(blind, strategyOf('a', []))).toMatchObject({describe: ['by a']})
  })
})

describe('plannedSwitch', () => {
  it('is a document of what would be done, and does none of it', async () => {
    const log: string[] = []
    const document = plannedSwitch(await prepared(strategyOf('a', log)))
    expect(document).toMatchObject({
      schema: 'gwswitch.switch/1',
      dryRun: true,
      vm: {name: 'web-07', ip: '10.0.0.10', segment: 'tenant-a'},
      from: {name: 'rx', site: 'x'},
      to: {name: 'ry', site: 'y'},
      strategy: 'a',
      plan: {by: 'a'},
      steps: [],
      exitCode: 0,
    })
    expect(log).toEqual(['a plan', 'a plan done'])
  })
})

describe('performSwitch', () => {
  async function performed(told: Told, arm?: () => Promise<void>) {
    const log: string[] = []
    const ready = await prepared(strategyOf('a', log, told))
    log.length = 0
    const deadMan = guardIn(log, arm)
    const run = performSwitch(ready, fakeWorld(), {signal, deadMan, audit: '/var/log/audit.jsonl'})
    return {log, deadMan, outcome: await run.catch((error: unknown) => error)}
  }
  const done = (...steps: readonly string[]): string[] => steps.flatMap((step) => [`a ${step}`, `a ${step} done`])

  it('arms the guard before anything is done, and disarms it when all is verified', async () => {
    const {log, deadMan, outcome} = await performed({})
    expect(log).toEqual(['armed', ...done('execute', 'verify'), 'disarmed'])
    expect(deadMan.orders).toEqual([{strategy: 'a', plan: {by: 'a'}, vm: 'web-07', audit: '/var/log/audit.jsonl'}])
    expect(outcome).toMatchObject({dryRun: false, verified: true, evidence: ['seen'], exitCode: 0})
  })

  it('does nothing that no guard would take back', async () => {
    const error = failure('runtime')
    const {log, outcome} = await performed({}, async () => {
      throw error
    })
    expect(outcome).toMatchObject({end: 'not-begun', error: {kind: 'runtime'}, exitCode: 1})
    expect(log).toEqual(['disarmed'])
  })

  it('keeps the guard until the rollback has returned', async () => {
    const {log, outcome} = await performed({verify: NO})
    expect(log).toEqual(['armed', ...done('execute', 'verify', 'rollback'), 'disarmed'])
    expect(outcome).toMatchObject({
      verified: false,
      evidence: ['not seen'],
      rolledBack: true,
      rollback: BACK,
      exitCode: 3,
    })
  })

  it('does not end with 0 where the rollback is not confirmed either', async () => {
    const {outcome} = await performed({verify: NO, rollback: NO})
    expect(outcome).toMatchObject({verified: false, rolledBack: false, rollback: NO, end: 'unknown', exitCode: 7})
  })

  it.each<[string, Told, string[], object]>([
    ['execute', {execute: failure('refused')}, ['a execute'], {error: {kind: 'refused'}, exitCode: 4}],
    ['verify', {verify: failure('runtime')}, [...done('execute'), 'a verify'], {error: {kind: 'runtime'}, exitCode: 1}],
  ])('takes a switch back whose %s fails, disarms, and says what failed', async (_step, told, before, expected) => {
    const {log, outcome} = await performed(told)
    expect(outcome).toMatchObject({...expected, end: 'rolled-back', rolledBack: true, verified: null})
    expect(log).toEqual(['armed', ...before, ...done('rollback'), 'disarmed'])
  })

  it('ends with the code of the signal where the VM is as it was, and says so in the document', async () => {
    const ready = await prepared(strategyOf('a', [], {execute: failure('runtime')}))
    const run = performSwitch(ready, fakeWorld(), {signal, deadMan: guardIn([]), stopped: () => 130})
    expect(await run).toMatchObject({end: 'rolled-back', exitCode: 130})
  })
})

describe('options that a strategy does not take', () => {
  it.each<[OptionName, unknown, string]>([
    ['guardMs', 1000, '--guard'],
    ['arrivalMs', 1000, '--before-resume'],
    ['vlanId', 7, '--vlan'],
    ['verifyTo', '203.0.113.10', '--verify-to'],
  ])('%s: it is passed over, and the reason is said', async (option, value, flag) => {
    const taking = strategyNamed('b', {takes: [option]})
    const installed = new Map(
      [strategyNamed('a'), taking].map((each) => [
        each.name,
        {name: each.name, plugin: 'p', load: async () => each as Strategy},
      ]),
    )
    const order = {...ORDER, strategies: ['a', 'b'], [option]: value}
    const found = await prepareSwitch(order, parseInventory(INVENTORY, 'gwswitch.yaml'), installed, fakeWorld())
    expect(found).toMatchObject({
      strategy: {name: 'b'},
      passedOver: [{strategy: 'a', reason: `the a strategy does not take ${flag}`}],
    })
  })
})

describe('performSwitch with a journal', () => {
  /** Everything that happens, in its order; a mark that `fails` throws. */
  async function journaled(told: Told, {fails, hold}: {fails?: SwitchState; hold?: boolean} = {}) {
    const log: string[] = []
    const troubles: string[] = []
    const marks: Mark[] = []
    const mark = ([each]: readonly Mark[]): void => {
      if (each!.state === fails) throw new Failure('runtime', 'no room')
      marks.push(each!)
      log.push(`written: ${each!.state}`)
    }
    const plan = (): number[] => {
      if (fails === 'planned') throw new Failure('runtime', 'no room')
      log.push('written: planned')
      return [7]
    }
    const run = {id: 'r1', file: '/journal', plan, mark}
    const guard = guardIn(log)
    const look: Strategy['look'] = async (plan) => {
      log.push('a look')
      return {plan, uses: null, ends: null}
    }
    const strategy = {...strategyOf('a', log, told), look, ...(hold && {hold: async () => YES})}
    const document = await performSwitch(await prepared(strategy), fakeWorld(), {
      ...{signal, deadMan: guard, hold},
      journal: {run, onTrouble: ({message}) => void troubles.push(message)},
    })
    return {document, log: log.filter((line) => !/^a plan|done$/.test(line)), marks, troubles, orders: guard.orders}
  }

  it('writes down how far it is before each step, and its end, and hands the guard its place', async () => {
    const {log, marks, orders, document} = await journaled({})
    expect(log).toEqual([
      ...['written: planned', 'a look', 'armed', 'written: executing', 'a execute', 'a verify'],
      ...['written: verified', 'disarmed', 'written: ended'],
    ])
    expect(marks).toEqual([
      {n: 7, state: 'executing', plan: {by: 'a'}, guard: undefined},
      {n: 7, state: 'verified', verdict: YES},
      {n: 7, state: 'ended', document},
    ])
    expect(orders).toMatchObject([{journal: {file: '/journal', run: 'r1', n: 7}}])
  })

  it('writes that a VM is held, and that it is being put back', async () => {
    expect((await journaled({}, {hold: true})).log).toContain('written: guarding')
    expect((await journaled({verify: NO})).log).toEqual([
      ...['written: planned', 'a look', 'armed', 'written: executing', 'a execute', 'a verify'],
      ...['written: rolling-back', 'a rollback', 'disarmed', 'written: ended'],
    ])
  })

  it('begins nothing that it cannot write down', async () => {
    const {log, document} = await journaled({}, {fails: 'executing'})
    expect(log).toEqual(['written: planned', 'a look', 'armed', 'disarmed', 'written: ended'])
    await expect(journaled({}, {fails: 'planned'})).rejects.toMatchObject({kind: 'runtime', message: 'no room'})
    expect(document).toMatchObject({end: 'not-begun', error: {message: 'no room', exit: 1}, exitCode: 1})
  })

  it.each(['verified', 'guarding', 'rolling-back', 'ended'] as const)(
    'goes on where it cannot write that it is %s, and says so',
    async (fails) => {
      const told = fails === 'rolling-back' ? {verify: NO} : {}
      const {document, troubles} = await journaled(told, {fails, hold: fails === 'guarding'})
      expect(document.end).toBe(fails === 'rolling-back' ? 'rolled-back' : 'switched')
      expect(troubles).toEqual(['no room'])
    },
  )
})
