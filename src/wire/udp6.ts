// UDP over IPv6 (RFC 8200 8.1): as over IPv4, but its checksum is never left out.
import type {FrameAddresses} from './ethernet.ts'
import {fillChecksum6, NEXT_HEADER_UDP, type Packet6Addresses, packet6Room} from './ipv6.ts'
import {table, u16} from './table.ts'
import {UDP_LENGTH, type Udp} from './udp.ts'

const header = table<{sourcePort: number; destinationPort: number; length: number; checksum: number}>('udp', {
  sourcePort: u16,
  destinationPort: u16,
  length: u16,
  checksum: u16,
})

/** An Ethernet frame with a UDP datagram in an IPv6 packet, hop limit 64. Throws `WireError`, reason `out-of-range`. */
export function udp6Frame(addresses: FrameAddresses, packet: Packet6Addresses, udp: Udp): Uint8Array {
  const length = UDP_LENGTH + udp.payload.length
  const {out, at: start} = packet6Room(addresses, {hopLimit: 64, ...packet, nextHeader: NEXT_HEADER_UDP}, length)
  const {sourcePort, destinationPort, payload} = udp
  header.write({sourcePort, destinationPort, length, checksum: 0}, out, start)
  out.set(payload, start + UDP_LENGTH)
  const sum = start + header.offsets.checksum
  fillChecksum6(packet, NEXT_HEADER_UDP, out, start, start + length, sum)
  // 0 would say that there is none.
  if (out[sum] === 0 && out[sum + 1] === 0) out.fill(0xff, sum, sum + 2)
  return out
}
