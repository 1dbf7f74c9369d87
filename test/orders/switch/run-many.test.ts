import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {Failure} from '../../../src/errors.ts'
import type {World} from '../../../src/net/world.ts'
import {worstOf} from '../../../src/orders/switch/many-rows.ts'
import {manyText, preflightText, roomText} from '../../../src/orders/switch/many-text.ts'
import {type ManyOrder, performMany, plannedMany, preflightMany} from '../../../src/orders/switch/run-many.ts'
import {
  type Prepared,
  performSwitch,
  prepareSwitch,
  type SwitchDocument,
} from '../../../src/orders/switch/run-switch.ts'
import {type Selection, selectVms} from '../../../src/orders/switch/select-vms.ts'
import type {Registered} from '../../../src/strategies/registry.ts'
import type {Strategy} from '../../../src/strategies/strategy.ts'
import {strategyNamed, verdict} from '../../support/strategy.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const INVENTORY = parseInventory(
  `
version: 1
sites: {x: {}, y: {}, z: {}}
segments:
  a:
    prefix: 10.1.0.0/24
    gateways:
      - { name: ax, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:01" }
      - { name: ay, site: y, ip: 10.1.0.254, mac: "02:00:00:00:0a:02" }
  b:
    prefix: 10.2.0.0/24
    gateways:
      - { name: bx, site: x, ip: 10.2.0.254, mac: "02:00:00:00:0b:01" }
      - { name: bz, site: z, ip: 10.2.0.254, mac: "02:00:00:00:0b:03" }
vms:
  a-1: { segment: a, ip: 10.1.0.1, mac: "02:00:00:00:01:01", site: x }
  a-2: { segment: a, ip: 10.1.0.2, mac: "02:00:00:00:01:02", site: y }
  a-3: { segment: a, ip: 10.1.0.3, mac: "02:00:00:00:01:03", site: z }
  a-4: { segment: a, ip: 10.1.0.4, mac: "02:00:00:00:01:04" }
  b-1: { segment: b, ip: 10.2.0.1, mac: "02:00:00:00:02:01", site: x }
`,
  'gwswitch.yaml',
)

/** The gateway of site y, a bridge: `vx0` leads to site x, and it has learned these VMs behind ports. */
const worldOf = (learned: Readonly<Record<string, string>> = {}): World => ({
  ...fakeWorld({interfaces: [ethernetInterface({name: 'br0', mac: '02:00:00:00:0a:02'})], bridges: {vx0: 'br0'}}),
  hostLinks: async () =>
    ['vx0', 'loc'].map((name) => ({name, bridge: 'br0', tunnel: name === 'vx0'})) as unknown as Awaited<
      ReturnType<NonNullable<World['hostLinks']>>
    >,
  learned: async () =>
    Object.entries(learned).map(([name, port]) => {
      const {mac} = INVENTORY.vms.find((vm) => vm.name === name)!
      return {mac, port, vlan: undefined}
    }),
})

const select = async (selection: Partial<Selection>, learned?: Readonly<Record<string, string>>, otherSite = false) => {
  const {switchovers, excluded} = await selectVms(
    {names: [], to: 'y', ...selection},
    {otherSite},
    INVENTORY,
    worldOf(learned),
  )
  return {
    switched: switchovers.map(({vm}) => vm.name).join(' '),
    excluded: excluded.map(({name, kind, code}) => `${name} ${kind}${code === null ? '' : ` ${code}`}`),
  }
}

