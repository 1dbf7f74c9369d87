// Classic pcap files of Ethernet frames (pcap-savefile(5)), which every capture tool reads.
import {expectWhole, WireError} from './error.ts'
import {copyBytes, zeros} from './memory.ts'

const MICROSECONDS = 0xa1b2c3d4
const NANOSECONDS = 0xa1b23c4d
const LINKTYPE_ETHERNET = 1
const FILE_HEADER = 24
const RECORD_HEADER = 16
/** What tcpdump calls MAXIMUM_SNAPLEN: no frame is longer, so a longer one means that we are lost in the file. */
const LONGEST_FRAME = 262_144

/** One frame of a capture. */
export interface CapturedFrame {
  /** Nanoseconds since 1970-01-01T00:00Z. A file in microseconds loses the last three digits. */
  readonly timestamp: bigint
  readonly bytes: Uint8Array
  /** Bytes of the frame on the wire; more than `bytes` has where the capture cut it. */
  readonly originalLength: number
}

/** How the numbers of a file are written. */
export interface PcapFormat {
  readonly resolution: 'microseconds' | 'nanoseconds'
  readonly byteOrder: 'little' | 'big'
  /** Longest frame that the capture kept whole, in bytes. */
  readonly snapLength: number
}

export interface Pcap extends PcapFormat {
  readonly frames: readonly CapturedFrame[]
  /** Where the file breaks off within a record: it was cut, or its writer has not finished. */
  readonly truncatedAt?: number
}

/** What we write: kernel timestamps are in nanoseconds. @internal */
export const PCAP_DEFAULT: PcapFormat = {
  resolution: 'nanoseconds',
  byteOrder: 'little',
  snapLength: LONGEST_FRAME,
}

/**
 * Reads a capture file. One that breaks off within a record gives the frames before it and `truncatedAt`.
 * Throws `WireError`: `truncated` below 24 bytes, `unsupported` for other formats (pcapng), versions, link types than
 * Ethernet and time zones, `malformed` for a record that cannot be one.
 */
export function parsePcap(bytes: Uint8Array): Pcap {
  if (bytes.length < FILE_HEADER) fail('truncated', bytes.length, `needs ${FILE_HEADER} bytes, has ${bytes.length}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const format = parseFormat(view)
  const little = format.byteOrder === 'little'
  const frames: CapturedFrame[] = []
  for (let at = FILE_HEADER; at < bytes.length; ) {
    if (at + RECORD_HEADER > bytes.length) return {...format, frames, truncatedAt: at}
    const seconds = view.getUint32(at, little)
    const fraction = view.getUint32(at + 4, little)
    const length = view.getUint32(at + 8, little)
    const originalLength = view.getUint32(at + 12, little)
    const [perSecond, nanoseconds] = units(format)
    if (fraction >= perSecond) fail('malformed', at + 4, `${fraction} ${format.resolution} are more than a second`)
    if (length > LONGEST_FRAME) fail('malformed', at + 8, `no frame has ${length} bytes`)
    const start = at + RECORD_HEADER
    if (start + length > bytes.length) return {...format, frames, truncatedAt: at}
    const timestamp = BigInt(seconds) * 1_000_000_000n + BigInt(fraction * nanoseconds)
    frames.push({timestamp, bytes: copyBytes(bytes, start, start + length), originalLength})
    at = start + length
  }
  return {...format, frames}
}

function parseFormat(view: DataView): PcapFormat {
  const little = view.getUint32(0, true)
  const big = view.getUint32(0)
  const magic = [little, big].find((value) => value === MICROSECONDS || value === NANOSECONDS)
  if (magic === undefined) fail('unsupported', 0, `0x${big.toString(16).padStart(8, '0')} does not start a pcap file`)
  const byteOrder = magic === little ? 'little' : 'big'
  const u16 = (at: number) => view.getUint16(at, byteOrder === 'little')
  const u32 = (at: number) => view.getUint32(at, byteOrder === 'little')
  if (u16(4) !== 2 || u16(6) !== 4) fail('unsupported', 4, `version is ${u16(4)}.${u16(6)}, not 2.4`)
  if (u32(8) !== 0) fail('unsupported', 8, 'times are not in UTC')
  if (u32(20) !== LINKTYPE_ETHERNET) fail('unsupported', 20, `link type is ${u32(20)}, not Ethernet`)
  return {resolution: magic === NANOSECONDS ? 'nanoseconds' : 'microseconds', byteOrder, snapLength: u32(16)}
}

/** How many units of the format make a second, and how many nanoseconds make a unit. */
const units = ({resolution}: PcapFormat): [number, number] =>
  resolution === 'nanoseconds' ? [1_000_000_000, 1] : [1_000_000, 1000]

/** The bytes of a capture file, whole records only. Throws `WireError`, reason `out-of-range`. @internal */
export function serializePcap(pcap: Pcap): Uint8Array {
  const size = pcap.frames.reduce((sum, {bytes}) => sum + RECORD_HEADER + bytes.length, FILE_HEADER)
  const out = zeros(size)
  out.set(pcapHeader(pcap))
  let at = FILE_HEADER
  for (const frame of pcap.frames) {
    writeRecord(frame, pcap, out, at)
    at += RECORD_HEADER + frame.bytes.length
  }
  return out
}

/** The 24 bytes that start a file; append a {@link pcapRecord} for each frame as it comes. */
export function pcapHeader(format: PcapFormat = PCAP_DEFAULT): Uint8Array {
  const out = new Uint8Array(FILE_HEADER)
  const view = new DataView(out.buffer)
  const little = format.byteOrder === 'little'
  view.setUint32(0, format.resolution === 'nanoseconds' ? NANOSECONDS : MICROSECONDS, little)
  view.setUint16(4, 2, little)
  view.setUint16(6, 4, little)
  view.setUint32(16, expectWhole('pcap', 'snapLength', format.snapLength, 0xffff_ffff, 16), little)
  view.setUint32(20, LINKTYPE_ETHERNET, little)
  return out
}

/** The bytes of one record of a file with this format. Throws `WireError`, reason `out-of-range`. */
export function pcapRecord(frame: CapturedFrame, format: PcapFormat = PCAP_DEFAULT): Uint8Array {
  const out = zeros(RECORD_HEADER + frame.bytes.length)
  writeRecord(frame, format, out, 0)
  return out
}

function writeRecord(frame: CapturedFrame, format: PcapFormat, out: Uint8Array, at: number): void {
  const {timestamp, bytes, originalLength} = frame
  const little = format.byteOrder === 'little'
  const view = new DataView(out.buffer, out.byteOffset + at, RECORD_HEADER)
  const seconds = Number(timestamp / 1_000_000_000n)
  const [, nanoseconds] = units(format)
  if (timestamp < 0n) fail('out-of-range', 0, `timestamp ${timestamp} is before 1970`)
  if (bytes.length > LONGEST_FRAME) fail('out-of-range', 8, `no frame has ${bytes.length} bytes`)
  view.setUint32(0, expectWhole('pcap', 'seconds', seconds, 0xffff_ffff), little)
  view.setUint32(4, Math.floor(Number(timestamp % 1_000_000_000n) / nanoseconds), little)
  view.setUint32(8, bytes.length, little)
  view.setUint32(12, expectWhole('pcap', 'originalLength', originalLength, 0xffff_ffff, 12), little)
  out.set(bytes, at + RECORD_HEADER)
}

function fail(reason: WireError['reason'], offset: number, detail: string): never {
  throw new WireError('pcap', reason, offset, detail)
}
