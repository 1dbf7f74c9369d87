// What routers append to an ICMP error (RFC 4884): MPLS labels (RFC 4950) and interface information (RFC 5837).
import {type Ipv4, ipv4Text, ipv4Value} from './address.ts'
import {checksum, writeChecksum} from './checksum.ts'
import {expectWhole, WireError} from './error.ts'
import {copyBytes} from './memory.ts'

const LAYER = 'icmp extension'
const VERSION = 2
/** Bytes of the structure's header, and of an object's: 4 each. */
const HEADER = 4
const CLASS_MPLS = 1
const CLASS_INTERFACE = 2
const MPLS_INCOMING_STACK = 1

/** One entry of a label stack as the router received it. */
export interface MplsLabel {
  /** 0 to 0xfffff. */
  readonly label: number
  /** 0 to 7, once "experimental" (RFC 5462). */
  readonly trafficClass: number
  readonly bottomOfStack: boolean
  readonly ttl: number
}

/** Which interface of the router the object describes, in the order of RFC 5837 4.1. */
export const INTERFACE_ROLES = ['incoming', 'sub-ip', 'outgoing', 'next-hop'] as const
export type InterfaceRole = (typeof INTERFACE_ROLES)[number]

export type IcmpExtension =
  | {readonly kind: 'mpls'; readonly labels: readonly MplsLabel[]}
  | {
      readonly kind: 'interface'
      readonly role: InterfaceRole
      readonly index?: number
      readonly address?: Ipv4
      /** At most 63 bytes as UTF-8. */
      readonly name?: string
      /** Bytes. */
      readonly mtu?: number
    }
  /** Any other object, and one of the above that does not say what its class promises. */
  | {readonly kind: 'unknown'; readonly classNumber: number; readonly classType: number; readonly data: Uint8Array}

/**
 * Reads an extension structure, the checksum included. Undefined if `bytes` hold none: too short, another version, a
 * wrong checksum (0 stands for "not computed"), objects that reach past the end. RFC 4884 wants the rest of such a
 * message used all the same, so nothing is thrown. The result shares no memory with `bytes`.
 */
export function parseExtensions(bytes: Uint8Array): readonly IcmpExtension[] | undefined {
  if (bytes.length < HEADER || bytes[0]! >>> 4 !== VERSION) return undefined
  const computed = (bytes[2]! | bytes[3]!) !== 0
  if (computed && checksum(bytes) !== 0) return undefined
  const objects: IcmpExtension[] = []
  for (let at = HEADER; at < bytes.length; ) {
    if (at + HEADER > bytes.length) return undefined
    const length = (bytes[at]! << 8) | bytes[at + 1]!
    if (length < HEADER || length % 4 !== 0 || at + length > bytes.length) return undefined
    objects.push(parseObject(bytes[at + 2]!, bytes[at + 3]!, copyBytes(bytes, at + HEADER, at + length)))
    at += length
  }
  return objects
}

function parseObject(classNumber: number, classType: number, data: Uint8Array): IcmpExtension {
  if (classNumber === CLASS_MPLS && classType === MPLS_INCOMING_STACK) return {kind: 'mpls', labels: parseLabels(data)}
  const described = classNumber === CLASS_INTERFACE ? parseInterface(classType, data) : undefined
  return described ?? {kind: 'unknown', classNumber, classType, data}
}

function parseLabels(data: Uint8Array): MplsLabel[] {
  const labels: MplsLabel[] = []
  for (let at = 0; at < data.length; at += 4) {
    const middle = data[at + 2]!
    labels.push({
      label: (data[at]! << 12) | (data[at + 1]! << 4) | (middle >>> 4),
      trafficClass: (middle >>> 1) & 7,
      bottomOfStack: (middle & 1) === 1,
      ttl: data[at + 3]!,
    })
  }
  return labels
}

/** Bits of an interface object's C-Type (RFC 5837 4.1); the two on top hold the role. */
const HAS_INDEX = 0x08
const HAS_ADDRESS = 0x04
const HAS_NAME = 0x02
const HAS_MTU = 0x01
const RESERVED = 0x30
const AFI_IPV4 = 1
/** Made when used: V8 takes none into a snapshot. */
const utf8 = (): TextDecoder => new TextDecoder('utf-8', {fatal: true, ignoreBOM: true})

