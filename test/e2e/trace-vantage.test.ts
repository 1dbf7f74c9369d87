// A VM that trombones, seen from elsewhere than from the VM's own command line: by its traffic alone, and from its
// hypervisor in its place.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import type {WatchLine} from '../../src/domain/trace/watch.ts'
import {type Session, startSession} from '../../src/lab/session.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {ANY_IPV4, BROADCAST} from '../../src/wire/address.ts'
import {ARP_REQUEST} from '../../src/wire/arp.ts'
import {ETHERTYPE_RARP} from '../../src/wire/ethernet.ts'
import {arpFrame} from '../../src/wire/frames.ts'
import {linkIn} from '../peers/arp-link.ts'
import {gwswitch} from '../support/cli.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {complaints} from '../support/schemas.ts'
import {withTerminal} from '../support/terminal.ts'
import {eventually, until} from '../support/until.ts'
import {useLab} from '../support/use-lab.ts'

const NEAR_Y = '203.0.113.10'
const NEAR_X = '198.51.100.10'
const DCI_RTT_MS = 10
const VM_MAC = '02:00:00:00:01:10'
const X_MAC = '02:00:00:00:0a:02'
const Y_MAC = '02:00:00:00:0b:02'
const ARRIVAL = {operation: ARP_REQUEST, senderMac: VM_MAC, senderIp: ANY_IPV4, targetMac: VM_MAC, targetIp: ANY_IPV4}
const FAST = ['--rate', '200', '--json']
/** Its own port, and its bridge, in the hypervisor's namespace. */
const PORT = 'db-03'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-vantage-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe.skipIf(noNamespaces)('a moved VM that has a session through the gateway of its old site', () => {
  const lab = useLab({dci: 'plain', dciDelayMs: DCI_RTT_MS / 2, wanDelayMs: DCI_RTT_MS / 2})
  let session: Session
  beforeAll(async () => {
    session = await startSession(lab().prefix, 'db-03', 'user-y')
    await (await moveVm(lab().prefix, 'db-03', 'y')).announced
  })
  afterAll(() => session?.stop())

  const inventory = (): string[] => ['-f', lab().inventoryFile]
  const atPort = (...args: string[]) =>
    gwswitch(['trace', ...args, '--port-of', 'db-03', ...inventory()], {namespace: lab().ns('hv')})
  const hv = (...argv: string[]): Promise<string> => lab().run('hv', ...argv)
  const taps = async (): Promise<string> => hv('ip', '-br', 'link', 'show', 'type', 'tun')
  /** What a hypervisor and the VM would notice: where its MAC is, and the VM's own tables. */
  const state = async (): Promise<unknown> => ({
    here: (await hv('bridge', 'fdb', 'show', 'br', 'br-db-03')).split('\n').filter((line) => line.includes(VM_MAC)),
    there: (await lab().run('sw-y', 'bridge', 'fdb', 'show', 'br', 'br-b'))
      .split('\n')
      .filter((line) => line.includes(VM_MAC)),
    routes: await lab().run('db-03', 'ip', 'route'),
    gateway: (await lab().run('db-03', 'ip', 'neigh', 'show', '10.1.0.254')).split(' ')[4],
    qdiscs: await hv('tc', 'qdisc', 'show', 'dev', PORT),
  })

  describe('heard, with nothing sent', () => {
    it.each([
      ['in the VM', 'db-03', []],
      ['at its port', 'hv', ['--port-of', 'db-03']],
      ['at its port, by the name of the port', 'hv', ['-i', PORT]],
    ])('%s, trombones: gateways both ways and the distance of its peer', async (_where, node, args) => {
      const {code, json} = await gwswitch(
        ['trace', '--passive', '1', ...args, '--site', 'y', ...inventory(), '--json'],
        {
          namespace: lab().ns(node),
        },
      )
      expect(json).toMatchObject({
        schema: 'gwswitch.passive/1',
        complete: true,
        dropped: 0,
        host: {name: 'db-03', mac: VM_MAC, site: 'y', siteSource: 'flag'},
        egress: {verdict: 'trombone', reason: 'detour', peers: 1, of: 1},
        inbound: {verdict: 'local'},
        peers: [
          {
            ...{ip: NEAR_Y, site: 'y', reason: 'detour', inbound: 'local', changedAtMs: null},
            ...{out: [{gateway: 'bx', site: 'x'}], in: [{gateway: 'by', site: 'y'}]},
          },
        ],
        exitCode: 10,
      })
      expect(complaints(json)).toEqual([])
      expect(code).toBe(10)
      const {minMs, samples} = json.peers[0].tcp
      expect(samples).toBeGreaterThan(3)
      expect(minMs).toBeGreaterThanOrEqual(DCI_RTT_MS)
      // A busy machine adds to it, also to the smallest.
      expect(minMs).toBeLessThan(10 * DCI_RTT_MS)
    })

    it('is stopped by Ctrl-C with what there is', async () => {
      const {child, output} = start('hv', ['trace', '--passive', '600', '--port-of', 'db-03', '--site', 'y', '--json'])
      // Its socket is there as soon as frames are dropped into it.
      await until(async () => (await hv('ss', '-0', '-a', '-n')).includes(`:${PORT}`), 20_000, 'it listens')
      await eventually(async () => void expect((await session.report()).tcp.echoed).toBeGreaterThan(10))
      child.kill('SIGINT')
      const [code] = (await once(child, 'exit')) as [number]
      expect(JSON.parse(output())).toMatchObject({complete: false, exitCode: code})
      expect(complaints(JSON.parse(output()))).toEqual([])
    })

    it('asks for addresses of peers, and for no name: that would be sent', async () => {
      const {code, stderr} = await atPort('user-y.example', '--passive', '1')
      expect(stderr).toBe(
        'gwswitch: user-y.example is no address: with --passive nothing is sent, not even a DNS question\n',
      )
      expect(code).toBe(2)
    })
  })

  describe('traced from its hypervisor, in its place', () => {
    it('trombones, and nothing has moved or is left', async () => {
      const before = await state()
      const {code, json} = await atPort(NEAR_Y, ...FAST)
      expect(code).toBe(10)
      expect(complaints(json)).toEqual([])
      const [result] = json.results ?? [json]
      expect(result).toMatchObject({
        host: {name: 'db-03', ip: '10.1.0.10', mac: VM_MAC, iface: PORT, site: 'y'},
        egress: {verdict: 'trombone', reason: 'detour'},
        candidates: [{name: 'bx'}, {name: 'by', local: true}],
        inbound: {verdict: 'local'},
      })
      expect(Math.abs(result.egress.penaltyMs.min - DCI_RTT_MS)).toBeLessThan(DCI_RTT_MS / 3)
      expect(await state()).toEqual(before)
      expect(await taps()).toBe('')
      expect((await session.report()).tcp).toMatchObject({contiguous: true, reconnects: 0})
    })

    it.each(['tcp', 'udp'])('trombones, by %s probes', async (proto) => {
      const {code, json} = await atPort(NEAR_Y, '--proto', proto, ...FAST)
      expect(json.results[0]).toMatchObject({
        probe: {proto},
        egress: {verdict: 'trombone', reason: 'detour'},
        candidates: [{name: 'bx'}, {name: 'by', works: {small: {answered: 1}}}],
      })
      expect(code).toBe(10)
    })

    it('is compared with how it was: exit 10 only if it got worse', async () => {
      const file = join(scratch, 'before.json')
      const {json} = await atPort(NEAR_Y, ...FAST)
      writeFileSync(file, JSON.stringify(json))
      const same = await atPort(NEAR_Y, '--compare', file, ...FAST)
      expect(same.json).toMatchObject({
        schema: 'gwswitch.trace-comparison/1',
        destinations: [
          {
            destination: NEAR_Y,
            aspects: {inbound: {change: 'same'}, roundTrip: {shift: {coverage: expect.any(Number)}}},
          },
        ],
        after: {schema: 'gwswitch.trace/2', exitCode: 10},
      })
      expect(complaints(same.json)).toEqual([])
      expect(same.code).toBe(same.json.exitCode)
      const faster = (pair: {currentMs: number | null}) => ({...pair, currentMs: pair.currentMs && pair.currentMs / 2})
      const [result] = json.results
      writeFileSync(file, JSON.stringify({...json, results: [{...result, pairs: result.pairs.map(faster)}]}))
      const worse = await atPort(NEAR_Y, '--compare', file, ...FAST)
      expect(worse.json.destinations[0].aspects).toMatchObject({
        roundTrip: {change: 'worse'},
        penalty: {change: 'worse'},
      })
      expect(worse.code).toBe(10)
    })

    it.each([
      ['no such file', 'none.json', undefined, /none\.json: no such file \(a document of gwswitch trace --json\)/],
      ['no JSON', 'text.json', 'hello', /text\.json is no JSON/],
      [
        'another document',
        'other.json',
        '{"schema":"gwswitch.who/1"}',
        /other\.json\.schema is "gwswitch\.who\/1", not gwswitch\.trace\/2/,
      ],
      [
        'half of one',
        'half.json',
        '{"schema":"gwswitch.trace/2","startedAt":"","results":[{}]}',
        /results\[0\]\.host is no object/,
      ],
    ])('is compared with %s: refused before anything is sent', async (_what, name, content, message) => {
      const file = join(scratch, name)
      if (content !== undefined) writeFileSync(file, content)
      const {code, stderr} = await atPort(NEAR_Y, '--compare', file)
      expect(stderr).toMatch(message)
      expect(code).toBe(2)
    })

    it.each(['SIGKILL', 'SIGINT'] as const)('leaves nothing behind when it is ended by %s', async (signal) => {
      const before = await state()
      const {child} = start('hv', ['trace', NEAR_Y, '--port-of', 'db-03', '--interval', '2000'])
      await until(async () => (await taps()).includes('UP'), 20_000, 'it stands in')
      child.kill(signal)
      await once(child, 'exit')
      await eventually(async () => expect(await taps()).toBe(''))
      expect(await state()).toEqual(before)
      expect((await session.report()).tcp).toMatchObject({contiguous: true, reconnects: 0})
    })

    it('is refused where the VM is not: at another host', async () => {
      const {code, stderr} = await gwswitch(['trace', NEAR_Y, '--port-of', 'db-03', ...inventory()], {
        namespace: lab().ns('sw-x'),
      })
      expect(stderr).toMatch(/^gwswitch: (behind \S+ there (is|are)|db-03 is behind) .*\n$/)
      expect(code).toBe(1)
    })

    it('stops as soon as the VM speaks elsewhere', async () => {
      const {child, output} = start('hv', [
        'trace',
        NEAR_Y,
        '--port-of',
        'db-03',
        '--interval',
        '2000',
        '--pairs',
        '500',
        '--json',
      ])
      await until(async () => (await taps()).includes('UP'), 20_000, 'it stands in')
      // What a hypervisor at another site says for a VM that has just arrived there; here, without the VM having gone.
      await using link = await linkIn(lab().ns('sw-y'), (await uplink())!)
      link.send(arpFrame({destination: BROADCAST, source: VM_MAC}, ARRIVAL, ETHERTYPE_RARP))
      const [code] = (await once(child, 'exit')) as [number]
      const {complete, results, exitCode} = JSON.parse(output())
      expect(complete).toBe(false)
      expect(results[0].integrity.linkLost).toBe(
        `db-03 speaks elsewhere now: nothing more is sent in its place at ${PORT}`,
      )
      expect(code).toBe(exitCode)
    })
  })

  /** As a gratuitous ARP would: the VM sends to that MAC from now on. */
  const useGateway = (mac: string): Promise<string> =>
    lab().run(
      ...(['db-03', 'ip', 'neigh', 'replace', '10.1.0.254', 'lladdr', mac, 'dev', 'eth0', 'nud', 'reachable'] as const),
    )

  describe('watched', () => {
    it('is told of as lines of JSON for each destination, with what changed in each, until Ctrl-C', async () => {
      const file = join(scratch, 'destinations.txt')
      writeFileSync(file, `${NEAR_X}  # the old site\n`)
      const args = ['trace', NEAR_Y, '--destinations', file, '--watch', '--rate', '100', '--json']
      const {child, output} = start('db-03', args)
      const lines = (): WatchLine[] => {
        const whole = output().split('\n').slice(0, -1)
        return whole.map((line) => JSON.parse(line))
      }
      const of = (destination: string) => lines().filter((line) => line.destination === destination)
      const has = (destination: string, verdict: string) =>
        of(destination).some(({egress}) => egress?.verdict === verdict)
      const changed = (destination: string, what: string) =>
        of(destination).flatMap(({changes}) => changes.filter((change) => change.what === what))
      try {
        await until(async () => has(NEAR_Y, 'trombone') && has(NEAR_X, 'none'), 30_000, 'both have a verdict')
        await useGateway(Y_MAC)
        const all = [NEAR_Y, NEAR_X]
        await until(async () => all.every((each) => changed(each, 'gateway').length > 0), 30_000, 'each has changed')
        const last = (destination: string) => of(destination).at(-1)!
        const isOver = () => all.every((each) => last(each).egress?.verdict === 'none')
        await until(async () => isOver(), 30_000, 'the trombone is over')
        child.kill('SIGINT')
        const [code] = (await once(child, 'exit')) as [number]
        expect(lines().flatMap(complaints)).toEqual([])
        for (const each of all) expect(changed(each, 'gateway')).toMatchObject([{from: 'bx', to: 'by'}])
        expect(changed(NEAR_Y, 'egress')).toMatchObject([{from: 'trombone', to: 'none'}])
        expect(code).toBe(0)
      } finally {
        child.kill('SIGKILL')
        await useGateway(X_MAC)
      }
    })

    it.for([
      ['one', [NEAR_Y], /EGRESS {3}TROMBONE .*through bx/, /EGRESS {3}no trombone/],
      [
        'several',
        [NEAR_Y, NEAR_X],
        /203\.0\.113\.10 \(site y\) +TROMBONE +\+/,
        /203\.0\.113\.10 \(site y\) +no trombone/,
      ],
    ] as const)(
      'is shown on a terminal as it changes, %s of destinations, and leaves that as it was',
      async ([, destinations, before, after], {skip}) => {
        if (!(await hasProgram('tmux'))) skip('tmux is not installed')
        const bin = join(import.meta.dirname, '../../bin/run.js')
        const words = [process.execPath, bin, 'trace', ...destinations, '--watch', '--rate', '100', ...inventory()]
        const typed = namespaceCommand(lab().ns('db-03'), words).join(' ')
        try {
          await withTerminal(`${lab().prefix}-watch`, 100, async ({type, press, shows, screen}) => {
            await type('echo what was there before')
            await type(`${typed}; echo "ended with $?"`)
            await shows(before)
            expect(await screen()).not.toContain('what was there before')
            await shows(/via bx {2}\(site x, in use\) +via by {2}\(site y, local\)/)
            await useGateway(Y_MAC)
            for (const each of destinations)
              await shows(destinations.length === 1 ? /gateway: bx → by/ : new RegExp(`${each} {2}gateway: bx → by`))
            await shows(after)
            expect(await screen()).toMatch(/[▂-█][^\n]*▽/)
            await press('C-c')
            await shows(/ended with \d+/)
            expect(await screen()).toContain('what was there before')
            expect(await screen()).not.toContain('EGRESS')
          })
        } finally {
          await useGateway(X_MAC)
        }
      },
    )
  })

  /** The port of site Y's switch that leads to the VM's hypervisor. */
  const uplink = async (): Promise<string | undefined> =>
    (await lab().run('sw-y', 'bridge', 'fdb', 'show', 'br', 'br-b'))
      .split('\n')
      .find((line) => line.startsWith(VM_MAC))
      ?.split(' ')[2]

  function start(node: string, args: string[]): {child: ChildProcess; output(): string} {
    const bin = join(import.meta.dirname, '../../bin/run.js')
    const [program, ...rest] = namespaceCommand(lab().ns(node), [process.execPath, bin, ...args, ...inventory()])
    const child = spawn(program!, rest, {stdio: ['ignore', 'pipe', 'ignore']})
    const stdout: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    return {child, output: () => Buffer.concat(stdout).toString()}
  }
})
