// Options of Neighbour Discovery messages (RFC 4861 4.6): an ordered list of type, length in units of 8 bytes, value.
import type {Mac} from './address.ts'
import {expectWhole, WireError} from './error.ts'
import {type Ipv6, ipv6Bytes, ipv6Text} from './ipv6-address.ts'
import {copyBytes, zeros} from './memory.ts'
import {mac, bytes as raw, table, u8, u16, u32} from './table.ts'

const ND_OPTION_SOURCE_LINK_LAYER_ADDRESS = 1
const ND_OPTION_TARGET_LINK_LAYER_ADDRESS = 2
const ND_OPTION_PREFIX_INFORMATION = 3
const ND_OPTION_REDIRECTED_HEADER = 4
const ND_OPTION_MTU = 5

/** One option. `other` is every type that has no kind of its own here, and what no kind can say: another length. */
export type NdOption =
  | {readonly kind: 'source-link-layer-address' | 'target-link-layer-address'; readonly mac: Mac}
  | NdPrefixInformation
  | {readonly kind: 'redirected-header'; readonly packet: Uint8Array}
  | {readonly kind: 'mtu'; readonly mtu: number}
  | {readonly kind: 'other'; readonly type: number; readonly data: Uint8Array}

/** RFC 4861 4.6.2; lifetimes in seconds. */
export interface NdPrefixInformation {
  readonly kind: 'prefix-information'
  readonly prefix: Ipv6
  readonly prefixLength: number
  readonly onLink: boolean
  readonly autonomous: boolean
  readonly validLifetime: number
  readonly preferredLifetime: number
}

interface Head {
  readonly type: number
  readonly length: number
}

const head = {type: u8, length: u8}
const start = table<Head>('nd option', head)
const linkLayer = table<Head & {mac: Mac}>('nd option', {...head, mac})
const prefixInformation = table<
  Head & {
    prefixLength: number
    flags: number
    validLifetime: number
    preferredLifetime: number
    reserved: number
    prefix: Uint8Array
  }
>('nd option', {
  ...head,
  prefixLength: u8,
  flags: u8,
  validLifetime: u32,
  preferredLifetime: u32,
  reserved: u32,
  prefix: raw(16),
})
const mtuOption = table<Head & {reserved: number; mtu: number}>('nd option', {...head, reserved: u16, mtu: u32})
/** In front of the packet that a redirected-header option quotes. */
const REDIRECTED_HEAD = 8

const ON_LINK = 0x80
const AUTONOMOUS = 0x40

/**
 * Reads the options behind a message's fixed part. The result shares no memory with `bytes`.
 * Throws `WireError`: `malformed` for a length of 0 (RFC 4861 4.6 has the whole packet discarded), `truncated` for an
 * option that ends beyond the message.
 */
export function parseNdOptions(bytes: Uint8Array): NdOption[] {
  const options: NdOption[] = []
  for (let at = 0; at < bytes.length; ) {
    const {type, length} = shifted(at, () => start.parse(bytes.subarray(at)))
    if (length === 0) throw new WireError('nd option', 'malformed', at + 1, `option ${type} says it is 0 bytes long`)
    const end = at + length * 8
    if (end > bytes.length) {
      throw new WireError(
        'nd option',
        'truncated',
        bytes.length,
        `option ${type} needs ${length * 8} bytes, has ${bytes.length - at}`,
      )
    }
    options.push(readOption(type, bytes.subarray(at, end)))
    at = end
  }
  return options
}

/** Runs `read`, its errors counted from `at`. */
function shifted<T>(at: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    throw new WireError(error.layer, error.reason, error.offset + at, error.message.replace(/^.*?: /, ''))
  }
}

