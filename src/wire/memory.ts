// Memory for packets. A typed array above 64 bytes costs V8 an allocation of its own, 2.8 microseconds here; a piece of
// Node's buffer pool costs a fiftieth of that.

/** Above this V8 does not keep a typed array's bytes within the object. */
const IN_OBJECT = 64

/** Shared by all that have no bytes. */
export const NO_BYTES = new Uint8Array(0)

/** `size` zero bytes. Use it, and not `new Uint8Array`, for whole packets. */
export function zeros(size: number): Uint8Array {
  // Zeroed here, always: what the pool held before must never reach the network.
  return size <= IN_OBJECT ? new Uint8Array(size) : pooled(size).fill(0)
}

/** A copy of `bytes[start..end)` that shares no memory with them. */
export function copyBytes(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  const size = Math.max(0, Math.min(end, bytes.length) - start)
  if (size > IN_OBJECT) {
    const out = pooled(size)
    out.set(bytes.subarray(start, start + size))
    return out
  }
  // A DHCP option is mostly four bytes; slice would also make a Buffer's copy an alias.
  const out = new Uint8Array(size)
  for (let i = 0; i < size; i++) out[i] = bytes[start + i]!
  return out
}

function pooled(size: number): Uint8Array {
  const {buffer, byteOffset} = Buffer.allocUnsafe(size)
  return new Uint8Array(buffer, byteOffset, size)
}
