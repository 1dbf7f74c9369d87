// What `gwswitch watch` says at a terminal: a line for each movement, and what would be done below it.

import type {WatchEvent, WatchPlan, WatchSummary} from '../domain/movement/watch-event.ts'
import {localClock} from '../wire/local-time.ts'
import {harmless} from '../wire/printable.ts'
import type {Paint} from './paint.ts'

/** Columns: VMs are called by names of up to so many characters, else the line gets longer. */
const NAME = 17
const PORT = 15
const WORDS = {arrived: 'arrived', left: 'left', cancelled: 'back again', 'two-ports': 'TWO PORTS'} as const
const WHY: Readonly<Record<string, string>> = {
  rarp: 'its hypervisor announces it',
  arp: 'it announces itself',
  fdb: 'heard at no other port since',
  frame: 'heard at no other port since',
  port: 'its port is gone, or has no carrier',
}
/** Where it is not here any more, what was learned was that. */
const WHY_AWAY: Readonly<Record<string, string>> = {
  ...WHY,
  fdb: 'heard there, and no more here',
  frame: 'heard there, and no more here',
}

export function watchText(event: WatchEvent, paint: Paint): string[] {
  const {event: kind, at, ports, lastSite, host} = event
  const {name, mac, ip} = event.vm
  const colour = kind === 'arrived' ? paint.good : kind === 'two-ports' ? paint.bad : paint.warn
  const who = harmless(name ?? mac ?? '-')
  const line = [
    localClock(Date.parse(at)),
    colour(WORDS[kind].padEnd(10)),
    paint.bold(who.padEnd(NAME)),
    (ip ?? (name === null || mac === null ? '-' : mac)).padEnd(NAME),
    harmless(ports.join(' and ') || host || '-').padEnd(PORT),
    [whyOf(event), ...(kind === 'arrived' && lastSite !== null ? [`last at site ${harmless(lastSite)}`] : [])].join(
      '; ',
    ),
  ].join('  ')
  return [line.trimEnd(), ...planText(event.plan).map((text) => `              ${paint.dim(text)}`)]
}

function whyOf({event, source, vm}: WatchEvent): string {
  if (event === 'two-ports') return `${vm.mac} is heard at both in turn: two stations with one MAC, or a loop`
  const why = (event === 'arrived' ? WHY : WHY_AWAY)[source ?? ''] ?? `says ${harmless(source ?? 'nobody')}`
  return vm.name === null ? `${why}; not in the inventory` : why
}

function planText(plan: WatchPlan | null): string[] {
  if (plan === null) return []
  if ('none' in plan) return [`would do nothing: ${harmless(plan.none)}`]
  return [`would switch it to ${harmless(plan.to)}, strategy ${plan.strategy}: ${harmless(plan.describe[0] ?? '')}`]
}

export function summaryText({seconds, arrived, left, cancelled, here, away}: WatchSummary): string[] {
  const counts = [`${arrived} arrived`, `${left} left`, ...(cancelled > 0 ? [`${cancelled} went back again`] : [])]
  const names = (word: string, all: readonly string[]): string[] =>
    all.length === 0 ? [] : [`  ${word}: ${all.slice(0, SHOWN).map(harmless).join(', ')}${more(all.length)}`]
  return [`${counts.join(', ')} in ${seconds.toFixed(0)} s`, ...names('here now', here), ...names('not here', away)]
}

const SHOWN = 20
const more = (count: number): string => (count > SHOWN ? ` and ${count - SHOWN} more` : '')
