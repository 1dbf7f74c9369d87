// The agent in the lab's VM, told from outside: by datagrams that get lost, by a unix socket, by `switch`; with sessions
// running all the while.
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, beforeAll, describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {namespaceCommand, spawnIn} from '../../src/net/process/netns.ts'
import {newPrivateKey, privateKeyText, publicKeyText} from '../../src/wire/agent-message.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {useLab} from '../support/use-lab.ts'

const NEAR_Y = '203.0.113.10'
const RX = '10.0.0.1'
const RY = '10.0.0.2'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-notify-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

/** A new key in a file; returns its public half. */
function key(file: string): string {
  const made = newPrivateKey()
  writeFileSync(join(scratch, file), privateKeyText(made), {mode: 0o600})
  return publicKeyText(made)
}

const CLIENT = `
import {createSocket} from 'node:dgram'
import {readFileSync} from 'node:fs'
import {connect} from 'node:net'
const [address, tcpPort, udpPort] = process.argv.slice(1)
const udp = {sent: 0, seen: new Set(), errors: {}}
const tcp = {sent: 0, inOrder: 0, error: null}
const socket = createSocket('udp4')
socket.on('message', (bytes) => udp.seen.add(bytes.readUInt32BE()))
const stream = connect(Number(tcpPort), address)
let rest = ''
stream.on('error', (error) => { tcp.error = error.code })
stream.on('data', (chunk) => {
  const lines = (rest + chunk).split('\\n')
  rest = lines.pop()
  for (const line of lines) if (Number(line) === tcp.inOrder) tcp.inOrder++
})
stream.on('connect', () => {
  console.log('"ready"')
  const timer = setInterval(() => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(udp.sent++)
    socket.send(bytes, Number(udpPort), address, (error) => { if (error) udp.errors[error.code] = (udp.errors[error.code] ?? 0) + 1 })
    if (udp.sent % 10 === 0) stream.write(tcp.sent++ + '\\n')
  }, 1)
  process.stdin.on('end', () => {
    clearInterval(timer)
    const until = performance.now() + 10_000
    setInterval(() => {
      if ((udp.seen.size < udp.sent || tcp.inOrder < tcp.sent) && performance.now() < until) return
      const sockets = readFileSync('/proc/net/udp', 'latin1')
      const port = socket.address().port
      console.log(JSON.stringify({tcp, udp: {sent: udp.sent, echoed: udp.seen.size, errors: udp.errors}, port, sockets}))
      process.exit()
    }, 20)
  })
})
process.stdin.resume()
`

interface TrafficReport {
  readonly tcp: {readonly sent: number; readonly inOrder: number; readonly error: string | null}
  readonly udp: {
    readonly sent: number
    readonly echoed: number
    readonly errors: Readonly<Record<string, number>>
    /** Thrown away at a full socket: they arrived, at a process that was not scheduled for a quarter of a second. */
    readonly unread: number
  }
}

/** What the kernel could not put into the socket at that port (the last column of /proc/net/udp, proc(5)). */
function unreadAt(sockets: string, port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const [line] = sockets.split('\n').filter((each) => each.trim().split(/\s+/)[1]?.endsWith(local))
  if (line === undefined) throw new Error(`no socket at port ${port}: ${sockets}`)
  return Number(line.trim().split(/\s+/).at(-1))
}

/** A TCP session with a line every 10 ms and a datagram every millisecond, from one namespace to an address of another. */
async function startTraffic(far: string, near: string, address: string) {
  const server = spawnIn(
    far,
    [process.execPath, join(import.meta.dirname, '../../src/lab/session-server.ts'), address],
    {stdio: ['pipe', 'pipe', 'inherit']},
  )
  const {tcpPort, udpPort} = JSON.parse(await firstLine(server))
  const inside = [process.execPath, '--input-type=module', '-e', CLIENT, address, `${tcpPort}`, `${udpPort}`]
  const client = spawnIn(near, inside, {stdio: ['pipe', 'pipe', 'inherit']})
  await firstLine(client)
  return {
    async stop(): Promise<TrafficReport> {
      client.stdin?.end()
      const {tcp, udp, port, sockets} = JSON.parse(await firstLine(client))
      const atServer = await runCommand('ip', ['netns', 'exec', far, 'cat', '/proc/net/udp'])
      return {tcp, udp: {...udp, unread: unreadAt(sockets, port) + unreadAt(atServer, udpPort)}}
    },
    [Symbol.dispose]() {
      for (const child of [client, server]) child.kill('SIGKILL')
    },
  }
}

