// ARP for IPv4 over Ethernet (RFC 826), announcements (RFC 5227) and RARP (RFC 903), which shares the layout.
import type {Ipv4, Mac} from './address.ts'
import {constant, ipv4, mac, table, u8, u16} from './table.ts'

export const ARP_REQUEST = 1
export const ARP_REPLY = 2
/** RARP "reverse request" (RFC 903): QEMU announces a resumed guest with it, by MAC alone. */
export const RARP_REQUEST = 3

/** What an ARP packet says; the field names are RFC 826's `ar$op`, `ar$sha`, `ar$spa`, `ar$tha`, `ar$tpa` in words. */
export interface Arp {
  readonly operation: number
  readonly senderMac: Mac
  readonly senderIp: Ipv4
  readonly targetMac: Mac
  readonly targetIp: Ipv4
}

const packet = table<Arp, 'hardwareType' | 'protocolType' | 'hardwareLength' | 'protocolLength'>('arp', {
  hardwareType: constant(u16, 1),
  protocolType: constant(u16, 0x0800),
  hardwareLength: constant(u8, 6),
  protocolLength: constant(u8, 4),
  operation: u16,
  senderMac: mac,
  senderIp: ipv4,
  targetMac: mac,
  targetIp: ipv4,
})

/** Bytes of an ARP packet for IPv4 over Ethernet. */
export const ARP_LENGTH = packet.size

/**
 * Reads one ARP packet; bytes behind it (Ethernet padding) are ignored.
 * Throws `WireError`: `truncated` below 28 bytes, `unsupported` for anything but IPv4 over Ethernet.
 */
export function parseArp(bytes: Uint8Array): Arp {
  return packet.parse(bytes)
}

/** The 28 bytes of an ARP packet. Throws `WireError`, reason `out-of-range`. */
export function serializeArp(arp: Arp): Uint8Array {
  return packet.serialize(arp)
}

/** Writes the packet into `out` at `offset`; the caller has made {@link ARP_LENGTH} bytes of room. */
export function writeArp(arp: Arp, out: Uint8Array, offset: number): void {
  packet.write(arp, out, offset)
}
