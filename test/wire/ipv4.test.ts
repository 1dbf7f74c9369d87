import {describe, expect, it} from 'vitest'
import {checksum, writeChecksum} from '../../src/wire/checksum.ts'
import {ETHERTYPE_IPV4} from '../../src/wire/ethernet.ts'
import {ipv4Length, parseIpv4, serializeIpv4, writeIpv4Header} from '../../src/wire/ipv4.ts'
import {distinct, goldenOf, payloadOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyIpv4} from '../support/wire-values.ts'

const captures = ['ping', 'traceroute', 'redirect', 'vlan', 'dhcpcd']
const golden = distinct(goldenOf(captures, (frame) => payloadOf(frame, ETHERTYPE_IPV4)))

/** Computes the header checksum anew, if there is a header. */
function repair(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  const length = ((out[0] ?? 0) & 0xf) * 4
  if (out.length < 20 || length < 20 || length > out.length) return out
  out.fill(0, 10, 12)
  writeChecksum(checksum(out, 0, length), out, 10)
  return out
}

describeCodec({
  name: 'ipv4',
  parse: parseIpv4,
  serialize: serializeIpv4,
  write(packet, out, offset) {
    writeIpv4Header(packet, packet.payload.length, out, offset)
    out.set(packet.payload, offset + ipv4Length(packet))
  },
  // Some of each kind: fragments, options, service classes.
  golden: golden.filter(({bytes}, i) => i % 4 === 0 || bytes[0] !== 0x45 || bytes[1] !== 0 || (bytes[6]! & 0xbf) !== 0),
  arbitrary: anyIpv4,
  minimum: 'whole',
  repair,
})

describe('ipv4', () => {
  const packet = golden[0]!.bytes

  it('has fragments, options and a service class among its captures', () => {
    const all = golden.map(({bytes}) => parseIpv4(bytes))
    expect(all.some(({moreFragments}) => moreFragments)).toBe(true)
    expect(all.some(({fragmentOffset}) => fragmentOffset > 0)).toBe(true)
    expect(all.some(({options}) => options.length > 0)).toBe(true)
    expect(all.some(({dscp, ecn}) => dscp === 46 && ecn === 1)).toBe(true)
  })

  it('cuts Ethernet padding off', () => {
    expect(parseIpv4(Uint8Array.of(...packet, 0, 0, 0))).toEqual(parseIpv4(packet))
  })

  it.each([
    ['another version', 0, 0x65, 'unsupported', 0],
    ['a header length below 20', 0, 0x44, 'malformed', 0],
    ['the reserved flag', 6, 0xc0, 'malformed', 6],
    ['a wrong checksum', 8, 0x01, 'malformed', 10],
  ])('refuses %s', (_what, at, value, reason, offset) => {
    const bytes = packet.slice()
    bytes[at] = value
    expect(() => parseIpv4(bytes)).toThrow(expect.objectContaining({layer: 'ipv4', reason, offset}))
  })

  it('refuses a total length shorter than the header', () => {
    const bytes = packet.slice()
    bytes.set([0, 19], 2)
    expect(() => parseIpv4(repair(bytes))).toThrow(expect.objectContaining({reason: 'malformed', offset: 2}))
  })

  it.each([
    ['dscp', {dscp: 64}],
    ['ecn', {ecn: -1}],
    ['fragmentOffset', {fragmentOffset: 0x2000}],
    ['ttl', {ttl: 256}],
    ['options', {options: new Uint8Array(3)}],
    ['options', {options: new Uint8Array(44)}],
    ['source', {source: '10.0.0'}],
    ['totalLength', {payload: new Uint8Array(65_516)}],
  ])('has no bytes for a bad %s', (_field, change) => {
    const value = {...parseIpv4(packet), ...change}
    expect(() => serializeIpv4(value)).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })
})
