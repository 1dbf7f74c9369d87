// DHCPv4 messages: the header of RFC 2131 2 and the options as an ordered list, so that none is lost and their order
// survives. What single options mean is in dhcp-options.ts.
import type {Ipv4} from './address.ts'
import {type DhcpOption, dhcpOptions} from './dhcp-options.ts'
import {WireError} from './error.ts'
import {copyBytes, zeros} from './memory.ts'
import {constant, hardwareAddress, hardwareLength, ipv4, list, table, text, u8, u16, u32} from './table.ts'

export const DHCP_SERVER_PORT = 67
export const DHCP_CLIENT_PORT = 68
export const BOOTREQUEST = 1
export const BOOTREPLY = 2
export const HTYPE_ETHERNET = 1
/** The flag with which a client asks for broadcast answers (RFC 2131 2). */
export const DHCP_BROADCAST = 0x8000

/** A message; the names are those of RFC 2131, figure 1. */
export interface Dhcp {
  readonly op: number
  readonly htype: number
  readonly hops: number
  readonly xid: number
  /** Seconds since the client began. */
  readonly secs: number
  readonly flags: number
  readonly ciaddr: Ipv4
  readonly yiaddr: Ipv4
  readonly siaddr: Ipv4
  readonly giaddr: Ipv4
  /** The client's hardware address, `hlen` bytes: for Ethernet a MAC, '' if there is none. */
  readonly chaddr: string
  /** At most 64 characters; '' if options lie in it. */
  readonly sname: string
  /** At most 128 characters; '' if options lie in it. */
  readonly file: string
  /** In the order of the wire (the options field, then file, then sname), each code once. */
  readonly options: readonly DhcpOption[]
}

const header = table<Dhcp, 'hlen' | 'cookie'>('dhcp', {
  op: u8,
  htype: u8,
  hlen: hardwareLength('chaddr'),
  hops: u8,
  xid: u32,
  secs: u16,
  flags: u16,
  ciaddr: ipv4,
  yiaddr: ipv4,
  siaddr: ipv4,
  giaddr: ipv4,
  chaddr: hardwareAddress('hlen'),
  sname: text(64),
  file: text(128),
  cookie: constant(u32, 0x6382_5363, 'the magic cookie is missing (BOOTP)'),
  options: list(),
})

/** Where each header field starts, for those who must look into a message as it was sent. */
export const DHCP_OFFSETS = header.offsets
/** Bytes in front of the options, the magic cookie included. */
export const DHCP_HEADER_LENGTH = header.size

const OPTION_PAD = 0
const OPTION_END = 255
const OPTION_OVERLOAD = dhcpOptions.overload.code
const OPTION_RELAY = dhcpOptions.relayAgentInformation.code
/** Bytes of option 52. */
const OVERLOAD_LENGTH = 3
/** Longest data of an option in one part. */
const PART = 255
const FIELDS = ['file', 'sname'] as const
type OverloadField = (typeof FIELDS)[number]
/** What each field adds to the value of option 52, and its room in bytes. */
const OVERLOAD = {file: {bit: 1, room: 128}, sname: {bit: 2, room: 64}} as const

/** Shortest message: RFC 1542 2.1 says 300 bytes, and relays and clients drop shorter ones. */
const DHCP_MINIMUM = 300
/** Longest message that every client takes unasked: an IP packet of 576 bytes (RFC 2131 2). */
const DHCP_MAXIMUM = 576 - 20 - 8

/**
 * Reads a message, as forgiving as dnsmasq, Kea and dhcpd are of what careless clients and relays send. The parts of a
 * split option are joined (RFC 3396), options are read from `file` and `sname` too where option 52 says so, and the bytes
 * behind the end option are ignored. An end option may be missing; an option that is cut is left out, and so is an option
 * 52 that says nothing, or comes again. The result shares no memory with `bytes`.
 * Throws `WireError`: `truncated` if the header is, `unsupported` without the magic cookie, `malformed` for `hlen` above 16.
 */
