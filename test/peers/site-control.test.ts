// Orders by the control socket of `serve site`, on real packets: the VM is switched once, proved, or put back.
import {mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {text} from 'node:stream/consumers'
import {afterAll, afterEach, describe, expect, it} from 'vitest'
import {CAP_CHOWN, CAP_NET_ADMIN, CAP_NET_RAW} from '../../src/net/process/confine.ts'
import {connectUnix} from '../../src/net/stream/unix-socket.ts'
import {gwswitch} from '../support/cli.ts'
import {heldRights} from '../support/held-rights.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {useSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {askSocket, type SiteService, startSiteService} from '../support/site-service.ts'
import {until} from '../support/until.ts'

interface Recorded {
  readonly vm: string
  readonly end: string
  readonly code: string
  readonly before: string | null
  readonly uses: string | null
  readonly atOnce: boolean
}

/** What drops every packet that a VM sends through it. */
const NO_UPSTREAM =
  "nft 'table inet upstream { chain forward { type filter hook forward priority 0; drop; }; }'; ip route del default"

describe.skipIf(noNamespaces)('the control socket of serve site', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-control-'))
  const lab = useSegmentLab({vmKeys: 'strategies: [arp]'})
  const services: SiteService[] = []
  const socket = join(scratch, 'run', 'site.sock')
  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.end()))
    writeFileSync(lab().inventoryFile, lab().inventory)
    await lab().restore()
  })
  afterAll(() => rmSync(scratch, {recursive: true, force: true}))

  const start = async (...args: string[]): Promise<SiteService> => {
    const inventory = lab().inventoryFile
    const service = await startSiteService({namespace: lab().ns('sw'), inventory, socket, args})
    services.push(service)
    return service
  }
  const history = async (service: SiteService): Promise<Recorded[]> =>
    (await service.ask('history'))[0]!.switches as Recorded[]
  const switched = (service: SiteService, times = 1): Promise<void> =>
    until(async () => (await history(service)).length >= times, 30_000, `it is switched: ${service.log()}`)

  it('leads from an announcement at a port to one switch, proved, without a hook', async () => {
    const yaml = lab().inventory.replace('strategies: [arp]', 'strategies: [arp], site: x')
    writeFileSync(lab().inventoryFile, yaml)
    const service = await start('--watch', 'vnet*', '--log', 'json')
    await service.ready()
    await lab().run('vm', 'arping -q -c 1 -w 1 -U -I eth0 10.1.0.10')
    await switched(service)
    expect(await history(service)).toMatchObject([
      {vm: 'db-03', end: 'switched', code: 'served', before: 'bx', uses: 'by', by: 'arrival'},
    ])
    expect(await lab().gateway()).toBe(Y_MAC)
    const lines = service
      .log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines).toContainEqual(
      expect.objectContaining({event: 'movement', vm: 'db-03', kind: 'arrived', said: 'begun'}),
    )
    expect(lines).toContainEqual(expect.objectContaining({event: 'switch', vm: 'db-03', outcome: 'switched'}))
  })

  it('leads from "arrived" to one switch, proved, of a VM that was told in the breath in which it was asked', async () => {
    const service = await start()
    await service.ready()
    const answers = await service.ask('expect db-03', 'arrived db-03', 'arrived db-03')
    expect(answers).toMatchObject([
      {schema: 'gwswitch.site-answer/1', ok: true, said: 'expected', vm: 'db-03'},
      {ok: true, said: 'begun', vm: 'db-03', exitCode: 0, error: null},
      {ok: true, said: 'under-way'},
    ])
    await switched(service)
    expect(await history(service)).toMatchObject([
      {vm: 'db-03', end: 'switched', code: 'served', before: 'bx', uses: 'by', atOnce: true},
    ])
    expect(await lab().gateway()).toBe(Y_MAC)
    expect(await service.ask('arrived 02:00:00:00:01:10')).toMatchObject([{ok: true, said: 'here-already'}])
    expect(await history(service)).toHaveLength(1)
  })

  it('answers "switch" when it has ended, and joins one that is under way', async () => {
    const service = await start()
    const [first, second] = await Promise.all([service.ask('switch db-03'), service.ask('switch db-03 by')])
    const switchedBy = {ok: true, said: 'switched', vm: 'db-03', to: 'by', before: 'bx', uses: 'by', exitCode: 0}
    expect([first, second]).toMatchObject([[switchedBy], [switchedBy]])
    expect(await service.ask('switch db-03')).toMatchObject([{ok: true, said: 'already'}])
    await service.end()
    services.pop()
    expect(service.out()).toMatch(/2 switches/)
  })

  it('is spoken to by nc, as a hook does it', async () => {
    const service = await start()
    const hook = "printf 'expect db-03 60\\nstatus\\n' | nc -N -U"
    const [expected, status] = (await lab().run('sw', `${hook} ${service.socket}`)).trim().split('\n')
    expect(JSON.parse(expected!)).toMatchObject({ok: true, said: 'expected'})
    expect(JSON.parse(status!)).toMatchObject({said: 'status', site: 'y', fuse: {blown: false}, running: []})
  })

  it.each<[string, string | Uint8Array, number, RegExp]>([
    ['an unknown VM', 'arrived web-99\n', 1, /no VM "web-99"/],
    ['an unknown MAC', 'switch 02:00:00:00:99:99\n', 1, /no VM "02:00:00:00:99:99"/],
    ['an unknown gateway', 'switch db-03 bz\n', 1, /no site "bz"/],
    ['an unknown order', 'swithc db-03\n', 1, /no such order: "swithc"/],
    ['a line of 1 MB', `arrived ${'x'.repeat(1_000_000)}\n`, 1, /longer than 4096 bytes/],
    ['1 MB without an end', 'x'.repeat(1_000_000), 1, /longer than 4096 bytes/],
    ['an empty line', '\n', 1, /^the line is empty \(want: switch VM/],
    ['half a line', 'arrived db-03', 1, /has no end: nothing is done/],
    [
      'garbage',
      Uint8Array.from({length: 4000}, (_, i) => (i % 200) + 50 + (i === 3999 ? -219 : 0)),
      1,
      /no UTF-8|no end/,
    ],
    ['a wrong line and a right one', 'no\nstatus\n', 2, /no such order/],
  ])('answers %s once, clearly, and does nothing', async (_name, sent, answers, message) => {
    const service = services[0] ?? (await start())
    const said = await askSocket(service.socket, sent)
    expect(said).toHaveLength(answers)
    expect(said[0]).toMatchObject({ok: false, exitCode: 2, error: {kind: 'usage'}})
    expect(said[0]!.error!.message).toMatch(message)
    expect(await lab().gateway()).toBe(X_MAC)
  })

  it('serves 1,000 clients at once, and what they leave open leaks nothing', async () => {
    const service = await start()
    const descriptors = (): number =>
      Number(readFileSync(`/proc/${service.child.pid}/status`, 'utf8').match(/FDSize:\s+(\d+)/)?.[1])
    const sockets = await Promise.all(Array.from({length: 1000}, () => connectUnix(service.socket, 'the service')))
    const answers = sockets.map((each) => text(each))
    await until(async () => descriptors() >= 1000, 20_000, 'all are served')
    for (const each of sockets) each.end('expect db-03\n')
    const said = await Promise.all(answers)
    expect(new Set(said.map((each) => (JSON.parse(each) as {said: string}).said))).toEqual(new Set(['expected']))
    const open = async (): Promise<number> => Number(await lab().run('sw', `ls /proc/${service.child.pid}/fd | wc -l`))
    await until(async () => (await open()) < 100, 10_000, 'the connections are closed')
  })

  it('is opened by its owner alone, or by a group', async () => {
    const service = await start()
    expect(statSync(service.socket).mode & 0o777).toBe(0o600)
    expect(heldRights(service.child.pid!).capabilities).toEqual([CAP_NET_ADMIN, CAP_NET_RAW])
    await service.end()
    services.pop()
    const shared = await start('--control-group', 'nogroup')
    const {mode, gid} = statSync(shared.socket)
    expect({mode: mode & 0o777, gid}).toEqual({mode: 0o660, gid: 65534})
    expect(statSync(dirname(shared.socket)).mode & 0o777).toBe(0o755)
    expect(heldRights(shared.child.pid!).capabilities).toEqual([CAP_CHOWN, CAP_NET_ADMIN, CAP_NET_RAW])
  })

  it.each<[string, readonly string[], number, RegExp]>([
    [
      'a group that is not there',
      ['--control', socket, '--control-group', 'no-such-group'],
      2,
      /no group "no-such-group"/,
    ],
    ['a place that is a file', ['--control', '/etc/hostname'], 2, /\/etc\/hostname: is there and is no socket/],
    ['nothing to serve', [], 2, /nothing to serve/],
    ['a fuse that is none', ['--control', socket, '--fuse', '3'], 2, /--fuse "3" is not K\/N/],
    ['a group without a socket', ['--control-group', 'nogroup'], 2, /control/],
  ])('is refused in one line: %s', async (_name, args, code, line) => {
    const words = ['serve', 'site', 'y', ...args, '-f', lab().inventoryFile]
    const {stderr, ...result} = await gwswitch(words, {namespace: lab().ns('sw')})
    expect(stderr).toMatch(line)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(result.code).toBe(code)
  })

  it('takes an expectation and a proof back where the VM leaves', async () => {
    const service = await start()
    await service.ready()
    await service.ask('switch db-03')
    expect(await service.ask('cancelled db-03', 'left db-03')).toMatchObject([{said: 'nothing'}, {said: 'nothing'}])
    await lab().run('vm', `ip neigh replace 10.1.0.254 lladdr ${X_MAC} dev eth0 nud reachable`)
    expect(await service.ask('arrived db-03 vnet0')).toMatchObject([{said: 'begun'}])
    await switched(service, 2)
    expect(await lab().gateway()).toBe(Y_MAC)
  })

  it('stops switching where the site has no way out, says so, and goes on when the fuse is replaced', async () => {
    await lab().run('gy', NO_UPSTREAM)
    const service = await start('--fuse', '1/1')
    expect(await service.ask('switch db-03', 'switch db-03')).toMatchObject([
      {ok: false, said: 'not-begun', code: 'target-dead', exitCode: 3},
      {ok: false, said: 'fuse'},
    ])
    expect(service.log()).toMatch(/fuse: the switches of 1 of the last 1 VMs failed their proof; nothing is switched/)
    expect(await lab().gateway()).toBe(X_MAC)
    await lab().restore()
    expect(await service.ask('arrived db-03')).toMatchObject([{ok: false, said: 'fuse', exitCode: 3}])
    expect(await service.ask('reset', 'switch db-03')).toMatchObject([
      {said: 'reset', fuse: {blown: false, failed: 0}},
      {ok: true, said: 'switched'},
    ])
  })

  it('leaves a VM at its old gateway where the service is killed in the middle: its guard puts it back', async () => {
    const service = await start()
    await service.ready()
    // Whether it follows is seen; that it is served is not, for as long as that may take.
    await lab().run('gy', "nft 'table inet slow { chain forward { type filter hook forward priority 0; drop; }; }'")
    // What another test has proved a moment ago, with the same journal, is over.
    await service.ask('left db-03', 'arrived db-03')
    await until(async () => (await lab().gateway()) === Y_MAC, 5000, `it is told: ${service.log()}`)
    service.child.kill('SIGKILL')
    await until(async () => (await lab().gateway()) === X_MAC, 30_000, 'it is put back')
    await until(async () => /was cut short; rolled back/.test(service.log()), 30_000, `it is said: ${service.log()}`)
  })
})
