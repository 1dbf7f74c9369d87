// TCP segments (RFC 9293): what a SYN probe needs, its answers included.
import {checksum, fold, writeChecksum} from './checksum.ts'
import {expectWhole, WireError} from './error.ts'
import {PROTOCOL_TCP} from './ipv4.ts'
import {copyBytes, zeros} from './memory.ts'
import {type IpEnds, pseudoSum} from './pseudo-header.ts'
import {table, u16, u32} from './table.ts'

export const TCP_FIN = 0x01
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
export function parseTcp(bytes: Uint8Array, ends?: IpEnds): Tcp {
  const {headerLength, checksum: received, ...segment} = readTcpHeader(bytes)
  if (ends) {
    const pseudo = pseudoSum(ends, PROTOCOL_TCP, bytes.length)
    if (checksum(bytes, 0, bytes.length, pseudo) !== 0 && received !== fold(pseudo)) {
      throw new WireError('tcp', 'malformed', header.offsets.checksum, 'checksum is wrong')
    }
  }
  return {...segment, payload: copyBytes(bytes, headerLength)}
}

/** A header as it lay in the segment. */
export interface ReceivedTcpHeader extends Omit<Tcp, 'payload'> {
  /** Bytes, options included. */
  readonly headerLength: number
  readonly checksum: number
}

/**
 * Reads the header alone and checks no checksum: what follows may be cut. Throws `WireError`, `truncated` or `malformed`,
 * as {@link parseTcp} does.
 */
export function readTcpHeader(bytes: Uint8Array): ReceivedTcpHeader {
  const {offsetAndFlags, ...plain} = header.parse(bytes)
  const headerLength = (offsetAndFlags >>> 12) * 4
  if (headerLength < header.size) {
    throw new WireError('tcp', 'malformed', header.offsets.offsetAndFlags, `header length ${headerLength} is below 20`)
  }
  if (headerLength > bytes.length) {
    throw new WireError('tcp', 'truncated', bytes.length, `header length is ${headerLength}, has ${bytes.length}`)
  }
  const options = copyBytes(bytes, header.size, headerLength)
  return {...plain, flags: offsetAndFlags & 0xfff, options, headerLength}
}

/**
 * The bytes of a segment between these addresses, with its checksum. Throws `WireError`, reason `out-of-range`.
 * @internal
 */
export function serializeTcp(tcp: Tcp, ends: IpEnds): Uint8Array {
  const out = zeros(tcpHeaderLength(tcp) + tcp.payload.length)
  writeTcp(tcp, ends, out, 0)
  return out
}

/** Writes a segment into `out` at `offset`; the caller has made room for header and payload. */
export function writeTcp(tcp: Tcp, ends: IpEnds, out: Uint8Array, offset: number): void {
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
  const pseudo = pseudoSum(ends, PROTOCOL_TCP, end - offset)
  writeChecksum(checksum(out, offset, end, pseudo), out, offset + header.offsets.checksum)
}
