// UDP over IPv6 (RFC 8200 8.1): as over IPv4, but its checksum is never left out.
import {
  ETHERNET_MINIMUM_PAYLOAD,
  ETHERTYPE_IPV6,
  type EthernetHeader,
  ethernetLength,
  writeEthernetHeader,
} from './ethernet.ts'
import type {FrameAddresses} from './frames.ts'
import type {Packet6Addresses} from './icmpv6.ts'
import {fillChecksum6, IPV6_LENGTH, NEXT_HEADER_UDP, writeIpv6Header} from './ipv6.ts'
import {zeros} from './memory.ts'
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
  const {destination, source, vlan} = addresses
  const etherType = ETHERTYPE_IPV6
  const ethernet: EthernetHeader = vlan ? {destination, source, vlan, etherType} : {destination, source, etherType}
  const length = UDP_LENGTH + udp.payload.length
  const at = ethernetLength(ethernet)
  const out = zeros(at + Math.max(IPV6_LENGTH + length, ETHERNET_MINIMUM_PAYLOAD))
  writeEthernetHeader(ethernet, out, 0)
  const defaults = {trafficClass: 0, flowLabel: 0, hopLimit: 64, nextHeader: NEXT_HEADER_UDP}
  writeIpv6Header({...defaults, ...packet}, length, out, at)
  const start = at + IPV6_LENGTH
  const {sourcePort, destinationPort, payload} = udp
  header.write({sourcePort, destinationPort, length, checksum: 0}, out, start)
  out.set(payload, start + UDP_LENGTH)
  const sum = start + header.offsets.checksum
  fillChecksum6(packet, NEXT_HEADER_UDP, out, start, start + length, sum)
  // 0 would say that there is none.
  if (out[sum] === 0 && out[sum + 1] === 0) out.fill(0xff, sum, sum + 2)
  return out
}
