// A switchover as a table: in this state, when this happens, the guest is told to do this, in this order.
import {describe, expect, it} from 'vitest'
import {isIdle, type SwitchEvent} from '../../../src/domain/agent/switchover-state.ts'
import {APPLIED, FAMILIES, Guest, inWords, PROVED, STUCK, switchTask, TRIED, UNDONE} from './switching-guest.ts'
import {
  AT,
  type At,
  after,
  another,
  awaited,
  changed,
  confirm,
  died,
  failed,
  leaving,
  rollback,
  stop,
  WRONG,
} from './switchover-states.ts'

const TAKEN_BACK = ['leave', 'keep rolling_back applied requested', 'undo']
const UNWRITTEN = ['leave', 'keep rolling_back applied persist_failed', 'undo']

describe.each<[string, At, SwitchEvent, string[]]>([
  // The way that all goes well: on disk before it is tried, before it is changed, before it is proved, before it is told.
  ['a switch', 'idle', {kind: 'task', task: switchTask()}, ['save probing received', 'leave', 'try']],
  ['a good trial', 'trying', TRIED, ['save applying received', 'apply']],
  ['the change made', 'applying', APPLIED, ['save applied applied', 'prove']],
  ['the proof', 'proving', PROVED, ['save done confirmed', 'watch', 'over switch']],
  // What was proved a while ago is looked at once more.
  ['the confirmation', 'awaiting', confirm, ['prove']],
  ['the look before it is confirmed', 'confirming', PROVED, ['save done confirmed', 'watch', 'over confirm']],
  ['another gateway in use then', 'confirming', WRONG, ['leave', 'keep rolling_back applied mode', 'undo']],
  // What goes wrong.
  [
    'a bad gateway',
    'trying',
    {kind: 'tried', wrong: {reason: 'gateway_silent', detail: ''}},
    ['keep done refused gateway_silent', 'over switch'],
  ],
  ['a trial that fails', 'trying', failed, ['keep done refused apply_failed', 'over switch']],
  [
    'another default route after the trial',
    'trying',
    {kind: 'tried', families: {...FAMILIES, 4: {routes: [], overlay: undefined}}},
    ['keep done refused from_gw', 'over switch'],
  ],
  [
    'another overlay after the trial',
    'trying',
    {kind: 'tried', families: {...FAMILIES, 4: {...FAMILIES[4], overlay: {gateway: '10.0.0.3', interfaceIndex: 2}}}},
    ['keep done refused from_gw', 'over switch'],
  ],
  ['a change that fails', 'applying', failed, ['leave', 'keep rolling_back applied apply_failed', 'undo']],
  ['a change that has moved nothing', 'proving', WRONG, ['leave', 'keep rolling_back applied mode', 'undo']],
  ['a proof that fails', 'proving', failed, ['leave', 'keep rolling_back applied probe_failed', 'undo']],
  [
    'no answer after the change',
    'proving',
    {kind: 'proved', silent: '10.0.0.2'},
    ['leave', 'keep rolling_back applied probe_failed', 'undo'],
  ],
  // Its end, whenever that is.
  ['the undoing done', 'undoing', UNDONE, ['keep done rolled_back requested', 'over rollback']],
  [
    'the undoing not done',
    'undoing',
    STUCK,
    [
      'keep rolling_back applied requested',
      'log rollback, attempt 1: Network is down; it is tried again',
      'over rollback',
    ],
  ],
  // A rollback, by the controller.
  ['a rollback', 'idle', rollback, ['over rollback']],
  ['a rollback', 'trying', rollback, ['abandon']],
  ['a rollback', 'applying', rollback, []],
  ['a rollback', 'proving', rollback, ['abandon']],
  ['a rollback', 'awaiting', rollback, TAKEN_BACK],
  ['a rollback', 'undoing', rollback, []],
  ['a rollback', 'stuck', rollback, ['leave', 'undo']],
  ['a rollback', 'refused', rollback, ['over rollback']],
  ['a rollback', 'rolled back', rollback, ['over rollback']],
  ['a rollback', 'confirmed', rollback, TAKEN_BACK],
  // A confirmation that does not fit.
  ['a confirmation', 'idle', confirm, ['over confirm']],
  ['a confirmation', 'trying', confirm, []],
  ['a confirmation', 'stuck', confirm, ['over confirm']],
  ['a confirmation', 'confirmed', confirm, ['over confirm']],
  // Another switch.
  ['another switch', 'trying', another, []],
  ['another switch', 'awaiting', another, ['over switch busy']],
  // What cannot be undone keeps nobody waiting.
  ['another switch', 'stuck', another, ['save probing received', 'leave', 'try']],
  ['another switch', 'refused', another, ['save probing received', 'leave', 'try']],
  ['another switch', 'confirmed', another, ['save probing received', 'leave', 'try']],
  ['another switch', 'rolled back', another, ['save probing received', 'leave', 'try']],
  // The new gateway dies.
  ['a dead gateway', 'confirmed', died, ['leave', 'keep rolling_back applied gateway_died', 'undo']],
  ['a dead gateway', 'rolled back', died, ['over gateway_died']],
  // Somebody changes routes.
  ['changed routes', 'idle', changed, []],
  ['changed routes', 'awaiting', changed, []],
  ['changed routes', 'undoing', changed, []],
  ['changed routes', 'stuck', changed, ['undo']],
  ['changed routes', 'confirmed', changed, []],
  ['changed routes', 'rolled back', changed, []],
  // The agent is stopped.
  ['a stop', 'idle', stop, ['leave', 'over stop']],
  ['a stop', 'trying', stop, ['leave', 'abandon']],
  ['a stop', 'applying', stop, ['leave']],
  ['a stop', 'proving', stop, ['leave', 'abandon']],
  ['a stop', 'awaiting', stop, ['leave', 'leave', 'keep rolling_back applied agent_stopped', 'undo']],
  ['a stop', 'stuck', stop, ['leave', 'leave', 'undo']],
  ['a stop', 'confirmed', stop, ['leave', 'over stop']],
  // And another one is to go on with what is pending.
  ['a stop that leaves it', 'idle', leaving, ['leave', 'over stop']],
  ['a stop that leaves it', 'trying', leaving, ['leave', 'abandon']],
  ['a stop that leaves it', 'applying', leaving, ['leave']],
  ['a stop that leaves it', 'proving', leaving, ['leave', 'abandon']],
  ['a stop that leaves it', 'awaiting', leaving, ['leave', 'over stop']],
  ['a stop that leaves it', 'confirming', leaving, ['leave']],
  ['a stop that leaves it', 'undoing', leaving, ['leave']],
  ['a stop that leaves it', 'stuck', leaving, ['leave', 'leave', 'undo']],
  ['a stop that leaves it', 'confirmed', leaving, ['leave', 'over stop']],
  // What is not asked for.
  ['a result of nothing', 'awaiting', PROVED, []],
  ['a turn of nobody', 'confirmed', {kind: 'turn'}, []],
  ['a tick before its time', 'awaiting', {kind: 'tick'}, []],
])('%s', (_, at, event, actions) => {
  it(`when ${at}: ${actions.join(', ') || 'nothing now'}`, () => {
    expect(AT[at]().take(event)).toEqual(actions)
  })
})

