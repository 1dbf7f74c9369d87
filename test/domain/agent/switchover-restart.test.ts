// A switchover that an agent before this one began: what the next one makes of it.
import {describe, expect, it} from 'vitest'
import type {SwitchEvent} from '../../../src/domain/agent/switchover-state.ts'
import {APPLIED, inWords, PROVED, TRIED, UNDONE} from './switching-guest.ts'
import {AT, type At, another, leaving, recover} from './switchover-states.ts'

const UNWRITTEN = ['leave', 'keep rolling_back applied persist_failed', 'undo']

describe('an agent that is started again', () => {
  const KILLED = 'agent_stopped'
  it.each<[At, string[]]>([
    ['idle', ['over recover']],
    ['trying', [`keep done refused ${KILLED}`, 'over recover']],
    ['applying', ['leave', `keep rolling_back applied ${KILLED}`, 'undo']],
    ['proving', ['save applied applied', 'prove']],
    ['awaiting', ['save applied applied', 'prove']],
    ['undoing', ['leave', 'undo']],
    ['stuck', ['leave', 'undo']],
    ['refused', ['over recover']],
    ['confirming', ['save applied applied', 'prove']],
    ['confirmed', ['watch', 'over recover']],
    ['rolled back', ['over recover']],
  ])('after it was killed when %s', (at, actions) => {
    expect(AT[at]().restarted().take(recover)).toEqual(actions)
  })

  it('goes on waiting for a confirmation, for what is left of its time', () => {
    const guest = AT.awaiting()
    guest.wait(15)
    const later = guest.restarted()
    later.take(recover)
    expect(later.take(PROVED)).toEqual(['over recover'])
    expect(later.wait(4)).toEqual([])
    expect(later.wait(1)).toEqual(['leave', 'keep rolling_back applied not_confirmed', 'undo'])
  })

  it.each<[At, SwitchEvent | undefined, string[], string]>([
    // Made is made: whoever comes next proves it.
    ['applying', APPLIED, ['save applied applied', 'over switch', 'over stop'], 'applied applied'],
    ['proving', PROVED, ['over switch', 'over stop'], 'applied applied'],
    ['proving', {kind: 'proved', silent: '10.0.0.2'}, ['over switch', 'over stop'], 'applied applied'],
    ['awaiting', undefined, [], 'applied applied'],
    // Decided while it was being stopped.
    ['trying', TRIED, ['keep done refused requested', 'over switch', 'over stop'], 'done refused requested'],
    ['confirming', PROVED, ['save done confirmed', 'over confirm', 'over stop'], 'done confirmed'],
    [
      'undoing',
      UNDONE,
      ['keep done rolled_back requested', 'over rollback', 'over stop'],
      'done rolled_back requested',
    ],
  ])('after it was stopped when %s, to be started again', (at, result, actions, left) => {
    const guest = AT[at]()
    guest.take(leaving)
    expect(result === undefined ? [] : guest.take(result)).toEqual(actions)
    expect(inWords(guest.disk)).toBe(left)
    // It is no longer this one's to take back.
    expect(guest.wait(3600)).toEqual([])
    const pending = left === 'applied applied'
    expect(guest.restarted().take(recover)).toEqual(
      pending ? ['leave', 'keep rolling_back applied not_confirmed', 'undo'] : expect.arrayContaining(['over recover']),
    )
  })

  it('rolls back what the deadline passed for meanwhile, or what cannot be written down', () => {
    const late = AT.awaiting()
    late.uptimeMs += 20_000
    expect(late.restarted().take(recover)).toEqual(['leave', 'keep rolling_back applied not_confirmed', 'undo'])
    const full = AT.awaiting().restarted()
    full.full = true
    expect(full.take(recover)).toEqual(UNWRITTEN)
    expect(full.take(UNDONE)).toEqual(['keep done rolled_back persist_failed', 'over recover'])
  })

  it('watches for what is left of that time, and lets a drain end at its own', () => {
    const guest = AT.confirmed({mode: 'drain'})
    guest.uptimeMs += 61_000
    const later = guest.restarted()
    expect(later.take(recover)).toEqual(['over recover'])
    expect(later.wait(238)).toEqual([])
    expect(later.wait(1)).toEqual(['end_drain'])
  })

  it.each<[At, string]>([
    ['applying', 'done rolled_back rebooted'],
    ['awaiting', 'done rolled_back rebooted'],
    ['stuck', 'done rolled_back rebooted'],
    ['confirmed', 'done rolled_back rebooted'],
    ['trying', 'done refused agent_stopped'],
    ['refused', 'done refused probe_failed'],
    ['rolled back', 'done rolled_back requested'],
  ])('with the VM, after it was %s', (at, end) => {
    const booted = AT[at]().restarted('boot-2')
    booted.take(recover)
    expect(inWords(booted.state.record)).toBe(end)
    expect(booted.wait(3600)).toEqual([])
  })

  it('with the VM, ends a drain whose switch was not the last', () => {
    const guest = AT.confirmed({mode: 'drain'})
    guest.take(another)
    guest.take({kind: 'tried', wrong: {reason: 'probe_failed', detail: ''}})
    const booted = guest.restarted('boot-2')
    booted.take(recover)
    expect(booted.wait(0)).toEqual(['end_drain'])
  })
})