function readOption(type: number, bytes: Uint8Array): NdOption {
  if (type === ND_OPTION_SOURCE_LINK_LAYER_ADDRESS && bytes.length === linkLayer.size) {
    return {kind: 'source-link-layer-address', mac: linkLayer.parse(bytes).mac}
  }
  if (type === ND_OPTION_TARGET_LINK_LAYER_ADDRESS && bytes.length === linkLayer.size) {
    return {kind: 'target-link-layer-address', mac: linkLayer.parse(bytes).mac}
  }
  if (type === ND_OPTION_PREFIX_INFORMATION && bytes.length === prefixInformation.size) {
    const {flags, prefix, prefixLength, validLifetime, preferredLifetime} = prefixInformation.parse(bytes)
    if (prefixLength > 128) return {kind: 'other', type, data: copyBytes(bytes, start.size)}
    return {
      kind: 'prefix-information',
      prefix: ipv6Text(prefix),
      prefixLength,
      onLink: (flags & ON_LINK) !== 0,
      autonomous: (flags & AUTONOMOUS) !== 0,
      validLifetime,
      preferredLifetime,
    }
  }
  if (type === ND_OPTION_MTU && bytes.length === mtuOption.size) return {kind: 'mtu', mtu: mtuOption.parse(bytes).mtu}
  if (type === ND_OPTION_REDIRECTED_HEADER)
    return {kind: 'redirected-header', packet: copyBytes(bytes, REDIRECTED_HEAD)}
  return {kind: 'other', type, data: copyBytes(bytes, start.size)}
}

/** Bytes that {@link serializeNdOptions} gives. */
export const ndOptionsLength = (options: readonly NdOption[]): number =>
  options.reduce((sum, option) => sum + optionLength(option), 0)

function optionLength(option: NdOption): number {
  switch (option.kind) {
    case 'prefix-information':
      return prefixInformation.size
    case 'redirected-header':
      return REDIRECTED_HEAD + Math.ceil(option.packet.length / 8) * 8
    case 'other':
      return start.size + option.data.length
    default:
      return linkLayer.size
  }
}

/**
 * The bytes of a list of options. A quoted packet is filled up with zeros to a multiple of 8 bytes.
 * Throws `WireError`, reason `out-of-range`, also for an `other` option whose length is no multiple of 8.
 */
export function serializeNdOptions(options: readonly NdOption[]): Uint8Array {
  const out = zeros(ndOptionsLength(options))
  let at = 0
  for (const option of options) {
    const size = optionLength(option)
    if (size % 8 !== 0) throw new WireError('nd option', 'out-of-range', at, `${size} bytes are no multiple of 8`)
    expectWhole('nd option', 'length', size / 8, 0xff, at)
    writeOption(option, size / 8, out, at)
    at += size
  }
  return out
}

function writeOption(option: NdOption, length: number, out: Uint8Array, at: number): void {
  switch (option.kind) {
    case 'source-link-layer-address':
      linkLayer.write({type: ND_OPTION_SOURCE_LINK_LAYER_ADDRESS, length, mac: option.mac}, out, at)
      break
    case 'target-link-layer-address':
      linkLayer.write({type: ND_OPTION_TARGET_LINK_LAYER_ADDRESS, length, mac: option.mac}, out, at)
      break
    case 'prefix-information': {
      const {prefixLength, validLifetime, preferredLifetime} = option
      expectWhole('nd option', 'prefixLength', prefixLength, 128, at + 2)
      const flags = (option.onLink ? ON_LINK : 0) | (option.autonomous ? AUTONOMOUS : 0)
      const fields = {
        prefixLength,
        flags,
        validLifetime,
        preferredLifetime,
        reserved: 0,
        prefix: ipv6Bytes(option.prefix),
      }
      prefixInformation.write({type: ND_OPTION_PREFIX_INFORMATION, length, ...fields}, out, at)
      break
    }
    case 'redirected-header':
      start.write({type: ND_OPTION_REDIRECTED_HEADER, length}, out, at)
      out.set(option.packet, at + REDIRECTED_HEAD)
      break
    case 'mtu':
      mtuOption.write({type: ND_OPTION_MTU, length, reserved: 0, mtu: option.mtu}, out, at)
      break
    case 'other':
      expectWhole('nd option', 'type', option.type, 0xff, at)
      if (length === 0) throw new WireError('nd option', 'out-of-range', at, 'an option has 8 bytes at least')
      start.write({type: option.type, length}, out, at)
      out.set(option.data, at + start.size)
  }
}
