import {describe, expect, it} from 'vitest'
import type {JournalEntry} from '../../../src/orders/journal/entry.ts'
import type {SwitchState} from '../../../src/orders/journal/journal.ts'
import {provedBy, type Standing, standingOf, undoable} from '../../../src/orders/journal/standing.ts'
import type {SwitchDocument} from '../../../src/orders/switch/switch-document.ts'
import {plannedOf} from '../../../src/orders/switch/switch-document.ts'
import {endedFor, preparedFor} from '../../support/journal.ts'
import {gatewayNamed, verdict} from '../../support/strategy.ts'

const prepared = preparedFor('db-03')
const at = (run: string, over: Partial<JournalEntry> = {}): JournalEntry => ({
  ...{...plannedOf(prepared), run, n: 1, atMs: 1, state: 'ended', stateAtMs: 2, processes: [], verdict: undefined},
  ...{order: {by: 'switch', asked: 'it', user: 'root', process: undefined}, wasBegun: true, endedBy: 'process'},
  document: endedFor(prepared),
  ...over,
})
const ended = (over: Partial<SwitchDocument>): Partial<JournalEntry> => ({document: endedFor(prepared, over)})
const BACK = {end: 'rolled-back', verified: false, rolledBack: true} as const
const cut = (state: SwitchState): Partial<JournalEntry> => ({state, document: undefined, endedBy: undefined})
const undoOf = (run: string, over: Partial<SwitchDocument> = BACK): Partial<JournalEntry> => ({
  undoes: {run, n: 1},
  ...ended(over),
})

describe('standingOf', () => {
  it.each<[SwitchState, Standing, Standing]>([
    ['planned', 'under-way', 'not-begun'],
    ['executing', 'under-way', 'half-done'],
    ['rolling-back', 'under-way', 'half-done'],
    ['verified', 'under-way', 'served'],
    ['guarding', 'under-way', 'served'],
    ['ended', 'ended', 'ended'],
  ])('says of one that is %s: while its process runs %s, afterwards %s', (state, live, dead) => {
    expect([standingOf({state}, true), standingOf({state}, false)]).toEqual([live, dead])
  })
})

describe('undoable', () => {
  it.each<[string, Partial<JournalEntry>, Standing, readonly JournalEntry[]]>([
    ['that was proved', {}, 'ended', []],
    ['that was left unverified', ended({end: 'accepted', verified: false}), 'ended', []],
    ['of which nobody knows what came of it', ended({end: 'unknown', verified: null}), 'ended', []],
    ['that was moved away by others', ended({end: 'lost'}), 'ended', []],
    ['that was cut short', cut('executing'), 'half-done', []],
    ['whose rollback was cut short', cut('rolling-back'), 'half-done', []],
    ['that is proved and has no end', cut('guarding'), 'served', []],
    ['that was undone before', {}, 'ended', [at('b', undoOf('a'))]],
    ['whose undoing was not seen', {}, 'ended', [at('b', undoOf('a', {end: 'unknown', verified: null}))]],
    ['after a later one that was undone', {}, 'ended', [at('b'), at('c', undoOf('b'))]],
    ['after a later one that was rolled back', {}, 'ended', [at('b', ended(BACK))]],
    ['after a later one that changed nothing', {}, 'ended', [at('b', {wasBegun: false})]],
    ['that is an undo, cut short', {...undoOf('0'), ...cut('executing')}, 'half-done', []],
  ])('takes one back %s', (_, entry, standing, later) => {
    expect(undoable(at('a', entry), standing, later)).toEqual({take: 'back'})
  })

  it.each<[string, Partial<JournalEntry>, Standing, readonly JournalEntry[], RegExp]>([
    ['is under way', cut('executing'), 'under-way', [], /^db-03: run a is under way/],
    ['was never begun', {...cut('planned'), wasBegun: false}, 'not-begun', [], /changed nothing$/],
    ['was there already', {...ended({end: 'already'}), wasBegun: false}, 'ended', [], /changed nothing$/],
    ['was rolled back', ended(BACK), 'ended', [], /was taken back already$/],
    ['took another one back', undoOf('0'), 'ended', [], /took run 0 back: switch it again/],
    ['was followed by another one', {}, 'ended', [at('b')], /run b moved it to by since: undo that first$/],
    ['was followed by one that is half done', {}, 'ended', [at('b', cut('executing'))], /run b moved it/],
    [
      'was followed by one whose undoing was not seen',
      {},
      'ended',
      [at('b'), at('c', undoOf('b', {end: 'unknown'}))],
      /run b moved it/,
    ],
    [
      'was followed by the undoing of an earlier one',
      {},
      'ended',
      [at('b', undoOf('a')), at('c', undoOf('0'))],
      /run c took run 0 back since/,
    ],
  ])('refuses one that %s', (_, entry, standing, later, why) => {
    expect(undoable(at('a', entry), standing, later)).toEqual({take: 'none', why: expect.stringMatching(why)})
  })
})

describe('provedBy', () => {
  const uses = gatewayNamed('bx')
  it.each<[string, readonly JournalEntry[], string | undefined]>([
    ['nothing', [], undefined],
    ['a switch that was proved', [at('a')], 'by'],
    [
      'one that was rolled back, and seen at its old gateway',
      [at('a'), at('b', ended({...BACK, rollback: verdict('served', [], 'bx')}))],
      'bx',
    ],
    ['one whose rollback was not seen', [at('a'), at('b', ended({end: 'unknown', verified: null}))], 'by'],
    ['one that was refused', [at('a'), at('b', ended({end: 'not-begun', verified: false, uses}))], 'by'],
    ['one that is held now', [at('a', ended({...BACK, rollback: null})), at('b', cut('guarding'))], 'by'],
  ])('goes by the last word of the network: %s', (_, entries, gateway) => {
    expect(provedBy(entries)?.gateway).toBe(gateway)
  })
})
