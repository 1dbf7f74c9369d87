/** Why bytes are not the packet they were read as, or why a value has no bytes. */
export type WireReason = 'truncated' | 'unsupported' | 'malformed' | 'out-of-range'

/**
 * Thrown by every `parseX` and `serializeX`, and by nothing else.
 *
 * `offset` counts bytes from the start of what was handed to the codec that threw: for `truncated` it is where the
 * bytes ended, otherwise where the offending field starts.
 */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly layer: string
  readonly reason: WireReason
  readonly offset: number

  constructor(layer: string, reason: WireReason, offset: number, detail: string) {
    super(`${layer}: ${detail}`)
    this.layer = layer
    this.reason = reason
    this.offset = offset
  }
}

/** What `read` makes of bytes that may come from anybody; undefined where they are not what it takes them for. */
export function ifWellFormed<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

/** `value` if it is a whole number from 0 to `max` (at most 0xffffffff); otherwise throws, reason `out-of-range`. */
export function expectWhole(layer: string, field: string, value: number, max: number, offset = 0): number {
  if (value >>> 0 === value && value <= max) return value
  return notWhole(layer, field, value, max, offset)
}

function notWhole(layer: string, field: string, value: number, max: number, offset: number): never {
  throw new WireError(layer, 'out-of-range', offset, `${field} ${value} is not a whole number from 0 to ${max}`)
}
