// Memory for packets and their parts, cut from larger pieces.
//
// A typed array with bytes of its own costs much: above 64 bytes V8 allocates them outside its heap, which takes 1 to 3
// microseconds, and below that the array drags a second object and 120 more bytes of garbage along. One that is a window
// on memory that is there already takes 30 ns and 104 bytes.

/** Bytes cut up at a time. What is kept of a packet keeps this much alive, so it is not larger. */
const CHUNK = 16_384
/** Above this a piece gets memory of its own. */
const LARGE = CHUNK / 8

// Where the next piece starts. Nobody can tell: a piece is handed out once only, and fresh memory is all zeros, so that
// nothing of one packet ever reaches another.
let chunk = new ArrayBuffer(0)
let used = CHUNK

/** Shared by all that have no bytes. */
export const NO_BYTES = new Uint8Array(0)

/** `size` zero bytes, a window on a larger piece: mind `byteOffset` where `buffer` is used. */
export function zeros(size: number): Uint8Array {
  const start = used
  if (start + size > CHUNK) return freshZeros(size)
  used = start + size
  return new Uint8Array(chunk, start, size)
}

// Apart, so that V8 inlines the common case.
function freshZeros(size: number): Uint8Array {
  if (size > LARGE) return new Uint8Array(size)
  chunk = new ArrayBuffer(CHUNK)
  used = size
  return new Uint8Array(chunk, 0, size)
}

/** A copy of `bytes[start..end)` that shares no memory with them; `slice` of a Buffer would. */
export function copyBytes(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  const size = Math.max(0, Math.min(end, bytes.length) - start)
  const out = zeros(size)
  // Most options and addresses have a few bytes: a loop is faster there.
  if (size > 64) out.set(bytes.subarray(start, start + size))
  else for (let i = 0; i < size; i++) out[i] = bytes[start + i]!
  return out
}
