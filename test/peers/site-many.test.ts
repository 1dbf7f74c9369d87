// The resident service where 200 VMs come at once, of which a tenth do not do as they should: each is switched once and
// proved, or ends as it is, whatever becomes of the others and of the service.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
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

const macOf = (i: number): string => {
  const byte = (n: number): string => n.toString(16).padStart(2, '0')
  return `02:00:00:00:01:${byte(((i + 1) >> 8) + 1)}:${byte((i + 1) & 255)}`.split(':').filter((_, at) => at !== 3).join(':')
}

describe.skipIf(noNamespaces)('the service of a site to which 200 VMs come at once', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-site-many-'))
  afterAll(() => rmSync(scratch, {recursive: true, force: true}))
  let runs = 0

  /** A service with an inventory and a journal of its own. */
  async function withService(
    segment: ManySegment,
    args: readonly string[],
    fn: (service: SiteService, journal: string, again: () => Promise<SiteService>) => Promise<void>,
  ): Promise<void> {
    const place = join(scratch, String(++runs))
    const [inventory, journal] = [`${place}.yaml`, `${place}.db`]
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
      for (const service of services) if (service.child.exitCode === null && service.child.signalCode === null) await service.end()
    }
  }

  const announce = async (segment: ManySegment, vms: readonly number[]): Promise<void> => {
    await using link = await linkIn(segment.namespace.replace(/-gw$/, '-here'), 'eth0', {})
    link.sendMany(vms.map((i) => rarp(macOf(i))))
  }
  const all = Array.from({length: COUNT}, (_, i) => i)
  const isQuiet = async (service: SiteService): Promise<boolean> => {
    const [status] = await service.ask('status')
    return [...(status!.running as string[]), ...(status!.waiting as string[])].length === 0
  }
  const outcomes = async (journal: string) =>
    readJournal(journal, (read) => read.entries({}, 1000).map(({vm, document, state}) => ({vm: vm.name, document, state})))

  /** What the journal has of each, against what the wire shows. */
  async function agree(segment: ManySegment, journal: string, kinds: readonly Arp[]): Promise<void> {
    const gateways = await segment.gateways()
    const entries = await outcomes(journal)
    expect(entries.filter(({state}) => state !== 'ended')).toEqual([])
    const found = segment.vms.map(({name}) => {
      const its = entries.filter(({vm}) => vm === name)
      return [name, its.length, its[0]?.document?.end, its[0]?.document?.code, gateways.get(name)]
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
  ] as const)('switches each once and proves it, %s', {timeout: 90_000}, async (_name, args) =>
    withManySegment(COUNT, kindOf, (segment) =>
      withService(segment, args, async (service, journal) => {
        await service.ready(20)
        const sinceMs = performance.now()
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
          60_000,
          `all have ended: ${service.log()}`,
        )
        const tookMs = performance.now() - sinceMs
        await agree(segment, journal, kinds)
        const [status] = await service.ask('status')
        expect(status).toMatchObject({fuse: {blown: false}, switches: {switched: 180}})
        expect(status!.memoryMb).toBeLessThan(120)
        process.stderr.write(`the last of ${meant} had ended after ${Math.round(tookMs)} ms, ${status!.memoryMb} MB\n`)
      }),
    ),
  )
})
