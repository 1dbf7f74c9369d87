// What is an arrival and what is chatter, as sequences of what is seen of one VM.
import {describe, expect, it} from 'vitest'
import {
  type ArrivalEvent,
  arrivalStep,
  type Dispute,
  dueMs,
  type PortSide,
  type Sign,
  unseen,
} from '../../../src/domain/movement/arrivals.ts'

const VM = {mac: '02:00:00:00:01:10', vm: 'db-03'}
const SIDES: Readonly<Record<string, PortSide>> = {vx0: 'inter-site', eth0: 'other'}

/** What happens: `[ms, port, sign]`, a port that goes or comes, or nothing any more until `[ms]`. */
type Row = readonly [number, string, Sign | 'gone' | 'no-carrier' | 'up'] | readonly [number]

function eventOf([atMs, port, what]: Row): ArrivalEvent {
  if (port === undefined || what === undefined) return {kind: 'tick', atMs}
  if (what === 'gone' || what === 'no-carrier' || what === 'up') return {kind: 'port', port, state: what, atMs}
  return {kind: 'seen', port, side: SIDES[port] ?? 'local', sign: what, atMs}
}

/** `TOLD-AT KIND PORT by SOURCE`, with the time of the sign where that was another; a tick comes when it is due. */
function play(last: 'here' | 'away' | undefined, rows: readonly Row[]) {
  let state = unseen(VM, last)
  const told: string[] = []
  const disputes: Dispute[] = []
  const step = (event: ArrivalEvent): void => {
    const next = arrivalStep(state, event)
    state = next.state
    if (next.dispute) disputes.push(next.dispute)
    for (const {kind, port, source, atMs, mac, vm} of next.movements) {
      expect({mac, vm}).toEqual(VM)
      told.push(`${event.atMs}${atMs === event.atMs ? '' : ` (${atMs})`} ${kind} ${port} by ${source}`)
    }
  }
  for (const row of rows) {
    for (let due = dueMs(state); due !== undefined && due < row[0]; due = dueMs(state)) step({kind: 'tick', atMs: due})
    step(eventOf(row))
  }
  return {told, disputes, state}
}

/** Every `everyMs` in turn at these ports. */
const inTurn = (ports: readonly string[], sign: Sign, everyMs: number, times: number): Row[] =>
  Array.from({length: times}, (_, i) => [i * everyMs, ports[i % ports.length]!, sign])
/** QEMU's five rounds, as they were recorded. */
const burst = (fromMs: number, port: string): Row[] =>
  [0, 57, 208, 459, 808].map((ms) => [fromMs + ms, port, 'rarp'] as const)

describe('one that was last known to be at another site', () => {
  it.each<[string, readonly Row[], readonly string[]]>([
    ['arrives with the first announcement of its hypervisor', burst(0, 'vnet1'), ['0 arrived vnet1 by rarp']],
    ['arrives with its own announcement', [[5, 'vnet1', 'arp'], [9000]], ['5 arrived vnet1 by arp']],
    [
      'arrives once, whatever it says after that',
      [...burst(0, 'vnet1'), [900, 'vnet1', 'arp'], [950, 'vnet1', 'fdb'], [60_000, 'vnet1', 'frame'], [90_000]],
      ['0 arrived vnet1 by rarp'],
    ],
    [
      'arrives at once where a bridge has learned it a moment before it is announced',
      [[0, 'vnet1', 'fdb'], [1, 'vnet1', 'rarp'], [5000]],
      ['1 arrived vnet1 by rarp'],
    ],
    [
      'arrives without an announcement once nothing has spoken against it for a second',
      [[0, 'vnet1', 'fdb'], [9000]],
      ['1000 (0) arrived vnet1 by fdb'],
    ],
    ['does not arrive while it is heard there', [[0, 'vx0', 'fdb'], [10, 'vx0', 'arp'], [9000]], []],
    ['does not arrive by a port that leads out of this host', [[0, 'eth0', 'rarp'], [9000]], []],
    [
      'does not arrive by one frame that its old site contradicts',
      [[0, 'vnet1', 'fdb'], [300, 'vx0', 'fdb'], [9000]],
      [],
    ],
    ['does not arrive at a port that is gone', [[0, 'vnet1', 'fdb'], [300, 'vnet1', 'gone'], [9000]], []],
    [
      'arrives once although the last frames of its old site come late',
      [[0, 'vnet1', 'rarp'], [20, 'vx0', 'fdb'], [57, 'vnet1', 'rarp'], [9000]],
      ['0 arrived vnet1 by rarp'],
    ],
    [
      'arrives once although it says nothing for two seconds after a late frame of its old site',
      [[0, 'vnet1', 'arp'], [20, 'vx0', 'fdb'], [2500, 'vnet1', 'fdb'], [9000]],
      ['0 arrived vnet1 by arp'],
    ],
    [
      'arrives once although a loop brings its announcements back',
      [...burst(0, 'vnet1'), ...burst(3, 'vx0')]
        .toSorted((a, b) => a[0] - b[0])
        .concat([[1500, 'vnet1', 'fdb'], [9000]]),
      ['0 arrived vnet1 by rarp'],
    ],
  ])('%s', (_name, rows, told) => {
    expect(play('away', rows).told).toEqual(told)
  })
})