/** Undefined for what this type cannot say (IPv6 addresses, set reserved bits, text that is not UTF-8). */
function parseInterface(classType: number, data: Uint8Array): IcmpExtension | undefined {
  if (classType & RESERVED) return undefined
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  const info: {index?: number; address?: Ipv4; name?: string; mtu?: number} = {}
  let at = 0
  const take = (size: number): number => {
    at += size
    return at - size
  }
  try {
    if (classType & HAS_INDEX) info.index = view.getUint32(take(4))
    if (classType & HAS_ADDRESS) {
      if (view.getUint32(take(4)) !== AFI_IPV4 << 16) return undefined
      info.address = ipv4Text(view.getUint32(take(4)))
    }
    if (classType & HAS_NAME) {
      const length = view.getUint8(at)
      const field = data.subarray(at + 1, at + length)
      const end = field.indexOf(0)
      const text = end < 0 ? field : field.subarray(0, end)
      if (
        length !== nameSize(text.length) ||
        field.length !== length - 1 ||
        field.some((byte, i) => i > end && end >= 0 && byte !== 0)
      )
        return undefined
      info.name = utf8().decode(text)
      take(length)
    }
    if (classType & HAS_MTU) info.mtu = view.getUint32(take(4))
  } catch {
    return undefined
  }
  return at === data.length ? {kind: 'interface', role: INTERFACE_ROLES[classType >>> 6]!, ...info} : undefined
}

/** Bytes of a name sub-object: its length byte and the text, filled up to a multiple of 4. */
const nameSize = (text: number): number => Math.ceil((1 + text) / 4) * 4

/** The bytes of an extension structure with these objects. Throws `WireError`, reason `out-of-range`. */
export function serializeExtensions(extensions: readonly IcmpExtension[]): Uint8Array {
  const objects = extensions.map(serializeObject)
  const out = new Uint8Array(objects.reduce((size, {data}) => size + HEADER + data.length, HEADER))
  out[0] = VERSION << 4
  let at = HEADER
  for (const {classNumber, classType, data} of objects) {
    const length = HEADER + data.length
    if (data.length % 4 !== 0 || length > 0xffff) tooMuch(`object data of ${data.length} bytes`)
    out[at] = length >>> 8
    out[at + 1] = length & 0xff
    out[at + 2] = whole('class number', classNumber, 0xff)
    out[at + 3] = whole('C-Type', classType, 0xff)
    out.set(data, at + HEADER)
    at += length
  }
  writeChecksum(checksum(out), out, 2)
  return out
}

function serializeObject(extension: IcmpExtension): {classNumber: number; classType: number; data: Uint8Array} {
  if (extension.kind === 'unknown') return extension
  if (extension.kind === 'interface') return serializeInterface(extension)
  const data = new Uint8Array(extension.labels.length * 4)
  extension.labels.forEach(({label, trafficClass, bottomOfStack, ttl}, i) => {
    const value = (whole('label', label, 0xf_ffff) << 4) | (whole('trafficClass', trafficClass, 7) << 1)
    data[i * 4] = value >>> 16
    data[i * 4 + 1] = (value >>> 8) & 0xff
    data[i * 4 + 2] = (value & 0xff) | (bottomOfStack ? 1 : 0)
    data[i * 4 + 3] = whole('ttl', ttl, 0xff)
  })
  return {classNumber: CLASS_MPLS, classType: MPLS_INCOMING_STACK, data}
}

function serializeInterface({role, index, address, name, mtu}: Extract<IcmpExtension, {kind: 'interface'}>) {
  const words: number[] = []
  let classType = INTERFACE_ROLES.indexOf(role) << 6
  if (index !== undefined) {
    classType |= HAS_INDEX
    words.push(whole('index', index, 0xffff_ffff))
  }
  if (address !== undefined) {
    classType |= HAS_ADDRESS
    words.push(AFI_IPV4 << 16, ipv4Value(address))
  }
  const before = words.length * 4
  const text = name === undefined ? undefined : new TextEncoder().encode(name)
  if (text && (text.length > 63 || text.includes(0))) tooMuch(`interface name of ${text.length} bytes`)
  const data = new Uint8Array(before + (text ? nameSize(text.length) : 0) + (mtu === undefined ? 0 : 4))
  const view = new DataView(data.buffer)
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word)
  if (text) {
    classType |= HAS_NAME
    data[before] = nameSize(text.length)
    data.set(text, before + 1)
  }
  if (mtu !== undefined) {
    classType |= HAS_MTU
    view.setUint32(data.length - 4, whole('mtu', mtu, 0xffff_ffff))
  }
  return {classNumber: CLASS_INTERFACE, classType, data}
}

const whole = (field: string, value: number, max: number): number => expectWhole(LAYER, field, value, max)

function tooMuch(what: string): never {
  throw new WireError(LAYER, 'out-of-range', 0, `${what} does not fit`)
}