export function parseDhcp(bytes: Uint8Array): Dhcp {
  const message = header.parse(bytes)
  const {file, sname} = message
  // Empty, and nobody else's yet.
  const options = message.options as DhcpOption[]
  const overload = readOptions(bytes, header.size, bytes.length, undefined, options)
  if (overload === 0) return message
  const free = {file, sname}
  for (const field of FIELDS) {
    if ((overload & OVERLOAD[field].bit) === 0) continue
    const start = header.offsets[field]
    readOptions(bytes, start, start + OVERLOAD[field].room, field, options)
    free[field] = ''
  }
  return {...message, ...free}
}

/** Adds the options of one field to `options`, and returns the value of option 52, 0 without. */
function readOptions(
  bytes: Uint8Array,
  start: number,
  end: number,
  field: OverloadField | undefined,
  options: DhcpOption[],
): number {
  let overload = 0
  let at = start
  while (at + 1 < end && bytes[at] !== OPTION_END) {
    const code = bytes[at]!
    if (code === OPTION_PAD) {
      at++
      continue
    }
    const next = at + 2 + bytes[at + 1]!
    if (next > end) break
    if (code !== OPTION_OVERLOAD) addPart(options, code, copyBytes(bytes, at + 2, next), field)
    else if (overload === 0 && field === undefined && next > at + 2 && isOverload(bytes[at + 2]!)) {
      overload = bytes[at + 2]!
      options.push({code, data: Uint8Array.of(overload)})
    }
    at = next
  }
  return overload
}

const isOverload = (value: number): boolean => value >= 1 && value <= 3

/** Adds an option, or to an option that is there already: then the two are parts of one (RFC 3396). */
function addPart(options: DhcpOption[], code: number, data: Uint8Array, field: OverloadField | undefined): void {
  for (let i = 0; i < options.length; i++) {
    if (options[i]!.code === code) {
      options[i] = joined(options[i]!, data)
      return
    }
  }
  options.push(field === undefined ? {code, data} : {code, data, field})
}

function joined(first: DhcpOption, data: Uint8Array): DhcpOption {
  const both = zeros(first.data.length + data.length)
  both.set(first.data)
  both.set(data, first.data.length)
  return {...first, data: both}
}

/** How long a message may be, in bytes (the UDP payload). */
export interface DhcpLimits {
  /** Filled up to this with zeros; 300 by default, 0 for none. */
  readonly minimum?: number
  /** What the receiver takes; 548 by default. A client's option 57 counts IP and UDP headers too: 28 bytes. */
  readonly maximum?: number
}

/**
 * The bytes of a message. Options longer than 255 bytes are split (RFC 3396). Options that name a `field` are written
 * there, as are those that do not fit the options field, into `file` and `sname` where these are free; option 52 is
 * added, or corrected, to say so. Option 82 comes last in the options field (RFC 3046 2.1).
 * Throws `WireError`, reason `out-of-range`, also if the options do not fit anywhere.
 */
export function serializeDhcp(message: Dhcp, limits: DhcpLimits = {}): Uint8Array {
  const {minimum = DHCP_MINIMUM, maximum = DHCP_MAXIMUM} = limits
  const fields = placeOptions(message, maximum - header.size)
  let end = header.size + 1
  for (const option of fields.options) end += encodedLength(option)
  const out = zeros(Math.max(end, minimum))
  header.write(message, out, 0)
  writeOptions(fields.options, out, header.size)
  for (const field of FIELDS) {
    if (fields.overload & OVERLOAD[field].bit) writeOptions(fields[field], out, header.offsets[field])
  }
  return out
}

/** Bytes of an option with the code and length of each of its parts. */
const encodedLength = ({data}: DhcpOption): number =>
  data.length <= PART ? 2 + data.length : data.length + 2 * Math.ceil(data.length / PART)

interface Placed {
  readonly overload: number
  readonly options: readonly DhcpOption[]
  readonly file: readonly DhcpOption[]
  readonly sname: readonly DhcpOption[]
}

