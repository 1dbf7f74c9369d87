// A rollback that does not succeed at once: for how long it is tried, and what is said meanwhile.
import {setTimeout as delay} from 'node:timers/promises'
import {afterEach, beforeEach, describe, expect, it, vi} from 'vitest'
import {RouteError} from '../../../src/net/netlink/route-socket.ts'
import {notifyAll} from '../../../src/orders/notify/notify.ts'
import {notifyDocument} from '../../../src/orders/notify/notify-report.ts'
import type {AgentTarget, SwitchOrder} from '../../../src/strategies/agent/conversation.ts'
import {signedConversation} from '../../../src/strategies/agent/signed.ts'
import {type AgentAnswer, openAnswer, publicKeyText, type SwitchMode} from '../../../src/wire/agent-message.ts'
import {memoryOf, orders} from './agent-in-memory.ts'
import {afterwards, type FakeKernel, fakeKernel, inUse, takeDown} from './fake-kernel.ts'

const {command, signed, on, key, site} = orders()
const NOT_YET = /; not undone yet, it is tried again: IPv4 gateway 10\.0\.0\.1 on eth0: Network is down$/

/** An agent that has applied a switch, which nobody confirms; `said`: what who began it hears. */
async function applied(kernel: FakeKernel, over: Parameters<typeof command>[0] = {}) {
  const {agent, ask} = await on(kernel)
  const order = command({confirm_s: 2, ...over})
  const said: AgentAnswer[] = []
  await agent.receive(signed(order), (token) => {
    const opened = openAnswer(Buffer.from(token), () => key.privateKey)
    if (opened.ok) said.push(opened.message)
  })
  expect(said.at(-1)).toMatchObject({state: 'applied', gw4: '10.0.0.2'})
  return {agent, ask, order, said}
}

