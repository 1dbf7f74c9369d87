import {mkdtempSync, rmSync} from 'node:fs'
import {createServer, type Server, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, describe, expect, it} from 'vitest'
import {runCommand, tryCommand} from '../../../src/net/process/command.ts'
import {spawnIn} from '../../../src/net/process/netns.ts'
import {type GuestAgent, openGuestAgent} from '../../../src/net/stream/qga.ts'
import {systemWorld} from '../../../src/net/system-world.ts'
import type {AgentTarget, Conversation, SwitchOrder} from '../../../src/strategies/agent/conversation.ts'
import {qgaConversation} from '../../../src/strategies/agent/qga-switch.ts'
import {hasProgram, noNamespaces, type PairEnd, withPair} from '../../support/namespaces.ts'
import {until} from '../../support/until.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-qga-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))
const forever = new AbortController().signal
const whyNot =
  noNamespaces ?? ((await hasProgram('qemu-ga')) ? undefined : 'qemu-ga is not installed (Debian: qemu-guest-agent)')

/** An agent that says what a test wants, byte by byte. */
describe('the line to a guest agent', () => {
  let server: Server | undefined
  let path = ''
  let count = 0
  const serve = async (
    answer: (request: {execute: string; arguments?: {id?: number}}, socket: Socket) => void,
  ): Promise<void> => {
    path = join(scratch, `fake-${count++}.sock`)
    server = createServer((socket) => {
      let rest = ''
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n')
        rest = lines.pop()!
        for (const line of lines) answer(JSON.parse(line), socket)
      })
    })
    await new Promise<void>((resolve) => server!.listen(path, resolve))
  }
  afterEach(() => void server?.close())

  const synced = (id: number | undefined): Buffer =>
    Buffer.concat([Buffer.of(0xff), Buffer.from(`{"return": ${id}}\n`)])

  it('forgets what was said to somebody else before', async () => {
    await serve(({execute, arguments: given}, socket) => {
      if (execute === 'guest-sync-delimited') {
        socket.write(
          '{"return": {"pid": 1}}\n{"return": 5}\n{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n',
        )
        socket.write(synced(4711))
        socket.write(synced(given?.id))
      } else
        socket.write(
          '{"return": [{"name": "eth0", "hardware-address": "02:00:00:00:00:0A", "ip-addresses": [{"ip-address": "10.9.0.1", "prefix": 24}]}]}\n',
        )
    })
    const agent = await openGuestAgent(path, forever)
    expect(await agent.interfaces()).toEqual([
      {name: 'eth0', mac: '02:00:00:00:00:0a', addresses: [{ip: '10.9.0.1', length: 24}]},
    ])
    agent.close()
  })

  it.each([
    ['CommandNotFound', 'The command guest-exec has been disabled for this instance'],
    ['GenericError', 'Command guest-exec has been disabled: the command is not allowed'],
  ])('says what to allow where a command is switched off (%s)', async (kind, desc) => {
    await serve(({execute, arguments: given}, socket) => {
      if (execute === 'guest-sync-delimited') socket.write(synced(given?.id))
      else socket.write(`${JSON.stringify({error: {class: kind, desc}})}\n`)
    })
    const agent = await openGuestAgent(path, forever)
    await expect(agent.run(['ip', 'route'])).rejects.toThrow(
      /does not take guest-exec .*block-rpcs.*or run gwswitch agent in the VM/,
    )
    agent.close()
  })

  it('knows nothing of a program that an agent before it has started', async () => {
    await serve(({execute, arguments: given}, socket) => {
      if (execute === 'guest-sync-delimited') socket.write(synced(given?.id))
      else if (execute === 'guest-exec') socket.write('{"return": {"pid": 7}}\n')
      else socket.write('{"error": {"class": "GenericError", "desc": "Invalid parameter \'pid\'"}}\n')
    })
    const agent = await openGuestAgent(path, forever)
    await expect(agent.run(['ip', 'route'])).rejects.toMatchObject({
      kind: 'silent',
      message: expect.stringMatching(/Invalid parameter 'pid'; what came of the program/),
    })
    agent.close()
  })

  it('notices that the agent goes away in the middle', async () => {
    await serve(({execute, arguments: given}, socket) => {
      if (execute === 'guest-sync-delimited') socket.write(synced(given?.id))
      else socket.destroy()
    })
    const agent = await openGuestAgent(path, forever)
    await expect(agent.run(['ip', 'route'])).rejects.toMatchObject({
      kind: 'silent',
      message: expect.stringMatching(/went away/),
    })
  })

  it('stops when it is told to', async () => {
    await serve(() => {})
    const controller = new AbortController()
    const opening = openGuestAgent(path, controller.signal)
    setTimeout(() => controller.abort(new Error('stopped by SIGINT')), 50)
    await expect(opening).rejects.toThrow('stopped by SIGINT')
  })

  it('says that there is no such socket', async () => {
    await expect(openGuestAgent('/run/no-such.qga', forever)).rejects.toMatchObject({
      kind: 'silent',
      message: expect.stringMatching(/no such socket/),
    })
  })
})

