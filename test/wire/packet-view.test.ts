import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {WireError} from '../../src/wire/error.ts'
import {tcpFrame, udpFrame} from '../../src/wire/frames.ts'
import {tcp6Frame} from '../../src/wire/frames6.ts'
import {viewPacket} from '../../src/wire/packet-view.ts'
import {tcpTimestamps} from '../../src/wire/tcp-options.ts'
import {captureFrames} from '../support/captures.ts'

const MACS = {source: '02:00:00:00:00:10', destination: '02:00:00:00:0a:01'}
const STAMPS = Uint8Array.of(1, 1, 8, 10, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xfe)
const segment = {
  sourcePort: 40_000,
  destinationPort: 443,
  sequence: 7,
  acknowledgment: 9,
  flags: 0x10,
  window: 100,
  urgentPointer: 0,
  options: STAMPS,
  payload: new Uint8Array(1000),
}
const SEEN = {
  sourcePort: 40_000,
  sequence: 7,
  acknowledgment: 9,
  length: 1000,
  timestamps: {value: 256, echo: 0xffff_fffe},
}

describe('viewPacket', () => {
  it.each([
    ['IPv4', () => tcpFrame(MACS, {source: '10.0.0.10', destination: '203.0.113.10'}, segment)],
    ['IPv6', () => tcp6Frame(MACS, {source: '2001:db8::1', destination: '2001:db8:9::1'}, segment)],
  ])('tells a TCP segment over %s, whole or cut behind its headers', (_family, frame) => {
    for (const bytes of [frame(), frame().subarray(0, 120)]) {
      expect(viewPacket(bytes)).toMatchObject({ethernet: MACS, segment: SEEN})
    }
  })

  it('looks at no checksum: a card may be left to compute it', () => {
    const frame = tcpFrame(MACS, {source: '10.0.0.10', destination: '203.0.113.10'}, segment)
    frame[50]! ^= 0xff
    expect(viewPacket(frame)?.segment).toMatchObject(SEEN)
  })

  it('finds a segment behind extension headers', () => {
    const frame = tcp6Frame(MACS, {source: '2001:db8::1', destination: '2001:db8:9::1'}, segment)
    const options = Uint8Array.of(6, 0, 1, 4, 0, 0, 0, 0)
    const bytes = Uint8Array.of(...frame.subarray(0, 54), ...options, ...frame.subarray(54))
    bytes[18] = (1032 + 8) >>> 8
    bytes[19] = (1032 + 8) & 0xff
    bytes[20] = 60
    expect(viewPacket(bytes)?.segment).toMatchObject(SEEN)
  })

  it('knows no segment in a later fragment, nor in another protocol', () => {
    const later = tcpFrame(MACS, {source: '10.0.0.10', destination: '203.0.113.10', fragmentOffset: 5}, segment)
    expect(viewPacket(later)).toMatchObject({source: '10.0.0.10', segment: undefined})
    const udp = udpFrame(
      MACS,
      {source: '10.0.0.10', destination: '203.0.113.10'},
      {...segment, payload: new Uint8Array(3)},
    )
    expect(viewPacket(udp)).toMatchObject({destination: '203.0.113.10', segment: undefined})
  })

  it('counts what was captured where the length does not fit its field', () => {
    const frame = tcpFrame(MACS, {source: '10.0.0.10', destination: '203.0.113.10'}, segment)
    frame[16] = frame[17] = 0
    expect(viewPacket(frame)?.segment).toMatchObject({length: 1000})
  })

  it('has nothing to say of ARP', () => {
    const [arp] = captureFrames('arping')
    expect(viewPacket(arp!.bytes)).toBeUndefined()
  })

  it('answers anything with a view or a WireError', () => {
    const frames = ['traceroute', 'traceroute6'].flatMap((name) => captureFrames(name).map(({bytes}) => bytes))
    const cut = fc.tuple(fc.constantFrom(...frames), fc.nat(), fc.nat(), fc.nat(255))
    fc.assert(
      fc.property(cut, ([frame, length, at, value]) => {
        const bytes = frame.slice(0, length % (frame.length + 1))
        if (bytes.length > 0) bytes[at % bytes.length] = value
        try {
          viewPacket(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
      }),
      {numRuns: 500},
    )
  })
})

describe('tcpTimestamps', () => {
  it.each([
    ['none', []],
    ['a list that ends first', [0, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]],
    ['a length of 0, which would never end', [3, 0, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]],
    ['a length beyond the options', [8, 10, 0, 0, 0, 1, 0, 0]],
    ['another length', [8, 8, 0, 0, 0, 1, 0, 0]],
    ['no length at all', [2]],
  ])('finds nothing in %s', (_what, options) => {
    expect(tcpTimestamps(Uint8Array.from(options))).toBeUndefined()
  })

  it('finds them behind other options', () => {
    const options = Uint8Array.of(2, 4, 5, 180, 4, 2, 8, 10, 0x80, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7)
    expect(tcpTimestamps(options)).toEqual({value: 0x8000_0001, echo: 2})
  })
})
