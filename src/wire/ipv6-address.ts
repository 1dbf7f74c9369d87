// IPv6 addresses as text, in the one form that people, inventories and JSON carry (RFC 5952), and as their 16 bytes.
import {type Ipv4, ipv4Text, ipv4Value, isIpv4, type Mac, writeMac} from './address.ts'
import {WireError} from './error.ts'

/** An IPv6 address in the canonical form of RFC 5952: `2001:db8:1::1`, lower case, the longest run of zeros as `::`. */
export type Ipv6 = string

export const ANY_IPV6: Ipv6 = '::'
/** All nodes and all routers of the link (RFC 4291 section 2.7.1). */
export const ALL_NODES: Ipv6 = 'ff02::1'

const IPV6_BYTES = 16

/** Any text form of RFC 4291 section 2.2 as an {@link Ipv6}; undefined if it is none. No zone (`%eth0`), no prefix. */
export function readIpv6(text: string): Ipv6 | undefined {
  const groups = groupsOf(text)
  return groups && groupsText(groups)
}

export const isIpv6 = (text: string): boolean => groupsOf(text) !== undefined

/** Of what is an address already: whether it is of IPv6. */
export const isVersion6 = (ip: Ipv4 | Ipv6): boolean => ip.includes(':')

/** An address of either family; undefined if it is none. */
export const readIp = (text: string): Ipv4 | Ipv6 | undefined => (isIpv4(text) ? text : readIpv6(text))

/** The address at `offset`; there must be 16 bytes. */
export function ipv6Text(bytes: Uint8Array, offset = 0): Ipv6 {
  const groups: number[] = []
  for (let i = offset; i < offset + IPV6_BYTES; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!)
  return groupsText(groups)
}

/** Writes the 16 bytes of an address; what is none throws {@link WireError}, reason `out-of-range`. */
function writeIpv6(text: Ipv6, out: Uint8Array, offset = 0): void {
  const groups = groupsOf(text)
  if (groups === undefined) {
    throw new WireError('ipv6 address', 'out-of-range', 0, `${JSON.stringify(text)} is not an IPv6 address`)
  }
  for (const [i, group] of groups.entries()) {
    out[offset + 2 * i] = group >>> 8
    out[offset + 2 * i + 1] = group & 0xff
  }
}

/** The 16 bytes of an address. Throws as {@link writeIpv6} does. */
export function ipv6Bytes(text: Ipv6): Uint8Array {
  const out = new Uint8Array(IPV6_BYTES)
  writeIpv6(text, out)
  return out
}

/** fe80::/10 (RFC 4291 section 2.5.6). */
export const isLinkLocal = (ip: Ipv6): boolean => /^fe[89ab][0-9a-f]:/.test(ip)

/** ff00::/8 (RFC 4291 section 2.7). */
export const isMulticastIpv6 = (ip: Ipv6): boolean => /^ff[0-9a-f]{2}:/.test(ip)

/** The group that a neighbour solicitation for `ip` goes to (RFC 4291 section 2.7.1). */
export function solicitedNode(ip: Ipv6): Ipv6 {
  const bytes = ipv6Bytes('ff02::1:ff00:0')
  bytes.set(ipv6Bytes(ip).subarray(13), 13)
  return ipv6Text(bytes)
}

/** The Ethernet group address of an IPv6 group (RFC 2464 section 7): 33:33 and the last four bytes. */
export function multicastMac(group: Ipv6): Mac {
  const last = [...ipv6Bytes(group).subarray(12)]
  return ['33', '33', ...last.map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}

/** The link-local address that a station forms from its MAC (modified EUI-64, RFC 4291 appendix A). */
export function linkLocalOf(mac: Mac): Ipv6 {
  const station = new Uint8Array(6)
  writeMac(mac, station, 0)
  const bytes = ipv6Bytes('fe80::ff:fe00:0')
  bytes.set(station.subarray(0, 3), 8)
  bytes.set(station.subarray(3), 13)
  bytes[8] = station[0]! ^ 0x02
  return ipv6Text(bytes)
}

/** The eight groups of an address, or undefined. */
function groupsOf(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2 || text.length > 45) return undefined
  const [head, tail] = halves.map((half, i) => groupsIn(half, i === halves.length - 1))
  if (head === undefined) return undefined
  if (halves.length === 1) return head.length === 8 ? head : undefined
  // "::" stands for one group at least.
  if (tail === undefined || head.length + tail.length > 7) return undefined
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

/** The groups of text without `::`; the last part may be an IPv4 address, if it ends the whole address. */
function groupsIn(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (isEnd && i === parts.length - 1 && isIpv4(part)) {
      const value = ipv4Value(part)
      groups.push(value >>> 16, value & 0xffff)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

function groupsText(groups: readonly number[]): Ipv6 {
  // RFC 5952 section 5: an embedded IPv4 address is shown as one where the prefix says that it is there.
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${ipv4Text(((groups[6]! << 16) | groups[7]!) >>> 0)}`
  }
  const {start, length} = longestZeros(groups)
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':')
  // RFC 5952 section 4.2.2: one group of zeros is not shortened.
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}

/** The longest run of zero groups, the first of several (RFC 5952 section 4.2.3). */
function longestZeros(groups: readonly number[]): {start: number; length: number} {
  let best = {start: 0, length: 0}
  let run = 0
  for (const [i, group] of groups.entries()) {
    run = group === 0 ? run + 1 : 0
    if (run > best.length) best = {start: i - run + 1, length: run}
  }
  return best
}