describe('who is meant by a switch of many', () => {
  const AWAY = 'left-alone not-here'
  it.each<[string, Partial<Selection>, Readonly<Record<string, string>>, string, readonly string[]]>([
    ['those that are named, once', {names: ['a-1', '10.1.0.1', 'a-2']}, {}, 'a-1 a-2', []],
    ['named, whatever site the inventory has them at', {names: ['a-1', 'a-3']}, {}, 'a-1 a-3', []],
    ['named and unknown is refused', {names: ['a-1', 'a-9']}, {}, 'a-1', ['a-9 refused']],
    ['named, without a gateway at the site, is refused', {names: ['a-1', 'b-1']}, {}, 'a-1', ['b-1 refused']],
    [
      'named, and learned behind the port that leads to another site, is refused',
      {names: ['a-1', 'a-4']},
      {'a-1': 'loc', 'a-4': 'vx0'},
      'a-1',
      ['a-4 refused not-here'],
    ],
    [
      'a segment, but for those that the inventory has elsewhere',
      {segment: 'a'},
      {},
      'a-2 a-4',
      [`a-1 ${AWAY}`, `a-3 ${AWAY}`],
    ],
    [
      'a segment: what the bridge has learned counts for more than the inventory',
      {segment: 'a'},
      {'a-1': 'loc', 'a-2': 'vx0', 'a-3': 'loc'},
      'a-1 a-3 a-4',
      [`a-2 ${AWAY}`],
    ],
    [
      'from a site: those that the inventory still has there',
      {from: 'x'},
      {},
      'a-1 a-2 a-4',
      ['b-1 refused', `a-3 ${AWAY}`],
    ],
    [
      'from a site: not those that were seen to be there',
      {from: 'x'},
      {'a-1': 'vx0'},
      'a-2 a-4',
      ['b-1 refused', `a-1 ${AWAY}`, `a-3 ${AWAY}`],
    ],
    ['from a gateway: those of its segment', {from: 'ax'}, {}, 'a-1 a-2 a-4', [`a-3 ${AWAY}`]],
    ['all', {all: true}, {'a-1': 'loc', 'a-3': 'loc'}, 'a-1 a-2 a-3 a-4', ['b-1 refused']],
  ])('%s', async (_what, selection, learned, switched, excluded) => {
    expect(await select(selection, learned)).toEqual({switched, excluded})
  })

  it('leaves nobody alone where that is asked for', async () => {
    expect(await select({segment: 'a'}, {'a-1': 'vx0'}, true)).toEqual({switched: 'a-1 a-2 a-3 a-4', excluded: []})
  })

  it.each<[string, Partial<Selection>, RegExp]>([
    ['names and a set', {names: ['a-1'], all: true}, /one of them says which VMs/],
    ['two sets', {segment: 'a', all: true}, /one of them says which VMs/],
    ['an unknown segment', {segment: 'c'}, /no segment "c"/],
    ['an unknown place to come from', {from: 'q'}, /no site and no gateway "q"/],
    ['a gateway of a segment without VMs', {from: 'bz', segment: 'a'}, /no VM is meant/],
  ])('refuses %s', async (_what, selection, message) => {
    await expect(select(selection)).rejects.toMatchObject({kind: 'usage', message: expect.stringMatching(message)})
  })
})

const installed = (...all: readonly ReturnType<typeof strategyNamed>[]): ReadonlyMap<string, Registered> =>
  new Map(all.map((each) => [each.name, {name: each.name, plugin: 'p', load: async () => each}]))
const order = (over: Partial<ManyOrder> = {}): ManyOrder => ({
  names: ['a-1', 'a-2', 'a-4'],
  to: 'y',
  strategies: [],
  ...over,
})

/** What a switch of one ends in, as far as rows tell it. */
const ended = ({switchover: {vm, from, to}, strategy}: Prepared, over: Partial<SwitchDocument> = {}) =>
  ({
    ...{vm: {name: vm.name, ip: vm.ip, mac: vm.mac, segment: 'a'}, from, to, before: from, uses: to},
    ...{strategy: strategy.name, passedOver: [], end: 'switched', code: 'served', exitCode: 0, evidence: ['seen']},
    ...{rollback: null, error: null, rollbackError: null},
    ...over,
  }) as SwitchDocument

