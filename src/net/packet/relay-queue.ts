// The frames that are under way on a relayed wire: a ring of bytes that the kernel is handed pointers into.

/** Bytes of `struct virtio_net_hdr`, which PACKET_VNET_HDR puts in front of every frame. */
export const VNET_HEADER = 10
const NEEDS_CSUM = 1
const MACS = 12
const TAG = 4

/** First in, first out: a frame never leaves before the one that came before it. */
export interface FrameQueue {
  /** Frames under way. */
  readonly length: number
  /** Bytes under way. */
  readonly bytes: number
  /** Frames refused because the queue was full. */
  readonly dropped: number
  /** Where the ring lies in memory; `offset(i)` is relative to it. */
  readonly address: number
  dueMs(i: number): number
  offset(i: number): number
  size(i: number): number
  /** Appends the `size` bytes at `source[at]`; due no earlier than the frame before it. False if there is no room. */
  push(source: Uint8Array, at: number, size: number, dueMs: number): boolean
  /** The same for a frame whose VLAN tag the kernel delivered beside it: the tag goes back behind the MACs. */
  pushTagged(source: Uint8Array, at: number, size: number, dueMs: number, tpid: number, tci: number): boolean
  /** Removes the first `count` frames. */
  drop(count: number): void
}

export interface FrameQueueOptions {
  /** Most bytes under way. The memory is touched only as far as it is used. */
  readonly capacityBytes: number
  /** Most frames under way; a power of two. */
  readonly capacityFrames: number
  /** Tells where `memory` lies (the kernel reads the frames in place). */
  readonly addressOf: (memory: Uint8Array) => number
}

export function frameQueue({capacityBytes, capacityFrames, addressOf}: FrameQueueOptions): FrameQueue {
  const ring = new Uint8Array(capacityBytes)
  const view = new DataView(ring.buffer)
  const address = addressOf(ring)
  const mask = capacityFrames - 1
  const due = new Float64Array(capacityFrames)
  const offsets = new Uint32Array(capacityFrames)
  const sizes = new Uint32Array(capacityFrames)
  let first = 0
  let length = 0
  let bytes = 0
  let end = 0
  let dropped = 0
  let lastDue = 0

  /** A contiguous place for `size` bytes behind the last frame, or -1. Frames never wrap around the ring's end. */
  const reserve = (size: number): number => {
    if (length === 0) end = 0
    if (length === capacityFrames) return -1
    const start = length === 0 ? 0 : offsets[first & mask]!
    if (length > 0 && end <= start) return start - end >= size ? end : -1
    if (capacityBytes - end >= size) return end
    return start >= size ? 0 : -1
  }

  const append = (at: number, size: number, dueMs: number): void => {
    lastDue = length === 0 ? dueMs : Math.max(dueMs, lastDue)
    const slot = (first + length) & mask
    due[slot] = lastDue
    offsets[slot] = at
    sizes[slot] = size
    length++
    bytes += size
    end = at + size
  }

  const place = (size: number): number => {
    const at = reserve(size)
    if (at < 0) dropped++
    return at
  }

  return {
    address,
    get length() {
      return length
    },
    get bytes() {
      return bytes
    },
    get dropped() {
      return dropped
    },
    dueMs: (i) => due[(first + i) & mask]!,
    offset: (i) => offsets[(first + i) & mask]!,
    size: (i) => sizes[(first + i) & mask]!,
    push(source, at, size, dueMs) {
      const to = place(size)
      if (to < 0) return false
      ring.set(source.subarray(at, at + size), to)
      append(to, size, dueMs)
      return true
    },
    pushTagged(source, at, size, dueMs, tpid, tci) {
      const to = place(size + TAG)
      if (to < 0) return false
      const head = VNET_HEADER + MACS
      ring.set(source.subarray(at, at + head), to)
      view.setUint16(to + head, tpid)
      view.setUint16(to + head + 2, tci)
      ring.set(source.subarray(at + head, at + size), to + head + TAG)
      // The offload fields count from the start of the frame, in host byte order: hdr_len, csum_start.
      if (view.getUint8(to + 1) !== 0) view.setUint16(to + 2, view.getUint16(to + 2, true) + TAG, true)
      if (view.getUint8(to) & NEEDS_CSUM) view.setUint16(to + 6, view.getUint16(to + 6, true) + TAG, true)
      append(to, size + TAG, dueMs)
      return true
    },
    drop(count) {
      for (let i = 0; i < count; i++) bytes -= sizes[(first + i) & mask]!
      first = (first + count) & mask
      length -= count
    },
  }
}
