import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {ETHERTYPE_IPV6} from '../../src/wire/ethernet.ts'
import {type Ipv6Packet, parseIpv6, pseudoHeaderSum6, serializeIpv6} from '../../src/wire/ipv6.ts'
import {goldenOf, payloadOf} from '../support/captures.ts'
import {arbitrary, describeCodec} from '../support/codec-harness.ts'
import {anyIpv6} from './ipv6-values.ts'

const {bytes, u8} = arbitrary
const golden = goldenOf(['neighbour'], (frame) => payloadOf(frame, ETHERTYPE_IPV6))

const anyPacket: fc.Arbitrary<Ipv6Packet> = fc.record({
  trafficClass: u8,
  flowLabel: fc.nat(0xf_ffff),
  nextHeader: u8,
  hopLimit: u8,
  source: anyIpv6,
  destination: anyIpv6,
  payload: bytes(80),
})

describeCodec({
  name: 'ipv6',
  parse: parseIpv6,
  serialize: serializeIpv6,
  golden,
  arbitrary: anyPacket,
  minimum: 'whole',
})

describe('ipv6', () => {
  it('leaves what follows the packet behind: Ethernet padding', () => {
    const packet = golden[0]!.bytes
    const padded = new Uint8Array(packet.length + 9).fill(0xee)
    padded.set(packet)
    expect(parseIpv6(padded)).toEqual(parseIpv6(packet))
  })

  it('speaks version 6 only', () => {
    const bytes = golden[0]!.bytes.slice()
    bytes[0] = 0x45
    expect(() => parseIpv6(bytes)).toThrow(expect.objectContaining({reason: 'unsupported', offset: 0}))
  })

  it.each([
    ['flowLabel', {flowLabel: 0x10_0000}],
    ['trafficClass', {trafficClass: 256}],
    ['source', {source: 'fe80::g'}],
  ])('refuses what its fields cannot say: %s', (_name, over) => {
    const packet = parseIpv6(golden[0]!.bytes)
    expect(() => serializeIpv6({...packet, ...over})).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })

  it('sums the pseudo header of RFC 8200 8.1', () => {
    const ends = {source: '1::2', destination: '3::4'}
    expect(pseudoHeaderSum6(ends, 58, 0x1_0002)).toBe(1 + 2 + 3 + 4 + 58 + 1 + 2)
  })
})