describe('an interface that is down at the deadline', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('is waited for, for a minute, and nobody is told that it is rolled back; then when routes change', async () => {
    const kernel = fakeKernel()
    const {ask, order, said} = await applied(kernel)
    takeDown(kernel, 2)
    let attempts = 0
    const {replace} = kernel
    kernel.replace = (...args) => {
      attempts++
      replace(...args)
    }
    await vi.advanceTimersByTimeAsync(10_000)
    expect(attempts).toBeGreaterThanOrEqual(6)
    expect(said.slice(-1)).toMatchObject([
      {state: 'applied', reason: 'not_confirmed', detail: expect.stringMatching(NOT_YET)},
    ])
    expect(said.at(-1)).not.toHaveProperty('gw4')
    expect(said).toHaveLength(3)
    expect(memoryOf(kernel).last).toMatchObject({phase: 'rolling_back', state: 'applied'})
    expect((await ask(command({op: 'query', run: order.run}))).at(-1)).toMatchObject({
      ...{state: 'applied', reason: 'not_confirmed', detail: expect.stringMatching(NOT_YET)},
    })

    await vi.advanceTimersByTimeAsync(3_600_000)
    // Given up, visibly: what is left is said, and an hour is two lines.
    expect(attempts).toBeLessThan(40)
    expect(kernel.logs.filter((line) => line.startsWith('rollback')).length).toBeLessThanOrEqual(3)
    const end = {
      state: 'applied',
      reason: 'given_up',
      detail: expect.stringMatching(/given up: IPv4 gateway 10\.0\.0\.1/),
    }
    expect(said.at(-1)).toMatchObject(end)
    expect((await ask(order)).at(-1)).toMatchObject(end)
    expect(memoryOf(kernel).last).toMatchObject({phase: 'done', owed: [{to: '10.0.0.2'}]})

    kernel.down.clear()
    kernel.events!.onChanged()
    await vi.advanceTimersByTimeAsync(2000)
    expect(inUse(kernel)).toBe('10.0.0.1')
    expect(memoryOf(kernel).last).not.toHaveProperty('owed')
    expect(kernel.logs.at(-1)).toBe('what a rollback that was given up had left is put back')
    // And nothing is tried any more.
    attempts = 0
    await vi.advanceTimersByTimeAsync(60_000)
    expect(attempts).toBe(0)
  })

  it('takes an order to roll back as one to try again, and tells who gave it how that went', async () => {
    const kernel = fakeKernel()
    const {agent, ask, order} = await applied(kernel)
    takeDown(kernel, 2)
    await vi.advanceTimersByTimeAsync(20_000)
    const back = command({op: 'rollback', run: order.run})
    const heard: string[] = []
    await agent.receive(signed(back), (token) => {
      const opened = openAnswer(Buffer.from(token), () => key.privateKey)
      if (opened.ok) heard.push(opened.message.state)
    })
    expect(heard).toEqual(['applied'])
    // Another command is no longer kept waiting for it; here it finds no route.
    expect((await ask(command())).at(-1)).toMatchObject({state: 'refused', reason: 'interface'})
    kernel.down.clear()
    expect((await ask(command({op: 'rollback', run: order.run}))).at(-1)).toMatchObject({
      ...{state: 'rolled_back', reason: 'not_confirmed', gw4: '10.0.0.1'},
    })
    expect(heard).toEqual(['applied', 'rolled_back'])
    // Its answer was not the last word, and is not what it hears when it asks again.
    expect((await ask(back)).at(-1)).toMatchObject({state: 'rolled_back', detail: 'no confirmation came in time'})
    expect((await ask(command())).at(-1)).toMatchObject({state: 'confirmed'})
  })

  it('is tried again at once when routes have changed', async () => {
    const kernel = fakeKernel()
    await applied(kernel)
    takeDown(kernel, 2)
    await vi.advanceTimersByTimeAsync(32_000)
    kernel.down.clear()
    kernel.events!.onChanged()
    await vi.advanceTimersByTimeAsync(100)
    expect(memoryOf(kernel).last).toMatchObject({state: 'rolled_back'})
  })

  it('keeps no agent alive that cannot start', async () => {
    const kernel = fakeKernel()
    const {agent} = await applied(kernel)
    takeDown(kernel, 2)
    await agent.stop()
    const next = afterwards(kernel)
    next.down.add(2)
    next.watchRoutes = () => {
      throw new Error('no notifications')
    }
    await expect(on(next)).rejects.toThrow('no notifications')
    expect(memoryOf(next).last).toMatchObject({phase: 'rolling_back', state: 'applied'})
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is waited for by the next agent too', async () => {
    const kernel = fakeKernel()
    const {agent, order} = await applied(kernel)
    takeDown(kernel, 2)
    await vi.advanceTimersByTimeAsync(4000)
    // It ends all the same, and what it leaves says what is to be done.
    await agent.stop()
    expect(memoryOf(kernel).last).toMatchObject({phase: 'rolling_back', reason: 'not_confirmed'})
    const later = afterwards(kernel)
    later.down.add(2)
    const {agent: second, ask} = await on(later)
    expect(second.idle).toBe(false)
    await vi.advanceTimersByTimeAsync(60_000)
    expect((await ask(order)).at(-1)).toMatchObject({state: 'applied', detail: expect.stringMatching(NOT_YET)})
    later.down.clear()
    await vi.advanceTimersByTimeAsync(5000)
    expect((await ask(order)).at(-1)).toMatchObject({state: 'rolled_back', reason: 'not_confirmed', gw4: '10.0.0.1'})
    expect(second.idle).toBe(true)
  })

  it('is waited for no longer when it is gone for good', async () => {
    const kernel = fakeKernel()
    const {ask, order} = await applied(kernel)
    takeDown(kernel, 2)
    kernel.links = () => []
    await vi.advanceTimersByTimeAsync(3000)
    const end = memoryOf(kernel).last
    expect(end).toMatchObject({
      ...{phase: 'done', state: 'rolled_back', reason: 'not_confirmed'},
      detail: 'no confirmation came in time; eth0 is gone, and its routes with it',
    })
    expect((await ask(command({op: 'query', run: order.run}))).at(-1)).toMatchObject({state: 'rolled_back'})
  })

  it('and gone for good, has no rule left over it', async () => {
    const kernel = fakeKernel()
    const first = await applied(kernel, {mode: 'rule'})
    await first.ask(command({op: 'confirm', run: first.order.run}))
    // Back again, and undone: what was there before is an overlay.
    const {order} = {order: command({mode: 'rule', gw4: '10.0.0.1', confirm_s: 2})}
    await first.ask(order)
    takeDown(kernel, 2)
    kernel.links = () => []
    await vi.advanceTimersByTimeAsync(3000)
    expect(memoryOf(kernel).last).toMatchObject({run: order.run, state: 'rolled_back'})
    expect(kernel.rules).toEqual([])
  })

  it('keeps a switch from beginning that was accepted a moment before', async () => {
    const kernel = fakeKernel()
    const {ask, order} = await applied(kernel)
    await ask(command({op: 'confirm', run: order.run}))
    takeDown(kernel, 2)
    kernel.routes.push({...memoryOf(kernel).last!.changes[0]!.route!.after})
    kernel.deleteRoute = () => {
      throw new RouteError('ENETDOWN', 'Network is down')
    }
    const [, begun] = await Promise.all([
      ask(command({op: 'rollback', run: order.run})),
      ask(command({gw4: '10.0.0.1', mode: 'replace'})),
    ])
    expect(begun).toMatchObject([{state: 'refused', reason: 'busy', detail: expect.stringMatching(/is rolling_back$/)}])
    expect(memoryOf(kernel).last).toMatchObject({run: order.run, phase: 'rolling_back'})
  })
})

