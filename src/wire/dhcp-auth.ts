// Who may send a FORCERENEW: the keyed digest of RFC 3118 5 with the reconfigure key of RFC 6704, over a whole message.
import {createHmac, timingSafeEqual} from 'node:crypto'
import {ANY_IPV4, type Ipv4, type Mac} from './address.ts'
import {BOOTREPLY, DHCP_HEADER_LENGTH, DHCP_OFFSETS, type DhcpLimits, HTYPE_ETHERNET, serializeDhcp} from './dhcp.ts'
import {
  AUTH_ALGORITHM_HMAC_MD5,
  AUTH_PROTOCOL_RECONFIGURE,
  DHCPFORCERENEW,
  type DhcpAuthentication,
  type DhcpOption,
  dhcpOptions,
  RECONFIGURE_DIGEST,
  RECONFIGURE_NONCE,
  writeOption,
} from './dhcp-options.ts'
import {WireError} from './error.ts'
import {copyBytes} from './memory.ts'

/** Bytes of a nonce, and of an HMAC-MD5 digest. */
export const RECONFIGURE_KEY_LENGTH = 16
/** Bytes of option 90 in front of the digest: 11 of RFC 3118, 1 of RFC 6704. */
const BEFORE_DIGEST = 12
const AUTH_LENGTH = BEFORE_DIGEST + RECONFIGURE_KEY_LENGTH

/**
 * Option 90 of a message that will be signed: its digest is zeros. `replay` must grow from message to message.
 * @internal
 */
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

/** A client's nonce as everybody who has the secret knows it, without a word of each other: 16 bytes. */
export const derivedNonce = (secret: Uint8Array, mac: Mac): Uint8Array =>
  copyBytes(createHmac('sha256', secret).update(`nonce ${mac}`).digest(), 0, RECONFIGURE_KEY_LENGTH)

/** The nonce that option 90 of an ACK carries; undefined if it carries none. */
export function readReconfigureNonce({protocol, algorithm, information}: DhcpAuthentication): Uint8Array | undefined {
  if (protocol !== AUTH_PROTOCOL_RECONFIGURE || algorithm !== AUTH_ALGORITHM_HMAC_MD5) return undefined
  if (information.length !== 1 + RECONFIGURE_KEY_LENGTH || information[0] !== RECONFIGURE_NONCE) return undefined
  return copyBytes(information, 1)
}

/**
 * A copy of a serialized message, the digest in its option 90 computed with a nonce of 16 bytes.
 * Throws `WireError`, reason `malformed`, if the options field has no option 90 with room for a digest.
 * @internal
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

/** What a FORCERENEW says, and to whom. */
export interface Forcerenew {
  /** That of the client's last DHCPREQUEST: dhcpcd drops any other without a word. */
  readonly xid: number
  /** The address the client has leased. */
  readonly ip: Ipv4
  readonly chaddr: Mac
  /** Option 54; left out if undefined (dhcpcd does not look at it). */
  readonly serverIdentifier?: Ipv4 | undefined
  /** Option 90; without it the message is that of RFC 3203 alone, which sound clients refuse (CVE-2020-13529). */
  readonly authentication?: {readonly nonce: Uint8Array; readonly replay: bigint} | undefined
}

/**
 * A FORCERENEW (RFC 3203 2.1), authenticated by RFC 6704 if a nonce is given: the UDP payload, to be sent to port 68 of
 * the client's address, unicast. `ciaddr` is the leased address, which some clients ask for and none refuses.
 * Throws `WireError`, reason `out-of-range`, for a nonce that is not 16 bytes.
 */
export function serializeForcerenew(order: Forcerenew, limits: DhcpLimits = {}): Uint8Array {
  const {xid, ip, chaddr, serverIdentifier, authentication} = order
  const options: DhcpOption[] = [writeOption(dhcpOptions.messageType, DHCPFORCERENEW)]
  if (serverIdentifier !== undefined) options.push(writeOption(dhcpOptions.serverIdentifier, serverIdentifier))
  if (authentication) {
    options.push(writeOption(dhcpOptions.authentication, unsignedReconfigure(authentication.replay)))
  }
  const message = serializeDhcp(
    {
      op: BOOTREPLY,
      htype: HTYPE_ETHERNET,
      hops: 0,
      xid,
      secs: 0,
      flags: 0,
      ciaddr: ip,
      yiaddr: ANY_IPV4,
      siaddr: ANY_IPV4,
      giaddr: ANY_IPV4,
      chaddr,
      sname: '',
      file: '',
      options,
    },
    limits,
  )
  return authentication ? signReconfigure(message, authentication.nonce) : message
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
