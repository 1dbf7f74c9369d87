// Options of TCP segments (RFC 9293 section 3.1), as far as somebody here reads or writes them: timestamps (RFC 7323).
const END_OF_LIST = 0
const NO_OPERATION = 1
const TIMESTAMPS = 8
const TIMESTAMPS_LENGTH = 10

/** RFC 7323 section 3: the sender's clock, and the last of the receiver's that it had. */
export interface TcpTimestamps {
  /** TSval. */
  readonly value: number
  /** TSecr; means something in segments with ACK alone. */
  readonly echo: number
}

/** The timestamps among the raw options of a segment; undefined if there are none, or where the list makes no sense. */
export function tcpTimestamps(options: Uint8Array): TcpTimestamps | undefined {
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!
    if (kind === END_OF_LIST) return undefined
    const length = kind === NO_OPERATION ? 1 : options[at + 1]
    if (length === undefined || (kind !== NO_OPERATION && length < 2) || at + length > options.length) return undefined
    if (kind === TIMESTAMPS && length === TIMESTAMPS_LENGTH)
      return {value: u32(options, at + 2), echo: u32(options, at + 6)}
    at += length
  }
  return undefined
}

const u32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
