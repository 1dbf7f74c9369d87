// What beacons and notes can and cannot do, on real packets: the real agent, the real controller, and somebody between them.
import {createSocket, type Socket} from 'node:dgram'
import {existsSync, readFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterEach, beforeAll, describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {CAP_NET_RAW} from '../../src/net/process/confine.ts'
import {inNamespace} from '../../src/net/process/netns.ts'
import {readJournal} from '../../src/orders/journal/journal-file.ts'
import {type AgentNote, NOTE_TYP, type SiteBeacon, signBeacon, signNote} from '../../src/wire/agent-beacon.ts'
import {claimedTyp} from '../../src/wire/agent-jws.ts'
import {newPrivateKey, signCommand} from '../../src/wire/agent-message.ts'
import {gwswitch} from '../support/cli.ts'
import {heldRights} from '../support/held-rights.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {asNobody, NOBODY} from '../support/ordinary-user.ts'
import {type Program, RX, RY, useSiteLab} from '../support/site-lab.ts'
import {until} from '../support/until.ts'

const AGENT = {address: '10.0.0.10', port: 6742}
const CONTROLLER = {address: RY, port: 6743}

/** Node binds when the name is looked up; that must be now, while the thread is in the namespace. */
const literally = (
  host: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
): void => done(null, host, 4)

describe.skipIf(noNamespaces)('beacons and notes', () => {
  const site = useSiteLab({dciDelayMs: 5, wanDelayMs: 1})
  const sockets: Socket[] = []
  const programs: Program[] = []
  let seq = 0

  const socketAt = (node: string, address: string, port = 0): Socket => {
    const socket = inNamespace(site.lab().ns(node), () =>
      createSocket({type: 'udp4', lookup: literally}).bind(port, address),
    )
    sockets.push(socket)
    return socket
  }
  const started = async (program: Promise<Program>): Promise<Program> => {
    programs.push(await program)
    return programs.at(-1)!
  }
  const place = async (where: 'x' | 'y'): Promise<void> => {
    await (await moveVm(site.lab().prefix, 'web-07', where)).announced
  }
  const nowS = (): number => Math.floor(Date.now() / 1000)
  const beacon = (over: Partial<SiteBeacon> = {}): SiteBeacon => ({
    ...{
      v: 1,
      site: 'y',
      iat: nowS(),
      exp: nowS() + 30,
      seq: Date.now() * 1000 + ++seq,
      gw4: RY,
      ask: ['10.0.0.2:6743'],
    },
    ...over,
  })
  const byY = {kid: 'site-y', privateKey: site.keys.y}
  const note = (over: Partial<AgentNote> = {}): AgentNote => ({
    ...{v: 1, vm: 'web-07', seq: Date.now() * 1000 + ++seq, iat: nowS(), nonce: `${++seq}`.padStart(16, '0')},
    ...{gw4: RX, why: 'notify_peers', site: 'y'},
    ...over,
  })
  const byVm = {kid: 'web-07', privateKey: site.keys.agent}
  const send = (socket: Socket, to: typeof AGENT, ...tokens: string[]): void => {
    for (const token of tokens) socket.send(token, to.port, to.address)
  }
  /** A move, and a new one: what comes within 3 s of an announcement is the same move. Resolves when the agent has seen it. */
  const announced = async (agent: Program): Promise<void> => {
    const moves = (): number => agent.log().split('probably moved').length
    if (moves() > 1) await delay(3100)
    const before = moves()
    agent.child.kill('SIGUSR2')
    await until(async () => moves() > before, 10_000, `it notices that it was moved: ${agent.log()}`)
  }
  const ignored = async () => ((await site.status()).where.counts as {ignored: Record<string, number>}).ignored

  beforeAll(() => site.configure('beacons: true'))
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close()
    await Promise.all(programs.splice(0).map((program) => program.end()))
    await site.filterBeacons(false)
    await place('x')
    await site.setGateway(RX)
    site.configure('beacons: true')
  })

  it('bring a VM that announces itself to its gateway, where the DCI keeps beacons in their site', async () => {
    await site.filterBeacons(true)
    await started(site.serve('x'))
    const audit = site.file('y/audit.jsonl')
    const y = await started(site.serve('y', '--audit', audit))
    // What the strategies of this segment's VMs take, and no more.
    expect(heldRights(y.child.pid!)).toEqual({capabilities: [CAP_NET_RAW], noNewPrivileges: true})
    const agent = await started(site.agent(true))
    await until(async () => (await site.status()).where.site === 'x', 10_000, 'it is in x')
    await place('y')
    agent.child.kill('SIGUSR2')
    await until(async () => (await site.gateway()) === RY, 15_000, agent.log())
    await until(async () => y.log().includes('switched after'), 10_000, y.log())
    const recorded = () => existsSync(audit) && readFileSync(audit, 'utf8').includes('"GWSWITCH_OUTCOME":"switched"')
    await until(async () => recorded(), 10_000, 'it is recorded')
    const written = await readJournal(process.env.GWSWITCH_JOURNAL!, (read) => read.entries({vm: 'web-07'}, 1))
    expect(written).toMatchObject([
      {order: {by: 'note', asked: 'note of web-07, which uses rx'}, document: {end: 'switched', to: {name: 'ry'}}},
    ])
    expect(agent.log()).toMatch(
      /probably moved\n.*in site y\n.*asked 10\.0\.0\.2:6743 for the gateway of site y \(notify_peers\)/,
    )
    expect(await site.status()).toMatchObject({last: {state: 'confirmed'}, where: {site: 'y', heard: [{site: 'y'}]}})
  })

  it('lead to the switch in the end, where the gateway leads nowhere at first', {timeout: 150_000}, async () => {
    const {run} = site.lab()
    await site.filterBeacons(true)
    const y = await started(site.serve('y'))
    const agent = await started(site.agent(true))
    const chain = 'chain forward { type filter hook forward priority 0; icmp type echo-request drop; }'
    await run('ry', 'nft', `table inet upstream { ${chain}; }`)
    try {
      await place('y')
      agent.child.kill('SIGUSR2')
      await until(async () => agent.log().includes('asked again in 30 s'), 30_000, 'the first switch fails')
    } finally {
      await run('ry', 'nft', 'delete table inet upstream')
    }
    expect(await site.status()).toMatchObject({last: {state: 'refused', reason: 'probe_failed'}})
    expect(await site.gateway()).toBe(RX)
    await until(async () => y.log().includes('switched after'), 90_000, 'it is asked for again')
    expect(await site.gateway()).toBe(RY)
    expect(await site.status()).toMatchObject({last: {state: 'confirmed'}, where: {site: 'y', phase: 'settled'}})
  })

  it('of an attacker are counted by reason, and the VM asks nobody', async () => {
    const agent = await started(site.agent(true))
    const said: (string | undefined)[] = []
    const attacker = socketAt('ry', RY, 6743)
    attacker.on('message', (bytes) => said.push(claimedTyp(bytes)))
    const stranger = newPrivateKey()
    const heard = signBeacon(beacon({exp: nowS() + 2}), byY)
    const command = {v: 1, op: 'query', vm: 'web-07', run: 'r', seq: 1, iat: nowS(), exp: nowS() + 9} as const
    send(
      attacker,
      AGENT,
      signBeacon(beacon(), {kid: 'site-y', privateKey: stranger}),
      signBeacon(beacon(), {kid: 'site-z', privateKey: stranger}),
      // It is answered as a command, and says nothing of a site.
      signCommand({...command, nonce: 'AAAAAAAAAAAAAAAA'}, byY),
      signNote(note(), byY),
      ...['clock', 'clock', 'clock'].map((_, i) =>
        signBeacon(
          beacon([{iat: nowS() - 60, exp: nowS() - 55}, {iat: nowS() + 60, exp: nowS() + 65}, {exp: nowS() + 3600}][i]),
          byY,
        ),
      ),
      signBeacon(beacon({gw4: RX}), byY),
      heard,
      heard,
      heard,
    )
    await until(async () => (await ignored()).replayed === 2, 5000, 'all are counted')
    expect(await ignored()).toEqual({bad_signature: 1, unknown_key: 1, clock: 3, gateway_not_allowed: 1, replayed: 2})
    // What was heard once is over; what is replayed after the move says nothing.
    await delay(2200)
    await announced(agent)
    send(attacker, AGENT, heard, signBeacon(beacon({iat: nowS() - 60, exp: nowS() - 55}), byY))
    await until(async () => agent.log().includes('no beacon heard'), 10_000, agent.log())
    // A true one, relayed here while the own site is silent: its gateway is farther than the one in use.
    await announced(agent)
    send(attacker, AGENT, signBeacon(beacon(), byY))
    await until(async () => agent.log().includes('none of them is clearly where this VM is'), 10_000, agent.log())
    expect(said).not.toContain(NOTE_TYP)
    expect(await site.gateway()).toBe(RX)
    expect(await site.status()).toMatchObject({where: {note: null}})
  })

  it('without beacons: true do nothing', async () => {
    site.configure()
    await started(site.serve('x'))
    const y = await started(site.serve('y'))
    const agent = await started(site.agent(true))
    await place('y')
    agent.child.kill('SIGUSR2')
    await delay(4000)
    const {where} = await site.status()
    expect(where).toMatchObject({beacons: false, site: null, heard: [], note: null, counts: {heeded: 0}})
    expect((await ignored()).wrong_typ).toBeGreaterThan(2)
    expect(agent.log()).toMatch(/there is nobody to ask/)
    expect(y.log()).not.toMatch(/web-07/)
    expect(await site.gateway()).toBe(RX)
  })

  it('of a VM that only has somebody to ask lead to advice, and to nothing else', async () => {
    site.configure('askOnMove: [10.0.0.2]')
    const y = await started(site.serve('y', '--no-beacon'))
    const agent = await started(site.agent(true))
    await place('y')
    agent.child.kill('SIGUSR2')
    await until(async () => y.log().includes('no_site'), 10_000, y.log())
    expect(y.log()).toMatch(
      /note of web-07 not acted on: no_site: .* if it runs at site y now: gwswitch switch web-07 --to y\n/,
    )
    expect(agent.log()).toMatch(/asked 10\.0\.0\.2:6743 for a gateway, wherever this is \(notify_peers\)/)
    expect(await site.gateway()).toBe(RX)
  })

  it('of an attacker, repeated or late, switch nothing; a true one does, once', async () => {
    await place('y')
    const y = await started(site.serve('y', '--no-beacon', '--json'))
    await started(site.agent())
    const attacker = socketAt('rx', RX)
    const stranger = newPrivateKey()
    send(
      attacker,
      CONTROLLER,
      signNote(note(), {kid: 'web-07', privateKey: stranger}),
      signNote(note(), {kid: 'db-03', privateKey: stranger}),
      signBeacon(beacon(), byVm),
      'noise',
      signNote(note({iat: nowS() - 60}), byVm),
      signNote(note({iat: nowS() + 60}), byVm),
      signNote(note({vm: 'db-03'}), byVm),
      signNote(note({site: 'x'}), byVm),
    )
    await until(async () => y.log().includes('other_site'), 5000, y.log())
    expect(y.log()).not.toMatch(/switching/)
    expect(y.log().match(/not acted on: \w+/g)).toEqual(
      ['clock', 'clock', 'wrong_vm', 'other_site'].map((reason) => `not acted on: ${reason}`),
    )
    const good = signNote(note(), byVm)
    send(attacker, CONTROLLER, good)
    await until(async () => y.log().includes('switched after'), 15_000, y.log())
    expect(await site.gateway()).toBe(RY)
    await site.setGateway(RX)
    await delay(5500)
    send(attacker, CONTROLLER, good)
    await until(async () => y.log().includes('replayed'), 5000, y.log())
    await delay(500)
    expect(await site.gateway()).toBe(RX)
    await y.end()
    expect(JSON.parse(y.out())).toMatchObject({
      notes: {valid: 6, refused: {clock: 2, wrong_vm: 1, other_site: 1, replayed: 1}},
      switches: [{outcome: 'switched'}],
    })
    expect(JSON.parse(y.out()).notes.silent).toEqual({bad_signature: 1, unknown_key: 1, wrong_typ: 1})
  })

  describe('the command', () => {
    const at = (args: readonly string[], options: {under?: readonly string[]} = {}) =>
      gwswitch(['serve', 'site', ...args, '-f', site.inventory], {namespace: site.lab().ns('ry'), ...options})
    const unprivileged = ['setpriv', '--inh-caps=-all', '--bounding-set=-net_raw', '--ambient-caps=-all']

    it('sends nothing as a dry run, which needs no privilege', async () => {
      const y = await started(site.serve('y', '--dry-run', '--json'))
      const vm = socketAt('web-07', '10.0.0.10')
      send(vm, CONTROLLER, signNote(note(), byVm))
      await until(async () => y.log().includes('planned: tell the agent in web-07'), 10_000, y.log())
      await y.end()
      expect(JSON.parse(y.out())).toMatchObject({dryRun: true, beacons: 0, switches: [{outcome: 'planned'}]})
      expect(await site.gateway()).toBe(RX)
    })

    it.each<[string, readonly string[], number, RegExp]>([
      ['a site that is not there', ['z', '-i', 'seg-a'], 2, /no site "z"/],
      ['a segment whose gateway IP is shared', ['y', '-i', 'seg-b'], 2, /the sites share 10\.1\.0\.254/],
      ['a key that is not there', ['y', '-i', 'seg-a', '--key', '/nowhere'], 2, /\/nowhere: no such file/],
      ['an interval that is none', ['y', '-i', 'seg-a', '--interval', '0'], 2, /not a whole number from 1 to 5/],
      ['an interface that is not there', ['y', '-i', 'eth7'], 2, /no interface eth7 here/],
      [
        'an address that is not here',
        ['y', '-i', 'seg-a', '--listen', '192.0.2.77'],
        1,
        /cannot listen on UDP 192\.0\.2\.77/,
      ],
    ])('refuses %s in one line', async (_name, args, code, line) => {
      const {stderr, ...result} = await at(args)
      expect(stderr).toMatch(/^gwswitch: [^\n]+\n$/)
      expect(stderr).toMatch(line)
      expect(result.code).toBe(code)
    })

    it('needs no more than CAP_NET_RAW to switch', async () => {
      const {run} = site.lab()
      const scratch = dirname(site.inventory)
      await run('ry', 'chmod', 'o+x', scratch)
      await run('ry', 'chown', `${NOBODY}`, site.file('site-y.key'))
      await place('y')
      await started(site.agent())
      const y = await started(site.serveUnder(asNobody('+net_raw'), 'y'))
      send(socketAt('rx', RX), CONTROLLER, signNote(note(), byVm))
      await until(async () => y.log().includes('switched after'), 15_000, 'the VM is switched')
      expect(await site.gateway()).toBe(RY)
      expect(y.log()).toMatch(/^\S+ gwswitch serve site: beacon every 1 s/)
    })

    it('needs CAP_NET_RAW, and says how to get it', async () => {
      const {code, stderr} = await at(['y', '-i', 'seg-a'], {under: unprivileged})
      expect(stderr).toMatch(/^gwswitch: raw frames need CAP_NET_RAW: .*\n$/)
      expect(code).toBe(6)
    })
  })
})
