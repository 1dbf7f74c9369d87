// The resident service where 200 VMs come at once, of which a tenth do not do as they should: each is switched once and
// proved, or ends as it is, whatever becomes of the others and of the service.
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {DISPATCH_LIMITS} from '../../src/domain/movement/dispatch.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {readJournal} from '../../src/orders/journal/journal-file.ts'
import {BX, BY, type Kind, type ManySegment, withManySegment} from '../support/many-segment.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type SiteService, startSiteService} from '../support/site-service.ts'
import {until} from '../support/until.ts'
import {linkIn} from './arp-link.ts'
import {rarp} from './arrivals-lab.ts'

const COUNT = 200
type Arp = Exclude<Kind, 'agent'>
const MISBEHAVING: readonly Arp[] = ['off', 'static', 'away', 'lost']
/** One of ten does not do as it should. */
const kindOf = (i: number): Arp => (i % 10 === 0 ? MISBEHAVING[(i / 10) % MISBEHAVING.length]! : 'good')

/** How one of each kind ends that is said to be here. */
const ENDS: Readonly<Record<Arp, readonly [end: string, code: string]>> = {
  good: ['switched', 'served'],
  off: ['rolled-back', 'silent'],
  static: ['rolled-back', 'elsewhere'],
  away: ['rolled-back', 'not-here'],
  lost: ['not-begun', 'target-dead'],
}

/** As the segment numbers them. */
const macOf = (i: number): string => `02:00:00:01:${byte(((i + 1) >> 8) + 1)}:${byte((i + 1) & 255)}`
const byte = (n: number): string => n.toString(16).padStart(2, '0')

