// Arrivals at the ports of a real bridge.
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import type {Dispute} from '../../src/domain/movement/arrivals.ts'
import type {Movement} from '../../src/domain/movement/movement.ts'
import {type Arrivals, type ArrivalsRequest, watchArrivals} from '../../src/services/site/arrivals.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {type ArrivalsLab, DCI, data, gratuitousArp, INVENTORY_YAML, rarp, withArrivalsLab} from './arrivals-lab.ts'

const INVENTORY = parseInventory(INVENTORY_YAML, 'gwswitch.yaml')
const [VM, LOCAL] = [INVENTORY.vms[0]!, INVENTORY.vms[1]!]
const NOBODYS = '02:00:00:00:99:99'

const textOf = ({kind, vm, mac, port, source}: Movement): string => `${vm ?? mac} ${kind} ${port} ${source}`

interface Watch {
  readonly arrivals: Arrivals
  readonly told: Movement[]
  readonly log: string[]
  readonly disputes: Dispute[]
  /** Waits for as many. */
  tells(count: number): Promise<readonly string[]>
}

async function watching(
  {world}: ArrivalsLab,
  fn: (watch: Watch) => Promise<void>,
  over: Partial<ArrivalsRequest> = {},
): Promise<void> {
  const [told, log, disputes]: [Movement[], string[], Dispute[]] = [[], [], []]
  const texts = (): string[] => told.map(textOf)
  await using arrivals = await watchArrivals(
    {ports: ['vnet*', 'tap*i*'], site: 'y', inventory: INVENTORY, strangers: true, ...over},
    {world, log: (line) => log.push(line), onDispute: (dispute) => disputes.push(dispute)},
    (movement) => told.push(movement),
  )
  const tells = async (count: number): Promise<readonly string[]> => {
    await until(async () => told.length >= count, 10_000, `${count} movements: ${texts().join(', ')}`)
    return texts()
  }
  await fn({arrivals, told, log, disputes, tells})
}

/** What was told of VMs, once what was sent before is taken: whoever is announced last is told of behind it. */
async function settled({behind}: ArrivalsLab, {told}: Watch): Promise<readonly string[]> {
  const last = `02:00:00:00:98:${(10 + told.length).toString()}`
  behind('vnet2').send(rarp(last))
  await until(async () => told.some(({mac}) => mac === last), 5000, `${last} is told of`)
  return told.filter(({vm}) => vm !== null).map(textOf)
}

const PORTS = ['vnet1', 'vnet2', DCI]

