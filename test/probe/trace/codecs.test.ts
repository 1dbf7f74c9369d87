// Each protocol's probes of each family, and everything that may come back for them.
import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {CODECS} from '../../../src/probe/trace/codecs.ts'
import type {Heard, Probe, ProbeCodec, ProbeSource} from '../../../src/probe/trace/probe.ts'
import {icmpFrame, parseFrame, tcpFrame, udpFrame} from '../../../src/wire/frames.ts'
import {tcp6Frame, udp6Frame} from '../../../src/wire/frames6.ts'
import {type Icmpv6, icmpv6Frame, parseIcmpv6} from '../../../src/wire/icmpv6.ts'
import {parseIpv6} from '../../../src/wire/ipv6.ts'
import {parseQuoted} from '../../../src/wire/quote.ts'
import {parseQuoted6} from '../../../src/wire/quote6.ts'
import {parseTcp, TCP_ACK, TCP_RST, TCP_SYN, type Tcp} from '../../../src/wire/tcp.ts'
import {parseUdp} from '../../../src/wire/udp.ts'

const VM_MAC = '02:00:00:00:00:10'
const VIA = '02:00:00:00:0a:01'
const BACK = '02:00:00:00:0b:01'
const FAMILIES = {
  4: {vm: '10.0.0.10', destination: '203.0.113.10', router: '172.16.1.2', better: '10.0.0.2', header: 20},
  6: {vm: '2001:db8:1::10', destination: '2001:db8:9::10', router: '2001:db8:2::1', better: 'fe80::2', header: 40},
} as const
type Family = keyof typeof FAMILIES

interface Case {
  readonly name: string
  readonly codec: ProbeCodec
  readonly family: Family
  readonly from: ProbeSource
  readonly probe: Probe
}

const cases: readonly Case[] = CODECS.map((codec) => {
  const family = codec.speaks(FAMILIES[4].destination) ? 4 : 6
  const {vm: ip, destination} = FAMILIES[family]
  const [identity, port] = codec.protocol === 'icmp' ? [0x7777, 0] : [61_234, 33_434]
  const probe: Probe = {protocol: codec.protocol, via: VIA, destination, ttl: 64, identity, port}
  return {name: `${codec.protocol} over IPv${family}`, codec, family, from: {mac: VM_MAC, ip}, probe}
})
const SEQUENCE = 4711

const to = {source: BACK, destination: VM_MAC}
/** Without the padding of a short frame. */
function packetOf(frame: Uint8Array): Uint8Array {
  const packet = frame.subarray(14)
  return packet[0]! >>> 4 === 4 ? packet.subarray(0, (packet[2]! << 8) | packet[3]!) : packet
}

/** An error that `by` sends about a probe, quoting as many of its bytes. */
function error(
  family: Family,
  frame: Uint8Array,
  kind: 'expired' | 'unreachable' | 'too-big',
  by: string,
  bytes = 64,
): Uint8Array {
  const ends = {source: by, destination: FAMILIES[family].vm}
  const start = packetOf(frame).slice(0, Math.min(bytes, frame.length - 14))
  if (family === 4) {
    const body = {quoted: parseQuoted(start), extensions: []}
    if (kind === 'expired') return icmpFrame(to, {...ends, ttl: 60}, {kind: 'time-exceeded', code: 0, ...body})
    const [code, more] = kind === 'unreachable' ? [3, {}] : [4, {nextHopMtu: 1280}]
    return icmpFrame(to, {...ends, ttl: 60}, {kind: 'destination-unreachable', code, ...more, ...body})
  }
  const quoted = parseQuoted6(start)
  const message: Icmpv6 =
    kind === 'expired'
      ? {kind: 'time-exceeded', code: 0, quoted, extensions: []}
      : kind === 'unreachable'
        ? {kind: 'destination-unreachable', code: 4, quoted, extensions: []}
        : {kind: 'packet-too-big', code: 0, mtu: 1280, quoted}
  return icmpv6Frame(to, {...ends, hopLimit: 60}, message)
}

/** What the destination itself answers: an echo, a segment with these flags, a service's datagram. */
function answer(family: Family, probe: Probe, frame: Uint8Array, flags = TCP_SYN | TCP_ACK): Uint8Array {
  const {vm, destination} = FAMILIES[family]
  const ends = {source: destination, destination: vm}
  if (probe.protocol === 'icmp') {
    if (family === 4) {
      const sent = parseFrame(frame)
      if (sent.kind !== 'icmp' || sent.icmp.kind !== 'echo-request') throw new Error('no echo')
      return icmpFrame(to, {...ends, ttl: 60}, {...sent.icmp, kind: 'echo-reply'})
    }
    const packet = parseIpv6(packetOf(frame))
    const sent = parseIcmpv6(packet.payload, packet)
    if (sent.kind !== 'echo-request') throw new Error('no echo')
    return icmpv6Frame(to, {...ends, hopLimit: 60}, {...sent, kind: 'echo-reply'})
  }
  const payload = packetOf(frame).subarray(FAMILIES[family].header)
  if (probe.protocol === 'udp') {
    const {sourcePort, destinationPort} = parseUdp(payload, {source: vm, destination})
    const udp = {sourcePort: destinationPort, destinationPort: sourcePort, payload: new Uint8Array(4)}
    return family === 4 ? udpFrame(to, {...ends, ttl: 60}, udp) : udp6Frame(to, {...ends, hopLimit: 60}, udp)
  }
  const sent = parseTcp(payload, {source: vm, destination})
  const tcp: Tcp = {
    ...sent,
    ...{sourcePort: sent.destinationPort, destinationPort: sent.sourcePort, flags},
    acknowledgment: flags & TCP_ACK ? (sent.sequence + 1) >>> 0 : 0,
  }
  return family === 4 ? tcpFrame(to, {...ends, ttl: 60}, tcp) : tcp6Frame(to, {...ends, hopLimit: 60}, tcp)
}

