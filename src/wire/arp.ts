// ARP for IPv4 over Ethernet (RFC 826), announcements (RFC 5227) and RARP (RFC 903), which shares the layout.
import type {Ipv4, Mac} from './address.ts'
import {WireError} from './error.ts'
import {ipv4, mac, table, u8, u16} from './table.ts'

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

interface ArpHeader extends Arp {
  readonly hardwareType: number
  readonly protocolType: number
  readonly hardwareLength: number
  readonly protocolLength: number
}

const packet = table<ArpHeader>('arp', {
  hardwareType: u16,
  protocolType: u16,
  hardwareLength: u8,
  protocolLength: u8,
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
  const header = packet.parse(bytes)
  expectField('hardwareType', header.hardwareType, 1)
  expectField('protocolType', header.protocolType, 0x0800)
  expectField('hardwareLength', header.hardwareLength, 6)
  expectField('protocolLength', header.protocolLength, 4)
  const {operation, senderMac, senderIp, targetMac, targetIp} = header
  return {operation, senderMac, senderIp, targetMac, targetIp}
}

function expectField(field: keyof ArpHeader, got: number, want: number): void {
  if (got === want) return
  throw new WireError('arp', 'unsupported', packet.offsets[field], `${field} is ${got}, only ${want} is spoken here`)
}

/** The 28 bytes of an ARP packet. Throws `WireError`, reason `out-of-range`. */
export function serializeArp(arp: Arp): Uint8Array {
  const out = new Uint8Array(packet.size)
  writeArp(arp, out, 0)
  return out
}

/** Writes the packet into `out` at `offset`; the caller has made {@link ARP_LENGTH} bytes of room. */
export function writeArp(arp: Arp, out: Uint8Array, offset: number): void {
  const {operation, senderMac, senderIp, targetMac, targetIp} = arp
  packet.write(
    {
      hardwareType: 1,
      protocolType: 0x0800,
      hardwareLength: 6,
      protocolLength: 4,
      operation,
      senderMac,
      senderIp,
      targetMac,
      targetIp,
    },
    out,
    offset,
  )
}