describe('on a full disk', () => {
  it.each<[At, SwitchEvent, string[]]>([
    ['idle', {kind: 'task', task: switchTask()}, ['over switch persist_failed']],
    ['confirmed', another, ['over switch persist_failed']],
    ['trying', TRIED, ['keep done refused persist_failed', 'over switch']],
    ['applying', APPLIED, UNWRITTEN],
    ['proving', PROVED, UNWRITTEN],
    ['confirming', PROVED, UNWRITTEN],
  ])('nothing is done that had to be written first, when %s', (at, event, actions) => {
    const guest = AT[at]()
    guest.full = true
    expect(guest.take(event)).toEqual(actions)
  })

  it('what was to be told is told when it is undone', () => {
    const guest = AT.confirming()
    guest.full = true
    guest.take(PROVED)
    expect(guest.take(UNDONE)).toEqual(['keep done rolled_back persist_failed', 'over confirm'])
  })
})

describe('what is taken back', () => {
  it.each<[At, SwitchEvent, string[]]>([
    ['trying', TRIED, ['keep done refused requested', 'over switch', 'over rollback']],
    // Made is made: that is on disk, and then it is undone, without a proof.
    ['applying', APPLIED, ['save applied applied', 'over switch', ...TAKEN_BACK]],
    ['proving', PROVED, ['over switch', ...TAKEN_BACK]],
    ['proving', {kind: 'proved', silent: '10.0.0.2'}, ['over switch', ...TAKEN_BACK]],
  ])('while %s, has its turn when that has ended', (at, result, actions) => {
    const guest = AT[at]()
    guest.take(rollback)
    expect(guest.take(result)).toEqual(actions)
  })

  it('by the deadline is not confirmed by what waited behind its proof', () => {
    const guest = AT.proving(awaited)
    guest.take(confirm)
    expect(guest.wait(21)).toEqual(['abandon'])
    expect(guest.take(PROVED)).toEqual([
      ...['over switch', 'over confirm', 'leave', 'keep rolling_back applied not_confirmed', 'undo'],
    ])
    expect(guest.take(UNDONE)).toEqual(['keep done rolled_back not_confirmed', 'over rollback'])
  })

  it('while it is looked at once more, is not confirmed', () => {
    const guest = AT.confirming()
    expect(guest.take(rollback)).toEqual(['abandon'])
    expect(guest.take(PROVED)).toEqual(['over confirm', ...TAKEN_BACK])
  })

  it('by a stop: neither begun again nor tried again', () => {
    const guest = AT.trying()
    guest.take(stop)
    guest.take(another)
    expect(guest.take(TRIED)).toEqual([
      ...['keep done refused requested', 'over switch', 'over stop', 'over switch agent_stopped'],
    ])
    const stuck = AT.awaiting()
    stuck.take(stop)
    expect(stuck.take(STUCK)).toEqual([
      ...['keep rolling_back applied agent_stopped', 'log rollback, attempt 1: Network is down', 'over stop'],
    ])
    expect(stuck.wait(3600)).toEqual([])
    expect(inWords(stuck.disk)).toBe('rolling_back applied agent_stopped')
  })
})

