import {describe, expect, it} from 'vitest'
import {checksum, writeChecksum} from '../../src/wire/checksum.ts'
import {
  type Icmp,
  type IcmpError,
  icmpLength,
  parseIcmp,
  serializeIcmp,
  UNREACHABLE_FRAGMENTATION_NEEDED,
  UNREACHABLE_PORT,
  writeIcmp,
} from '../../src/wire/icmp.ts'
import type {IcmpExtension} from '../../src/wire/icmp-extensions.ts'
import {PROTOCOL_ICMP, serializeIpv4} from '../../src/wire/ipv4.ts'
import {parseQuoted, type QuotedProbe, quotedProbe} from '../../src/wire/quote.ts'
import {serializeUdp} from '../../src/wire/udp.ts'
import {distinct, goldenOf, ipPayloadOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyIcmp} from '../support/wire-values.ts'

const golden = distinct(
  goldenOf(['ping', 'traceroute', 'redirect', 'vlan'], (frame) => ipPayloadOf(frame, PROTOCOL_ICMP)),
)

/** Makes the checksum right, and that of an extension structure behind 128 quoted bytes. */
function repair(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  if (out.length < 8) return out
  if (out.length >= 140) {
    out.fill(0, 138, 140)
    writeChecksum(checksum(out, 136), out, 138)
  }
  out.fill(0, 2, 4)
  writeChecksum(checksum(out), out, 2)
  return out
}

describeCodec({
  name: 'icmp',
  parse: parseIcmp,
  serialize: serializeIcmp,
  write: writeIcmp,
  golden,
  arbitrary: anyIcmp,
  minimum: 8,
  repair,
})

const of = <K extends Icmp['kind']>(kind: K): Extract<Icmp, {kind: K}>[] =>
  golden.map(({bytes}) => parseIcmp(bytes)).filter((icmp): icmp is Extract<Icmp, {kind: K}> => icmp.kind === kind)

const UDP_PROBE = serializeUdp(
  {sourcePort: 40_000, destinationPort: 33_434, payload: new Uint8Array(12)},
  {source: '10.0.0.10', destination: '203.0.113.10'},
)

const PROBE = serializeIpv4({
  dscp: 0,
  ecn: 0,
  identification: 7,
  dontFragment: true,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 1,
  protocol: 17,
  source: '10.0.0.10',
  destination: '203.0.113.10',
  options: new Uint8Array(0),
  payload: UDP_PROBE,
})

describe('icmp errors', () => {
  it('tell the probes of traceroute apart', () => {
    const probes = of('time-exceeded').map(({quoted}) => quotedProbe(quoted))
    expect(probes).toContainEqual(
      expect.objectContaining({protocol: 'udp', destinationPort: 33434, destination: '203.0.113.10', length: 40}),
    )
    expect(probes).toContainEqual(expect.objectContaining({protocol: 'icmp', type: 8, sequence: 1}))
    expect(probes).toContainEqual(expect.objectContaining({protocol: 'tcp', destinationPort: 80}))
    expect(probes.every((probe) => probe?.source === '10.0.0.10')).toBe(true)
  })

  it('come with all codes that the routers sent', () => {
    const codes = of('destination-unreachable').map(({code}) => code)
    // Host unreachable (RFC 792), and administratively prohibited (RFC 1812 5.2.7.1).
    const wanted = [1, UNREACHABLE_PORT, UNREACHABLE_FRAGMENTATION_NEEDED, 13]
    expect(codes).toEqual(expect.arrayContaining(wanted))
    const tooBig = of('destination-unreachable').find(({code}) => code === UNREACHABLE_FRAGMENTATION_NEEDED)
    expect(tooBig).toMatchObject({nextHopMtu: 1280, quoted: {header: {totalLength: 1428}}})
  })

  it('say in a redirect where to go, and for whom', () => {
    const [redirect] = of('redirect')
    expect(redirect).toMatchObject({code: 1, gateway: '10.0.0.2', quoted: {header: {destination: '203.0.113.10'}}})
  })

  it('refuse a wrong checksum', () => {
    const bytes = golden[0]!.bytes.slice()
    bytes[5]! ^= 1
    expect(() => parseIcmp(bytes)).toThrow(expect.objectContaining({layer: 'icmp', reason: 'malformed', offset: 2}))
  })

  it.each([
    ['another kind written as "other"', {kind: 'other', type: 11, code: 0, rest: new Uint8Array(4)}],
    ['less than a header', {kind: 'other', type: 13, code: 0, rest: new Uint8Array(3)}],
    [
      'an MTU where none goes',
      {kind: 'destination-unreachable', code: 1, nextHopMtu: 1500, quoted: {payload: PROBE}, extensions: []},
    ],
    ['a quote too long for its length', errorWith([{kind: 'mpls', labels: []}], new Uint8Array(1024))],
  ] as [string, Icmp][])('have no bytes for %s', (_what, message) => {
    expect(() => serializeIcmp(message)).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })
})

function errorWith(extensions: readonly IcmpExtension[], quoted: Uint8Array = PROBE): Icmp {
  return {kind: 'time-exceeded', code: 0, quoted: parseQuoted(quoted), extensions}
}

const LABELS: IcmpExtension = {
  kind: 'mpls',
  labels: [
    {label: 16_001, trafficClass: 0, bottomOfStack: false, ttl: 1},
    {label: 42, trafficClass: 5, bottomOfStack: true, ttl: 254},
  ],
}

