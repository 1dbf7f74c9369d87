// Each state that a switchover can be in, by the way there, and what can happen to it then.
import type {SwitchEvent, Task} from '../../../src/domain/agent/switchover-state.ts'
import {APPLIED, Guest, PROVED, STUCK, surroundings, switchTask, TRIED, UNDONE} from './switching-guest.ts'

export type Over = Parameters<typeof switchTask>[1]
export const after = (task: Task, ...events: SwitchEvent[]): Guest => {
  const guest = new Guest()
  guest.task(task as never)
  for (const event of events) guest.take(event)
  return guest
}
export const rollback: SwitchEvent = {kind: 'task', task: {kind: 'rollback', reason: 'requested', detail: 'asked for'}}
export const confirm: SwitchEvent = {kind: 'task', task: {kind: 'confirm'}}
export const stop: SwitchEvent = {kind: 'stop'}
export const leaving: SwitchEvent = {kind: 'stop', leaving: true}
export const changed: SwitchEvent = {kind: 'routes_changed', facts: surroundings('10.0.0.2')}
export const recover: SwitchEvent = {kind: 'task', task: {kind: 'recover'}}
export const died: SwitchEvent = {
  kind: 'task',
  task: {kind: 'gateway_died', run: 'r1', seq: 1, families: [4], detail: 'silent'},
}
export const failed: SwitchEvent = {kind: 'failed', detail: 'EPERM'}
export const WRONG: SwitchEvent = {...PROVED, wrong: {reason: 'mode', detail: 'what is sent still goes by 10.0.0.1'}}
export const another: SwitchEvent = {kind: 'task', task: switchTask(2)}
export const awaited = {confirm_s: 20}

/** Each state that a switch can be in, by the way there. */
export const AT = {
  idle: () => new Guest(),
  trying: (over?: Over) => after(switchTask(1, over)),
  applying: (over?: Over) => after(switchTask(1, over), TRIED),
  proving: (over?: Over) => after(switchTask(1, over), TRIED, APPLIED),
  awaiting: () => after(switchTask(1, awaited), TRIED, APPLIED, PROVED),
  confirming: () => after(switchTask(1, awaited), TRIED, APPLIED, PROVED, confirm),
  undoing: () => after(switchTask(1, awaited), TRIED, APPLIED, PROVED, rollback),
  stuck: () => after(switchTask(1, awaited), TRIED, APPLIED, PROVED, rollback, STUCK),
  refused: () => after(switchTask(), {kind: 'tried', wrong: {reason: 'probe_failed', detail: ''}}),
  confirmed: (over?: Over) => after(switchTask(1, over), TRIED, APPLIED, PROVED),
  'rolled back': () => after(switchTask(1, awaited), TRIED, APPLIED, PROVED, rollback, UNDONE),
} as const
export type At = keyof typeof AT
