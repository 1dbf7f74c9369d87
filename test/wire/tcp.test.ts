import {describe, expect, it} from 'vitest'
import {checksum, type Ends, fold, pseudoHeaderSum, writeChecksum} from '../../src/wire/checksum.ts'
import {ETHERTYPE_IPV4} from '../../src/wire/ethernet.ts'
import {PROTOCOL_TCP, parseIpv4} from '../../src/wire/ipv4.ts'
import {parseTcp, serializeTcp, TCP_ACK, TCP_RST, TCP_SYN, writeTcp} from '../../src/wire/tcp.ts'
import {captureFrames, goldenOf, ipPayloadOf, payloadOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyTcp} from '../support/wire-values.ts'

const ENDS: Ends = {source: '10.0.0.10', destination: '203.0.113.10'}
const golden = goldenOf(['traceroute'], (frame) => ipPayloadOf(frame, PROTOCOL_TCP))

describeCodec({
  name: 'tcp',
  parse: (bytes) => parseTcp(bytes, ENDS),
  serialize: (tcp) => serializeTcp(tcp, ENDS),
  write: (tcp, out, offset) => writeTcp(tcp, ENDS, out, offset),
  golden,
  arbitrary: anyTcp,
  minimum: (bytes) => (bytes[12]! >>> 4) * 4,
  repair(bytes) {
    const out = bytes.slice()
    if (out.length < 20) return out
    out.fill(0, 16, 18)
    writeChecksum(checksum(out, 0, out.length, pseudoHeaderSum(ENDS, PROTOCOL_TCP, out.length)), out, 16)
    return out
  },
})

describe('tcp', () => {
  it('reads what traceroute -T sends and gets', () => {
    const all = golden.map(({bytes}) => parseTcp(bytes, ENDS))
    const syn = all.find(({flags}) => (flags & 0xff) === TCP_SYN)!
    // The maximum segment size, 1240, is the first of its options.
    expect([...syn.options.subarray(0, 4)]).toEqual([2, 4, 0x04, 0xd8])
    const flags = all.map((tcp) => tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST))
    expect(flags).toEqual(expect.arrayContaining([TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST | TCP_ACK, TCP_RST]))
    const answer = all.find((tcp) => tcp.flags === (TCP_SYN | TCP_ACK))!
    expect(all.some(({sequence}) => sequence + 1 === answer.acknowledgment)).toBe(true)
  })

  it('refuses a wrong checksum, and without addresses does not look at it', () => {
    const bytes = golden[0]!.bytes.slice()
    bytes[4]! ^= 1
    expect(() => parseTcp(bytes, ENDS)).toThrow(expect.objectContaining({reason: 'malformed', offset: 16}))
    expect(parseTcp(bytes).destinationPort).toBe(parseTcp(golden[0]!.bytes).destinationPort)
  })

  it('takes what a kernel leaves for the network card to complete', () => {
    const packets = captureFrames('offload').map(({bytes}) => parseIpv4(payloadOf(bytes, ETHERTYPE_IPV4)!))
    const packet = packets.find(({protocol}) => protocol === PROTOCOL_TCP)!
    const received = (packet.payload[16]! << 8) | packet.payload[17]!
    expect(received).toBe(fold(pseudoHeaderSum(packet, PROTOCOL_TCP, packet.payload.length)))
    expect(parseTcp(packet.payload, packet).flags).toBe(TCP_SYN)
  })

  it('refuses a data offset below 5', () => {
    const bytes = golden[0]!.bytes.slice()
    bytes[12] = 0x4f
    expect(() => parseTcp(bytes)).toThrow(expect.objectContaining({reason: 'malformed', offset: 12}))
  })

  it.each([
    ['options', {options: new Uint8Array(5)}],
    ['options', {options: new Uint8Array(44)}],
    ['flags', {flags: 0x1000}],
    ['sequence', {sequence: 2 ** 32}],
  ])('has no bytes for bad %s', (_field, change) => {
    const value = {...parseTcp(golden[0]!.bytes), ...change}
    expect(() => serializeTcp(value, ENDS)).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })
})