describe.skipIf(noNamespaces)('the service of a site to which 200 VMs come at once', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-site-many-'))
  afterAll(() => rmSync(scratch, {recursive: true, force: true}))
  let runs = 0

  /** A service with an inventory and a journal of its own. */
  async function withService(
    segment: ManySegment,
    args: readonly string[],
    fn: (service: SiteService, journal: string, again: () => Promise<SiteService>) => Promise<void>,
    folder = scratch,
  ): Promise<void> {
    const place = join(scratch, String(++runs))
    const [inventory, journal] = [`${place}.yaml`, join(folder, `${runs}.db`)]
    writeFileSync(inventory, segment.inventory)
    const services: SiteService[] = []
    const start = async (): Promise<SiteService> => {
      const options = {namespace: segment.namespace, inventory, socket: `${place}.sock`}
      const service = await startSiteService({...options, args: ['--journal', journal, ...args]})
      services.push(service)
      return service
    }
    try {
      await fn(await start(), journal, start)
    } finally {
      for (const service of services)
        if (service.child.exitCode === null && service.child.signalCode === null) await service.end()
    }
  }

  const announce = async (segment: ManySegment, vms: readonly number[], where = 'here'): Promise<void> => {
    await using link = await linkIn(segment.namespace.replace(/-gw$/, `-${where}`), 'eth0', {})
    link.sendMany(vms.map((i) => rarp(macOf(i))))
  }
  const all = Array.from({length: COUNT}, (_, i) => i)
  const isQuiet = async (service: SiteService): Promise<boolean> => {
    const [status] = await service.ask('status')
    return [...(status!.running as string[]), ...(status!.waiting as string[])].length === 0
  }
  const outcomes = async (journal: string) =>
    readJournal(journal, (read) =>
      read.entries({}, 1000).map(({vm, document, state, atMs}) => ({vm: vm.name, document, state, atMs})),
    )

  /** What the journal has of each, against what the wire shows. */
  async function agree(segment: ManySegment, journal: string, kinds: readonly Arp[]): Promise<void> {
    const gateways = await segment.gateways()
    const entries = await outcomes(journal)
    expect(entries.filter(({state}) => state !== 'ended')).toEqual([])
    const found = segment.vms.map(({name}) => {
      const its = entries.filter(({vm}) => vm === name)
      // One that failed is tried again later by itself, and on a busy machine all others take as long.
      const isAgain = (i: number): boolean =>
        its[i - 1]?.document?.verified !== true && its[i]!.atMs - its[i - 1]!.atMs >= DISPATCH_LIMITS.backOffMs[0]!
      const times = its.filter((_, i) => i === 0 || !isAgain(i)).length
      return [name, times, its[0]?.document?.end, its[0]?.document?.code, gateways.get(name)]
    })
    expect(found).toEqual(
      segment.vms.map(({name, kind}) => {
        const isMeant = kinds.includes(kind as Arp)
        const [end, code] = isMeant ? ENDS[kind as Arp] : [undefined, undefined]
        return [name, isMeant ? 1 : 0, end, code, kind === 'good' ? BY : BX]
      }),
    )
  }

  it.each([
    ['by what is heard at their ports', ['--watch', 'loc']],
    ['by 200 lines on the socket', []],
  ] as const)('switches each once and proves it, %s', {timeout: 180_000}, async (_name, args) =>
    withManySegment(COUNT, kindOf, (segment) =>
      withService(segment, args, async (service, journal) => {
        await service.ready(20)
        const isHeard = args.length > 0
        const heard: readonly Arp[] = ['good', 'off', 'static', 'lost']
        if (isHeard)
          await announce(
            segment,
            all.filter((i) => heard.includes(kindOf(i))),
          )
        else
          await Promise.all(
            all.map(async (i) => expect(await service.ask(`arrived vm-${i}`)).toMatchObject([{ok: true}])),
          )
        const kinds = isHeard ? heard : [...heard, 'away' as const]
        const meant = all.filter((i) => kinds.includes(kindOf(i))).length
        await until(
          async () => (await isQuiet(service)) && (await outcomes(journal)).length >= meant,
          150_000,
          `all have ended: ${service.log()}`,
        )
        await agree(segment, journal, kinds)
        const [status] = await service.ask('status')
        expect(status).toMatchObject({fuse: {blown: false}, switches: {switched: COUNT * 0.9}})
      }),
    ),
  )

  const good = (): Kind => 'good'
  const atNew = async (segment: ManySegment): Promise<string[]> =>
    [...(await segment.gateways())].filter(([, mac]) => mac === BY).map(([name]) => name)
  const switchedIn = async (journal: string): Promise<string[]> =>
    (await outcomes(journal)).filter(({document}) => document?.end === 'switched').map(({vm}) => vm)

  // A few VMs each, and a segment and a service of its own: these wait, beside each other.
  it.concurrent.each<[NodeJS.Signals, number | null]>([
    ['SIGKILL', null],
    ['SIGTERM', 0],
  ])(
    'that ends by %s leaves none told that was not verified, and when it runs again does the rest, nothing twice',
    {timeout: 120_000},
    async (signal, code) =>
      withManySegment(60, good, (segment) =>
        withService(segment, ['--watch', 'loc'], async (service, journal, again) => {
          await until(async () => (await atNew(segment)).length > 5, 30_000, `some are told: ${service.log()}`)
          await service.end(signal)
          expect(service.child.exitCode).toBe(code)
          await until(async () => (await segment.run('gw', PROCESSES)) === '', 60_000, 'its guard has ended')
          const entries = await outcomes(journal)
          expect(entries.filter(({state}) => state !== 'ended' && state !== 'verified' && state !== 'planned')).toEqual(
            [],
          )
          const proved = entries.filter(({document, state}) => document?.end === 'switched' || state === 'verified')
          expect(await atNew(segment)).toEqual(expect.arrayContaining(proved.map(({vm}) => vm)))
          expect((await atNew(segment)).length).toBe(proved.length)
          expect(proved.length).toBeLessThan(60)
          if (signal === 'SIGTERM')
            expect(service.log()).toMatch(/is not switched any more: the service is being stopped/)

          const next = await again()
          await until(
            async () => (await atNew(segment)).length === 60 && (await isQuiet(next)),
            60_000,
            `the rest is done: ${next.log()}`,
          )
          const done = await switchedIn(journal)
          expect(done.toSorted()).toEqual([...new Set(done)].toSorted())
          expect(done).toHaveLength(60)
        }),
      ),
  )

  it.concurrent(
    'switches nobody whose hypervisor announced it before it had come, and whose frames come from the other site',
    {timeout: 60_000},
    async () =>
      withManySegment(
        3,
        (i) => (i === 0 ? 'away' : 'off'),
        (segment) =>
          withService(segment, ['--watch', 'loc'], async (service, journal) => {
            await service.ready(1)
            // Target, source, target again, as Harvester has it.
            await announce(segment, [0])
            await announce(segment, [0], 'far')
            await announce(segment, [0])
            await until(
              async () => (await outcomes(journal)).length > 0 && (await isQuiet(service)),
              30_000,
              `it ends: ${service.log()}`,
            )
            expect(await switchedIn(journal)).toEqual([])
            expect(await atNew(segment)).toEqual([])
          }),
      ),
  )

  it.concurrent(
    'blows its fuse at a site without a way out, and leaves all where they are',
    {timeout: 60_000},
    async () =>
      withManySegment(40, good, async (segment) => {
        await segment.run('gw', 'ip link set up0 down')
        await withService(segment, ['--watch', 'loc'], async (service, journal) => {
          await until(
            async () => /fuse: the switches of/.test(service.log()) && (await isQuiet(service)),
            45_000,
            'it blows',
          )
          expect(await atNew(segment)).toEqual([])
          expect(await switchedIn(journal)).toEqual([])
          expect((await outcomes(journal)).length).toBeLessThan(40)
        })
      }),
  )

  it.concurrent('begins nothing that a full disk keeps it from writing down', {timeout: 60_000}, async () =>
    withManySegment(40, good, async (segment) => {
      const disk = join(scratch, 'disk')
      mkdirSync(disk)
      await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=1000k', 'tmpfs', disk])
      try {
        await withService(
          segment,
          [],
          async (service) => {
            await Promise.all(Array.from({length: 40}, (_, i) => service.ask(`arrived vm-${i}`)))
            await until(() => isQuiet(service), 45_000, `all have ended: ${service.log()}`)
            const [history] = await service.ask('history 100')
            const rows = history!.switches as {vm: string; end: string | null; error: {message: string} | null}[]
            const refused = rows.filter(({error}) => error?.message.includes('the journal cannot be written'))
            const proved = rows.filter(({end}) => end === 'switched')
            expect(refused.length).toBeGreaterThan(0)
            expect(proved.length).toBeGreaterThan(0)
            expect((await atNew(segment)).toSorted()).toEqual(proved.map(({vm}) => vm).toSorted())
          },
          disk,
        )
      } finally {
        await runCommand('umount', [disk])
      }
    }),
  )
})

/** The processes of the namespace but for the shell that asks. */
const PROCESSES =
  'for p in $(ip netns pids $(ip netns identify $$)); do [ $p = $$ ] || [ ! -d /proc/$p ] || echo $p; done'