describe('a rollback in mode drain', () => {
  it('ends the drain also where the gateway cannot be put back', async () => {
    const kernel = fakeKernel()
    const {ask, order} = await applied(kernel, {mode: 'drain', confirm_s: 30})
    expect(kernel.machine.drain).toBe('open')
    const {deleteRule} = kernel
    let stuck = true
    kernel.deleteRule = (rule) => {
      if (stuck && rule.table === 142) throw new RouteError('EBUSY', 'Device or resource busy')
      deleteRule(rule)
    }
    expect((await ask(command({op: 'rollback', run: order.run}))).at(-1)).toMatchObject({
      ...{
        state: 'applied',
        reason: 'requested',
        gw4: '10.0.0.2',
        detail: expect.stringMatching(/not undone yet.*busy$/),
      },
    })
    expect(kernel.machine.drain).toBeUndefined()
    expect(kernel.rules.map(({table}) => table)).not.toContain(141)
    stuck = false
    await expect.poll(() => memoryOf(kernel).last?.state, {timeout: 3000}).toBe('rolled_back')
    expect(kernel.rules).toEqual([])
    expect(inUse(kernel)).toBe('10.0.0.1')
  })

  it('is not done while the drain cannot be ended', async () => {
    const kernel = fakeKernel()
    const {ask, order} = await applied(kernel, {mode: 'drain', confirm_s: 30})
    const {clearDrain} = kernel
    kernel.clearDrain = async () => {
      throw new Error('nft: not found')
    }
    expect((await ask(command({op: 'rollback', run: order.run}))).at(-1)).toMatchObject({
      ...{state: 'applied', gw4: '10.0.0.1', detail: expect.stringMatching(/drain: nft: not found$/)},
    })
    kernel.clearDrain = clearDrain
    await expect.poll(() => memoryOf(kernel).last?.state, {timeout: 3000}).toBe('rolled_back')
    expect(kernel.machine.drain).toBeUndefined()
  })
})

