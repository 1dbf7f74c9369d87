import {afterEach, beforeEach, expect, it, vi} from 'vitest'
import type {Departure} from '../../../src/domain/dhcp/server-events.ts'
import type {DhcpSocket, OutgoingDatagram} from '../../../src/net/dhcp/dhcp-socket.ts'
import type {Link} from '../../../src/net/packet/link.ts'

import {transport} from '../../../src/services/dhcp/transport.ts'
import {readPrefix} from '../../../src/wire/address.ts'
import {parseFrame} from '../../../src/wire/frames.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const MAC = '02:00:00:00:00:10'

/** What left, by kind, and what was complained of. */
function wire(over: {takes?: number} = {}) {
  const frames: Uint8Array[] = []
  const datagrams: OutgoingDatagram[] = []
  const warnings: string[] = []
  const link = {
    name: 'eth0',
    mac: '02:00:00:00:00:01',
    sendMany: (all: readonly Uint8Array[]) => [frames.push(...all), over.takes ?? all.length][1],
  } as unknown as Link
  const socket = {send: (all) => [datagrams.push(...all), 0][1] as number, close: async () => {}} satisfies DhcpSocket
  const local = {ip: '10.0.0.1', prefix: readPrefix('10.0.0.0/24')!}
  const way = transport(socket, link, local, (_key, line) => void warnings.push(line))
  return {frames, datagrams, warnings, way}
}

function udpOf(bytes: Uint8Array) {
  const frame = parseFrame(bytes)
  if (frame.kind !== 'udp') throw new Error(`${frame.kind}, not UDP`)
  return frame
}

/** To whom a frame goes. */
function addressed(bytes: Uint8Array) {
  const {ethernet, ip, udp} = udpOf(bytes)
  return {mac: ethernet.destination, ip: ip.destination, port: udp.destinationPort}
}

/** What {@link replies} numbered it. */
function numberOf(bytes: Uint8Array): number {
  const {payload} = udpOf(bytes).udp
  return payload[0]! * 256 + payload[1]!
}

const replies = (count: number, to: Departure['to'] = {to: 'client', ip: '10.0.0.10', mac: MAC}): Departure[] =>
  Array.from({length: count}, (_, n) => ({payload: Uint8Array.of(n >> 8, n & 255), to}))

it('sends to clients on the segment by frames, to the others and to relays by UDP', () => {
  const {way, frames, datagrams} = wire()
  way.send([
    ...replies(1),
    ...replies(1, {to: 'all'}),
    ...replies(1, {to: 'relay', ip: '10.9.0.1'}),
    ...replies(1, {to: 'client', ip: '10.5.0.7', mac: MAC}),
  ])
  expect(frames.map(addressed)).toEqual([
    {mac: MAC, ip: '10.0.0.10', port: 68},
    {mac: 'ff:ff:ff:ff:ff:ff', ip: '255.255.255.255', port: 68},
  ])
  expect(datagrams.map(({ip, port}) => [ip, port])).toEqual([
    ['10.9.0.1', 67],
    ['10.5.0.7', 68],
  ])
})

it('keeps to its pace after a halt, and to the order', () => {
  const {way, frames} = wire()
  way.send(replies(64))
  expect(frames).toHaveLength(40)
  way.send(replies(64).map((each) => ({...each, payload: Uint8Array.of(9, each.payload[1]!)})))
  expect(frames).toHaveLength(40)
  vi.advanceTimersByTime(1)
  expect(frames).toHaveLength(80)
  vi.advanceTimersByTime(5)
  expect(frames).toHaveLength(128)
  const order = frames.map(numberOf)
  expect(order).toEqual(order.toSorted((a, b) => a - b))
  // Nothing waits any more: a few go at once again.
  way.send(replies(3))
  expect(frames).toHaveLength(131)
})

it('loses what would come too late, and says so; what waits at the end is not sent', () => {
  const {way, frames, warnings} = wire()
  for (let i = 0; i < 100; i++) way.send(replies(64))
  expect(warnings).toContain('more replies than can leave in time: some are lost')
  vi.advanceTimersByTime(10)
  way.stop()
  const sent = frames.length
  vi.advanceTimersByTime(1000)
  expect(frames).toHaveLength(sent)
})

it('never holds more than it says', () => {
  const {way, frames} = wire()
  for (let i = 0; i < 100; i++) way.send(replies(64))
  vi.advanceTimersByTime(1000)
  expect(frames.length).toBeLessThanOrEqual(40 + 2048)
  expect(frames.length).toBeGreaterThan(2000)
})

it('says that a full queue of the interface lost some', () => {
  const {way, warnings} = wire({takes: 1})
  way.send(replies(3))
  expect(warnings).toEqual(['the queue of eth0 is full: replies are lost'])
})
