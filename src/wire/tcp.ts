// TCP segments over IPv4 (RFC 9293): what a SYN probe needs, its answers included.
import {checksum, type Ends, fold, pseudoHeaderSum, writeChecksum} from './checksum.ts'
import {expectWhole, WireError} from './error.ts'
import {PROTOCOL_TCP} from './ipv4.ts'
import {copyBytes, zeros} from './memory.ts'
import {table, u16, u32} from './table.ts'

export const TCP_SYN = 0x02
export const TCP_RST = 0x04
export const TCP_ACK = 0x10

export interface Tcp {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly sequence: number
  readonly acknowledgment: number
  /** The control bits, `TCP_SYN | TCP_ACK`; 12 bits, the reserved and the newer ones (ECE, CWR, AE) included. */
  readonly flags: number
  readonly window: number
  readonly urgentPointer: number
  /** Raw options, padded to a multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array
  readonly payload: Uint8Array
}

interface TcpHeader {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly sequence: number
  readonly acknowledgment: number
  readonly offsetAndFlags: number
  readonly window: number
  readonly checksum: number
  readonly urgentPointer: number
}

const header = table<TcpHeader>('tcp', {
  sourcePort: u16,
  destinationPort: u16,
  sequence: u32,
  acknowledgment: u32,
  offsetAndFlags: u16,
  window: u16,
  checksum: u16,
  urgentPointer: u16,
})

/** Bytes of this segment's header. */
export const tcpHeaderLength = (tcp: Pick<Tcp, 'options'>): number => header.size + tcp.options.length

/**
 * Reads a segment; it ends where `bytes` end, and options and payload are copies. With the addresses of the packet around
 * it the checksum is verified; one that the sending kernel left to the network card is accepted, as by `parseUdp`.
 * Throws `WireError`: `truncated` if the header reaches past the end, `malformed` for a data offset below 5 or a wrong
 * checksum.
 */
export function parseTcp(bytes: Uint8Array, ends?: Ends): Tcp {
  const plain = header.parse(bytes)
  const {offsetAndFlags, checksum: received} = plain
  const length = (offsetAndFlags >>> 12) * 4
  if (length < header.size) {
    throw new WireError('tcp', 'malformed', header.offsets.offsetAndFlags, `header length ${length} is below 20`)
  }
  if (length > bytes.length) {
    throw new WireError('tcp', 'truncated', bytes.length, `header length is ${length}, has ${bytes.length}`)
  }
  if (ends) {
    const pseudo = pseudoHeaderSum(ends, PROTOCOL_TCP, bytes.length)
    if (checksum(bytes, 0, bytes.length, pseudo) !== 0 && received !== fold(pseudo)) {
      throw new WireError('tcp', 'malformed', header.offsets.checksum, 'checksum is wrong')
    }
  }
  return {
    sourcePort: plain.sourcePort,
    destinationPort: plain.destinationPort,
    sequence: plain.sequence,
    acknowledgment: plain.acknowledgment,
    flags: offsetAndFlags & 0xfff,
    window: plain.window,
    urgentPointer: plain.urgentPointer,
    options: copyBytes(bytes, header.size, length),
    payload: copyBytes(bytes, length),
  }
}

/**
 * The bytes of a segment between these addresses, with its checksum. Throws `WireError`, reason `out-of-range`.
 * @internal
 */
export function serializeTcp(tcp: Tcp, ends: Ends): Uint8Array {
  const out = zeros(tcpHeaderLength(tcp) + tcp.payload.length)
  writeTcp(tcp, ends, out, 0)
  return out
}

/** Writes a segment into `out` at `offset`; the caller has made room for header and payload. */
export function writeTcp(tcp: Tcp, ends: Ends, out: Uint8Array, offset: number): void {
  const {options, payload} = tcp
  if (options.length % 4 !== 0 || options.length > 40) {
    const detail = `options of ${options.length} bytes are not a multiple of 4 up to 40`
    throw new WireError('tcp', 'out-of-range', header.size, detail)
  }
  const length = tcpHeaderLength(tcp)
  const flags = expectWhole('tcp', 'flags', tcp.flags, 0xfff, header.offsets.offsetAndFlags)
  const {sourcePort, destinationPort, sequence, acknowledgment, window, urgentPointer} = tcp
  const offsetAndFlags = (length << 10) | flags
  header.write(
    {sourcePort, destinationPort, sequence, acknowledgment, offsetAndFlags, window, checksum: 0, urgentPointer},
    out,
    offset,
  )
  out.set(options, offset + header.size)
  out.set(payload, offset + length)
  const end = offset + length + payload.length
  const pseudo = pseudoHeaderSum(ends, PROTOCOL_TCP, end - offset)
  writeChecksum(checksum(out, offset, end, pseudo), out, offset + header.offsets.checksum)
}
