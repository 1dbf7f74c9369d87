import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {ECHO_CODEC, type EchoProbe, echoProbeFrame, readEchoAnswer} from '../../../src/probe/trace/echo-probe.ts'
import {SYN_CODEC} from '../../../src/probe/trace/syn-probe.ts'
import {parseEthernet} from '../../../src/wire/ethernet.ts'
import {icmpFrame, parseFrame, tcpFrame} from '../../../src/wire/frames.ts'
import {type Icmp, parseIcmp} from '../../../src/wire/icmp.ts'
import {parseIpv4} from '../../../src/wire/ipv4.ts'
import {NO_BYTES} from '../../../src/wire/memory.ts'
import {parseQuoted} from '../../../src/wire/quote.ts'
import {TCP_ACK, TCP_RST, TCP_SYN, type Tcp} from '../../../src/wire/tcp.ts'

const probe: EchoProbe = {
  sourceMac: '02:00:00:00:01:10',
  destinationMac: '02:00:00:00:0a:02',
  source: '10.1.0.10',
  destination: '203.0.113.10',
  ttl: 64,
  identifier: 0x1234,
  sequence: 7,
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

describe('ECHO_CODEC', () => {
  const read = (bytes: Uint8Array) => ECHO_CODEC.read(bytes, {mac: probe.sourceMac, ip: probe.source})
  const ours = {identity: probe.identifier, sequence: 7, destination: probe.destination}

  it('reads the reply of the destination, and the MAC it came back through', () => {
    expect(read(answer(probe.destination, reply))).toEqual({
      kind: 'reached',
      ...ours,
      ...{source: probe.destination, replyTtl: 61, returnMac: '02:00:00:00:0b:02', error: null},
    })
  })

  it('reads time exceeded and unreachable by the probe they quote', () => {
    const quoted = quote()
    expect(read(answer('172.16.1.2', {kind: 'time-exceeded', code: 0, quoted, extensions: []}))).toMatchObject({
      kind: 'expired',
      ...ours,
      error: {type: 11, code: 0, quotedTtl: 64, mtu: null},
    })
    const unreachable = {kind: 'destination-unreachable', code: 4, quoted, extensions: [], nextHopMtu: 1400} as const
    expect(read(answer('172.16.1.2', unreachable))).toMatchObject({
      kind: 'refused',
      ...ours,
      error: {type: 3, code: 4, mtu: 1400},
    })
  })

  it('reads a redirect', () => {
    const redirect = {kind: 'redirect', code: 1, gateway: '10.1.0.253', quoted: quote()} as const
    expect(read(answer('10.1.0.252', redirect))).toMatchObject({
      kind: 'redirect',
      ...ours,
      error: {gateway: '10.1.0.253'},
    })
  })

  it('makes a probe as long as it is told', () => {
    const order = {via: probe.destinationMac, destination: probe.destination, ttl: 64, identity: 1, port: 0} as const
    const frame = ECHO_CODEC.frame(
      {mac: probe.sourceMac, ip: probe.source},
      {...order, protocol: 'icmp', length: 1500},
      2,
    )
    expect(frame.length).toBe(14 + 1500)
    expect(parseIpv4(parseEthernet(frame).payload)).toMatchObject({dontFragment: true})
  })
})

describe('SYN_CODEC', () => {
  const from = {mac: probe.sourceMac, ip: probe.source}
  const order = {via: probe.destinationMac, destination: probe.destination, ttl: 5, identity: 61_000, port: 443}
  const frame = SYN_CODEC.frame(from, {...order, protocol: 'tcp'}, 0xfffe)
  const sent = parseFrame(frame)
  if (sent.kind !== 'tcp') throw new Error('is no TCP')
  const ends = {source: probe.destination, destination: probe.source, ttl: 60}
  const segment = (over: Partial<Tcp>, from = ends.source): Uint8Array =>
    tcpFrame(
      {destination: probe.sourceMac, source: '02:00:00:00:0b:02'},
      {...ends, source: from},
      {
        ...{sourcePort: 443, destinationPort: 61_000, sequence: 1, acknowledgment: (sent.tcp.sequence + 1) >>> 0},
        ...{flags: TCP_SYN | TCP_ACK, window: 1, urgentPointer: 0, options: NO_BYTES, payload: NO_BYTES},
        ...over,
      },
    )
  const ours = {identity: 61_000, sequence: 0xfffe, destination: probe.destination}

  it('goes to the chosen first hop, between the two ports, with the TTL', () => {
    expect(sent).toMatchObject({
      ethernet: {destination: probe.destinationMac},
      ip: {ttl: 5, dontFragment: true},
      tcp: {sourcePort: 61_000, destinationPort: 443, flags: TCP_SYN},
    })
  })

  it.each([
    ['a SYN-ACK', {}, 0xfffe],
    ['a reset', {flags: TCP_RST | TCP_ACK}, 0xfffe],
    ['a reset that acknowledges nothing', {flags: TCP_RST, acknowledgment: 0}, null],
  ])('takes %s for an answer', (_, over, sequence) => {
    expect(SYN_CODEC.read(segment(over), from)).toMatchObject({kind: 'reached', ...ours, sequence, replyTtl: 60})
  })

  it('knows its probe in an error, also where no more than the ports are quoted', () => {
    const packet = parseEthernet(frame).payload
    for (const [length, sequence] of [
      [28, 0xfffe],
      [24, null],
    ] as const) {
      const quoted = parseQuoted(packet.subarray(0, length))
      const expired = answer('172.16.1.2', {kind: 'time-exceeded', code: 0, quoted, extensions: []})
      expect(SYN_CODEC.read(expired, from)).toMatchObject({kind: 'expired', ...ours, sequence})
    }
  })

  it.each([
    ['a segment of a connection', segment({flags: TCP_ACK})],
    ['an acknowledgment of something else', segment({acknowledgment: 77})],
    ['its own probe', frame],
    ['an echo', answer(probe.destination, reply)],
  ])('does not take %s for an answer', (_, bytes) => expect(SYN_CODEC.read(bytes, from)).toBeUndefined())
})

describe('readEchoAnswer', () => {
  const ends = {source: probe.source, destination: probe.destination, identifier: probe.identifier}

  it('reads the answers of one flow', () => {
    expect(readEchoAnswer(answer(probe.destination, reply), ends)).toEqual({
      ...{kind: 'reached', sequence: 7, source: probe.destination, replyTtl: 61},
    })
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
