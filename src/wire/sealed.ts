// Words between programs that share a secret, in datagrams: JSON, and behind it a keyed digest of all of it. Whoever does not
// have the secret can read them and repeat them, but makes none.
import {createHmac, timingSafeEqual} from 'node:crypto'
import {WireError} from './error.ts'
import {copyBytes, zeros} from './memory.ts'

/** Bytes of an HMAC-SHA256. */
const SEAL = 32

/** @internal */
const sealOf = (secret: Uint8Array, text: Uint8Array): Uint8Array =>
  createHmac('sha256', secret).update('sealed ').update(text).digest()

export function serializeSealed(value: unknown, secret: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value))
  const out = zeros(text.length + SEAL)
  out.set(text)
  out.set(sealOf(secret, text), text.length)
  return out
}

/** Throws `WireError`: `truncated` if it is too short, `malformed` if it was made with another secret or is no JSON. */
export function parseSealed(bytes: Uint8Array, secret: Uint8Array): unknown {
  if (bytes.length <= SEAL) throw new WireError('sealed', 'truncated', bytes.length, 'shorter than its seal')
  const text = copyBytes(bytes, 0, bytes.length - SEAL)
  if (!timingSafeEqual(sealOf(secret, text), bytes.subarray(text.length)))
    throw new WireError('sealed', 'malformed', text.length, 'sealed with another secret')
  try {
    return JSON.parse(new TextDecoder().decode(text))
  } catch {
    throw new WireError('sealed', 'malformed', 0, 'no JSON')
  }
}
