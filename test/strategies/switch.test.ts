import {describe, expect, it} from 'vitest'
import {chooseStrategies, loadStrategies, type Registered} from '../../src/strategies/registry.ts'
import type {Strategy, Verdict} from '../../src/strategies/strategy.ts'
import {carryOut} from '../../src/strategies/switch.ts'
import {fakeWorld} from '../support/world.ts'

const yes: Verdict = {ok: true, evidence: ['seen']}
const no: Verdict = {ok: false, evidence: ['not seen']}

/** A strategy that writes down what is asked of it; a step given as an Error throws it. */
function recorded(name: string, answers: {execute?: Error; verify?: Verdict | Error; rollback?: Verdict}) {
  const calls: string[] = []
  const answer = <T>(step: string, value: T | Error): T => {
    calls.push(step)
    if (value instanceof Error) throw value
    return value
  }
  const strategy: Strategy<{name: string}> = {
    name,
    summary: name,
    traits: {controlledAt: 'here', layer: 'L2', gatewayIp: 'stays', sessions: 'kept', needs: 'nothing'},
    plan: async () => ({name}),
    execute: async () => void answer('execute', answers.execute ?? undefined),
    verify: async () => answer('verify', answers.verify ?? yes),
    rollback: async () => answer('rollback', answers.rollback ?? yes),
    describe: () => [],
  }
  return {strategy, calls}
}

describe('carryOut', () => {
  it.each<[string, Parameters<typeof recorded>[1], string[], object | string]>([
    ['verified', {}, ['execute', 'verify'], {verdict: yes}],
    ['not verified', {verify: no}, ['execute', 'verify', 'rollback'], {verdict: no, rollback: yes}],
    [
      'not verified, nor taken back',
      {verify: no, rollback: no},
      ['execute', 'verify', 'rollback'],
      {verdict: no, rollback: no},
    ],
    ['execute fails', {execute: new Error('half done')}, ['execute', 'rollback'], 'half done'],
    ['verify fails', {verify: new Error('lost the link')}, ['execute', 'verify', 'rollback'], 'lost the link'],
  ])('%s', async (_name, answers, calls, outcome) => {
    const seen = recorded('s', answers)
    const run = carryOut(seen.strategy, {name: 's'}, fakeWorld(), new AbortController().signal)
    if (typeof outcome === 'string') await expect(run).rejects.toThrow(outcome)
    else expect(await run).toMatchObject(outcome)
    expect(seen.calls).toEqual(calls)
  })

  it('rolls back when it is interrupted, and cannot be interrupted in that', async () => {
    const stop = new AbortController()
    let rollbackSignal: AbortSignal | undefined
    const {strategy} = recorded('s', {})
    const slow: Strategy<{name: string}> = {
      ...strategy,
      execute: async (_plan, {world, signal}) => {
        stop.abort(new Error('Ctrl-C'))
        await world.sleep(1000, signal)
      },
      rollback: async (_plan, {signal}) => {
        rollbackSignal = signal
        return yes
      },
    }
    await expect(carryOut(slow, {name: 's'}, fakeWorld(), stop.signal)).rejects.toThrow('Ctrl-C')
    expect(rollbackSignal?.aborted).toBe(false)
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
  const one = recorded('one', {}).strategy
  it('collects what all plugins bring', async () => {
    const found = await loadStrategies(runner([plugin('a', [one]), plugin('b', [recorded('two', {}).strategy])]))
    expect([...found].map(([name, {plugin: from}]) => [name, from])).toEqual([
      ['one', 'a'],
      ['two', 'b'],
    ])
  })
  it.each([
    [
      'a plugin that fails',
      runner([], [{plugin: {name: 'bad'}, error: new Error('boom')}]),
      /bad gives no strategies: boom/,
    ],
    ['a name twice', runner([plugin('a', [one]), plugin('b', [one])]), /both a and b bring a strategy called one/],
    ['no list', runner([plugin('a', undefined)]), /a answers gwswitch:strategies with no list/],
  ])('refuses %s, which oclif would swallow', async (_name, hooks, message) => {
    await expect(loadStrategies(hooks)).rejects.toThrow(message)
  })
})

describe('chooseStrategies', () => {
  const installed = new Map<string, Registered>(
    ['arp', 'agent'].map((name) => [name, {plugin: 'gwswitch', strategy: recorded(name, {}).strategy}]),
  )
  it.each([
    ['those asked for, in order', ['agent', 'arp'], [], ['agent', 'arp']],
    ["the VM's own, as far as installed", [], ['dhcp', 'agent'], ['agent']],
    ['all', [], [], ['arp', 'agent']],
  ])('%s', (_name, asked, ofVm, names) => {
    expect(chooseStrategies(installed, asked, ofVm).map(({name}) => name)).toEqual(names)
  })
  it.each([
    ['one that is not installed', ['dns'], [], /no strategy dns is installed; there are: arp, agent/],
    ['a VM that takes none that is', [], ['dhcp'], /takes dhcp, none of which is installed/],
  ])('refuses %s', (_name, asked, ofVm, message) => {
    expect(() => chooseStrategies(installed, asked, ofVm)).toThrow(message)
  })
})
