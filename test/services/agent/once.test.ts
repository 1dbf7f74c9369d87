// `agent --once`, alone and beside an agent that runs: what it waits for, and what its exit says.
import {chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {Readable} from 'node:stream'
import {afterAll, beforeEach, describe, expect, it} from 'vitest'
import {type AgentConfig, parseAgentConfig} from '../../../src/domain/agent/config.ts'
import {type Agent, startAgent} from '../../../src/services/agent/daemon.ts'
import {forwardMs, onceExit, runOnce} from '../../../src/services/agent/once.ts'
import {
  type AgentAnswer,
  type AgentCommand,
  newPrivateKey,
  privateKeyText,
  publicKeyText,
  signCommand,
} from '../../../src/wire/agent-message.ts'
import {gwswitch} from '../../support/cli.ts'
import {deadSocket} from '../../support/dead-socket.ts'
import {asNobody, NOBODY} from '../../support/ordinary-user.ts'
import {type FakeKernel, fakeKernel, inUse} from './fake-kernel.ts'

const site = newPrivateKey()
const key = {kid: 'web-07', privateKey: newPrivateKey()}
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-once-'))
writeFileSync(join(scratch, 'agent.key'), privateKeyText(key.privateKey), {mode: 0o600})
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

let seq = 0
const config = (over: object = {}): AgentConfig =>
  parseAgentConfig(
    JSON.stringify({
      ...{version: 1, vm: 'web-07', probes: ['203.0.113.10'], state: '/state', key: join(scratch, 'agent.key')},
      ...{socket: join(scratch, `${++seq}.sock`), windows: {guardS: 0, probeMs: 50, confirmS: 1}},
      trusted: {'site-y': {key: publicKeyText(site), gateways: ['10.0.0.1', '10.0.0.2']}},
      ...over,
    }),
    'agent.yaml',
  )
function command(over: Partial<AgentCommand> = {}): AgentCommand {
  const now = Math.floor(Date.now() / 1000)
  seq++
  return {
    ...{v: 1, op: 'switch', vm: 'web-07', run: `r${seq}`, seq, iat: now, exp: now + 60},
    ...{nonce: String(seq).padStart(16, '0'), gw4: '10.0.0.2', ...over},
  }
}
const signed = (order: AgentCommand, by = site): string => signCommand(order, {kid: 'site-y', privateKey: by})

describe('agent --once', {timeout: 30_000}, () => {
  let kernel: FakeKernel
  beforeEach(() => {
    kernel = fakeKernel()
  })

  async function once(used: AgentConfig, messages: readonly string[], stop = new AbortController().signal) {
    const log = (): void => {}
    const input = Readable.from(messages.map((message) => `${message}\n`))
    const {answers} = await runOnce({config: used, signal: stop, log, kernel}, input, () => {})
    const told = answers.map(({answer}) => answer)
    return {states: told.map(({op, state}) => `${op} ${state}`), exit: onceExit(told)}
  }
  /** The same beside an agent that runs. */
  async function beside(
    orders: readonly (string | AgentCommand)[],
    {stop, running}: {stop?: AbortSignal; running?: (agent: Agent) => void} = {},
  ) {
    const used = config()
    const agent = await startAgent({config: used, key, kernel, network: false})
    running?.(agent)
    try {
      const messages = orders.map((order) => (typeof order === 'string' ? order : signed(order)))
      return await once(used, messages, stop)
    } finally {
      await agent.stop()
    }
  }

  it('waits alone until the switch is decided: for as long as the message says', async () => {
    expect(await once(config(), [signed(command({confirm_s: 1}))])).toEqual({
      states: ['switch received', 'switch applied', 'switch rolled_back'],
      exit: 3,
    })
    expect(inUse(kernel)).toBe('10.0.0.1')
    expect(await once(config(), [signed(command())])).toMatchObject({exit: 0})
    expect(inUse(kernel)).toBe('10.0.0.2')
    expect(await once(config(), ['nonsense'])).toEqual({states: [], exit: 5})
  })

  it('waits beside an agent that runs for as long as the message says, not its configuration', async () => {
    expect(await beside([command({confirm_s: 3})])).toEqual({
      states: ['switch received', 'switch applied', 'switch rolled_back'],
      exit: 3,
    })
    expect(inUse(kernel)).toBe('10.0.0.1')
    const ms = (...orders: AgentCommand[]): number => forwardMs(orders, config())
    expect(ms(command({confirm_s: 60}))).toBeGreaterThan(60_000)
    expect(ms(command({confirm_s: 3600}))).toBeLessThan(3_700_000)
    expect(ms(command())).toBeLessThan(20_000)
    expect(ms(command({op: 'query'}))).toBeLessThan(20_000)
  })

  it('ends as soon as each of several messages has its last answer', async () => {
    const order = command({confirm_s: 3600})
    const ended = beside([order, command({op: 'query', run: order.run})], {
      running: (agent) => {
        const look = setInterval(() => {
          if (inUse(kernel) !== '10.0.0.2') return
          clearInterval(look)
          void agent.receive(Buffer.from(signed(command({op: 'confirm', run: order.run}))), () => {})
        }, 20)
      },
    })
    expect(await ended).toMatchObject({exit: 0})
    expect((await ended).states.at(-1)).toBe('switch confirmed')
  })

  it('that has to stop before the switch is decided says that nothing is decided', async () => {
    const stop = new AbortController()
    const ended = beside([command({confirm_s: 60})], {stop: stop.signal})
    await expect.poll(() => inUse(kernel)).toBe('10.0.0.2')
    setTimeout(() => stop.abort(), 200)
    expect(await ended).toEqual({states: ['switch received', 'switch applied'], exit: 5})
  })

  it('says that nothing is decided where the agent that runs goes away', async () => {
    const order = command({confirm_s: 60})
    const ended = beside([order], {
      running: (agent) => {
        // What it rolls back as it stops it may still say, or not.
        const look = setInterval(() => {
          if (inUse(kernel) !== '10.0.0.2') return
          clearInterval(look)
          void agent.stop()
        }, 20)
      },
    })
    expect([3, 5]).toContain((await ended).exit)
  })
})

describe('its exit', () => {
  const answer = (op: AgentAnswer['op'], state: AgentAnswer['state'], nonce = 'A'.repeat(16)): AgentAnswer => ({
    ...{v: 1, op, vm: 'web-07', run: 'r', seq: 1, nonce, state, iat: 1},
  })
  it.each<[string, AgentAnswer[], number]>([
    ['nothing', [], 5],
    ['a switch that is confirmed', [answer('switch', 'received'), answer('switch', 'confirmed')], 0],
    ['one that is rolled back', [answer('switch', 'applied'), answer('switch', 'rolled_back')], 3],
    ['one that is refused', [answer('switch', 'refused')], 4],
    ['one that is received', [answer('switch', 'received')], 5],
    ['one that is applied', [answer('switch', 'received'), answer('switch', 'applied')], 5],
    ['one that is applied, and told again', [answer('switch', 'applied'), answer('query', 'applied', 'B')], 5],
    ['a question', [answer('query', 'applied')], 0],
    ['a rollback that was asked for', [answer('rollback', 'rolled_back')], 0],
    ['a rollback that is not done', [answer('rollback', 'applied')], 5],
    ['a confirmation that comes to nothing', [answer('confirm', 'rolled_back')], 3],
  ])('after %s', (_, answers, code) => {
    expect(onceExit(answers)).toBe(code)
  })
})

describe('an ordinary user', () => {
  const root = process.geteuid?.() === 0
  /** Nobody, where that takes a change. */
  const under = root ? asNobody() : []

  async function start(name: string, socket: string, ...args: string[]) {
    const [keyFile, configFile] = [join(scratch, `${name}.key`), join(scratch, `${name}.yaml`)]
    writeFileSync(keyFile, privateKeyText(key.privateKey), {mode: 0o600})
    writeFileSync(configFile, JSON.stringify({version: 1, vm: 'web-07', key: keyFile, socket, state: scratch}))
    chmodSync(scratch, 0o755)
    if (root) chownSync(keyFile, NOBODY, NOBODY)
    return gwswitch(['agent', '--config', configFile, ...args], {under, env: {HOME: scratch}})
  }

  it('is told in one line what it takes, whether or not there is a directory for the socket', async () => {
    mkdirSync(join(scratch, 'run'))
    await deadSocket(join(scratch, 'run/agent.sock'))
    const results = await Promise.all([
      start('without', '/usr/nowhere/agent.sock'),
      start('once', '/usr/agent.sock', '--once'),
      // Left by root.
      ...(root ? [start('left', join(scratch, 'run/agent.sock'))] : []),
    ])
    for (const {code, stderr} of results) {
      expect(stderr).toMatch(/^gwswitch: cannot listen on \S+agent\.sock: EACCES \(run as root, or by [^\n]+\)\n$/)
      expect(code).toBe(6)
    }
  }, 60_000)
})

it('an agent that cannot read its state ends, and lets its socket go', async () => {
  const kernel = fakeKernel(new Map([['/state/agent-state.json', '{}']]))
  const used = config()
  await expect(startAgent({config: used, key, kernel, network: false})).rejects.toThrow(/is no state of this agent/)
  kernel.files.clear()
  await (await startAgent({config: used, key, kernel, network: false})).stop()
})
