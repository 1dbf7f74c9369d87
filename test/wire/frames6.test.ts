import fc from 'fast-check'
import {expect, it} from 'vitest'
import {checksum, fold} from '../../src/wire/checksum.ts'
import {WireError} from '../../src/wire/error.ts'
import {parseEthernet} from '../../src/wire/ethernet.ts'
import {tcp6Frame, udp6Frame} from '../../src/wire/frames6.ts'
import {NEXT_HEADER_TCP, NEXT_HEADER_UDP, parseIpv6, pseudoHeaderSum6} from '../../src/wire/ipv6.ts'
import {readIpv6} from '../../src/wire/ipv6-address.ts'
import {parseTcp} from '../../src/wire/tcp.ts'
import {parseUdp} from '../../src/wire/udp.ts'
import {arbitrary} from '../support/codec-harness.ts'
import {anyTcp} from '../support/wire-values.ts'

const addresses = {destination: '33:33:00:00:00:01', source: '02:00:00:00:0b:01'}
const ipv6 = fc.ipV6().map((text) => readIpv6(text)!)

it('a UDP datagram over IPv6 comes back, with a checksum that holds and is never left out', () => {
  fc.assert(
    fc.property(
      ipv6,
      ipv6,
      arbitrary.u16,
      arbitrary.u16,
      arbitrary.bytes(600),
      (source, destination, a, b, payload) => {
        const udp = {sourcePort: a, destinationPort: b, payload}
        const frame = parseEthernet(udp6Frame(addresses, {source, destination, hopLimit: 1}, udp))
        const packet = parseIpv6(frame.payload)
        expect(packet).toMatchObject({source, destination, hopLimit: 1, nextHeader: NEXT_HEADER_UDP})
        expect(parseUdp(packet.payload)).toEqual(udp)
        const sum = pseudoHeaderSum6({source, destination}, NEXT_HEADER_UDP, packet.payload.length)
        expect(checksum(packet.payload, 0, packet.payload.length, sum)).toBe(0)
        expect(packet.payload[6]! + packet.payload[7]!).toBeGreaterThan(0)
      },
    ),
  )
})

it('a checksum of 0 is written as all ones', () => {
  // 16 bits of payload make up for everything else.
  const at = (value: number) => ({sourcePort: 1, destinationPort: 2, payload: Uint8Array.of(value >> 8, value & 255)})
  const ends = {source: 'fe80::1', destination: 'ff02::1'}
  const sums = Array.from(
    {length: 0x10000},
    (_, value) => parseIpv6(udp6Frame(addresses, ends, at(value)).subarray(14)).payload,
  )
  expect(sums.some((udp) => udp[6] === 0 && udp[7] === 0)).toBe(false)
  expect(sums.some((udp) => udp[6] === 0xff && udp[7] === 0xff)).toBe(true)
})

it('has room for a tag, and for no more than a datagram holds', () => {
  const tagged = {...addresses, vlan: {id: 7, priority: 0, dropEligible: false}}
  const ends = {source: 'fe80::1', destination: 'ff02::1'}
  expect(
    parseEthernet(udp6Frame(tagged, ends, {sourcePort: 1, destinationPort: 2, payload: new Uint8Array(3)})),
  ).toMatchObject({
    vlan: {id: 7},
    etherType: 0x86dd,
  })
  expect(() =>
    udp6Frame(addresses, ends, {sourcePort: 1, destinationPort: 2, payload: new Uint8Array(65_528)}),
  ).toThrow(WireError)
})

it('a TCP segment over IPv6 comes back, with a checksum that holds', () => {
  fc.assert(
    fc.property(ipv6, ipv6, anyTcp, (source, destination, tcp) => {
      const frame = parseEthernet(tcp6Frame(addresses, {source, destination, flowLabel: 7}, tcp))
      const packet = parseIpv6(frame.payload)
      expect(packet).toMatchObject({source, destination, flowLabel: 7, hopLimit: 64, nextHeader: 6})
      expect(parseTcp(packet.payload, packet)).toEqual(tcp)
      // One checksum in 65,536 is also the one that a kernel leaves for the network card to complete, which is taken.
      const pseudo = pseudoHeaderSum6({source, destination}, NEXT_HEADER_TCP, packet.payload.length)
      fc.pre(((packet.payload[16]! << 8) | packet.payload[17]!) !== fold(pseudo))
      packet.payload[0]! ^= 1
      expect(() => parseTcp(packet.payload, packet)).toThrow(WireError)
    }),
  )
})