describe('target, source, target again', () => {
  it.each<[string, readonly Row[], readonly string[]]>([
    [
      'is one arrival where the target speaks with its MAC before it runs, and the source goes on',
      [[0, 'vnet1', 'fdb'], [400, 'vx0', 'fdb'], ...burst(18_340, 'vnet1'), [60_000]],
      ['18340 arrived vnet1 by rarp'],
    ],
    [
      'is one arrival that counts where the source is silent for long: the first one is taken back',
      [[0, 'vnet1', 'fdb'], [5000, 'vx0', 'fdb'], ...burst(18_340, 'vnet1'), [60_000]],
      ['1000 (0) arrived vnet1 by fdb', '8000 (5000) cancelled vx0 by fdb', '19340 (18340) arrived vnet1 by rarp'],
    ],
    [
      'is one arrival that counts where it is announced too early',
      [[0, 'vnet1', 'rarp'], [500, 'vx0', 'fdb'], [18_340, 'vnet1', 'rarp'], [60_000]],
      ['0 arrived vnet1 by rarp', '3500 (500) cancelled vx0 by fdb', '19340 (18340) arrived vnet1 by rarp'],
    ],
    [
      'is one arrival where all of it takes less than three seconds',
      [[0, 'vnet1', 'rarp'], [500, 'vx0', 'fdb'], [2000, 'vnet1', 'rarp'], [60_000]],
      ['0 arrived vnet1 by rarp'],
    ],
    [
      'is told and taken back where its migration fails',
      [[0, 'vnet1', 'rarp'], [900, 'vx0', 'fdb'], [950, 'vnet1', 'gone'], [60_000]],
      ['0 arrived vnet1 by rarp', '950 left vnet1 by port'],
    ],
  ])('%s', (_name, rows, told) => {
    expect(play('away', rows).told).toEqual(told)
  })
})

describe('one that was here already', () => {
  it.each<[string, readonly Row[], readonly string[]]>([
    ['merely talks', [[0, 'vnet1', 'fdb'], [10, 'vnet1', 'arp'], [500, 'vnet1', 'rarp'], [9000]], []],
    ['moves between ports of this host', [[0, 'vnet1', 'fdb'], [900, 'vnet2', 'rarp'], [9000]], []],
    ['is behind the port of another host of its site', [[0, 'eth0', 'fdb'], [9000], [9500, 'vnet1', 'rarp']], []],
    [
      'leaves when it is heard at the other site and no more here',
      [[0, 'vnet1', 'fdb'], [5000, 'vx0', 'fdb'], [9000]],
      ['8000 (5000) left vx0 by fdb'],
    ],
    [
      'leaves with its announcement at the other site',
      [[0, 'vnet1', 'fdb'], ...burst(5000, 'vx0'), [9000]],
      ['5000 left vx0 by rarp'],
    ],
    ['leaves with its port', [[0, 'vnet1', 'fdb'], [700, 'vnet1', 'gone'], [9000]], ['700 left vnet1 by port']],
    [
      'leaves when its port has no carrier for three seconds',
      [[0, 'vnet1', 'fdb'], [700, 'vnet1', 'no-carrier'], [9000]],
      ['3700 (700) left vnet1 by port'],
    ],
    [
      'stays when its carrier flaps',
      [[0, 'vnet1', 'fdb'], [700, 'vnet1', 'no-carrier'], [2200, 'vnet1', 'up'], [9000]],
      [],
    ],
    ['stays when the port of another goes', [[0, 'vnet1', 'fdb'], [700, 'vnet2', 'gone'], [9000]], []],
    [
      'leaves once, by whichever sign comes first',
      [[0, 'vnet1', 'fdb'], [700, 'vx0', 'rarp'], [800, 'vnet1', 'no-carrier'], [5000, 'vnet1', 'gone'], [9000]],
      ['3700 (700) left vx0 by rarp'],
    ],
    [
      'leaves this host by the port that leads out of it',
      [[0, 'vnet1', 'fdb'], [5000, 'eth0', 'fdb'], [9000]],
      ['8000 (5000) left eth0 by fdb'],
    ],
    [
      'comes back from the other site',
      [
        [0, 'vnet1', 'fdb'],
        [5000, 'vx0', 'rarp'],
        [70_000, 'vnet1', 'rarp'],
      ],
      ['5000 left vx0 by rarp', '70000 arrived vnet1 by rarp'],
    ],
    [
      'was never seen here and is heard at the other site: nothing was seen to leave, and it arrives when it comes',
      [[0, 'vx0', 'fdb'], [9000], [20_000, 'vnet1', 'rarp']],
      ['20000 arrived vnet1 by rarp'],
    ],
  ])('%s', (_name, rows, told) => {
    expect(play('here', rows).told).toEqual(told)
  })
})

