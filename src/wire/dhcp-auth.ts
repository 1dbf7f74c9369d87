// Who may send a FORCERENEW: the keyed digest of RFC 3118 5 with the reconfigure key of RFC 6704, over a whole message.
import {createHmac, timingSafeEqual} from 'node:crypto'
import {DHCP_HEADER_LENGTH, DHCP_OFFSETS} from './dhcp.ts'
import {
  AUTH_ALGORITHM_HMAC_MD5,
  AUTH_PROTOCOL_RECONFIGURE,
  type DhcpAuthentication,
  dhcpOptions,
  RECONFIGURE_DIGEST,
  RECONFIGURE_NONCE,
} from './dhcp-options.ts'
import {WireError} from './error.ts'
import {copyBytes} from './memory.ts'

/** Bytes of a nonce, and of an HMAC-MD5 digest. */
export const RECONFIGURE_KEY_LENGTH = 16
/** Bytes of option 90 in front of the digest: 11 of RFC 3118, 1 of RFC 6704. */
const BEFORE_DIGEST = 12
const AUTH_LENGTH = BEFORE_DIGEST + RECONFIGURE_KEY_LENGTH

/** Option 90 of a message that will be signed: its digest is zeros. `replay` must grow from message to message. */
export const unsignedReconfigure = (replay: bigint): DhcpAuthentication =>
  reconfigure(RECONFIGURE_DIGEST, replay, new Uint8Array(RECONFIGURE_KEY_LENGTH))

/** Option 90 of the ACK that gives a client its nonce, 16 bytes (RFC 6704 3.1.3). */
export function reconfigureNonce(replay: bigint, nonce: Uint8Array): DhcpAuthentication {
  expectKey(nonce)
  return reconfigure(RECONFIGURE_NONCE, replay, nonce)
}

function reconfigure(type: number, replay: bigint, value: Uint8Array): DhcpAuthentication {
  const information = new Uint8Array(1 + value.length)
  information[0] = type
  information.set(value, 1)
  const [protocol, algorithm] = [AUTH_PROTOCOL_RECONFIGURE, AUTH_ALGORITHM_HMAC_MD5]
  return {protocol, algorithm, replayMethod: 0, replay, information}
}

/** The nonce that option 90 of an ACK carries; undefined if it carries none. */
export function readReconfigureNonce({protocol, algorithm, information}: DhcpAuthentication): Uint8Array | undefined {
  if (protocol !== AUTH_PROTOCOL_RECONFIGURE || algorithm !== AUTH_ALGORITHM_HMAC_MD5) return undefined
  if (information.length !== 1 + RECONFIGURE_KEY_LENGTH || information[0] !== RECONFIGURE_NONCE) return undefined
  return copyBytes(information, 1)
}

/**
 * A copy of a serialized message, the digest in its option 90 computed with a nonce of 16 bytes.
 * Throws `WireError`, reason `malformed`, if the options field has no option 90 with room for a digest.
 */
export function signReconfigure(message: Uint8Array, nonce: Uint8Array): Uint8Array {
  const at = digestOffset(message)
  if (at === undefined) {
    throw new WireError('dhcp authentication', 'malformed', DHCP_HEADER_LENGTH, 'option 90 has no digest to fill in')
  }
  const signed = copyBytes(message)
  signed.set(digest(message, at, nonce), at)
  return signed
}

/** Whether the digest of a message, as it was received, was made with this nonce; false without one. */
export function verifyReconfigure(message: Uint8Array, nonce: Uint8Array): boolean {
  const at = digestOffset(message)
  if (at === undefined) return false
  return timingSafeEqual(digest(message, at, nonce), message.subarray(at, at + RECONFIGURE_KEY_LENGTH))
}

/** HMAC-MD5 of the whole message, its padding too, with the digest and what relays change taken as 0 (RFC 3118 5.4). */
function digest(message: Uint8Array, at: number, nonce: Uint8Array): Uint8Array {
  expectKey(nonce)
  const input = copyBytes(message)
  input[DHCP_OFFSETS.hops] = 0
  input.fill(0, DHCP_OFFSETS.giaddr, DHCP_OFFSETS.giaddr + 4)
  input.fill(0, at, at + RECONFIGURE_KEY_LENGTH)
  return createHmac('md5', nonce).update(input).digest()
}

/** Where the digest lies; undefined if there is no option 90 of protocol 3 with one in the options field. */
function digestOffset(message: Uint8Array): number | undefined {
  for (let at = DHCP_HEADER_LENGTH; at < message.length && message[at] !== 255; ) {
    if (message[at] === 0) {
      at++
      continue
    }
    const length = message[at + 1] ?? 0
    const data = message.subarray(at + 2, at + 2 + length)
    if (message[at] === dhcpOptions.authentication.code) {
      const kind = [data[0], data[1], data[BEFORE_DIGEST - 1]]
      const wanted = [AUTH_PROTOCOL_RECONFIGURE, AUTH_ALGORITHM_HMAC_MD5, RECONFIGURE_DIGEST]
      const fits = data.length === AUTH_LENGTH && wanted.every((value, i) => kind[i] === value)
      return fits ? at + 2 + BEFORE_DIGEST : undefined
    }
    at += 2 + length
  }
  return undefined
}

function expectKey(nonce: Uint8Array): void {
  if (nonce.length === RECONFIGURE_KEY_LENGTH) return
  const detail = `a nonce has ${RECONFIGURE_KEY_LENGTH} bytes, not ${nonce.length}`
  throw new WireError('dhcp authentication', 'out-of-range', 0, detail)
}