describe.skipIf(noNamespaces)('the ports of a bridge', {timeout: 60_000}, () => {
  it('tell of an arrival once, by RARP, with the time of the frame', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async (watch) => {
        const sentMs = Number(lab.behind('vnet1').send(rarp(VM.mac))) / 1e6
        expect(await watch.tells(1)).toEqual(['db-03 arrived vnet1 rarp'])
        for (const _ of [1, 2, 3, 4]) lab.behind('vnet1').send(rarp(VM.mac))
        lab.behind('vnet1').send(gratuitousArp(VM.mac, VM.ip))
        expect(await settled(lab, watch)).toEqual(['db-03 arrived vnet1 rarp'])
        expect(watch.told[0]!.atMs! - sentMs).toBeGreaterThanOrEqual(0)
        expect(watch.told[0]!.atMs! - sentMs).toBeLessThan(50)
        expect(watch.arrivals.ports()).toEqual(['vnet1', 'vnet2'])
      }),
    ))

  it("tell of one by the VM's own announcement, and not by that of an address that is another's", () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async (watch) => {
        lab.behind(DCI).send(data(VM.mac))
        lab.behind('vnet1').send(gratuitousArp(VM.mac, '10.1.0.99'))
        lab.behind(DCI).send(data(VM.mac))
        expect(await settled(lab, watch)).toEqual([])
        lab.behind('vnet1').send(gratuitousArp(VM.mac, VM.ip))
        expect(await watch.tells(2)).toContain('db-03 arrived vnet1 arp')
      }),
    ))

  it('tell of one that only talks, when nothing has spoken against it', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async ({tells}) => {
        lab.behind(DCI).send(data(VM.mac))
        lab.behind('vnet1').send(data(VM.mac))
        expect(await tells(1)).toEqual(['db-03 arrived vnet1 fdb'])
      }),
    ))

  it('tell of one that was here, by what the bridge had learned, before anybody watched', () =>
    withArrivalsLab(PORTS, async (lab) => {
      for (const {mac} of [VM, LOCAL]) lab.behind('vnet1').send(data(mac))
      await until(async () => (await lab.run('bridge', 'fdb', 'show')).includes(LOCAL.mac), 5000, 'it is learned')
      await watching(lab, async (watch) => {
        expect(await watch.tells(1)).toEqual(['db-03 arrived vnet1 fdb'])
        lab.behind('vnet1').send(rarp(LOCAL.mac))
        expect(await settled(lab, watch)).toEqual(['db-03 arrived vnet1 fdb'])
      })
    }))

  it('hear a port that comes later by the first frame that comes in at it', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async ({tells, arrivals, log}) => {
        await lab.addPort('tap107i0')
        await lab.addPort('other0')
        lab.behind('other0').send(rarp(VM.mac))
        lab.behind('tap107i0').send(rarp(VM.mac))
        expect(await tells(1)).toEqual(['db-03 arrived tap107i0 rarp'])
        expect(arrivals.ports()).toEqual(['vnet1', 'vnet2', 'tap107i0'])
        expect(log).toContain('watching tap107i0')
      }),
    ))

  it.each<[string, (lab: ArrivalsLab) => Promise<unknown>, string]>([
    ['its port goes', (lab) => lab.removePort('vnet1'), 'vnet1 port'],
    ['its port loses its carrier', (lab) => lab.beyond('ip', 'link', 'set', 'vnet1', 'down'), 'vnet1 port'],
    ['it is announced at the other site', async (lab) => lab.behind(DCI).send(rarp(LOCAL.mac)), `${DCI} rarp`],
    ['it is learned at the other site', async (lab) => lab.behind(DCI).send(data(LOCAL.mac)), `${DCI} fdb`],
  ])('tell of a VM that leaves: %s', (_name, leave, by) =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async ({tells, told}) => {
        lab.behind('vnet1').send(data(LOCAL.mac))
        lab.behind('vnet1').send(data(VM.mac))
        expect(await tells(1)).toEqual(['db-03 arrived vnet1 fdb'])
        await leave(lab)
        await until(async () => told.some(({vm, kind}) => vm === 'db-04' && kind === 'left'), 10_000, 'it leaves')
        expect(await tells(2)).toContain(`db-04 left ${by}`)
      }),
    ),
  )

  it('tell of target, source, target again as one arrival', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async (watch) => {
        lab.behind('vnet1').send(data(VM.mac))
        lab.behind(DCI).send(data(VM.mac))
        expect(await settled(lab, watch)).toEqual([])
        for (const _ of [1, 2, 3, 4, 5]) lab.behind('vnet1').send(rarp(VM.mac))
        expect(await settled(lab, watch)).toEqual(['db-03 arrived vnet1 rarp'])
      }),
    ))

  it("do not take a port that has the VM's MAC itself for the VM, as some platforms make it before the VM runs", () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async (watch) => {
        await lab.addPort('vnet7')
        await lab.forwards('vnet7')
        await lab.run('ip', 'link', 'set', 'vnet7', 'address', VM.mac)
        expect(await lab.run('bridge', 'fdb', 'show', 'dev', 'vnet7')).toContain(VM.mac)
        lab.behind(DCI).send(data(LOCAL.mac))
        expect(await settled(lab, watch)).toEqual([])
        lab.behind('vnet1').send(rarp(VM.mac))
        expect(await watch.tells(2)).toContain('db-03 arrived vnet1 rarp')
      }),
    ))

  it('say that two stations have one MAC, and go on', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async ({disputes, told}) => {
        for (let i = 0; i < 20; i++) {
          lab.behind('vnet1').send(data(LOCAL.mac))
          lab.behind(DCI).send(data(LOCAL.mac))
        }
        await until(async () => disputes.length > 0, 5000, 'a dispute')
        expect(disputes).toMatchObject([{vm: 'db-04', mac: LOCAL.mac}])
        expect(disputes[0]!.ports.toSorted()).toEqual([DCI, 'vnet1'])
        expect(told).toEqual([])
      }),
    ))

  it('take a tag for the VLAN of a segment, and another one for that of others', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(lab, async (watch) => {
        lab.behind('vnet1').send(rarp(VM.mac, 30))
        expect(await settled(lab, watch)).toEqual([])
        lab.behind('vnet1').send(rarp(VM.mac, 20))
        expect(await watch.tells(2)).toContain('db-03 arrived vnet1 rarp')
      }),
    ))

  it('take another inventory while they are watched, and what was last proved instead of it', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(
        lab,
        async (watch) => {
          lab.behind('vnet1').send(rarp(VM.mac))
          expect(await settled(lab, watch)).toEqual([])
          const [first, ...others] = INVENTORY.vms
          watch.arrivals.expect({
            inventory: {...INVENTORY, vms: [{...first!, mac: NOBODYS}, ...others]},
            site: 'y',
            siteOf: () => 'x',
          })
          lab.behind('vnet1').send(rarp(LOCAL.mac))
          expect((await watch.tells(2)).at(-1)).toBe('db-04 arrived vnet1 rarp')
        },
        {siteOf: () => 'y'},
      ),
    ))

  it('tell of whoever announces itself where there is no inventory', () =>
    withArrivalsLab(PORTS, (lab) =>
      watching(
        lab,
        async ({tells, told}) => {
          lab.behind('vnet1').send(data(NOBODYS))
          lab.behind('vnet1').send(gratuitousArp(NOBODYS, '10.1.0.99'))
          expect(await tells(1)).toEqual([`${NOBODYS} arrived vnet1 arp`])
          await lab.removePort('vnet1')
          expect(await tells(2)).toContain(`${NOBODYS} left vnet1 port`)
          expect(told.every(({vm}) => vm === null)).toBe(true)
        },
        {inventory: undefined, site: undefined},
      ),
    ))
})