describe('time', () => {
  it.each<[At, number, string[]]>([
    ['applying', 11, []],
    ['proving', 11, ['abandon']],
    ['awaiting', 19, []],
    ['awaiting', 20, ['leave', 'keep rolling_back applied not_confirmed', 'undo']],
    ['confirmed', 86_400, []],
    ['refused', 86_400, []],
    ['rolled back', 86_400, []],
  ])('when %s, after %i s', (at, seconds, actions) => {
    const guest = AT[at]()
    expect(guest.wait(seconds)).toEqual(actions)
  })

  it('is what undoing is tried again by: soon, then every 5 s', () => {
    const guest = AT.stuck()
    const attempts: number[] = []
    const start = guest.uptimeMs
    guest.onAction = ({kind}) => {
      if (kind === 'undo') attempts.push(guest.uptimeMs - start)
    }
    for (let i = 0; i < 8; i++) {
      guest.wait(5)
      guest.take(STUCK)
    }
    expect(attempts.slice(0, 2)).toEqual([250, 5500])
    // The same trouble is written once.
    expect(guest.actions.filter(({kind}) => kind === 'keep')).toHaveLength(2)
    guest.wait(5)
    expect(guest.take(UNDONE)).toEqual([
      ...['keep done rolled_back requested', `log rollback: done at attempt ${attempts.length + 1}`, 'over undo'],
    ])
    expect(guest.state.record).not.toHaveProperty('trouble')
  })
})

