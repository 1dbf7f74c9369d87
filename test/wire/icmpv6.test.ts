import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {ETHERTYPE_IPV6} from '../../src/wire/ethernet.ts'
import {type Icmpv6, icmpv6Frame, parseIcmpv6, serializeIcmpv6} from '../../src/wire/icmpv6.ts'
import {UNREACHABLE_PORT6} from '../../src/wire/icmpv6-errors.ts'
import {fillChecksum6, type Ipv6Header, parseIpv6, serializeIpv6} from '../../src/wire/ipv6.ts'
import {ALL_NODES} from '../../src/wire/ipv6-address.ts'
import {quotedProbe6} from '../../src/wire/quote6.ts'
import {goldenOf, payloadOf} from '../support/captures.ts'
import {arbitrary, describeCodec} from '../support/codec-harness.ts'
import {anyIcmpv6, anyIpv6} from './ipv6-values.ts'

/** The checksum covers the packet's addresses: a message is read and written within its packet. */
interface Packet {
  readonly header: Omit<Ipv6Header, 'nextHeader'>
  readonly message: Icmpv6
}

const ICMPV6 = 58
const parse = (bytes: Uint8Array): Packet => {
  const {payload, nextHeader: _, ...header} = parseIpv6(bytes)
  return {header, message: parseIcmpv6(payload, header)}
}
const serialize = ({header, message}: Packet): Uint8Array =>
  serializeIpv6({...header, nextHeader: ICMPV6, payload: serializeIcmpv6(message, header)})

/** Packets whose first header is ICMPv6's: those behind extension headers are upperLayer's. */
const golden = goldenOf(['neighbour', 'traceroute6'], (frame) => {
  const packet = payloadOf(frame, ETHERTYPE_IPV6)
  return packet?.[6] === ICMPV6 ? packet : undefined
})

describeCodec<Packet>({
  name: 'icmpv6',
  parse,
  serialize,
  golden,
  arbitrary: fc.record({
    header: fc.record({
      trafficClass: arbitrary.u8,
      flowLabel: fc.nat(0xf_ffff),
      hopLimit: arbitrary.u8,
      source: anyIpv6,
      destination: anyIpv6,
    }),
    message: anyIcmpv6,
  }),
  minimum: 'whole',
  repair(bytes) {
    const out = bytes.slice()
    if (out.length < 44) return out
    out[0] = 0x60 | (out[0]! & 0x0f)
    out[4] = (out.length - 40) >>> 8
    out[5] = (out.length - 40) & 0xff
    const {source, destination} = parseIpv6(out)
    out.fill(0, 42, 44)
    fillChecksum6({source, destination}, ICMPV6, out, 40, out.length, 42)
    return out
  },
})

const kinds = golden.map(({bytes}) => parse(bytes).message)

