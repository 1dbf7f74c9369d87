import {createSocket} from 'node:dgram'
import {once} from 'node:events'
import {afterEach, describe, expect, it, vi} from 'vitest'
import type {AgentConfig} from '../../../src/domain/agent/config.ts'
import {startAgent} from '../../../src/services/agent/daemon.ts'
import {type AgentNote, openNote, type SiteBeacon, signBeacon} from '../../../src/wire/agent-beacon.ts'
import {newPrivateKey, openAnswer, publicKeyText, signCommand} from '../../../src/wire/agent-message.ts'
import {memoryOf, orders, STATE} from './agent-in-memory.ts'
import {type FakeKernel, fakeKernel, inUse, mainRoute} from './fake-kernel.ts'

const {key, site, config, command, signed, on: agentOn} = orders()
/** Their sequence numbers. */
let beacons = 1

describe('an agent', () => {
  it('tells each state once, by signed answers bound to the command', async () => {
    const kernel = fakeKernel()
    const {ask} = await agentOn(kernel)
    const order = command()
    const answers = await ask(order)
    expect(answers.map(({state}) => state)).toEqual(['received', 'applied', 'confirmed'])
    for (const answer of answers)
      expect(answer).toMatchObject({vm: 'web-07', run: order.run, seq: order.seq, nonce: order.nonce})
    expect(answers.at(-1)).toMatchObject({gw4: '10.0.0.2', mode: 'replace'})
    // Again: told once more, nothing done.
    kernel.forwarding.clear()
    expect((await ask(order)).map(({state}) => state)).toEqual(['confirmed'])
    expect(inUse(kernel)).toBe('10.0.0.2')
  })

  it('has the way back on disk before it changes anything', async () => {
    const kernel = fakeKernel()
    const {ask} = await agentOn(kernel)
    const append = kernel.append
    const seen: unknown[] = []
    kernel.append = (route) => {
      if (route.table === 254) seen.push(memoryOf(kernel).last, memoryOf(kernel).keys['site-y'])
      append(route)
    }
    const order = command()
    await ask(order)
    expect(seen[0]).toMatchObject({
      phase: 'applying',
      deadline: {bootId: 'boot-1'},
      changes: [{route: {before: {gateway: '10.0.0.1'}, after: {gateway: '10.0.0.2'}}}],
    })
    expect(seen[1]).toMatchObject({seq: order.seq})
  })

  it.each([0, 1, 2, 3, 4])(
    'is on the old gateway, and says so, when its disk is full after %i writes',
    async (room) => {
      const kernel = fakeKernel()
      const {ask} = await agentOn(kernel)
      kernel.room = room
      const answers = await ask(command())
      const end = answers.at(-1)!
      if (end.state === 'confirmed') {
        expect(room).toBeGreaterThan(2)
        expect(memoryOf(kernel).last).toMatchObject({state: 'confirmed'})
      } else {
        // The first write is that the command is used up, the second is the way back; then something is changed.
        expect(end).toMatchObject({state: room < 2 ? 'refused' : 'rolled_back', reason: 'persist_failed'})
        expect(inUse(kernel)).toBe('10.0.0.1')
      }
      // With room again it goes on.
      kernel.room = 100
      expect((await ask(command({gw4: inUse(kernel) === '10.0.0.1' ? '10.0.0.2' : '10.0.0.1'}))).at(-1)).toMatchObject({
        state: 'confirmed',
      })
    },
  )

  it('is taken back while it tries the gateway', async () => {
    const kernel = fakeKernel()
    const {ask} = await agentOn(kernel)
    kernel.echoAny = (_targets, {signal}) =>
      new Promise((resolve) =>
        signal?.addEventListener('abort', () => resolve({answered: undefined, elapsedMs: 1}), {once: true}),
      )
    const order = command()
    const trying = ask(order)
    await expect.poll(() => kernel.routes.some(({table}) => table === 143)).toBe(true)
    const [begun, rollback] = await Promise.all([trying, ask(command({op: 'rollback', run: order.run}))])
    expect(begun.at(-1)).toMatchObject({state: 'refused', reason: 'requested'})
    expect(rollback.at(-1)).toMatchObject({state: 'refused', reason: 'requested'})
    expect(inUse(kernel)).toBe('10.0.0.1')
  })

  it('rolls back when it is stopped before the proof', async () => {
    const kernel = fakeKernel()
    const {agent, ask} = await agentOn(kernel)
    await ask(command({confirm_s: 60}))
    expect(inUse(kernel)).toBe('10.0.0.2')
    await agent.stop()
    expect(inUse(kernel)).toBe('10.0.0.1')
    expect(memoryOf(kernel).last).toMatchObject({state: 'rolled_back', reason: 'agent_stopped'})
  })

  it('goes on waiting for a confirmation after a restart, for what is left of its time', async () => {
    const kernel = fakeKernel()
    const first = await agentOn(kernel)
    const order = command({confirm_s: 2})
    await first.ask(order)
    // Not stopped: killed. The second one finds what the first one wrote.
    const later = fakeKernel(new Map(kernel.files))
    later.routes.splice(0, 1, ...kernel.routes)
    const second = await agentOn(later)
    expect((await second.ask(command({op: 'query', run: order.run}))).at(-1)).toMatchObject({state: 'applied'})
    await expect.poll(() => inUse(later), {timeout: 4000}).toBe('10.0.0.1')
    expect((await second.ask(order)).at(-1)).toMatchObject({state: 'rolled_back', reason: 'not_confirmed'})
  })

  it('knows that routes do not outlive a restart of the VM', async () => {
    const kernel = fakeKernel()
    await (await agentOn(kernel)).ask(command({mode: 'rule'}))
    const booted = fakeKernel(kernel.files, 'boot-2')
    const {ask} = await agentOn(booted)
    expect(inUse(booted)).toBe('10.0.0.1')
    expect(memoryOf(booted).last).toMatchObject({state: 'rolled_back', reason: 'rebooted'})
    expect((await ask(command())).at(-1)).toMatchObject({state: 'confirmed'})
  })

  it('does not start on a state that it cannot read', async () => {
    const kernel = fakeKernel()
    for (const text of ['', '{}', '{"version":2}', '{"version":1,"keys":{"a":{"seq":"x"}},"answered":[]}']) {
      kernel.files.set(STATE, text)
      await expect(agentOn(kernel)).rejects.toThrow(/is no state of this agent/)
    }
  })

  it.each(['constructor', '__proto__', 'the key of site y, 2026/27 ☂'])('obeys a key called %s', async (kid) => {
    const kernel = fakeKernel()
    const trusted = [{kid, publicKey: publicKeyText(site), gateways: ['10.0.0.1', '10.0.0.2']}]
    const agent = await startAgent({config: {...config(), trusted}, key, kernel, network: false})
    const order = command()
    const token = Buffer.from(signCommand(order, {kid, privateKey: site}))
    await agent.receive(token, () => {})
    expect(inUse(kernel)).toBe('10.0.0.2')
    // And not a second time, by the one that starts after it.
    await agent.stop()
    const again = await startAgent({config: {...config(), trusted}, key, kernel, network: false})
    const answers: string[] = []
    const old = {...command({seq: order.seq - 1, gw4: '10.0.0.1'})}
    await again.receive(Buffer.from(signCommand(old, {kid, privateKey: site})), (said) => void answers.push(said))
    expect(openAnswer(Buffer.from(answers[0]!), () => key.privateKey)).toMatchObject({
      message: {reason: 'replayed', last_seq: order.seq},
    })
  })

  it('checks no more signatures than it can afford, and counts the rest', async () => {
    const kernel = fakeKernel()
    const {agent, ask} = await agentOn(kernel)
    const forged = Buffer.from(signCommand(command(), {kid: 'site-y', privateKey: newPrivateKey()}))
    for (let i = 0; i < 1000; i++) await ask(forged)
    const {bad_signature: checked = 0, flooded = 0} = agent.counts.silent
    expect(checked + flooded).toBe(1000)
    expect(checked).toBeGreaterThanOrEqual(200)
    expect(flooded).toBeGreaterThan(0)
    // Messages of keys that it does not know cost it nothing.
    const unknown = Buffer.from(signCommand(command(), {kid: 'site-q', privateKey: site}))
    await ask(unknown)
    expect(Object.values(agent.counts.silent).reduce((a, b) => a + b)).toBe(1001)
  })
})