describe('the end of a drain', () => {
  it('is tried again when nft fails, and does not end the agent', async () => {
    const kernel = fakeKernel()
    const {ask} = await on(kernel)
    const {clearDrain} = kernel
    let failures = 0
    kernel.clearDrain = async () => {
      if (++failures <= 2) throw new Error('nft: not found')
      await clearDrain()
    }
    expect((await ask(command({mode: 'drain', drain_s: 1}))).at(-1)).toMatchObject({state: 'confirmed'})
    await expect.poll(() => kernel.machine.drain, {timeout: 5000}).toBeUndefined()
    await expect.poll(() => memoryOf(kernel).last?.drainUntil).toBeUndefined()
    expect(memoryOf(kernel).last).toMatchObject({state: 'confirmed'})
    expect(failures).toBe(3)
  })

  it('does not come with a switch that is refused', async () => {
    const kernel = fakeKernel()
    const {agent, ask} = await on(kernel)
    await ask(command({mode: 'drain', drain_s: 60}))
    kernel.forwarding.delete('10.0.0.1')
    expect((await ask(command({gw4: '10.0.0.1'}))).at(-1)).toMatchObject({state: 'refused', reason: 'probe_failed'})
    expect(kernel.machine.drain).toBe('open')
    expect(agent.idle).toBe(false)
    // It comes with the next one, and at its own time also after a restart.
    expect(memoryOf(kernel).last?.drainUntil).toBeDefined()
    kernel.forwarding.add('10.0.0.1')
    expect((await ask(command({gw4: '10.0.0.1'}))).at(-1)).toMatchObject({state: 'confirmed'})
    expect(kernel.machine.drain).toBeUndefined()
  })
})

describe('notify-agent', () => {
  const target: AgentTarget = {
    ...{name: 'web-07', id: 'web-07', ip: '10.0.0.10', mac: null, kid: 'site-y'},
    ...{transport: {kind: 'unix', socket: 'in memory'}, agentKey: publicKeyText(key.privateKey)},
  }
  const order = (over: Partial<SwitchOrder>): SwitchOrder => ({
    ...{run: `n${performance.now()}`, site: null, to: {v4: '10.0.0.2', v6: null}, from: {v4: null, v6: null}},
    ...{mode: null, probes: [], confirmS: 0, timeoutMs: 1500, ...over},
  })
  const world = {
    now: () => BigInt(Date.now()) * 1_000_000n,
    sleep: (ms: number, signal?: AbortSignal) => delay(ms, undefined, signal === undefined ? {} : {signal}),
    random: Math.random,
    log: () => {},
  }

  /** Tells the agent, as notify-agent does: the row and the exit code. */
  async function notify(kernel: FakeKernel, over: Partial<SwitchOrder> & {mode: SwitchMode}) {
    const {agent} = await on(kernel)
    const notice = {target, order: order(over), key: {kid: 'site-y', privateKey: site}}
    const rows = await notifyAll([notice], 1, {
      world: world as never,
      signal: new AbortController().signal,
      async open(to, what, by, stage) {
        let hear: (message: Uint8Array) => void = () => {}
        const peer = {
          send: (message: string) => void agent.receive(Buffer.from(message), (token) => hear(Buffer.from(token))),
          onMessage: (listener: typeof hear) => {
            hear = listener
          },
          onUnreachable: () => {},
          close: () => {},
        }
        return signedConversation(to, what, {peer, key: by!}, stage)
      },
    })
    const {exitCode, vms} = notifyDocument('n', rows)
    return {agent, exitCode, vm: vms[0]!}
  }

  /** The interface goes down in the very moment of the change. */
  const failing = (): FakeKernel => {
    const kernel = fakeKernel()
    kernel.append = () => {
      takeDown(kernel, 2)
      throw new RouteError('ENETDOWN', 'Network is down')
    }
    return kernel
  }

  it.each([0, 5])(
    'does not say that the VM uses the old gateway while it does not (--confirm-within %i)',
    async (confirmS) => {
      const {agent, exitCode, vm} = await notify(failing(), {mode: 'replace', confirmS})
      expect(exitCode).toBe(5)
      expect(vm).toMatchObject({
        ...{state: 'applied', reason: 'apply_failed', gateways: {v4: null, v6: null}},
        detail: expect.stringMatching(NOT_YET),
      })
      await agent.stop()
    },
  )

  it('says so once it does', async () => {
    const kernel = failing()
    setTimeout(() => kernel.down.clear(), 500)
    const {exitCode, vm} = await notify(kernel, {mode: 'replace', timeoutMs: 5000})
    expect(vm).toMatchObject({state: 'rolled_back', reason: 'apply_failed', gateways: {v4: '10.0.0.1'}})
    expect(exitCode).toBe(3)
  })
})