/** The next line that a child says; its end is one too. */
function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString()))
    child.once('exit', () => resolve('null'))
  })
}

describe.skipIf(noNamespaces)('notify-agent', () => {
  const lab = useLab({dci: 'plain', dciDelayMs: 2, wanDelayMs: 2})
  const agentKey = key('agent.key')
  const trusted = {x: key('site-x.key'), y: key('site-y.key')}
  const config = join(scratch, 'agent.yaml')
  const socket = join(scratch, 'agent.sock')
  const inventory = join(scratch, 'gwswitch.yaml')
  let agent: ChildProcess

  beforeAll(async () => {
    writeFileSync(
      config,
      [
        'version: 1',
        'vm: web-07',
        `key: ${join(scratch, 'agent.key')}`,
        'trusted:',
        `  site-x: { key: ${trusted.x}, gateways: [${RX}] }`,
        `  site-y: { key: ${trusted.y}, gateways: [${RY}, 10.0.0.77, 10.9.9.9] }`,
        `probes: [${NEAR_Y}]`,
        `socket: ${socket}`,
        `state: ${join(scratch, 'state')}`,
        '',
      ].join('\n'),
    )
    const given = readFileSync(lab().inventoryFile, 'utf8')
      .replace(/ {2}"([xy])": \{/g, (line, site) => `${line} agentKey: ${join(scratch, `site-${site}.key`)},`)
      .replace('web-07: {', `web-07: { agent: { key: ${agentKey} },`)
    writeFileSync(inventory, given)
    mkdirSync(join(scratch, 'state'), {recursive: true})
    const inside = [process.execPath, join(import.meta.dirname, '../../bin/run.js'), 'agent', '--config', config]
    const [program, ...args] = namespaceCommand(lab().ns('web-07'), inside)
    agent = spawn(program!, args, {stdio: ['ignore', 'ignore', 'pipe']})
    let said = ''
    agent.stderr?.on('data', (chunk: Buffer) => {
      said += chunk
    })
    await until(async () => said.includes('listens on'), 30_000, `the agent listens: ${said}`)
    await (await moveVm(lab().prefix, 'web-07', 'y')).announced
  })
  afterAll(async () => {
    if (agent === undefined || agent.exitCode !== null) return
    const ended = new Promise((resolve) => agent.once('exit', resolve))
    agent.kill('SIGTERM')
    await ended
  })
  afterEach(async () => {
    await lab().run('web-07', 'nft', 'flush', 'ruleset')
  })

  const defaultRoute = async (): Promise<string> => (await lab().run('web-07', 'ip', 'route', 'show', 'default')).trim()
  const put = async (gateway: string): Promise<void> =>
    void (await lab().run('web-07', 'ip', 'route', 'replace', 'default', 'via', gateway, 'dev', 'eth0'))
  const notifyAt = (node: string, ...args: string[]) =>
    gwswitch(['notify-agent', 'web-07', '-f', inventory, '--json', ...args], {namespace: lab().ns(node)})
  const notify = (...args: string[]) => notifyAt('ry', ...args)
  /** Drops what goes to the agent's port and comes from it: each with this chance in a hundred. */
  const lose = (percent: number) =>
    lab().run(
      'web-07',
      'nft',
      `table inet loss {
        chain in { type filter hook input priority 0; udp dport 6742 numgen random mod 100 < ${percent} drop; }
        chain out { type filter hook output priority 0; udp sport 6742 numgen random mod 100 < ${percent} drop; }
      }`,
    )

  it('switches, and neither the TCP session nor a datagram every millisecond notices', async () => {
    await put(RX)
    using traffic = await startTraffic(lab().ns('user-y'), lab().ns('web-07'), NEAR_Y)
    const {code, json} = await notify('--to', 'y')
    expect(json).toMatchObject({
      schema: 'gwswitch.notify-agent/1',
      exitCode: 0,
      vms: [{state: 'confirmed', mode: 'replace', gateways: {v4: RY}, code: 'served'}],
    })
    const [{timing}] = json.vms
    expect(timing.receivedMs).toBeLessThanOrEqual(timing.appliedMs)
    expect(timing.appliedMs).toBeLessThan(timing.confirmedMs)
    expect(timing.agentApplyMs).toBeLessThanOrEqual(timing.appliedMs)
    expect(code).toBe(0)
    expect(await defaultRoute()).toBe(`default via ${RY} dev eth0`)
    const {tcp, udp} = await traffic.stop()
    expect(udp.sent).toBeGreaterThan(100)
    // Every one of them is accounted for: the network lost none.
    expect(udp).toEqual({sent: udp.sent, echoed: udp.sent - udp.unread, errors: {}, unread: expect.any(Number)})
    expect(tcp).toEqual({sent: tcp.sent, inOrder: tcp.sent, error: null})
  })

  it('has the VM alone to believe where nothing of it is seen', async () => {
    await put(RX)
    const {code, json} = await notifyAt('rx', '--to', 'y')
    expect(json.vms[0]).toMatchObject({state: 'confirmed', code: 'unverified', evidence: []})
    expect(code).toBe(0)
  })

  it('takes back what the VM believes and the network does not', async () => {
    await put(RX)
    await lab().run('web-07', 'ip', 'route', 'add', '0.0.0.0/1', 'via', RX, 'dev', 'eth0')
    try {
      // On the VM's own port what it sends elsewhere is seen; at the gateway it need not be.
      const onPort = ['--transport', 'unix', '--socket', socket, '-i', 'web-07']
      const {code, json} = await notifyAt('hv', '--to', 'y', ...onPort)
      expect(json.vms[0]).toMatchObject({state: 'rolled_back', code: 'partial', gateways: {v4: RX}})
      expect(code).toBe(3)
      expect(await defaultRoute()).toBe(`default via ${RX} dev eth0`)
    } finally {
      await lab().run('web-07', 'ip', 'route', 'del', '0.0.0.0/1')
    }
  })

  it('gets there with 30 % of the datagrams lost, and the agent obeys once', async () => {
    for (let round = 0; round < 3; round++) {
      await put(RX)
      await lose(30)
      const {code, json} = await notify('--to', 'y', '--timeout', '20')
      await lab().run('web-07', 'nft', 'flush', 'ruleset')
      expect(json.vms[0]).toMatchObject({state: 'confirmed', gateways: {v4: RY}})
      expect(code).toBe(0)
      const {last} = JSON.parse(
        (await gwswitch(['agent', 'status', '--config', config, '--json'], {namespace: lab().ns('web-07')})).stdout,
      )
      expect(last.run).toBe(json.run)
    }
  })

  it('takes a switch back on the VM when its confirmation does not get there', async () => {
    await put(RX)
    // The command arrives, everything after it is lost.
    const rule = 'udp dport 6742 limit rate over 1/hour burst 1 packets drop'
    await lab().run('web-07', 'nft', `table inet loss {\n chain in { type filter hook input priority 0; ${rule}; }\n}`)
    const {code, json} = await notify('--to', 'y', '--confirm-within', '2', '--timeout', '4')
    expect(json.vms[0]).toMatchObject({state: 'silent', detail: expect.stringMatching(/goes back by itself/)})
    expect(code).toBe(5)
    await until(async () => (await defaultRoute()) === `default via ${RX} dev eth0`, 10_000, 'the VM goes back')
  })

  it.each([
    ['a gateway that its key may not choose', ['--gateway', '10.0.0.50'], 'gateway_not_allowed'],
    [
      'a gateway of the other site, signed by this one',
      ['--gateway', RX, '--key', join(scratch, 'site-y.key')],
      'gateway_not_allowed',
    ],
    ['a gateway that is not there', ['--gateway', '10.0.0.77'], 'gateway_silent'],
    ['a gateway that leads nowhere', ['--to', 'y', '--probe', '203.0.113.99'], 'probe_failed'],
    ["another VM's id", ['--to', 'y', '--id', 'db-03'], 'wrong_vm'],
  ])('is refused with a reason by %s', async (_, args, reason) => {
    await put(RX)
    const keyed =
      args.includes('--key') || args.includes('--to') ? args : [...args, '--key', join(scratch, 'site-y.key')]
    const {code, json} = await notify(...keyed)
    expect(json.vms[0]).toMatchObject({state: 'refused', reason, detail: expect.any(String)})
    expect(code).toBe(4)
    expect(await defaultRoute()).toBe(`default via ${RX} dev eth0`)
  })

  it('hears nothing from a VM that does not know its key, and nothing that another key signed', async () => {
    await put(RX)
    key('site-z.key')
    const unknown = await notify('--gateway', RY, '--key', join(scratch, 'site-z.key'), '--timeout', '1')
    expect(unknown.json.vms[0].state).toBe('silent')
    expect(unknown.code).toBe(5)
    const forged = await notify('--to', 'y', '--agent-key', key('other.key'), '--confirm-within', '1', '--timeout', '3')
    expect(forged.json.vms[0]).toMatchObject({
      state: 'silent',
      detail: expect.stringMatching(/none of them signed by the agent of web-07/),
    })
    expect(forged.code).toBe(5)
    await until(async () => (await defaultRoute()) === `default via ${RX} dev eth0`, 10_000, 'the VM goes back')
  })

  it('says that nothing listens there', async () => {
    const {code, json} = await notify('--to', 'y', '--port', '6743', '--timeout', '1')
    expect(json.vms[0].detail).toMatch(/^nothing listens on UDP port 6743 of 10\.0\.0\.10/)
    expect(code).toBe(5)
  })

  it('works through the unix socket on the VM itself', async () => {
    await put(RX)
    const {code, json} = await gwswitch([
      'notify-agent',
      'web-07',
      '--to',
      'y',
      '-f',
      inventory,
      '--transport',
      'unix',
      '--socket',
      socket,
      '--json',
    ])
    expect(json.vms[0]).toMatchObject({state: 'confirmed', transport: `unix ${socket}`})
    expect(code).toBe(0)
  })

  it('tells of several VMs in a row each, and of the worst by its exit', async () => {
    await put(RX)
    writeFileSync(
      join(scratch, 'two.yaml'),
      readFileSync(inventory, 'utf8').replace(
        'db-03: {',
        `absent: { segment: tenant-a, ip: 10.0.0.99, mac: "02:00:00:00:00:99", agent: { key: ${agentKey} } }\n  db-03: {`,
      ),
    )
    const {code, stdout} = await gwswitch(
      ['notify-agent', 'web-07', 'absent', '--to', 'y', '-f', join(scratch, 'two.yaml'), '--timeout', '2'],
      {namespace: lab().ns('ry')},
    )
    expect(stdout).toMatch(/CONFIRMED +web-07 +10\.0\.0\.2 +replace +[\d.]+ ms +[\d.]+ ms +[\d.]+ ms/)
    expect(stdout).toMatch(/NO ANSWER +absent/)
    expect(stdout).toMatch(/1 of 2 VMs confirmed/)
    expect(code).toBe(5)
  })

  describe('as the strategy agent', () => {
    const switchAt = (node: string, ...args: string[]) =>
      gwswitch(
        ['switch', 'web-07', '--to', 'y', '--from', 'rx', '--strategy', 'agent', '-f', inventory, '--json', ...args],
        {namespace: lab().ns(node)},
      )

    it('plans and sends nothing', async () => {
      await put(RX)
      const {code, json} = await switchAt('ry', '--dry-run')
      expect(json).toMatchObject({
        strategy: 'agent',
        dryRun: true,
        plan: {key: {kid: 'site-y'}, order: {to: {v4: RY}, from: {v4: RX}}},
      })
      expect(JSON.stringify(json)).not.toMatch(/PRIVATE/)
      expect(code).toBe(0)
      expect(await defaultRoute()).toBe(`default via ${RX} dev eth0`)
    })

    it("switches by the agent's signed word and by what leaves through the new gateway", async () => {
      await put(RX)
      const {code, json} = await switchAt('ry')
      expect(json.evidence).toEqual([
        'web-07 leaves through ry (02:00:00:00:0b:01)',
        expect.stringMatching(/^ry .* takes packets on: | answers web-07 through it$/),
        expect.stringMatching(/the agent of web-07, signed, says: confirmed, uses 10\.0\.0\.2/),
      ])
      expect(code).toBe(0)
    })

    it("does not take the agent's word alone: where the traffic cannot be seen, it goes back", async () => {
      await put(RX)
      const {code, json} = await switchAt('rx')
      expect(json).toMatchObject({end: 'rolled-back', code: 'unverified', rolledBack: true, rollback: {ok: true}})
      expect(json.rollback.evidence.slice(0, 2)).toEqual([
        expect.stringMatching(/signed, says: rolled back, uses 10\.0\.0\.1 \(requested/),
        'web-07 leaves through rx (02:00:00:00:0a:01)',
      ])
      expect(code).toBe(3)
      expect(await defaultRoute()).toBe(`default via ${RX} dev eth0`)
    })

    it('is left alone where it uses the new gateway already', async () => {
      await put(RY)
      const {code, json} = await switchAt('ry')
      expect(json).toMatchObject({end: 'already', code: 'already', uses: {name: 'ry'}, rollback: null})
      expect(json.steps.map(({step}: {step: string}) => step)).toEqual(['look'])
      expect(code).toBe(0)
      expect(await defaultRoute()).toBe(`default via ${RY} dev eth0`)
    })
  })
})
