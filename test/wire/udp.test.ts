import {describe, expect, it} from 'vitest'
import {type Ends, fold, pseudoHeaderSum, writeChecksum} from '../../src/wire/checksum.ts'
import {ETHERTYPE_IPV4} from '../../src/wire/ethernet.ts'
import {PROTOCOL_UDP, parseIpv4} from '../../src/wire/ipv4.ts'
import {parseUdp, serializeUdp, UDP_LENGTH, writeUdpHeader} from '../../src/wire/udp.ts'
import {captureFrames, goldenOf, ipPayloadOf, payloadOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyUdp} from '../support/wire-values.ts'

// The order of the two makes no difference to a checksum, so that this fits both directions.
const ENDS: Ends = {source: '10.0.0.10', destination: '203.0.113.10'}

describeCodec({
  name: 'udp',
  parse: (bytes) => parseUdp(bytes, ENDS),
  serialize: (udp) => serializeUdp(udp, ENDS),
  write(udp, out, offset) {
    out.set(udp.payload, offset + UDP_LENGTH)
    writeUdpHeader(udp, udp.payload.length, ENDS, out, offset)
  },
  golden: goldenOf(['traceroute'], (frame) => ipPayloadOf(frame, PROTOCOL_UDP)),
  arbitrary: anyUdp,
  minimum: 'whole',
  repair(bytes) {
    const out = bytes.slice()
    if (out.length >= UDP_LENGTH) out.fill(0, 6, 8)
    return out
  },
})

describe('udp', () => {
  const datagram = serializeUdp({sourcePort: 1, destinationPort: 2, payload: Uint8Array.of(1, 2, 3)}, ENDS)

  it('refuses a wrong checksum, and without addresses does not look at it', () => {
    const bytes = datagram.slice()
    bytes[9]! ^= 1
    expect(() => parseUdp(bytes, ENDS)).toThrow(expect.objectContaining({reason: 'malformed', offset: 6}))
    expect(parseUdp(bytes).payload).toEqual(Uint8Array.of(1, 3, 3))
  })

  it('takes a checksum of 0 as "not computed", and never writes one', () => {
    const bytes = datagram.slice()
    bytes.fill(0, 6, 8)
    expect(parseUdp(bytes, ENDS)).toEqual(parseUdp(datagram, ENDS))
    const empty = {sourcePort: 0, destinationPort: 0, payload: new Uint8Array(2)}
    const rest = fold(pseudoHeaderSum(ENDS, PROTOCOL_UDP, 10) + 10)
    writeChecksum(~rest & 0xffff, empty.payload, 0)
    expect(serializeUdp(empty, ENDS).slice(6, 8)).toEqual(Uint8Array.of(0xff, 0xff))
  })

  it('takes what a kernel leaves for the network card to complete', () => {
    const packets = captureFrames('offload').map(({bytes}) => parseIpv4(payloadOf(bytes, ETHERTYPE_IPV4)!))
    const packet = packets.find(({protocol}) => protocol === PROTOCOL_UDP)!
    const received = (packet.payload[6]! << 8) | packet.payload[7]!
    expect(received).toBe(fold(pseudoHeaderSum(packet, PROTOCOL_UDP, packet.payload.length)))
    expect(parseUdp(packet.payload, packet).destinationPort).toBe(33434)
  })

  it('cuts off what lies behind its length, and refuses one below 8', () => {
    expect(parseUdp(Uint8Array.of(...datagram, 9, 9), ENDS)).toEqual(parseUdp(datagram, ENDS))
    const bytes = datagram.slice()
    bytes.set([0, 7], 4)
    expect(() => parseUdp(bytes)).toThrow(expect.objectContaining({reason: 'malformed', offset: 4}))
  })
})
