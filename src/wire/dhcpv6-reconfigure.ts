// DHCPv6 (RFC 8415) as far as a Reconfigure needs it: the messages of client and server, and the Reconfigure Key
// Authentication Protocol (20.4).
import {createHmac, timingSafeEqual} from 'node:crypto'
import {
  AUTH_ALGORITHM_HMAC_MD5,
  AUTH_PROTOCOL_RECONFIGURE,
  RECONFIGURE_DIGEST,
  RECONFIGURE_NONCE,
} from './dhcp-options.ts'
import {expectWhole, WireError} from './error.ts'
import {copyBytes, zeros} from './memory.ts'
import {table, u8, u16} from './table.ts'

export const DHCPV6_CLIENT_PORT = 546
export const DHCPV6_SERVER_PORT = 547

export const DHCPV6_RENEW = 5
export const DHCPV6_REBIND = 6
export const DHCPV6_REPLY = 7
export const DHCPV6_RECONFIGURE = 10
export const DHCPV6_INFORMATION_REQUEST = 11

export const DHCPV6_OPTION_CLIENTID = 1
export const DHCPV6_OPTION_SERVERID = 2
export const DHCPV6_OPTION_AUTH = 11
const DHCPV6_OPTION_RECONF_MSG = 19
/** @internal */
export const DHCPV6_OPTION_RECONF_ACCEPT = 20

export interface Dhcpv6Option {
  readonly code: number
  readonly data: Uint8Array
}

/** A message between client and server (RFC 8415 8); relay messages (12, 13) have another header and are refused. */
export interface Dhcpv6 {
  readonly type: number
  /** 24 bits. */
  readonly transactionId: number
  /** In the order of the wire. */
  readonly options: readonly Dhcpv6Option[]
}

interface Header {
  readonly type: number
  readonly transactionHigh: number
  readonly transactionLow: number
}

const header = table<Header>('dhcpv6', {type: u8, transactionHigh: u8, transactionLow: u16})
const option = table<{readonly code: number; readonly length: number}>('dhcpv6', {code: u16, length: u16})
const RELAY_FORWARD = 12
const RELAY_REPLY = 13

/**
 * Reads a message; the result shares no memory with `bytes`. Throws `WireError`: `truncated` for a cut header or option,
 * `unsupported` for a relay message.
 */
export function parseDhcpv6(bytes: Uint8Array): Dhcpv6 {
  const {type, transactionHigh, transactionLow} = header.parse(bytes)
  if (type === RELAY_FORWARD || type === RELAY_REPLY) {
    throw new WireError('dhcpv6', 'unsupported', 0, `type ${type} is a relay's message`)
  }
  const options: Dhcpv6Option[] = []
  for (let at = header.size; at < bytes.length; ) {
    if (at + option.size > bytes.length) throw new WireError('dhcpv6', 'truncated', bytes.length, 'an option is cut')
    const {code, length} = option.parse(bytes.subarray(at))
    const end = at + option.size + length
    if (end > bytes.length) throw new WireError('dhcpv6', 'truncated', bytes.length, `option ${code} is cut`)
    options.push({code, data: copyBytes(bytes, at + option.size, end)})
    at = end
  }
  return {type, transactionId: transactionHigh * 0x1_0000 + transactionLow, options}
}

/** The bytes of a message. Throws `WireError`, reason `out-of-range`. @internal */
export function serializeDhcpv6({type, transactionId, options}: Dhcpv6): Uint8Array {
  expectWhole('dhcpv6', 'transactionId', transactionId, 0xff_ffff)
  const out = zeros(options.reduce((sum, {data}) => sum + option.size + data.length, header.size))
  header.write({type, transactionHigh: transactionId >>> 16, transactionLow: transactionId & 0xffff}, out, 0)
  let at = header.size
  for (const {code, data} of options) {
    option.write({code, length: data.length}, out, at)
    out.set(data, at + option.size)
    at += option.size + data.length
  }
  return out
}

/** The data of an option; undefined if the message does not have it. */
export const dhcpv6Option = ({options}: Dhcpv6, code: number): Uint8Array | undefined =>
  options.find((each) => each.code === code)?.data

/** Bytes of a reconfigure key, and of an HMAC-MD5 digest. */
const DHCPV6_KEY_LENGTH = 16
/** Protocol, algorithm, replay method, replay detection (8), type of the information. */
const BEFORE_VALUE = 12

