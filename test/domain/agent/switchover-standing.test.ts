// What a confirmed switch is followed by: its overlay goes with the owner's route, and what is so no more is said, once.
import {describe, expect, it} from 'vitest'
import type {FamilyFacts, NicFacts} from '../../../src/domain/agent/facts.ts'
import type {SavedRoute} from '../../../src/domain/agent/memory.ts'
import {FAMILIES, type Guest, PROVED, STUCK, surroundings, switchTask, UNDONE} from './switching-guest.ts'
import {AT, rollback} from './switchover-states.ts'

const [OWNERS] = FAMILIES[4].routes as [SavedRoute]
const OVERLAID: Partial<FamilyFacts> = {overlay: {gateway: '10.0.0.2', interfaceIndex: 2}}
const ETH1: NicFacts = {index: 3, name: 'eth1', mac: '02:00:00:00:00:11', up: true, prefixes: []}

/** Something changed: what is told to be done, and then what is made of it. */
function changed(guest: Guest, gateway: string | undefined, over: Partial<FamilyFacts> = {}, nics: NicFacts[] = []) {
  const facts = surroundings(gateway, over)
  const all = nics.length === 0 ? facts : {...facts, nics}
  return [...guest.take({kind: 'routes_changed', facts: all}), ...guest.take({kind: 'looked', facts: all})]
}
const standing = ({state}: Guest) => state.record?.standing?.[0]
const rule = (): Guest => AT.confirmed({mode: 'rule'})
const NAME = 'log the IPv4 gateway 10.0.0.2 on eth0'

describe('an overlay', () => {
  it('is put back while the route is there that it lies over', () => {
    expect(changed(rule(), '10.0.0.2', OVERLAID)).toEqual(['hold'])
    // Another route of another interface behind it is no reason to go.
    const routes = [OWNERS, {...OWNERS, interfaceIndex: 3, metric: 500}]
    expect(changed(rule(), '10.0.0.2', {...OVERLAID, routes})).toEqual(['hold'])
  })

  it.each<[string, SavedRoute[], string]>([
    ['vanishes', [], 'eth0 has no IPv4 default route any more'],
    [
      'is moved to a third gateway',
      [{...OWNERS, gateway: '10.0.0.3'}],
      'its owner has moved the default route to 10.0.0.3',
    ],
    [
      'leads to the new gateway itself',
      [{...OWNERS, gateway: '10.0.0.2'}],
      "its owner's own route leads to 10.0.0.2 now",
    ],
    [
      'is outranked by another interface',
      [
        {...OWNERS, gateway: '192.0.2.1', interfaceIndex: 3},
        {...OWNERS, metric: 20_100},
      ],
      'the default route is that of eth1 now',
    ],
  ])('is withdrawn when the route under it %s, and comes back with it', (_, routes, why) => {
    const guest = rule()
    const nics = [...surroundings(undefined).nics, ETH1]
    expect(changed(guest, '10.0.0.2', {...OVERLAID, routes}, nics)).toEqual([
      ...['keep done confirmed', 'withdraw', `${NAME} is withdrawn: ${why}`],
    ])
    expect(standing(guest)).toMatchObject({state: 'withdrawn', why})
    // Once; and what is gone is not taken away again.
    expect(changed(guest, routes[0]?.gateway, {routes}, nics)).toEqual([])
    expect(changed(guest, '10.0.0.1', {}, nics)).toEqual([
      ...['keep done confirmed', 'hold', `${NAME} is in force again: its owner's route is as it was`],
    ])
  })

  it('that an undoing has put back meanwhile is taken away again', () => {
    const guest = rule()
    changed(guest, '10.0.0.2', {...OVERLAID, routes: []})
    expect(changed(guest, '10.0.0.2', {...OVERLAID, routes: []})).toEqual(['withdraw'])
  })

  it('takes its drain with it', () => {
    const guest = AT.confirmed({mode: 'drain'})
    expect(changed(guest, undefined, {...OVERLAID, routes: []})).toEqual([
      ...['keep done confirmed', 'withdraw', `${NAME} is withdrawn: eth0 has no IPv4 default route any more`],
      ...['end_drain'],
    ])
  })

  it('goes on on an interface that was replugged: it is found by its MAC', () => {
    const guest = rule()
    const again = surroundings('10.0.0.2').nics.map((nic) => ({...nic, index: 7, name: 'eth9'}))
    const inUse = {gateway: '10.0.0.2', interfaceIndex: 7}
    expect(changed(guest, undefined, {routes: [{...OWNERS, interfaceIndex: 7}], inUse}, again)).toEqual([
      ...['keep done confirmed', 'hold'],
    ])
    const holds = guest.actions.findLast(({kind}) => kind === 'hold')
    expect(holds).toMatchObject({changes: [{interfaceIndex: 7, overlay: {route: {interfaceIndex: 7}}}]})
  })

  it('is followed also when a later switch came to nothing', () => {
    const guest = rule()
    guest.task(switchTask(2, {mode: 'rule', to: '10.0.0.4', overlay: '10.0.0.2'}))
    guest.take({kind: 'tried', wrong: {reason: 'gateway_silent', detail: ''}})
    expect(changed(guest, '10.0.0.2', OVERLAID)).toEqual(['hold'])
  })

  it('is followed no more when it is taken back', () => {
    const guest = rule()
    guest.take(rollback)
    guest.take(UNDONE)
    expect(changed(guest, '10.0.0.1')).toEqual([])
    expect(standing(guest)).toBeUndefined()
  })
})

