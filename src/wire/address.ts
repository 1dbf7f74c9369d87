// MAC and IPv4 addresses as text, the form in which people, inventories and JSON carry them.
import {WireError} from './error.ts'

/** A MAC address: six lower-case hex pairs joined by colons, `02:00:00:00:0a:01`. */
export type Mac = string

/** An IPv4 address in dotted decimal without leading zeros, `10.0.0.1`. */
export type Ipv4 = string

export const BROADCAST: Mac = 'ff:ff:ff:ff:ff:ff'
export const ZERO_MAC: Mac = '00:00:00:00:00:00'
export const ANY_IPV4: Ipv4 = '0.0.0.0'

const MAC_TEXT = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i
const IPV4_TEXT = /^(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/

export const isMac = (text: string): boolean => MAC_TEXT.test(text)
export const isIpv4 = (text: string): boolean => IPV4_TEXT.test(text)

/** Any of `02:00:00:00:0a:01`, `02-00-00-00-0A-01`, `0200.0000.0a01` as a {@link Mac}; undefined if it is none. */
export function readMac(text: string): Mac | undefined {
  const digits = text.replace(/^([0-9a-f]{4})\.([0-9a-f]{4})\.([0-9a-f]{4})$/i, '$1$2$3')
  const pairs =
    digits === text ? text.replaceAll('-', ':').toLowerCase() : digits.toLowerCase().replace(/(..)(?=.)/g, '$1:')
  return isMac(pairs) ? pairs : undefined
}

/** The group bit (IEEE 802 I/G): set for multicast and broadcast, which no station has as its own. */
export const isGroupMac = (mac: Mac): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1

// The same few addresses come in every packet of a segment, and their text is most of what reading one costs. So texts
// are kept, a bounded number of them, by a hash of their value; who asks cannot tell, but by the clock.
const KEPT_BITS = 10
const KEPT = 1 << KEPT_BITS
const slotOf = (value: number): number => Math.imul(value, 0x9e37_79b1) >>> (32 - KEPT_BITS)
const macHighs = new Uint16Array(KEPT)
const macLows = new Uint32Array(KEPT)
const macTexts = new Array<Mac>(KEPT).fill(ZERO_MAC)
const ipv4Values = new Uint32Array(KEPT)
const ipv4Texts = new Array<Ipv4>(KEPT).fill(ANY_IPV4)

/** A MAC from its first two bytes and its last four, unsigned, as a big-endian read gives them. */
export function macText(high: number, low: number): Mac {
  const slot = slotOf(low ^ high)
  if (macLows[slot] === low && macHighs[slot] === high) return macTexts[slot]!
  macHighs[slot] = high
  macLows[slot] = low
  macTexts[slot] = formatMac(high, low)
  return macTexts[slot]!
}

/** Dotted decimal of a 32-bit value, unsigned. */
export function ipv4Text(value: number): Ipv4 {
  const slot = slotOf(value)
  if (ipv4Values[slot] === value) return ipv4Texts[slot]!
  ipv4Values[slot] = value
  ipv4Texts[slot] = formatIpv4(value)
  return ipv4Texts[slot]!
}

const OCTET = Array.from({length: 256}, (_, n) => `${n}`)
const OCTET_DOT = OCTET.map((octet) => `${octet}.`)
const HEX = Array.from({length: 256}, (_, n) => n.toString(16).padStart(2, '0'))

function formatIpv4(value: number): Ipv4 {
  return (
    OCTET_DOT[value >>> 24]! + OCTET_DOT[(value >>> 16) & 0xff] + OCTET_DOT[(value >>> 8) & 0xff] + OCTET[value & 0xff]
  )
}

function formatMac(high: number, low: number): Mac {
  return [high >>> 8, high & 0xff, low >>> 24, (low >>> 16) & 0xff, (low >>> 8) & 0xff, low & 0xff]
    .map((byte) => HEX[byte])
    .join(':')
}

/** The 32-bit value of an address; what is none throws {@link WireError}, reason `out-of-range`. */
export function ipv4Value(text: Ipv4): number {
  if (text === ANY_IPV4) return 0
  let value = 0
  let octet = -1
  let dots = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 48 && c <= 57 && octet !== 0) {
      octet = (octet < 0 ? 0 : octet * 10) + c - 48
      if (octet > 255) return notIpv4(text)
    } else if (c === 46 && octet >= 0 && dots < 3) {
      value = (value << 8) | octet
      octet = -1
      dots++
    } else return notIpv4(text)
  }
  if (dots !== 3 || octet < 0) return notIpv4(text)
  return ((value << 8) | octet) >>> 0
}