describe('icmp extensions', () => {
  it('fill the quote up to 128 bytes and say so in words (RFC 4884 4.1)', () => {
    const bytes = serializeIcmp(errorWith([LABELS]))
    expect(bytes[5]).toBe(32)
    expect(bytes).toHaveLength(8 + 128 + 4 + 4 + 8)
    expect(parseIcmp(bytes)).toEqual(errorWith([LABELS]))
  })

  it('are found behind 128 bytes where the router does not say the length (RFC 4884 5.5)', () => {
    const bytes = serializeIcmp(errorWith([LABELS]))
    bytes[5] = 0
    expect(parseIcmp(repair(bytes))).toEqual(errorWith([LABELS]))
  })

  it('are not made up from a long quote without them', () => {
    const quote = Uint8Array.of(...PROBE, ...new Uint8Array(200).fill(0x22))
    expect(parseIcmp(serializeIcmp(errorWith([], quote)))).toMatchObject({extensions: []})
  })

  it.each([
    ['another version', 136, 0x10],
    ['a wrong checksum', 138, 0x55],
    ['an object longer than the message', 141, 0xff],
    ['an object shorter than its header', 141, 3],
  ])('are left out, and the message is read all the same, with %s', (what, at, value) => {
    const bytes = serializeIcmp(errorWith([LABELS]))
    bytes[at] = value
    const fixed = what === 'a wrong checksum' ? withChecksum(bytes) : repair(bytes)
    const message = parseIcmp(fixed) as IcmpError
    expect(message).toMatchObject({kind: 'time-exceeded', extensions: []})
    expect(quotedProbe(message.quoted)).toMatchObject({destinationPort: 33_434})
  })

  it('are taken without a checksum (0)', () => {
    const bytes = serializeIcmp(errorWith([LABELS]))
    bytes.fill(0, 138, 140)
    expect(parseIcmp(withChecksum(bytes))).toEqual(errorWith([LABELS]))
  })

  it('keep as raw objects what their types cannot say', () => {
    // An interface object with an IPv6 address (AFI 2), and one whose reserved bit is set.
    const ipv6: IcmpExtension = {
      kind: 'unknown',
      classNumber: 2,
      classType: 0x04,
      data: Uint8Array.of(0, 2, 0, 0, ...new Uint8Array(16).fill(0xfe)),
    }
    const reserved: IcmpExtension = {kind: 'unknown', classNumber: 2, classType: 0x11, data: new Uint8Array(4)}
    const name: IcmpExtension = {kind: 'unknown', classNumber: 2, classType: 0x02, data: Uint8Array.of(4, 65, 66)}
    const both = errorWith([ipv6, reserved])
    expect(parseIcmp(serializeIcmp(both))).toEqual(both)
    expect(() => serializeIcmp(errorWith([name]))).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })

  it.each([
    ['label', {kind: 'mpls', labels: [{label: 0x10_0000, trafficClass: 0, bottomOfStack: true, ttl: 1}]}],
    ['name', {kind: 'interface', role: 'incoming', name: 'x'.repeat(64)}],
    ['name', {kind: 'interface', role: 'incoming', name: 'a\0b'}],
    ['mtu', {kind: 'interface', role: 'incoming', mtu: -1}],
  ] as [string, IcmpExtension][])('have no bytes for a bad %s', (_field, extension) => {
    expect(() => serializeIcmp(errorWith([extension]))).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })
})

/** Makes the checksum of the message right, and leaves that of the extension structure alone. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  bytes.fill(0, 2, 4)
  writeChecksum(checksum(bytes), bytes, 2)
  return bytes
}

describe('quoted packets', () => {
  const at = (length: number): QuotedProbe | undefined => quotedProbe(parseQuoted(PROBE.slice(0, length)))
  const ends = {source: '10.0.0.10', destination: '203.0.113.10'}
  const ports = {...ends, protocol: 'udp', sourcePort: 40_000, destinationPort: 33_434}

  it('tell as much as was quoted, wherever they were cut', () => {
    expect(at(PROBE.length)).toEqual({...ports, length: 20, checksum: (PROBE[26]! << 8) | PROBE[27]!})
    expect(at(28)).toEqual(at(PROBE.length))
    expect(at(27)).toEqual(ports)
    expect(at(24)).toEqual(ports)
    for (let length = 0; length < 24; length++) expect(at(length)).toBeUndefined()
  })

  it('may be cut, stale and of any length without an error', () => {
    const quoted = PROBE.slice(0, 28)
    quoted[8] = 0
    quoted.set([0xff, 0xff], 2)
    expect(parseQuoted(quoted)).toMatchObject({header: {ttl: 0, totalLength: 0xffff, destination: '203.0.113.10'}})
    for (let length = 0; length < PROBE.length; length++) {
      const message = {
        kind: 'redirect',
        code: 1,
        gateway: '10.0.0.2',
        quoted: parseQuoted(PROBE.slice(0, length)),
      } as const
      expect(parseIcmp(serializeIcmp(message))).toEqual(message)
    }
  })

  it('say nothing about ports in a later fragment', () => {
    const fragment = PROBE.slice()
    fragment[7] = 1
    expect(quotedProbe(parseQuoted(fragment))).toBeUndefined()
  })

  it('say nothing about protocols that have no ports', () => {
    const other = PROBE.slice()
    other[9] = 47
    expect(quotedProbe(parseQuoted(other))).toBeUndefined()
  })
})

describe('icmp length', () => {
  it('is what is written', () => {
    for (const {bytes} of golden) expect(icmpLength(parseIcmp(bytes))).toBe(bytes.length)
  })
})
