// netlink(7) and rtnetlink(7) as bytes: messages and their attributes, for route-message.ts and rule-message.ts.
import {type Ipv4, ipv4Text, writeIpv4} from '../../wire/address.ts'
import {WireError} from '../../wire/error.ts'
import {ipv6Bytes, ipv6Text} from '../../wire/ipv6-address.ts'

export type Family = 4 | 6

/** The protocol of everything netfilter. */
export const NETLINK_NETFILTER = 12

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

const NLM_F_REQUEST = 1
export const NLM_F_ACK = 4
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800

export const RT_TABLE_MAIN = 254
/** Rules and routes that gwswitch makes carry this protocol number. */
export const OWN_PROTOCOL = 142
const HEADER = 16

/** One message of a netlink datagram. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Buffer
}

/** Splits a datagram. The bodies are views of it. */
export function* netlinkMessages(datagram: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + HEADER <= datagram.length; ) {
    const length = datagram.readUInt32LE(at)
    if (length < HEADER || at + length > datagram.length) return
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + HEADER, at + length),
    }
    at += (length + 3) & ~3
  }
}

export function request(type: number, flags: number, body: Uint8Array): Buffer {
  const out = Buffer.alloc(HEADER + body.length)
  out.writeUInt32LE(out.length, 0)
  out.writeUInt16LE(type, 4)
  out.writeUInt16LE(NLM_F_REQUEST | flags, 6)
  out.set(body, HEADER)
  return out
}

export const af = (family: Family): number => (family === 4 ? 2 : 10)
export const familyOf = (value: number): Family | undefined => (value === 2 ? 4 : value === 10 ? 6 : undefined)
const attributeLength = (data: Uint8Array): number => (data.length + 7) & ~3

export function attribute(type: number, data: Uint8Array): Buffer {
  const out = Buffer.alloc(attributeLength(data))
  out.writeUInt16LE(data.length + 4, 0)
  out.writeUInt16LE(type, 2)
  out.set(data, 4)
  return out
}

export function u32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value >>> 0)
  return out
}

export function* attributes(body: Buffer, from: number): Generator<{type: number; data: Buffer}> {
  for (let at = from; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at)
    if (length < 4 || at + length > body.length) return
    yield {type: body.readUInt16LE(at + 2) & 0x3fff, data: body.subarray(at + 4, at + length)}
    at += (length + 3) & ~3
  }
}

export const attributeMap = (body: Buffer, from: number): Map<number, Buffer> =>
  new Map([...attributes(body, from)].map(({type, data}) => [type, data]))

/**
 * Where the data of the attribute of a type begin; 0: there is none, or not of `size` bytes. For tables of thousands, of which
 * maps and views would be most of what a switch of many VMs leaves to collect.
 */
export function attributeAt(body: Buffer, from: number, type: number, size: number): number {
  for (let at = from; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at)
    if (length < 4 || at + length > body.length) return 0
    if ((body.readUInt16LE(at + 2) & 0x3fff) === type) return length === 4 + size ? at + 4 : 0
    at += (length + 3) & ~3
  }
  return 0
}

/** What is `size` bytes long at `at`, in a message or an attribute. @throws WireError `truncated` if it is cut. */
export function whole(data: Buffer, at: number, size: number): Buffer {
  if (at + size <= data.length) return data
  throw new WireError('netlink', 'truncated', data.length, `needs ${at + size} bytes, has ${data.length}`)
}

/** The number that an attribute holds; undefined if it is not there. @throws WireError `truncated` */
export function u32In(found: ReadonlyMap<number, Buffer>, type: number): number | undefined {
  const data = found.get(type)
  return data && whole(data, 0, 4).readUInt32LE(0)
}

/** errno (positive) and the kernel's own words from an NLMSG_ERROR body; errno 0 is an acknowledgement. */
export function parseError(message: NetlinkMessage): {readonly errno: number; readonly text: string | undefined} {
  const errno = -whole(message.body, 0, 4).readInt32LE(0)
  // With NETLINK_CAP_ACK only the header of the request is repeated; the attributes of NETLINK_EXT_ACK follow.
  const text = attributeMap(message.body, 4 + HEADER)
    .get(1)
    ?.toString('utf8')
    .replace(/\0.*$/s, '')
  return {errno, text}
}

/** The address in an attribute. @throws WireError `malformed` for any other length than 4 and 16. */
export function addressText(data: Buffer): string {
  if (data.length === 4) return ipv4Text(data.readUInt32BE(0))
  if (data.length === 16) return ipv6Text(data)
  throw new WireError('netlink', 'malformed', 0, `${data.length} bytes are no address`)
}

export function addressBytes(family: Family, text: string): Uint8Array {
  if (family === 6) return ipv6Bytes(text)
  const out = new Uint8Array(4)
  writeIpv4(text as Ipv4, out, 0)
  return out
}