function notIpv4(text: unknown): never {
  throw new WireError('ipv4 address', 'out-of-range', 0, `${JSON.stringify(text)} is not an IPv4 address`)
}

export function writeIpv4(text: Ipv4, out: Uint8Array, offset: number): void {
  const value = ipv4Value(text)
  out[offset] = value >>> 24
  out[offset + 1] = (value >>> 16) & 0xff
  out[offset + 2] = (value >>> 8) & 0xff
  out[offset + 3] = value & 0xff
}

export function writeMac(text: Mac, out: Uint8Array, offset: number): void {
  if (text.length !== 17) notMac(text)
  for (let i = 0; i < 6; i++) {
    const high = nibble(text.charCodeAt(i * 3))
    const low = nibble(text.charCodeAt(i * 3 + 1))
    if (high < 0 || low < 0 || (i < 5 && text.charCodeAt(i * 3 + 2) !== 58)) notMac(text)
    out[offset + i] = (high << 4) | low
  }
}

function notMac(text: unknown): never {
  throw new WireError('mac address', 'out-of-range', 0, `${JSON.stringify(text)} is not a MAC address`)
}

function nibble(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}

/** Bytes of the longest hardware address that DHCP carries (`chaddr`, RFC 2131). */
export const HARDWARE_ADDRESS_ROOM = 16

/** `length` bytes (at most 16) as hex pairs joined by colons: a {@link Mac} if there are six, '' if there are none. */
export function hardwareText(bytes: Uint8Array, offset: number, length: number): string {
  if (length === 6) {
    return macText(u16At(bytes, offset), u16At(bytes, offset + 2) * 0x1_0000 + u16At(bytes, offset + 4))
  }
  const used = bytes.subarray(offset, offset + Math.min(length, HARDWARE_ADDRESS_ROOM))
  return Array.from(used, (byte) => HEX[byte]).join(':')
}

const u16At = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!

/** Writes hex pairs joined by colons, at most 16, and zeros behind them up to 16 bytes. */
export function writeHardwareAddress(text: string, out: Uint8Array, offset: number): void {
  for (let i = 0; i < HARDWARE_ADDRESS_ROOM; i++) out[offset + i] = 0
  if (text.length === 17) writeMac(text, out, offset)
  else if (text !== '') {
    const pairs = text.split(':')
    if (pairs.length > HARDWARE_ADDRESS_ROOM || !pairs.every((pair) => /^[0-9a-f]{2}$/i.test(pair))) notMac(text)
    for (const [i, pair] of pairs.entries()) out[offset + i] = Number.parseInt(pair, 16)
  }
}

/** An IPv4 prefix, `10.0.0.0/24`. */
export interface Prefix {
  readonly address: Ipv4
  readonly length: number
}

/** Reads `10.0.0.0/24`; undefined if it is no prefix or has bits set behind its length. */
export function readPrefix(text: string): Prefix | undefined {
  const [address = '', length = '', more] = text.split('/')
  if (more !== undefined || !isIpv4(address) || !/^(?:[12]?\d|3[0-2])$/.test(length)) return undefined
  const prefix = {address, length: Number(length)}
  return (ipv4Value(address) & ~mask(prefix.length)) >>> 0 === 0 ? prefix : undefined
}

export const prefixText = (prefix: Prefix): string => `${prefix.address}/${prefix.length}`

export function prefixContains(prefix: Prefix, address: Ipv4): boolean {
  return ((ipv4Value(prefix.address) ^ ipv4Value(address)) & mask(prefix.length)) === 0
}

/** The prefix of `length` bits that `address` lies in. */
export function prefixOf(address: Ipv4, length: number): Prefix {
  return {address: ipv4Text((ipv4Value(address) & mask(length)) >>> 0), length}
}

const mask = (length: number): number => (length === 0 ? 0 : ~0 << (32 - length))
