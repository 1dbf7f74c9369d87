import {expect, it} from 'vitest'
import type {EventKind} from '../../../src/domain/movement/events.ts'
import {readEvents, socketLine} from '../../../src/orders/watch/from-events.ts'
import {laidOut, MOVING, READY, recorded, vmi} from '../../domain/movement/recorded.ts'

async function told(
  kind: EventKind,
  lines: AsyncIterable<string>,
  hosts: readonly string[],
): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = []
  await readEvents(kind, lines, hosts, (movement) => found.push(socketLine(movement)))
  return found
}
async function* each(lines: readonly string[]) {
  yield* lines
}
const KUBEVIRT = [...laidOut(vmi(MOVING)), ...laidOut(vmi(READY))]

it('lines on standard input become orders for the service', async () => {
  expect(await told('libvirt', each(recorded('libvirt-destination')), [])).toEqual(['arrived web-07', 'left web-07'])
  expect(await told('kubevirt', each(KUBEVIRT), [])).toEqual(['arrived 02:00:00:00:00:10', 'left 02:00:00:00:00:10'])
})

it('of the hosts that are wanted; where no host is named, of all', async () => {
  expect(await told('kubevirt', each(KUBEVIRT), ['node-y', 'node-z'])).toEqual(['arrived 02:00:00:00:00:10'])
  expect(await told('kubevirt', each(KUBEVIRT), ['node-z'])).toEqual([])
  expect(await told('libvirt', each(recorded('libvirt-source')), ['node-z'])).toEqual(['left web-07'])
})

it('a name that would be two words is no order', () => {
  const movement = {
    kind: 'arrived',
    mac: null,
    vm: 'web 07',
    host: null,
    atMs: null,
    source: 'vcenter',
    port: null,
  } as const
  expect(socketLine(movement)).toBeUndefined()
  expect(socketLine({...movement, mac: '02:00:00:00:00:10'})).toBe('arrived 02:00:00:00:00:10')
})
