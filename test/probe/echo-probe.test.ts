import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {type EchoProbe, echoProbeFrame, readEchoAnswer} from '../../src/probe/trace/echo-probe.ts'
import {parseEthernet} from '../../src/wire/ethernet.ts'
import {icmpFrame} from '../../src/wire/frames.ts'
import {type Icmp, parseIcmp} from '../../src/wire/icmp.ts'
import {parseIpv4} from '../../src/wire/ipv4.ts'
import {parseQuoted} from '../../src/wire/quote.ts'

const probe: EchoProbe = {
  sourceMac: '02:00:00:00:01:10',
  destinationMac: '02:00:00:00:0a:02',
  source: '10.1.0.10',
  destination: '203.0.113.10',
  ttl: 64,
  identifier: 0x1234,
  sequence: 7,
}
const ends = {
  source: probe.source,
  destination: probe.destination,
  owns: (identifier: number) => identifier === probe.identifier,
}
/** IP packet of the probe, as a router quotes it. */
const packetOf = (of: EchoProbe): Uint8Array => parseEthernet(echoProbeFrame(of)).payload
const answer = (from: string, message: Icmp, over: {destination?: string} = {}): Uint8Array =>
  icmpFrame(
    {destination: probe.sourceMac, source: '02:00:00:00:0b:02'},
    {source: from, destination: over.destination ?? probe.source, ttl: 61},
    message,
  )
const reply: Icmp = {kind: 'echo-reply', identifier: probe.identifier, sequence: 7, payload: new Uint8Array(8)}
const quote = (of: EchoProbe = probe) => parseQuoted(packetOf(of))

describe('echoProbeFrame', () => {
  it('goes to the chosen first hop, from the VM, with the TTL', () => {
    const frame = parseEthernet(echoProbeFrame({...probe, ttl: 3}))
    expect(frame).toMatchObject({destination: probe.destinationMac, source: probe.sourceMac})
    expect(parseIpv4(frame.payload)).toMatchObject({ttl: 3, source: probe.source, destination: probe.destination})
  })

  it('has one checksum for a whole flow, so that routers that hash it keep to one path', () => {
    const checksum = (sequence: number): number => {
      const {payload} = parseIpv4(packetOf({...probe, sequence}))
      return (payload[2]! << 8) | payload[3]!
    }
    fc.assert(
      fc.property(fc.integer({min: 0, max: 0xffff}), (sequence) => {
        expect(checksum(sequence)).toBe(checksum(7))
      }),
    )
  })
})

describe('readEchoAnswer', () => {
  it('reads the reply of the destination, and the MAC it came back through', () => {
    expect(readEchoAnswer(answer(probe.destination, reply), ends)).toMatchObject({
      kind: 'reached',
      sequence: 7,
      returnMac: '02:00:00:00:0b:02',
      packet: {ttl: 61},
    })
  })

  it('reads time exceeded and unreachable by the probe they quote', () => {
    const quoted = quote()
    expect(
      readEchoAnswer(answer('172.16.1.2', {kind: 'time-exceeded', code: 0, quoted, extensions: []}), ends),
    ).toMatchObject({kind: 'expired', sequence: 7, quotedTtl: 64})
    expect(
      readEchoAnswer(answer('172.16.1.2', {kind: 'destination-unreachable', code: 13, quoted, extensions: []}), ends),
    ).toMatchObject({kind: 'refused', sequence: 7})
  })

  it('reads a redirect', () => {
    const found = readEchoAnswer(
      answer('10.1.0.252', {kind: 'redirect', code: 1, gateway: '10.1.0.253', quoted: quote()}),
      ends,
    )
    expect(found).toMatchObject({kind: 'redirect', gateway: '10.1.0.253'})
  })

  it.each<[string, Uint8Array]>([
    ['a reply to somebody else', answer(probe.destination, {...reply, identifier: 1} as Icmp)],
    ['a reply from elsewhere', answer('203.0.113.99', reply)],
    ['a reply for another host', answer(probe.destination, reply, {destination: '10.1.0.11'})],
    [
      'an error about another flow',
      answer('172.16.1.2', {kind: 'time-exceeded', code: 0, quoted: quote({...probe, identifier: 9}), extensions: []}),
    ],
    [
      'an error about another destination',
      answer('172.16.1.2', {
        kind: 'time-exceeded',
        code: 0,
        quoted: quote({...probe, destination: '192.0.2.1'}),
        extensions: [],
      }),
    ],
    ['our own request', echoProbeFrame(probe)],
    ['a frame cut short', answer(probe.destination, reply).slice(0, 30)],
    ['no frame', new Uint8Array(3)],
  ])('does not take %s for an answer', (_name, frame) => {
    expect(readEchoAnswer(frame, ends)).toBeUndefined()
  })

  it('answers any bytes without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 120}), (bytes) => {
        expect(readEchoAnswer(bytes, ends)).toBeUndefined()
      }),
    )
  })
})

it('parses as what it is', () => {
  expect(parseIcmp(parseIpv4(packetOf(probe)).payload)).toMatchObject({
    kind: 'echo-request',
    identifier: 0x1234,
    sequence: 7,
  })
})