describe.each(cases)('$name', ({codec, family, from, probe}) => {
  const {router, destination} = FAMILIES[family]
  const frame = codec.frame(from, probe, SEQUENCE)
  const said = {identity: probe.identity, destination, replyTtl: 60, returnMac: BACK}
  const read = (bytes: Uint8Array): Heard | undefined => codec.read(bytes, from)

  it('knows an error of a router by what it quotes, if that is 8 bytes behind the header', () => {
    for (const bytes of [FAMILIES[family].header + 8, 64, 2000]) {
      expect(read(error(family, frame, 'expired', router, bytes))).toMatchObject({
        ...{...said, kind: 'expired', sequence: SEQUENCE, source: router},
        error: {quotedTtl: 64, mtu: null, gateway: null},
      })
    }
    expect(read(error(family, frame, 'too-big', router))).toMatchObject({kind: 'refused', error: {mtu: 1280}})
  })

  it('takes "port unreachable" for an answer only of the destination, and of UDP', () => {
    expect(read(error(family, frame, 'unreachable', router))).toMatchObject({kind: 'refused', sequence: SEQUENCE})
    const own = read(error(family, frame, 'unreachable', destination))
    expect(own).toMatchObject({kind: probe.protocol === 'udp' ? 'reached' : 'refused', sequence: SEQUENCE})
  })

  it("knows the destination's own answer", () => {
    const sequence = probe.protocol === 'udp' ? null : SEQUENCE
    expect(read(answer(family, probe, frame))).toEqual({
      ...said,
      kind: 'reached',
      sequence,
      source: destination,
      error: null,
    })
  })

  it('is not mistaken for another protocol, nor for what was sent from elsewhere', () => {
    const replies = [answer(family, probe, frame), error(family, frame, 'expired', router)]
    for (const reply of replies) {
      for (const other of CODECS) if (other !== codec) expect(other.read(reply, from)).toBeUndefined()
      expect(codec.read(reply, {...from, ip: family === 4 ? '10.0.0.11' : '2001:db8:1::11'})).toBeUndefined()
    }
    expect(read(frame)).toBeUndefined()
  })

  it('brings back every number, and is as long as it was asked to be', () => {
    fc.assert(
      fc.property(fc.integer({min: 1, max: 0xffff}), fc.integer({min: 100, max: 1500}), (sequence, length) => {
        const sent = codec.frame(from, {...probe, length}, sequence)
        if (probe.protocol !== 'tcp') expect(sent.length).toBe(14 + length)
        expect(read(error(family, sent, 'expired', router, FAMILIES[family].header + 8))).toMatchObject({sequence})
      }),
    )
  })

  it('lets its own answers through its filter, and no segment of a session', () => {
    const passes = (bytes: Uint8Array): boolean =>
      codec.filter.some((clause) =>
        clause.every(({offset, size, mask = 0xffff_ffff, value}) => {
          const field = bytes.subarray(offset, offset + size).reduce((sum, byte) => sum * 256 + byte, 0)
          return (field & mask) >>> 0 === value
        }),
      )
    for (const reply of [answer(family, probe, frame), error(family, frame, 'expired', router)])
      expect(passes(reply)).toBe(true)
    if (probe.protocol !== 'tcp') return
    expect(passes(answer(family, probe, frame, TCP_RST))).toBe(true)
    expect(passes(answer(family, probe, frame, TCP_ACK))).toBe(false)
  })

  it('tells a redirect, and whom it names', () => {
    const {better} = FAMILIES[family]
    const start = packetOf(frame).slice(0, 64)
    const ends = {source: router, destination: from.ip}
    const redirect =
      family === 4
        ? icmpFrame(to, ends, {kind: 'redirect', code: 1, gateway: better, quoted: parseQuoted(start)})
        : icmpv6Frame(to, ends, {
            ...{kind: 'redirect', target: better, destination},
            options: [{kind: 'redirected-header', packet: start}],
          })
    expect(read(redirect)).toMatchObject({kind: 'redirect', error: {gateway: better}, identity: probe.identity})
    if (family === 4) return
    // Not from this link: anybody may have sent it.
    const far = icmpv6Frame(
      to,
      {...ends, hopLimit: 254},
      {
        ...{kind: 'redirect', target: better, destination},
        options: [{kind: 'redirected-header', packet: start}],
      },
    )
    expect(read(far)).toBeUndefined()
  })
})

it.each(cases.filter(({probe}) => probe.protocol === 'tcp'))(
  '$name takes a reset for an answer, and no other segment',
  ({codec, family, from, probe}) => {
    const frame = codec.frame(from, probe, SEQUENCE)
    const heard = (flags: number) => codec.read(answer(family, probe, frame, flags), from)
    expect(heard(TCP_RST | TCP_ACK)).toMatchObject({kind: 'reached', sequence: SEQUENCE})
    expect(heard(TCP_RST)).toMatchObject({kind: 'reached', sequence: null})
    expect(heard(TCP_ACK)).toBeUndefined()
  },
)