describe('icmpv6', () => {
  it('reads every message of Neighbour Discovery and every error, from kernels and from dnsmasq', () => {
    expect(new Set(kinds.map(({kind}) => kind))).toEqual(
      new Set([
        'neighbour-solicitation',
        'neighbour-advertisement',
        'router-solicitation',
        'router-advertisement',
        'redirect',
        'echo-request',
        'echo-reply',
        'destination-unreachable',
        'packet-too-big',
        'time-exceeded',
        'parameter-problem',
      ]),
    )
    expect(kinds.find(({kind}) => kind === 'router-advertisement')).toMatchObject({
      routerLifetime: 1800,
      options: expect.arrayContaining([
        expect.objectContaining({
          kind: 'prefix-information',
          prefix: '2001:db8:1::',
          prefixLength: 64,
          autonomous: true,
          validLifetime: 1800,
        }),
        {kind: 'mtu', mtu: 1500},
        {kind: 'source-link-layer-address', mac: '02:00:00:00:0b:01'},
      ]),
    })
    expect(kinds.find(({kind}) => kind === 'redirect')).toMatchObject({
      target: 'fe80::2',
      destination: '2001:db8:9::1',
      options: expect.arrayContaining([{kind: 'target-link-layer-address', mac: '02:00:00:00:00:22'}]),
    })
  })

  it('tells by what an error quotes whose probe it is about', () => {
    const quoted = (kind: Icmpv6['kind']) =>
      kinds.flatMap((message) => (message.kind === kind && 'quoted' in message ? [quotedProbe6(message.quoted)] : []))
    const ends = {source: '2001:db8:1::10', destination: '2001:db8:9::10'}
    const expired = quoted('time-exceeded')
    expect(expired).toContainEqual(expect.objectContaining({...ends, protocol: 'udp', destinationPort: 33434}))
    expect(expired).toContainEqual(expect.objectContaining({...ends, protocol: 'tcp', destinationPort: 80}))
    expect(expired).toContainEqual(expect.objectContaining({...ends, protocol: 'icmp', type: 128, sequence: 1}))
    // Behind a hop-by-hop header and destination options.
    expect(expired).toContainEqual({...ends, protocol: 'icmp', type: 128, identifier: 0x7777, sequence: 3})
    expect(expired).toContainEqual(
      expect.objectContaining({...ends, protocol: 'udp', sourcePort: 40_000, destinationPort: 33_434}),
    )
    expect(quoted('destination-unreachable')).toContainEqual(expect.objectContaining({protocol: 'udp'}))
    expect(kinds.find(({kind}) => kind === 'packet-too-big')).toMatchObject({mtu: 1280})
    expect(kinds.flatMap((each) => (each.kind === 'destination-unreachable' ? [each.code] : []))).toEqual(
      expect.arrayContaining([0, 1, UNREACHABLE_PORT6]),
    )
  })

  it('reads labels behind what an error quotes, and the quote without its filling', () => {
    const ends = {source: 'fe80::1', destination: 'fe80::2'}
    const header = {trafficClass: 0, flowLabel: 7, nextHeader: 17, hopLimit: 1, ...ends, payloadLength: 12}
    const labels = [{label: 1048575, trafficClass: 7, bottomOfStack: true, ttl: 1}]
    const message = {
      kind: 'time-exceeded',
      code: 0,
      quoted: {header, payload: new Uint8Array(12).fill(9)},
      extensions: [{kind: 'mpls', labels}],
    } as const
    const bytes = serializeIcmpv6(message, ends)
    // RFC 4884 section 4.3: 16 units of 8 bytes.
    expect(bytes[4]).toBe(16)
    expect(parseIcmpv6(bytes, ends)).toEqual(message)
  })

  it.each([
    ['any byte', 60],
    ['the addresses', 30],
  ])('sees by the checksum that %s changed', (_what, at) => {
    const bytes = golden[0]!.bytes.slice()
    bytes[at]! ^= 1
    expect(() => parse(bytes)).toThrow(expect.objectContaining({layer: 'icmpv6', reason: 'malformed', offset: 2}))
  })

  it('refuses an option of length 0, which would never end', () => {
    const message = {
      kind: 'neighbour-solicitation',
      target: 'fe80::1',
      options: [{kind: 'other', type: 9, data: new Uint8Array(6)}],
    } as const
    const ends = {source: 'fe80::2', destination: 'fe80::1'}
    const bytes = serializeIcmpv6(message, ends)
    bytes[25] = 0
    bytes.fill(0, 2, 4)
    fillChecksum6(ends, ICMPV6, bytes, 0, bytes.length, 2)
    expect(() => parseIcmpv6(bytes, ends)).toThrow(expect.objectContaining({layer: 'nd option', reason: 'malformed'}))
  })

  it.each<[string, Icmpv6]>([
    [
      'an option of a length that is no multiple of 8',
      {kind: 'router-solicitation', options: [{kind: 'other', type: 9, data: new Uint8Array(7)}]},
    ],
    [
      'an option without a byte',
      {kind: 'router-solicitation', options: [{kind: 'other', type: 9, data: new Uint8Array(0)}]},
    ],
    [
      'a prefix length above 128',
      {
        kind: 'router-solicitation',
        options: [
          {
            kind: 'prefix-information',
            prefix: '::',
            prefixLength: 129,
            onLink: true,
            autonomous: true,
            validLifetime: 0,
            preferredLifetime: 0,
          },
        ],
      },
    ],
    ['an error by another name', {kind: 'other', type: 3, code: 0, rest: new Uint8Array(4)}],
    [
      'a quote too long for its length',
      {
        kind: 'time-exceeded',
        code: 0,
        quoted: {payload: new Uint8Array(2041)},
        extensions: [{kind: 'mpls', labels: []}],
      },
    ],
    ['a kind by another name', {kind: 'other', type: 135, code: 0, rest: new Uint8Array(20)}],
    ['a target that is no address', {kind: 'neighbour-solicitation', target: '10.0.0.1', options: []}],
  ])('does not write %s', (_name, message) => {
    expect(() => serializeIcmpv6(message, {source: '::', destination: '::'})).toThrow(
      expect.objectContaining({reason: 'out-of-range'}),
    )
  })

  it('builds whole frames, with the hop limit that Neighbour Discovery asks for and an 802.1Q tag where there is one', () => {
    const addresses = {
      destination: '33:33:00:00:00:01',
      source: '02:00:00:00:0b:01',
      vlan: {id: 100, priority: 0, dropEligible: false},
    }
    const bytes = icmpv6Frame(
      addresses,
      {source: 'fe80::1', destination: ALL_NODES},
      {kind: 'router-solicitation', options: []},
    )
    expect(Buffer.from(bytes).toString('hex', 12, 18)).toBe('8100006486dd')
    const packet = parseIpv6(bytes.subarray(18))
    expect(packet).toMatchObject({hopLimit: 255, source: 'fe80::1', destination: 'ff02::1'})
    expect(parseIcmpv6(packet.payload, packet)).toEqual({kind: 'router-solicitation', options: []})
  })
})