describe('one of which nobody knows where it was', () => {
  it.each<[string, readonly Row[], readonly string[]]>([
    ['merely talks', [[0, 'vnet1', 'fdb'], [9000], [10_000, 'vnet1', 'arp']], []],
    ['arrives where it is announced', burst(0, 'vnet1'), ['0 arrived vnet1 by rarp']],
    [
      'arrives where it is announced a moment after a bridge has learned it',
      [
        [0, 'vnet1', 'fdb'],
        [1, 'vnet1', 'rarp'],
      ],
      ['1 arrived vnet1 by rarp'],
    ],
    [
      'arrives when it was heard at the other site before',
      [[0, 'vx0', 'fdb'], [9000], [20_000, 'vnet1', 'fdb'], [30_000]],
      ['21000 (20000) arrived vnet1 by fdb'],
    ],
    [
      'leaves, and arrives again',
      [[0, 'vnet1', 'fdb'], [2000], [3000, 'vnet1', 'gone'], [90_000, 'vnet1', 'arp']],
      ['3000 left vnet1 by port', '90000 arrived vnet1 by arp'],
    ],
  ])('%s', (_name, rows, told) => {
    expect(play(undefined, rows).told).toEqual(told)
  })
})

describe('one that goes to and fro', () => {
  /** Announced at both sites every 10 s for ten minutes. */
  const flapping = inTurn(['vnet1', 'vx0'], 'rarp', 10_000, 60)

  it('is held down for longer each time', () => {
    const arrived = play('away', [...flapping, [900_000]]).told.filter((each) => each.includes('arrived'))
    expect(arrived.map((each) => Number(each.split(' ')[0]))).toEqual([0, 21_000, 42_000, 64_000, 88_000])
  })

  it('is an arrival at once again when ten minutes were calm', () => {
    const {told} = play('away', [...burst(0, 'vnet1'), [650_000, 'vx0', 'rarp'], [700_000, 'vnet1', 'rarp']])
    expect(told).toEqual(['0 arrived vnet1 by rarp', '650000 left vx0 by rarp', '700000 arrived vnet1 by rarp'])
  })
})

describe('a MAC that two stations have', () => {
  it.each<[string, 'here' | 'away', readonly [string, string], readonly string[]]>([
    ['here and at the other site', 'here', ['vnet1', 'vx0'], []],
    ['at the other site and here', 'away', ['vx0', 'vnet1'], []],
    ['at two ports here', 'here', ['vnet1', 'vnet2'], []],
    ['at two ports here, where it was not before', 'away', ['vnet1', 'vnet2'], ['1000 (0) arrived vnet1 by fdb']],
  ])('is said once, %s, and moves nothing', (_name, last, ports, told) => {
    const {disputes, ...played} = play(last, inTurn(ports, 'fdb', 200, 500))
    expect(disputes).toEqual([{...VM, ports: [ports[1], ports[0]], atMs: 1200}])
    expect(played.told).toEqual(told)
    expect(played.state.changes.length).toBeLessThan(10)
  })

  it('arrives at most once by announcements of both', () => {
    const {disputes, told} = play('away', inTurn(['vnet1', 'vx0'], 'rarp', 100, 1000))
    expect(disputes).toHaveLength(1)
    expect(told).toEqual(['0 arrived vnet1 by rarp'])
  })

  it('is said again when it begins again', () => {
    const once = inTurn(['vnet1', 'vnet2'], 'fdb', 200, 20)
    const again = once.map((row) => [row[0] + 60_000, row[1], row[2]] as Row)
    expect(play('here', [...once, ...again]).disputes).toHaveLength(2)
  })

  it('is not what a VM is that moves within this host', () => {
    const rows: Row[] = [...burst(0, 'vnet1'), ...burst(5000, 'vnet2'), ...burst(9000, 'vnet1')]
    expect(play('here', rows)).toMatchObject({disputes: [], told: []})
  })
})