describe('a switch of many', () => {
  const planner = strategyNamed('s', {
    plan: async ({vm}) => {
      if (vm.name === 'a-2') throw new TypeError('a mistake in the strategy')
      return {by: 's'}
    },
  })
  const preflight = () => preflightMany(order(), INVENTORY, installed(planner), worldOf())
  const stop = new AbortController().signal

  it('knows before who cannot be switched, and a strategy that fails for one fails for no other', async () => {
    const found = await preflight()
    expect(preflightText(found)).toEqual([
      'REFUSED  a-2 (10.1.0.2)  a mistake in the strategy',
      '2 of 3 VMs to switch to y: 2 by s; 1 refused',
    ])
    expect(plannedMany(found)).toMatchObject({
      ...{schema: 'gwswitch.switch-many/1', dryRun: true, run: null, durationMs: null, exitCode: 1},
      rows: [
        {vm: {name: 'a-2'}, end: 'refused', evidence: ['a mistake in the strategy']},
        {vm: {name: 'a-1'}, end: null, strategy: 's'},
        {vm: {name: 'a-4'}, end: null},
      ],
    })
  })

  it.each<[string, {most: number; held: number} | undefined, readonly string[]]>([
    ['fit', {most: 1024, held: 1021}, []],
    [
      'are one too many',
      {most: 1024, held: 1022},
      [expect.stringMatching(/keeps 1024 neighbours .* has 1022: of 2 VMs/)],
    ],
    ['may be too many, and nobody says', undefined, []],
  ])('says before it begins if its VMs %s for the table of neighbours', async (_what, room, says) => {
    expect(roomText(await preflight(), room)).toEqual(says)
  })

  it('writes all down before it begins, and has a row of each, whatever becomes of one', async () => {
    const written: string[] = []
    const progress: string[] = []
    const document = await performMany(await preflight(), fakeWorld(), {
      ...{concurrency: 1, stop},
      journal: {
        id: 'run-7',
        planBegun: () => 0,
        plan: (all) => {
          written.push(all.map(({switchover}) => switchover.vm.name).join('+'))
          return all.map((_, i) => i + 10)
        },
        mark: () => {},
      },
      perform: async (prepared, journal) => {
        written.push(`${prepared.switchover.vm.name} is ${journal?.n} of ${journal?.run.id}`)
        if (prepared.switchover.vm.name === 'a-1') throw new Error('boom')
        return ended(prepared)
      },
      onProgress: ({row, done, total}) => void progress.push(`${row.vm.name} ${done}/${total}`),
    })
    expect(written).toEqual(['a-1+a-4', 'a-1 is 10 of run-7', 'a-4 is 11 of run-7'])
    expect(progress).toEqual(['a-1 1/2', 'a-4 2/2'])
    expect(document).toMatchObject({run: 'run-7', exitCode: 7})
    expect(document.rows.map(({vm, end}) => [vm.name, end])).toEqual([
      ['a-2', 'refused'],
      ['a-1', 'unknown'],
      ['a-4', 'switched'],
    ])
  })

  it.each([
    ['run-7', 'gwswitch switch --resume run-7 goes on with them'],
    [undefined, 'the same command goes on: who is served already is left as it is'],
  ])('that was stopped says who was not started and how to go on (journal: %s)', async (id, says) => {
    const stopping = new AbortController()
    const document = await performMany(await preflight(), fakeWorld(), {
      ...{concurrency: 1, stop: stopping.signal, stopped: () => 130},
      ...(id !== undefined && {journal: {id, plan: () => [1, 2], planBegun: () => 1, mark: () => {}}}),
      perform: async (prepared) => {
        stopping.abort(new Error('stopped'))
        return ended(prepared)
      },
    })
    expect(document.exitCode).toBe(130)
    expect(document.rows.map(({end}) => end)).toEqual(['refused', 'switched', 'not-started'])
    expect(manyText(document).slice(-2)).toEqual([
      expect.stringMatching(/^3 VMs: 1 refused, 1 switched, 1 not started in /),
      `stopped: 1 were not started; ${says}`,
    ])
  })

  describe('by several strategies', () => {
    const CANNOT = async (): Promise<never> => {
      throw new Failure('usage', 'no key for it')
    }
    const FAILS = async (): Promise<never> => {
      throw new Failure('refused', 'it says no')
    }
    const rolledBack = verdict('elsewhere', ['as it was'])
    /** How a VM ends that has `first`, and then `second`: by whom, and what is said of the first. */
    type Ended = readonly [strategy: string, end: string, passedOver: readonly string[]]
    const CASES: readonly (readonly [string, Partial<Strategy>, Ended])[] = [
      ['that cannot be planned is followed by the next', {plan: CANNOT}, ['second', 'switched', ['no key for it']]],
      ['that fails in the look is the last', {look: FAILS}, ['first', 'not-begun', []]],
      ['that fails while it is done is the last', {execute: FAILS}, ['first', 'rolled-back', []]],
      ['that is not proved is the last', {verify: async () => rolledBack}, ['first', 'rolled-back', []]],
    ]
    const strategies = ['first', 'second']
    const deadMan = {arm: async () => {}, disarm: () => {}}
    const perform = (prepared: Prepared) => performSwitch(prepared, fakeWorld(), {signal: stop, deadMan})

    it.each(CASES)('one %s, of one VM as of many', async (_what, over, expected) => {
      const both = installed(strategyNamed('first', over), strategyNamed('second'))
      const found = await preflightMany(order({strategies}), INVENTORY, both, worldOf())
      const many = await performMany(found, fakeWorld(), {concurrency: 9, stop, perform})
      const one = await perform(await prepareSwitch({vm: 'a-1', to: 'y', strategies}, INVENTORY, both, worldOf()))
      const said = [one, ...many.rows].map(({strategy, end, passedOver}) => [
        ...[strategy, end],
        passedOver.map(({reason}) => reason),
      ])
      expect(said).toEqual([expected, expected, expected, expected])
    })
  })

  it.each<[readonly number[], number, number]>([
    [[0, 0], 0, 0],
    [[0, 2, 5], 0, 5],
    [[5, 3, 2], 0, 3],
    [[3, 4], 0, 4],
    [[4, 6], 0, 6],
    [[6, 1], 0, 1],
    [[1, 7, 2], 0, 7],
    [[0, 1], 130, 130],
    [[7, 0], 130, 7],
  ])('of the exit codes %j, stopped by %i, takes the worst', (codes, stopped, worst) => {
    expect(
      worstOf(
        codes.map((exitCode) => ({exitCode})),
        stopped,
      ),
    ).toBe(worst)
  })
})
