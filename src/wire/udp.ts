// UDP over IPv4 (RFC 768), and over IPv6, where its checksum is never left out (RFC 8200 8.1).
import {checksum, fold, writeChecksum} from './checksum.ts'
import {WireError} from './error.ts'
import {PROTOCOL_UDP} from './ipv4.ts'
import {copyBytes, zeros} from './memory.ts'
import {type IpEnds, pseudoSum} from './pseudo-header.ts'
import {table, u16} from './table.ts'

export interface Udp {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly payload: Uint8Array
}

interface UdpHeader {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly length: number
  readonly checksum: number
}

const header = table<UdpHeader>('udp', {sourcePort: u16, destinationPort: u16, length: u16, checksum: u16})

/** Bytes of a header. */
export const UDP_LENGTH = header.size

/**
 * Reads a datagram; what lies behind its length is cut off, and the payload is a copy. With the addresses of the packet
 * around it, the checksum is verified, unless it is 0, "not computed".
 *
 * A datagram from this machine may reach a capture before its checksum is completed: the kernel leaves that to the
 * network card, and between virtual links nobody does it. Such a checksum holds the sum of the pseudo header alone,
 * and is accepted.
 *
 * Throws `WireError`: `truncated` if the header or the length reaches past the end, `malformed` for a length below 8 or
 * a wrong checksum.
 */
export function parseUdp(bytes: Uint8Array, ends?: IpEnds): Udp {
  const {sourcePort, destinationPort, length, checksum: received} = header.parse(bytes)
  if (length < header.size) {
    throw new WireError('udp', 'malformed', header.offsets.length, `length ${length} is below ${header.size}`)
  }
  if (length > bytes.length) {
    throw new WireError('udp', 'truncated', bytes.length, `length is ${length}, has ${bytes.length}`)
  }
  if (ends && received !== 0) {
    const pseudo = pseudoSum(ends, PROTOCOL_UDP, length)
    if (checksum(bytes, 0, length, pseudo) !== 0 && received !== fold(pseudo)) {
      throw new WireError('udp', 'malformed', header.offsets.checksum, 'checksum is wrong')
    }
  }
  return {sourcePort, destinationPort, payload: copyBytes(bytes, header.size, length)}
}

/** The bytes of a datagram between these addresses, with its checksum. Throws `WireError`, reason `out-of-range`. */
export function serializeUdp(udp: Udp, ends: IpEnds): Uint8Array {
  const out = zeros(header.size + udp.payload.length)
  out.set(udp.payload, header.size)
  writeUdpHeader(udp, udp.payload.length, ends, out, 0)
  return out
}

/** Writes the header in front of `payloadLength` bytes that are in `out` already: the checksum covers them. */
export function writeUdpHeader(
  {sourcePort, destinationPort}: Omit<Udp, 'payload'>,
  payloadLength: number,
  ends: IpEnds,
  out: Uint8Array,
  offset: number,
): void {
  const length = header.size + payloadLength
  header.write({sourcePort, destinationPort, length, checksum: 0}, out, offset)
  const value = checksum(out, offset, offset + length, pseudoSum(ends, PROTOCOL_UDP, length))
  writeChecksum(value === 0 ? 0xffff : value, out, offset + header.offsets.checksum)
}
