// Two real libvirtd, each with our hook beside one that was there before, and a guest that is really migrated between them.
import {existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import type {GuestImage} from '../../src/lab/guest/image.ts'
import {type CommandResult, runCommand, tryCommand} from '../../src/net/process/command.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import {readJournal} from '../../src/orders/journal/journal-file.ts'
import {openEvents} from '../../src/services/site/event-source.ts'
import {domainXml, hasBooted, libvirtGuest, startLibvirt, type TestLibvirt} from '../support/libvirt.ts'
import {startSiteService} from '../support/site-service.ts'
import {type SiteSocket, siteSocket} from '../support/site-socket.ts'
import {eventually, until} from '../support/until.ts'
import {useLab} from '../support/use-lab.ts'

const image = await libvirtGuest()
const missing = typeof image === 'string' ? image : undefined
const bin = join(import.meta.dirname, '../../bin/run.js')
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-hook-libvirt-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const MAC = '02:00:00:00:01:10'
const EXPECTED = `expect ${MAC} 3600`
/** Where the guest's memory goes from host to host. */
const WAY = {x: '192.0.2.1', y: '192.0.2.2'} as const
type Site = keyof typeof WAY
const other = {x: 'y', y: 'x'} as const

/** What an operator had there before: it changes the XML of what arrives. */
const OTHERS_HOOK = `#!/bin/sh
[ "$2" = migrate ] && sed 's|<memory |<title>seen by another hook</title>&|'
exit 0
`

describe.skipIf(missing !== undefined)(`a guest between two hosts of libvirt${missing ? ` (${missing})` : ''}`, () => {
  const lab = useLab({dci: 'plain', dciDelayMs: 2, wanDelayMs: 2})
  const hosts = {} as Record<Site, TestLibvirt>
  const services = {} as Record<Site, SiteSocket>
  /** When the guest ran at each site, by libvirt's own events, ms since the epoch. */
  const resumed: Record<Site, number[]> = {x: [], y: []}
  /** What the service would be told by libvirt's events, without the hook. */
  const heard: Record<Site, string[]> = {x: [], y: []}
  const listeners: {kill(): void}[] = []
  const open = new AsyncDisposableStack()
  const socket = (site: Site): string => join(scratch, `${site}.sock`)
  const hook = (site: Site, ...words: readonly string[]): Promise<CommandResult> =>
    hosts[site].inside('env', 'NODE_ENV=production', process.execPath, bin, 'hook', ...words)
  const notes = (site: Site): string => {
    const file = join(hosts[site].home, 'notes')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  async function startHost(site: Site, uuid: string): Promise<void> {
    const host = await startLibvirt(lab().ns(`sw-${site}`), join(scratch, site), uuid)
    hosts[site] = host
    services[site] = await siteSocket(socket(site))
    // logger(1), which a machine without syslog lacks.
    writeFileSync(join(host.home, 'bin/logger'), `#!/bin/sh\necho "$*" >>${host.home}/notes\n`, {mode: 0o755})
    mkdirSync(join(host.home, 'etc/hooks'))
    writeFileSync(join(host.home, 'etc/hooks/qemu'), OTHERS_HOOK, {mode: 0o755})
    const words = ['libvirt', '--site', site, '--socket', socket(site), '--inventory', join(scratch, 'gwswitch.yaml')]
    expect(await hook(site, 'install', ...words)).toMatchObject({
      stdout: expect.stringMatching(
        /WRITTEN .*qemu\.d\/gwswitch\n {2}then: libvirtd has not called it.*reload libvirtd/,
      ),
      code: 0,
    })
    host.reload()
    open.use(
      openEvents(
        {kind: 'libvirt', where: host.uri},
        {nowMs: Date.now, sleep: (ms: number) => delay(ms), log: () => {}},
        ({kind, vm}) => {
          heard[site].push(`${vm} ${kind}`)
        },
      ),
    )
    const words2 = ['virsh', '-c', host.uri, 'event', '--event', 'lifecycle', '--loop', '--timestamp']
    const events = spawnIn(lab().ns(`sw-${site}`), words2, {stdio: ['ignore', 'pipe', 'ignore']})
    listeners.push(events)
    events.stdout!.on('data', (chunk: Buffer) => {
      for (const [, at] of chunk.toString().matchAll(/^(\S+ \S+)\+0000: .*Resumed /gm))
        resumed[site].push(Date.parse(`${at!.replace(' ', 'T')}Z`))
    })
  }

  beforeAll(async () => {
    // The guest takes the place of the lab's own VM.
    await lab().run('db-03', 'ip', 'link', 'set', 'eth0', 'down')
    const ends = (['x', 'y'] as const).map((site) => ['mig', 'netns', lab().ns(`sw-${site}`)])
    await runCommand('ip', ['link', 'add', ...ends[0]!, 'type', 'veth', 'peer', ...ends[1]!])
    for (const site of ['x', 'y'] as const) {
      await lab().run(`sw-${site}`, 'ip', 'address', 'add', `${WAY[site]}/24`, 'dev', 'mig')
      await lab().run(`sw-${site}`, 'ip', 'link', 'set', 'mig', 'up')
    }
    // Their mounts hide the lab's own folder.
    writeFileSync(join(scratch, 'gwswitch.yaml'), readFileSync(lab().inventoryFile))
    await startHost('x', '11111111-2222-4333-8444-555555555555')
    await startHost('y', '22222222-2222-4333-8444-555555555555')
    const facts = {name: 'db-03', bridge: 'br-b', mac: MAC, address: '10.1.0.10/24', gateway: '10.1.0.254'}
    const console = join(scratch, 'console')
    writeFileSync(join(scratch, 'domain.xml'), domainXml(image as GuestImage, {...facts, console}))
    await hosts.x.virsh('create', join(scratch, 'domain.xml'))
    await until(async () => hasBooted(console), 180_000, 'the domain boots')
  }, 300_000)

  afterAll(async () => {
    for (const listener of listeners) listener.kill()
    await open.disposeAsync()
    for (const site of ['x', 'y'] as const) {
      await tryCommand('virsh', ['-c', hosts[site].uri, 'destroy', 'db-03'])
      await hosts[site].stop()
      await services[site][Symbol.asyncDispose]()
    }
  })

  const migrate = (to: Site, ...words: readonly string[]): Promise<CommandResult> =>
    tryCommand('virsh', [
      ...['-c', hosts[other[to]].uri, 'migrate', '--live', ...words, '--migrateuri', `tcp://${WAY[to]}:49152`],
      ...['db-03', hosts[to].uri],
    ])

  /** Memory under way, slowly: until the destination has its QEMU. */
  async function slowly(to: Site, ...words: readonly string[]): Promise<{readonly ended: Promise<CommandResult>}> {
    for (const service of Object.values(services)) service.forget()
    for (const site of ['x', 'y'] as const) heard[site].length = 0
    const ended = migrate(to, '--bandwidth', '1', ...words)
    const transferred = /^Data processed:\s+[1-9]/m
    const job = (): Promise<CommandResult> => tryCommand('virsh', ['-c', hosts[other[to]].uri, 'domjobinfo', 'db-03'])
    await until(async () => transferred.test((await job()).stdout), 60_000, 'the memory is under way')
    return {ended}
  }

  /** What was told at the destination, once nothing of the hook runs there any more. */
  async function toldAt(site: Site): Promise<string[]> {
    const running = async (): Promise<boolean> =>
      (await hosts[site].inside('sh', '-c', 'ls /run/gwswitch-hook')).stdout.includes('vm-db-03') ||
      (await tryCommand('pgrep', ['-f', `hooks/qemu.d/gwswitch --detached .* db-03 `])).code === 0
    await until(async () => !(await running()), 30_000, 'the process of the hook ends')
    return services[site].texts()
  }

  /** By libvirt's events. */
  const isHeard = (said: Record<Site, readonly string[]>): Promise<void> =>
    eventually(async () => expect(heard).toEqual(said))

  const once = (): string[] => [EXPECTED, expect.stringMatching(`^arrived ${MAC} vnet\\d+$`)] as string[]

  it('that is cancelled on its way, or whose destination dies, is told of so, and nothing waits for it', {
    timeout: 180_000,
  }, async () => {
    const cancelled = await slowly('y')
    await hosts.x.virsh('domjobabort', 'db-03')
    expect(await cancelled.ended).toMatchObject({code: 1})
    expect(await toldAt('y')).toEqual([EXPECTED, `cancelled ${MAC}`])
    await isHeard({x: [], y: ['db-03 cancelled']})

    const failed = await slowly('y')
    process.kill(Number(readFileSync(join(hosts.y.home, 'run/qemu/db-03.pid'), 'utf8')), 'SIGKILL')
    expect(await failed.ended).toMatchObject({code: 1})
    expect(await toldAt('y')).toEqual([EXPECTED, `cancelled ${MAC}`])
    expect(await hosts.x.virsh('domstate', 'db-03')).toMatch(/^running/)
    expect(services.x.texts()).toEqual([])
  })

  it('that arrives is told of once, when its CPU runs there, with its port; the other hook still does its part', {
    timeout: 120_000,
  }, async ({annotate}) => {
    services.y.forget()
    for (const site of ['x', 'y'] as const) heard[site].length = 0
    expect(await migrate('y')).toMatchObject({code: 0})
    expect(await toldAt('y')).toEqual(once())
    await isHeard({x: ['db-03 left'], y: ['db-03 arrived']})
    expect(resumed.y).toHaveLength(1)
    const after = services.y.lines.at(-1)!.atMs - resumed.y[0]!
    await annotate(`told ${after} ms after libvirt said that it runs`)
    // libvirt's word reaches this test by another virsh: it may be a little late.
    expect(after).toBeGreaterThan(-50)
    expect(await hosts.y.virsh('dumpxml', 'db-03')).toContain('<title>seen by another hook</title>')
    expect(await hook('y', 'status', 'libvirt')).toMatchObject({
      stdout: expect.stringMatching(/^libvirt: installed .*\n {2}site y, called last 20.*\n.*: the service answers\n$/),
      code: 0,
    })
    // One that stands still for a while and goes on has not arrived again.
    await hosts.y.virsh('suspend', 'db-03')
    await hosts.y.virsh('resume', 'db-03')
    await until(async () => resumed.y.length === 2, 20_000, 'libvirt says that it goes on')
    await isHeard({x: ['db-03 left'], y: ['db-03 arrived']})
  })

  it('whose memory follows it (post-copy) is told of once, as soon as it runs', {timeout: 120_000}, async () => {
    const under = await slowly('x', '--postcopy')
    await hosts.y.virsh('migrate-postcopy', 'db-03')
    expect(await under.ended).toMatchObject({code: 0})
    // libvirt says so twice: when it runs, and when all of its memory has come.
    await until(async () => resumed.x.length >= 2, 20_000, 'libvirt says so')
    await isHeard({x: ['db-03 arrived'], y: ['db-03 left']})
    expect(await toldAt('x')).toEqual(once())
  })

  it('is switched by a gwswitch of the hook, once, where no service answers', {timeout: 120_000}, async () => {
    await services.y[Symbol.asyncDispose]()
    expect(await migrate('y')).toMatchObject({code: 0})
    await toldAt('y')
    const made = notes('y')
      .split('\n')
      .filter((line) => line.includes('gwswitch switch'))
    expect(made).toEqual([
      expect.stringMatching(`gwswitch switch ${MAC} --to y -i vnet\\d+ --inventory ${scratch}/gwswitch.yaml: exit 0: `),
    ])
  })

  it('is switched by the service of the site that it has come to, once, when it runs there', {
    timeout: 180_000,
  }, async () => {
    await services.x[Symbol.asyncDispose]()
    const service = await startSiteService({
      ...{namespace: lab().ns('sw-x'), site: 'x', socket: socket('x'), inventory: join(scratch, 'gwswitch.yaml')},
      args: ['--journal', join(scratch, 'journal.db')],
    })
    try {
      resumed.x.length = 0
      expect(await migrate('x')).toMatchObject({code: 0})
      const entries = () => readJournal(join(scratch, 'journal.db'), (read) => read.entries({}, 10))
      const isEnded = async (): Promise<boolean> => (await entries().catch(() => [])).some((each) => each.document)
      await until(isEnded, 60_000, `it is switched: ${service.log()}`)
      await toldAt('x')
      const all = await entries()
      expect(all, service.log()).toMatchObject([
        {
          ...{vm: {name: 'db-03'}, to: {name: 'bx'}, state: 'ended', document: {end: 'switched', code: 'served'}},
          order: {by: 'socket', asked: expect.stringMatching(`^arrived ${MAC} vnet\\d+$`)},
        },
      ])
      expect(resumed.x).toHaveLength(1)
      // libvirt's word reaches this test by another virsh: it may be a little late.
      expect(all[0]!.atMs).toBeGreaterThan(resumed.x[0]! - 50)
    } finally {
      await service.end()
    }
  })

  it('migrates as before when the hook is taken away, and nobody is told', {timeout: 120_000}, async () => {
    services.y = await siteSocket(socket('y'))
    expect(await hook('y', 'remove', 'libvirt')).toMatchObject({code: 0})
    expect(existsSync(join(hosts.y.home, 'etc/hooks/qemu.d/gwswitch'))).toBe(false)
    expect(readFileSync(join(hosts.y.home, 'etc/hooks/qemu'), 'utf8')).toBe(OTHERS_HOOK)
    expect(await migrate('y')).toMatchObject({code: 0})
    expect(services.y.texts()).toEqual([])
  })
})