export interface Dhcpv6Reconfigure {
  readonly clientDuid: Uint8Array
  readonly serverDuid: Uint8Array
  /** What the client shall send: Renew, Rebind or Information-request. */
  readonly messageType: typeof DHCPV6_RENEW | typeof DHCPV6_REBIND | typeof DHCPV6_INFORMATION_REQUEST
  /** 16 bytes that the server gave the client in a Reply. */
  readonly key: Uint8Array
  /** Above that of every earlier one. */
  readonly replay: bigint
}

/** A signed Reconfigure: the UDP payload, to be sent to port 546 of the client from a link-local address. */
export function serializeDhcpv6Reconfigure({
  clientDuid,
  serverDuid,
  messageType,
  key,
  replay,
}: Dhcpv6Reconfigure): Uint8Array {
  const message = serializeDhcpv6({
    type: DHCPV6_RECONFIGURE,
    transactionId: 0,
    options: [
      {code: DHCPV6_OPTION_SERVERID, data: serverDuid},
      {code: DHCPV6_OPTION_CLIENTID, data: clientDuid},
      {code: DHCPV6_OPTION_RECONF_MSG, data: Uint8Array.of(messageType)},
      // The last one: its digest is the end of the message.
      {code: DHCPV6_OPTION_AUTH, data: reconfigureAuthentication(RECONFIGURE_DIGEST, replay, zeros(DHCPV6_KEY_LENGTH))},
    ],
  })
  message.set(hmac(message, key), message.length - DHCPV6_KEY_LENGTH)
  return message
}

/** The data of option 11 with which a server gives a client its reconfigure key (RFC 8415 20.4.1). @internal */
export const dhcpv6ReconfigureKey = (replay: bigint, key: Uint8Array): Uint8Array =>
  reconfigureAuthentication(RECONFIGURE_NONCE, replay, expectKey(key))

/** The reconfigure key that a Reply gives; undefined if it gives none. */
export function readDhcpv6ReconfigureKey(message: Dhcpv6): Uint8Array | undefined {
  const data = dhcpv6Option(message, DHCPV6_OPTION_AUTH)
  if (data?.length !== BEFORE_VALUE + DHCPV6_KEY_LENGTH || data[0] !== AUTH_PROTOCOL_RECONFIGURE) return undefined
  if (data[1] !== AUTH_ALGORITHM_HMAC_MD5 || data[BEFORE_VALUE - 1] !== RECONFIGURE_NONCE) return undefined
  return copyBytes(data, BEFORE_VALUE)
}

/** Whether a message, as it was received, was signed with this key; its option 11 must be the last. */
export function verifyDhcpv6Reconfigure(bytes: Uint8Array, key: Uint8Array): boolean {
  const data = parseDhcpv6(bytes).options.at(-1)
  if (data?.code !== DHCPV6_OPTION_AUTH || data.data.length !== BEFORE_VALUE + DHCPV6_KEY_LENGTH) return false
  if (data.data[BEFORE_VALUE - 1] !== RECONFIGURE_DIGEST) return false
  const unsigned = copyBytes(bytes)
  unsigned.fill(0, bytes.length - DHCPV6_KEY_LENGTH)
  return timingSafeEqual(hmac(unsigned, key), bytes.subarray(bytes.length - DHCPV6_KEY_LENGTH))
}

function reconfigureAuthentication(type: number, replay: bigint, value: Uint8Array): Uint8Array {
  if (replay < 0n || replay >= 1n << 64n)
    throw new WireError('dhcpv6', 'out-of-range', 0, `replay ${replay} does not fit 64 bits`)
  const out = zeros(BEFORE_VALUE + value.length)
  out[0] = AUTH_PROTOCOL_RECONFIGURE
  out[1] = AUTH_ALGORITHM_HMAC_MD5
  new DataView(out.buffer, out.byteOffset).setBigUint64(3, replay)
  out[BEFORE_VALUE - 1] = type
  out.set(value, BEFORE_VALUE)
  return out
}

const hmac = (message: Uint8Array, key: Uint8Array): Uint8Array =>
  createHmac('md5', expectKey(key)).update(message).digest()

function expectKey(key: Uint8Array): Uint8Array {
  if (key.length === DHCPV6_KEY_LENGTH) return key
  throw new WireError(
    'dhcpv6',
    'out-of-range',
    0,
    `a reconfigure key has ${DHCPV6_KEY_LENGTH} bytes, not ${key.length}`,
  )
}
