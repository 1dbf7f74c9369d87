import {describe, expect, it} from 'vitest'
import type {Form} from '../../../src/strategies/arp/announcement.ts'
import {announcementFrame} from '../../../src/strategies/arp/frames.ts'
import {DEFAULT_SCHEDULE_MS, scheduleMs} from '../../../src/strategies/arp/schedule.ts'

const gateway = {ip: '10.0.0.1', mac: '02:00:00:00:0b:01'}
const vm = {ip: '10.0.0.10', mac: '02:00:00:00:00:10'}
const padding = '00'.repeat(18)

/** Octets checked against a Linux receiver: each of these moves its entry within the lock time too. */
const GOLDEN: readonly (readonly [name: string, form: Form, to: object, hex: string])[] = [
  ['ask, unicast', 'ask', {vm}, '020000000010020000000b0108060001080006040001020000000b010a0000010000000000000a00000a'],
  [
    'ask, to everybody',
    'ask',
    {vm, broadcast: true},
    'ffffffffffff020000000b0108060001080006040001020000000b010a0000010000000000000a00000a',
  ],
  [
    'gratuitous reply, to everybody',
    'reply',
    {},
    'ffffffffffff020000000b0108060001080006040002020000000b010a000001020000000b010a000001',
  ],
  [
    'gratuitous reply, unicast',
    'reply',
    {vm},
    '020000000010020000000b0108060001080006040002020000000b010a000001020000000b010a000001',
  ],
  [
    'gratuitous request, to everybody',
    'request',
    {},
    'ffffffffffff020000000b0108060001080006040001020000000b010a0000010000000000000a000001',
  ],
  [
    'gratuitous request, unicast',
    'request',
    {vm},
    '020000000010020000000b0108060001080006040001020000000b010a0000010000000000000a000001',
  ],
]

describe('announcementFrame', () => {
  it.each(GOLDEN)('%s', (_name, form, to, hex) => {
    const frame = announcementFrame(form, gateway, to, gateway.mac)
    expect(Buffer.from(frame.bytes).toString('hex')).toBe(hex + padding)
    expect(frame.broadcast).toBe(hex.startsWith('ff'))
  })

  it('carries an 802.1Q tag', () => {
    const {bytes} = announcementFrame(
      'ask',
      gateway,
      {vm, vlan: {id: 100, priority: 0, dropEligible: false}},
      gateway.mac,
    )
    expect(Buffer.from(bytes).toString('hex', 12, 18)).toBe('810000640806')
  })

  it('leaves the Ethernet source to the sender, also where the announced MAC is another', () => {
    const {bytes} = announcementFrame('ask', gateway, {vm}, '02:00:00:00:00:99')
    expect(Buffer.from(bytes).toString('hex', 6, 12)).toBe('020000000099')
    expect(Buffer.from(bytes).toString('hex', 22, 28)).toBe('020000000b01')
  })
})

describe('scheduleMs', () => {
  it.each([
    ['by default', {}, DEFAULT_SCHEDULE_MS],
    ['cut by a count', {count: 2}, [0, 100]],
    ['continued once a second', {count: 8}, [...DEFAULT_SCHEDULE_MS, 3300, 4300]],
    ['at an interval', {count: 3, intervalMs: 500}, [0, 500, 1000]],
    ['at an interval, without a count', {intervalMs: 10}, [0, 10, 20, 30, 40, 50]],
  ] as const)('%s', (_name, options, offsets) => {
    expect(scheduleMs(options)).toEqual(offsets)
  })
})