describe('an agent that notices that it was moved', () => {
  /** Whichever port is free: another run has its own. */
  const listen = [{address: '127.0.0.1', port: 0}]
  /** A controller that hears notes, and the agent that sends them. */
  async function agentAndController(
    kernel: FakeKernel,
    over: (port: number) => object,
    extra: Partial<AgentConfig> = {},
  ) {
    const controller = createSocket('udp4').bind(0, '127.0.0.1')
    await once(controller, 'listening')
    const heard: AgentNote[] = []
    controller.on('message', (bytes) => {
      const opened = openNote(bytes, (kid) => (kid === 'web-07' ? key.privateKey : undefined))
      if (opened.ok) heard.push(opened.message)
    })
    const {port} = controller.address()
    const agent = await startAgent({config: {...config(over(port)), listen, ...extra}, key, kernel, network: true})
    return {
      ...{agent, heard, port},
      async [Symbol.asyncDispose]() {
        await agent.stop()
        controller.close()
      },
    }
  }
  const beacon = (over: Partial<SiteBeacon> = {}, by = site): Buffer => {
    const now = Math.floor(Date.now() / 1000)
    const said = {v: 1, site: 'y', iat: now, exp: now + 5, seq: ++beacons, gw4: '10.0.0.2', ...over} as const
    return Buffer.from(signBeacon(said, {kid: 'site-y', privateKey: by}))
  }
  const trusted = {'site-y': {key: publicKeyText(site), gateways: ['10.0.0.2', '10.9.9.9']}}

  it('asks those whom it is told to ask, once for the whole announcement', async () => {
    const kernel = fakeKernel()
    await using both = await agentAndController(kernel, (port) => ({askOnMove: [`127.0.0.1:${port}`]}))
    for (let i = 0; i < 5; i++) kernel.events!.onNotifyPeers(2)
    await expect.poll(() => both.heard.length, {timeout: 4000}).toBe(1)
    const [note] = both.heard
    expect(note).toMatchObject({
      ...{vm: 'web-07', mac: '02:00:00:00:00:10', why: 'notify_peers', gw4: '10.0.0.1'},
      ...{iat: expect.any(Number), nonce: expect.stringMatching(/^[\w-]{16}$/)},
    })
    expect(note).not.toHaveProperty('site')
    // Again, as nobody answered: another note, of a higher number.
    await expect.poll(() => both.heard.length, {timeout: 4000}).toBe(2)
    expect(both.heard[1]!.seq).toBeGreaterThan(note!.seq)
    expect(both.heard[1]!.nonce).not.toBe(note!.nonce)
  })

  it('tells them, once, that what was confirmed is so no more', async () => {
    const kernel = fakeKernel()
    await using both = await agentAndController(kernel, (port) => ({askOnMove: [`127.0.0.1:${port}`]}))
    await both.agent.receive(signed(command()), () => {})
    expect(inUse(kernel)).toBe('10.0.0.2')
    kernel.routes.splice(0, kernel.routes.length, mainRoute('10.0.0.1', 2))
    kernel.events!.onChanged()
    await expect.poll(() => both.heard.length, {timeout: 6000}).toBe(1)
    expect(both.heard[0]).toMatchObject({why: 'gateway_lost', gw4: '10.0.0.1'})
    expect(memoryOf(kernel).last).toMatchObject({standing: [{state: 'lost', why: 'the VM sends by 10.0.0.1 (eth0)'}]})
    kernel.events!.onChanged()
    await expect.poll(() => kernel.logs.filter((line) => line.includes('not in use any more')).length).toBe(1)
  })

  it('asks nobody unless it is told whom', async () => {
    const kernel = fakeKernel()
    const agent = await startAgent({config: {...config(), listen}, key, kernel, network: true})
    kernel.events!.onNotifyPeers(2)
    await expect.poll(() => kernel.logs.join()).toMatch(/probably moved/)
    await agent.stop()
  })

  it('asks the site that it hears, until a switch is obeyed', async () => {
    const kernel = fakeKernel()
    kernel.rtts.set('10.0.0.1', 10).set('10.0.0.2', 0.2)
    await using both = await agentAndController(kernel, () => ({trusted}), {beacons: true})
    kernel.events!.onNotifyPeers(2)
    both.agent.hear(beacon({ask: [`127.0.0.1:${both.port}`]}))
    await expect.poll(() => both.heard.length, {timeout: 4000}).toBe(1)
    expect(both.heard[0]).toMatchObject({site: 'y', why: 'notify_peers', gw4: '10.0.0.1'})
    await both.agent.receive(signed(command()), () => {})
    expect(inUse(kernel)).toBe('10.0.0.2')
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect(both.heard).toHaveLength(1)
  })

  describe('and whose switch comes to nothing', () => {
    afterEach(() => void vi.useRealTimers())
    const atY = (kernel: FakeKernel): FakeKernel => {
      kernel.rtts.set('10.0.0.1', 10).set('10.0.0.2', 0.2)
      return kernel
    }

    it('asks again after a while, and not once it is switched', async () => {
      vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout', 'performance']})
      const kernel = atY(fakeKernel())
      await using both = await agentAndController(kernel, () => ({trusted}), {beacons: true})
      const {agent, heard, port} = both
      const hear = (): void => agent.hear(beacon({ask: [`127.0.0.1:${port}`]}))
      kernel.events!.onNotifyPeers(2)
      hear()
      await expect.poll(() => heard.length, {timeout: 4000}).toBe(1)
      kernel.forwarding.delete('10.0.0.2')
      await agent.receive(signed(command()), () => {})
      expect(memoryOf(kernel).last).toMatchObject({state: 'refused', reason: 'probe_failed'})
      await expect.poll(() => agent.where().phase).toBe('backing_off')
      await vi.advanceTimersByTimeAsync(28_000)
      hear()
      expect(heard).toHaveLength(1)
      await vi.advanceTimersByTimeAsync(2100)
      await expect.poll(() => heard.length, {timeout: 4000}).toBe(2)
      expect(heard[1]).toMatchObject({site: 'y', why: 'notify_peers', gw4: '10.0.0.1'})
      kernel.forwarding.add('10.0.0.2')
      await agent.receive(signed(command()), () => {})
      expect(inUse(kernel)).toBe('10.0.0.2')
      await vi.advanceTimersByTimeAsync(120_000)
      expect(agent.where().phase).toBe('settled')
      expect(heard).toHaveLength(2)
    })

    it('asks again also if it was taken back, or if the agent was started again since', async () => {
      const kernel = atY(fakeKernel())
      const start = (on: FakeKernel) =>
        startAgent({config: {...config({trusted}), beacons: true}, key, kernel: on, network: false})
      const agent = await start(kernel)
      agent.hear(beacon())
      const order = command({confirm_s: 60})
      await agent.receive(signed(order), () => {})
      expect(agent.where().phase).toBe('settled')
      await agent.receive(signed(command({op: 'rollback', run: order.run})), () => {})
      await expect.poll(() => agent.where().phase).toBe('backing_off')
      await agent.stop()
      const again = await start(fakeKernel(kernel.files))
      await expect.poll(() => again.where().phase).toBe('backing_off')
      // Confirmed, there is nothing to ask for, also after a restart.
      await again.receive(signed(command()), () => {})
      expect(again.where().phase).toBe('settled')
      await again.stop()
      const settled = await start(fakeKernel(kernel.files))
      await new Promise((resolve) => setImmediate(resolve))
      expect(settled.where().phase).toBe('settled')
      await settled.stop()
      // A restart of the VM has undone it.
      const booted = await start(fakeKernel(kernel.files, 'boot-2'))
      await expect.poll(() => booted.where().phase).toBe('backing_off')
      await booted.stop()
    })
  })

  it('heeds no beacon that says too much, and checks no more than it can afford', async () => {
    const kernel = fakeKernel()
    const agent = await startAgent({config: {...config({trusted}), beacons: true}, key, kernel, network: false})
    for (const bytes of [
      ...[
        beacon(),
        beacon({seq: 1}),
        beacon({gw4: '10.0.0.1'}),
        beacon({gw4: '10.9.9.9'}),
        beacon({}, newPrivateKey()),
      ],
      ...[signed(command()), Buffer.from('noise')],
    ])
      agent.hear(bytes)
    expect(agent.where().counts).toEqual({
      heeded: 1,
      ignored: {replayed: 1, gateway_not_allowed: 1, off_link: 1, bad_signature: 1, wrong_typ: 1, malformed: 1},
    })
    for (let i = 0; i < 200; i++) agent.hear(beacon({}, newPrivateKey()))
    expect(agent.where().counts.ignored.flooded).toBeGreaterThan(100)
    // What floods with beacons keeps no command out.
    const answers: unknown[] = []
    await agent.receive(signed(command()), (token) => answers.push(token))
    expect(inUse(kernel)).toBe('10.0.0.2')
    await agent.stop()
  })
})