describe('what was confirmed and is so no more', () => {
  it('is said once, when it is seen twice; and again when it is so again', () => {
    const guest = AT.confirmed()
    expect(changed(guest, '10.0.0.1')).toEqual([])
    expect(changed(guest, '10.0.0.2')).toEqual([])
    expect(changed(guest, '10.0.0.1')).toEqual([])
    expect(changed(guest, '10.0.0.1')).toEqual([
      ...['keep done confirmed', 'lost'],
      `${NAME}, confirmed in run r1, is not in use any more: the VM sends by 10.0.0.1 (eth0)`,
    ])
    expect(standing(guest)).toMatchObject({state: 'lost', why: 'the VM sends by 10.0.0.1 (eth0)'})
    expect(changed(guest, '10.0.0.1')).toEqual([])
    expect(changed(guest, undefined)).toEqual(['keep done confirmed'])
    expect(standing(guest)).toMatchObject({state: 'lost', why: 'there is no IPv4 default route'})
    expect(changed(guest, '10.0.0.2')).toEqual(['keep done confirmed', `${NAME} is in use again`])
  })

  it('is not judged by where a tunnel sends, if one took everything when it was confirmed', () => {
    const guest = AT.proving()
    guest.take({...PROVED, aside: [4], partial: 'what is sent goes out of wg0'})
    expect(guest.disk).toMatchObject({state: 'confirmed', reason: 'partial', detail: 'what is sent goes out of wg0'})
    const routes = [{...OWNERS, gateway: '10.0.0.2'}]
    for (let i = 0; i < 2; i++) expect(changed(guest, '10.66.0.1', {routes})).toEqual([])
  })

  it('is known to the agent that comes after, also one whose state says less', () => {
    const guest = AT.confirmed()
    const {standing: _, ...older} = guest.disk!
    guest.disk = older
    const later = guest.restarted()
    changed(later, '10.0.0.1')
    expect(changed(later, '10.0.0.1')).toHaveLength(3)
  })
})

describe('a gateway that dies in one family of two', () => {
  const task = switchTask()
  const six = {...task.changes[0], family: 6, from: 'fd00::1', to: 'fd00::2'} as const

  it('is left in that one; the other stays', () => {
    const guest = AT.idle()
    guest.task({...task, changes: [task.changes[0], six]})
    for (const event of [{kind: 'tried', families: FAMILIES}, {kind: 'applied'}, PROVED] as const) guest.take(event)
    guest.task({kind: 'gateway_died', run: 'r1', seq: 1, families: [4], detail: 'silent'})
    expect(guest.actions.at(-1)).toMatchObject({kind: 'undo', changes: [{family: 4}]})
    guest.take(UNDONE)
    expect(guest.disk).toMatchObject({
      ...{phase: 'done', state: 'confirmed', reason: 'partial', changes: [{family: 6}]},
      ...{detail: 'IPv4 is back on 10.0.0.1: silent; IPv6 stays on fd00::2'},
      standing: [{change: {family: 6}}],
    })
  })
})