const NONE: readonly DhcpOption[] = []
const plainly = (options: readonly DhcpOption[]): Placed => ({overload: 0, options, file: NONE, sname: NONE})

/** Decides which option goes into which field; `room` is that of the options field, its end option included. */
function placeOptions(message: Dhcp, room: number): Placed {
  let size = 1
  let asked = false
  let relay = -1
  for (let i = 0; i < message.options.length; i++) {
    const option = message.options[i]!
    expectCode(option)
    size += encodedLength(option)
    if (option.code === OPTION_RELAY) relay = i
    else if (option.field !== undefined || option.code === OPTION_OVERLOAD) asked = true
  }
  if (asked || size > room) return overloadFields(message, room)
  if (relay < 0 || relay === message.options.length - 1) return plainly(message.options)
  return plainly(message.options.toSpliced(relay, 1).concat(message.options[relay]!))
}

/** Every option into the first field that has room for it, or into the one that it names. */
function overloadFields(message: Dhcp, room: number): Placed {
  const placed = {options: [] as DhcpOption[], file: [] as DhcpOption[], sname: [] as DhcpOption[]}
  const relay = message.options.filter(({code}) => code === OPTION_RELAY)
  const last = relay.reduce((bytes, option) => bytes + encodedLength(option), OVERLOAD_LENGTH + 1)
  if (last > room) fail('out-of-range', header.size, `no room for option ${OPTION_RELAY} in ${room} bytes`)
  const left = {
    options: room - last,
    file: message.file === '' ? OVERLOAD.file.room - 1 : 0,
    sname: message.sname === '' ? OVERLOAD.sname.room - 1 : 0,
  }
  for (const option of message.options) {
    if (option.code === OPTION_RELAY) continue
    if (option.code === OPTION_OVERLOAD) {
      placed.options.push(option)
      continue
    }
    const size = encodedLength(option)
    const choice = option.field === undefined ? (['options', ...FIELDS] as const) : ([option.field] as const)
    const field = choice.find((name) => size <= left[name])
    if (field === undefined) {
      fail('out-of-range', header.size, `no room for option ${option.code} in ${option.field ?? 'the message'}`)
    }
    placed[field].push(option)
    left[field] -= size
  }
  const at = placed.options.findIndex(({code}) => code === OPTION_OVERLOAD)
  const said = at < 0 ? 0 : placed.options[at]!.data[0]!
  const overload = FIELDS.reduce((bits, field) => bits | (placed[field].length > 0 ? OVERLOAD[field].bit : 0), said)
  for (const field of FIELDS) {
    if (overload & OVERLOAD[field].bit && message[field] !== '')
      fail('out-of-range', header.offsets[field], `${field} holds text, not options`)
  }
  const option = {code: OPTION_OVERLOAD, data: Uint8Array.of(overload)}
  if (at >= 0) placed.options[at] = option
  else if (overload !== 0) placed.options.push(option)
  placed.options.push(...relay)
  return {...placed, overload}
}

function expectCode({code, data}: DhcpOption): void {
  if (!(Number.isInteger(code) && code > OPTION_PAD && code < OPTION_END)) {
    fail('out-of-range', header.size, `${code} is no code of an option`)
  }
  if (code === OPTION_OVERLOAD && !(data.length === 1 && isOverload(data[0]!))) {
    fail('out-of-range', header.size, 'option 52 (overload) is one byte from 1 to 3')
  }
}

/** Writes options and the end option. */
function writeOptions(options: readonly DhcpOption[], out: Uint8Array, offset: number): void {
  let at = offset
  for (let i = 0; i < options.length; i++) {
    const {code, data} = options[i]!
    let start = 0
    do {
      const length = Math.min(PART, data.length - start)
      out[at] = code
      out[at + 1] = length
      for (let from = start; from < start + length; from++) out[at + 2 + from - start] = data[from]!
      at += 2 + length
      start += PART
    } while (start < data.length)
  }
  out[at] = OPTION_END
}

function fail(reason: WireError['reason'], offset: number, detail: string): never {
  throw new WireError('dhcp', reason, offset, detail)
}