/** The real agent, and the real ip(8), in a namespace in place of a guest. */
describe.skipIf(whyNot)(`the real guest agent${whyNot ? ` (${whyNot})` : ''}`, () => {
  const OLD = '10.9.0.2'
  const NEW = '10.9.0.3'
  const BEYOND = '10.99.0.1'

  interface Guest {
    readonly a: PairEnd
    readonly socket: string
    defaults(family?: 4 | 6): Promise<string[]>
    switching(order?: Partial<SwitchOrder>): Conversation
    readonly agent: GuestAgent
  }

  async function withGuest(use: (guest: Guest) => Promise<void>): Promise<void> {
    await withPair(async (a, b) => {
      await b.run('ip', 'address', 'add', `${NEW}/24`, 'dev', 'eth0')
      await b.run('ip', 'address', 'add', `${BEYOND}/32`, 'dev', 'lo')
      await a.run('ip', 'route', 'add', 'default', 'via', OLD, 'dev', 'eth0', 'proto', 'static', 'metric', '100')
      const socket = join(scratch, `${a.namespace}.sock`)
      const child = spawnIn(
        a.namespace,
        ['qemu-ga', '-m', 'unix-listen', '-p', socket, '-t', scratch, '-f', `${socket}.pid`],
        {stdio: 'ignore'},
      )
      const ended = new Promise((resolve) => child.once('exit', resolve))
      const conversations: Conversation[] = []
      const opened: GuestAgent[] = []
      try {
        await until(
          async () => {
            try {
              opened.push(await openGuestAgent(socket, forever))
              return true
            } catch {
              return false
            }
          },
          10_000,
          'qemu-ga listens',
        )
        // It serves one client at a time.
        const open = async (): Promise<GuestAgent> => ({...opened[0]!, close: () => {}})
        const stage = {world: systemWorld(() => {}), signal: forever, observe: () => {}}
        await use({
          a,
          socket,
          agent: opened[0]!,
          defaults: async (family = 4) =>
            (await a.run('ip', `-${family}`, 'route', 'show', 'default'))
              .trim()
              .split('\n')
              .map((line) => line.trim()),
          switching(order = {}) {
            const made = qgaConversation(targetOf(a, socket), {...orderOf(a), ...order}, open, stage)
            conversations.push(made)
            return made
          },
        })
      } finally {
        for (const conversation of conversations) conversation.close()
        for (const agent of opened) agent.close()
        child.kill('SIGKILL')
        await ended
        // The guest's own ways back wait there still.
        const left = (await runCommand('ip', ['netns', 'pids', a.namespace])).split(/\s+/).filter(Boolean)
        await tryCommand('kill', ['-9', ...left])
        rmSync(`/run/gwswitch-${a.namespace}`, {force: true})
      }
    })
  }

  const targetOf = (a: PairEnd, socket: string): AgentTarget => ({
    name: 'vm',
    id: 'vm',
    ip: a.ip,
    mac: a.mac,
    transport: {kind: 'qga', socket},
    agentKey: null,
    kid: null,
  })
  const orderOf = (a: PairEnd): SwitchOrder => ({
    run: a.namespace,
    site: null,
    to: {v4: NEW, v6: null},
    from: {v4: OLD, v6: null},
    mode: null,
    probes: [BEYOND],
    confirmS: 20,
    timeoutMs: 5000,
  })
  const through = (gateway: string): string[] => [`default via ${gateway} dev eth0 proto static metric 100`]

  it('runs programs, with input and their exit codes, and tells what there is none of', async () => {
    await withGuest(async ({agent}) => {
      expect(
        await agent.run(['sh', '-c', 'read -r line; echo "$line"; echo no >&2; exit 3'], {input: 'yes\n'}),
      ).toEqual({code: 3, stdout: 'yes\n', stderr: 'no\n'})
      await expect(agent.run(['no-such-program'])).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/guest-exec.*no-such-program/),
      })
      await expect(agent.run(['sleep', '5'], {timeoutMs: 100})).rejects.toMatchObject({kind: 'silent'})
      expect((await agent.interfaces()).find(({name}) => name === 'eth0')).toEqual({
        name: 'eth0',
        mac: '02:00:00:00:00:0a',
        addresses: [{ip: '10.9.0.1', length: 24}],
      })
    })
  })

  it('switches, waits, and confirms', async () => {
    await withGuest(async ({a, switching, defaults}) => {
      const conversation = switching()
      expect(await conversation.begin()).toMatchObject({state: 'applied', gateways: {v4: NEW}, reason: null})
      expect(await defaults()).toEqual(through(NEW))
      expect(await a.run('cat', `/run/gwswitch-${a.namespace}`)).toMatch(
        /^-4 route replace default via 10\.9\.0\.2 dev eth0 proto static metric 100\s*$/,
      )
      expect(await conversation.confirm()).toMatchObject({state: 'confirmed', gateways: {v4: NEW}})
      expect(await a.run('sh', '-c', 'ls /run')).not.toMatch(`gwswitch-${a.namespace}`)
      // Also after that, and twice.
      expect(await switching().rollBack()).toMatchObject({state: 'rolled_back', gateways: {v4: OLD}})
      expect(await switching().rollBack()).toMatchObject({state: 'rolled_back', gateways: {v4: OLD}})
      expect(await defaults()).toEqual(through(OLD))
    })
  })

  it('is taken back from another process before it is confirmed, by what the guest wrote down', async () => {
    await withGuest(async ({switching, defaults}) => {
      await switching().begin()
      expect(await switching({from: {v4: null, v6: null}}).rollBack()).toMatchObject({
        state: 'rolled_back',
        gateways: {v4: OLD},
      })
      expect(await defaults()).toEqual(through(OLD))
      expect(await switching().confirm()).toMatchObject({state: 'rolled_back', reason: 'not_confirmed'})
    })
  })

  it('goes back by itself, and a late confirmation does not count', async () => {
    await withGuest(async ({switching, defaults}) => {
      // From when it is armed, which is some programs before it is applied.
      const conversation = switching({confirmS: 4})
      expect((await conversation.begin()).state).toBe('applied')
      await until(async () => (await defaults())[0] === through(OLD)[0], 20_000, 'it goes back')
      expect(await conversation.confirm()).toMatchObject({
        state: 'rolled_back',
        reason: 'not_confirmed',
        gateways: {v4: OLD},
      })
    })
  })

  it('decides by its probes alone where no confirmation is wanted', async () => {
    await withGuest(async ({switching, defaults}) => {
      expect(await switching({confirmS: 0}).begin()).toMatchObject({state: 'confirmed'})
      expect(
        await switching({
          confirmS: 0,
          run: 'other',
          to: {v4: OLD, v6: null},
          from: {v4: NEW, v6: null},
          probes: ['10.99.0.9'],
        }).begin(),
      ).toMatchObject({state: 'rolled_back', reason: 'probe_failed'})
      expect(await defaults()).toEqual(through(NEW))
    })
  })

  it.each<[string, string[][], RegExp, string]>([
    [
      'several next hops',
      [
        [
          'route',
          'replace',
          'default',
          'proto',
          'static',
          'metric',
          '100',
          'nexthop',
          'via',
          OLD,
          'nexthop',
          'via',
          '10.9.0.4',
        ],
      ],
      /several next hops/,
      'mode',
    ],
    ['no default route', [['route', 'flush', 'default']], /no IPv4 default route/, 'interface'],
    [
      'another interface in front',
      [
        ['link', 'add', 'other', 'type', 'veth', 'peer', 'name', 'beside'],
        ['link', 'set', 'beside', 'up'],
        ['address', 'add', '10.8.0.1/24', 'dev', 'other'],
        ['link', 'set', 'other', 'up'],
        ['route', 'add', 'default', 'via', '10.8.0.2', 'dev', 'other', 'metric', '50'],
      ],
      /goes out of other, not through a gateway on eth0/,
      'interface',
    ],
  ])('changes nothing in a guest with %s', async (_, lines, detail, reason) => {
    await withGuest(async ({a, switching, defaults}) => {
      for (const line of lines) await a.run('ip', ...line)
      const before = await defaults()
      expect(await switching().begin()).toMatchObject({state: 'refused', reason, detail: expect.stringMatching(detail)})
      expect(await defaults()).toEqual(before)
    })
  })

  it('switches IPv6 along with IPv4', async () => {
    await withGuest(async ({a, switching, defaults}) => {
      const peer = a.namespace.replace(/-a$/, '-b')
      for (const [namespace, address] of [
        [a.namespace, 'fd00:9::1'],
        [peer, 'fd00:9::2'],
        [peer, 'fd00:9::3'],
      ] as const) {
        await a.run(
          'nsenter',
          `--net=/run/netns/${namespace}`,
          'sh',
          '-c',
          `echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip address add ${address}/64 dev eth0 nodad`,
        )
      }
      await a.run('ip', '-6', 'route', 'add', 'default', 'via', 'fd00:9::2', 'dev', 'eth0', 'metric', '200')
      const order = {to: {v4: NEW, v6: 'fd00:9::3'}, from: {v4: OLD, v6: 'fd00:9::2'}}
      const conversation = switching(order)
      expect(await conversation.begin()).toMatchObject({state: 'applied', gateways: {v4: NEW, v6: 'fd00:9::3'}})
      expect(await defaults(6)).toEqual([expect.stringMatching(/^default via fd00:9::3 dev eth0 metric 200/)])
      expect(await conversation.rollBack()).toMatchObject({state: 'rolled_back', gateways: {v4: OLD, v6: 'fd00:9::2'}})
      expect(await defaults(6)).toEqual([expect.stringMatching(/^default via fd00:9::2 dev eth0 metric 200/)])
      expect(await defaults()).toEqual(through(OLD))
    })
  })
})