describe('an undoing that cannot be done', () => {
  const stuck = (): Guest => {
    const guest = AT.stuck()
    for (let i = 0; i < 30 && guest.state.record?.phase !== 'done'; i++) {
      guest.wait(5)
      guest.take(STUCK)
    }
    return guest
  }

  it('is given up, and done when it can be', () => {
    const guest = stuck()
    expect(guest.disk).toMatchObject({state: 'applied', reason: 'given_up', owed: [{to: '10.0.0.2'}]})
    expect(guest.wait(86_400)).toEqual([])
    expect(changed(guest, undefined, {routes: []})).toEqual(['undo'])
    expect(guest.take(STUCK)).toEqual(['over undo'])
    changed(guest, undefined, {routes: []})
    expect(guest.take(UNDONE)).toEqual([
      ...['keep done applied given_up', 'log what a rollback that was given up had left is put back', 'over undo'],
    ])
    expect(guest.disk).not.toHaveProperty('owed')
  })

  it('waits for a switch that comes meanwhile, and is done if that comes to nothing', () => {
    const guest = stuck()
    guest.task(switchTask(2, {to: '10.0.0.4'}))
    expect(guest.disk).toMatchObject({owed: [{to: '10.0.0.2'}]})
    expect(guest.take({kind: 'tried', wrong: {reason: 'gateway_silent', detail: ''}})).toEqual([
      ...['keep done refused gateway_silent', 'over switch', 'undo'],
    ])
  })
})

it('what is being taken away is not put back, and not missed', () => {
  const guest = AT.confirmed({mode: 'drain'})
  expect(guest.wait(300)).toEqual(['end_drain'])
  expect(changed(guest, '10.0.0.2', OVERLAID)).toEqual(['hold'])
  expect(guest.actions.at(-1)).toMatchObject({kind: 'hold', draining: false})
  guest.take({kind: 'drain_ended'})
  guest.take({kind: 'task', task: {kind: 'reset'}})
  expect(changed(guest, '10.0.0.1')).toEqual([])
  expect(changed(guest, '10.0.0.1')).toEqual([])
})

describe('a reset', () => {
  const reset = {kind: 'task', task: {kind: 'reset'}} as const

  it('takes away what is there, and forgets it', () => {
    const guest = AT.confirmed({mode: 'drain'})
    expect(guest.take(reset)).toEqual(['leave', 'reset'])
    expect(guest.take({kind: 'reset', left: undefined})).toEqual(['keep done rolled_back reset', 'over reset'])
    expect(guest.disk).toMatchObject({standing: []})
    for (const gone of ['drainUntil', 'guardUntil', 'owed']) expect(guest.disk).not.toHaveProperty(gone)
    expect(changed(guest, '10.0.0.1')).toEqual([])
  })

  it("leaves a route that was rewritten: it is the VM's own", () => {
    const guest = AT.confirmed()
    guest.take(reset)
    expect(guest.actions.at(-1)).toMatchObject({kind: 'reset', changes: []})
    expect(guest.take({kind: 'reset', left: undefined})).toEqual(['keep done confirmed', 'over reset'])
  })

  it('undoes what is not decided, whatever is under way', () => {
    const guest = AT.proving()
    expect(guest.take(reset)).toEqual(['abandon'])
    expect(guest.take(PROVED)).toEqual(['over switch', 'leave', 'reset'])
    expect(guest.actions.at(-1)).toMatchObject({changes: [{to: '10.0.0.2'}]})
    expect(AT.stuck().take(reset)).toEqual(['leave', 'reset'])
  })

  it('tries again what it could not take away', () => {
    const guest = rule()
    guest.take(reset)
    expect(guest.take({kind: 'reset', left: 'IPv4 rules: EPERM'})).toEqual([
      ...['keep done rolled_back reset', 'over reset', 'undo'],
    ])
    expect(guest.actions.at(-1)).toMatchObject({changes: [{overlay: {before: null}}]})
  })
})