describe('a drain', () => {
  const draining = (): Guest => AT.confirmed({mode: 'drain'})

  it('ends at its time, and is tried again until it has', () => {
    const guest = draining()
    expect(isIdle(guest.state)).toBe(false)
    guest.wait(300)
    expect(guest.take(failed)).toEqual([
      ...['log end of the drain, attempt 1: EPERM; it is tried again', 'over end_drain'],
    ])
    expect(guest.wait(0.25)).toEqual(['end_drain'])
    expect(guest.take({kind: 'drain_ended'})).toEqual([
      ...['keep done confirmed', 'log end of the drain: done at attempt 2', 'over end_drain'],
    ])
    expect(isIdle(guest.state)).toBe(true)
    expect(guest.actions.at(-3)).toMatchObject({quietly: true})
    expect(guest.wait(3600)).toEqual([])
  })

  it('stays with a switch that is refused, and ends with the change of one that is not', () => {
    const refused = draining()
    refused.take(another)
    expect(refused.state.record?.drainUntil).toEqual(draining().state.record?.drainUntil)
    refused.take({kind: 'tried', wrong: {reason: 'probe_failed', detail: ''}})
    expect(refused.wait(300)).toEqual(['end_drain'])
    const changed = draining()
    changed.take(another)
    changed.take(TRIED)
    expect(changed.state.record).not.toHaveProperty('drainUntil')
  })

  it('does not begin its end in the turn of another switch', () => {
    const guest = draining()
    guest.take(another)
    expect(guest.wait(400)).toEqual([])
    guest.take({kind: 'tried', wrong: {reason: 'probe_failed', detail: ''}})
    expect(guest.wait(0)).toEqual(['end_drain'])
  })

  it('is over with what is rolled back', () => {
    const guest = draining()
    guest.take(rollback)
    expect(guest.state.record).not.toHaveProperty('drainUntil')
    expect(guest.state.record).not.toHaveProperty('guardUntil')
  })
})

describe('the record', () => {
  it('has the times: to the change, to the confirmation, of the deadlines', () => {
    const guest = new Guest()
    guest.task({...switchTask(1, {mode: 'drain'}), receivedMs: guest.uptimeMs - 1.26})
    guest.uptimeMs += 8
    guest.take(TRIED)
    expect(guest.disk).toMatchObject({deadline: {bootId: 'boot-1', uptimeMs: 1_010_008}, changes: [{to: '10.0.0.2'}]})
    guest.take(APPLIED)
    guest.uptimeMs += 12
    guest.take(PROVED)
    expect(guest.disk).toMatchObject({
      ...{applyMs: 9.3, confirmMs: 20, startedAt: 1_790_001_000_000, endedAt: 1_790_001_000_020},
      ...{drainUntil: {uptimeMs: 1_300_020}, guardUntil: {uptimeMs: 1_060_020}},
    })
  })

  it('of a switch without a probe is not watched', () => {
    const guest = after(switchTask(1, {confirm_s: 20, probes: []}), TRIED, APPLIED, PROVED, confirm)
    expect(guest.take(PROVED)).toEqual(['save done confirmed', 'over confirm'])
    expect(guest.disk).not.toHaveProperty('guardUntil')
  })

  it('says which interfaces are gone', () => {
    const guest = AT.undoing()
    guest.take({kind: 'undone', trouble: undefined, gone: ['eth0', 'eth1']})
    expect(guest.disk?.detail).toBe('asked for; eth0 and eth1 is gone, and its routes with it')
  })

  it('is used up by the first write, and by none after it', () => {
    const guest = AT.confirmed()
    const uses = guest.actions.flatMap((action) => (action.kind === 'save' ? [action.uses?.seq] : []))
    expect(uses).toEqual([1, undefined, undefined, undefined])
  })
})
