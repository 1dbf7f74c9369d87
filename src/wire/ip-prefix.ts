// Prefixes of either family. What is of IPv4 alone is in address.ts.
import {type Ipv4, isIpv4, type Prefix, prefixContains, prefixOf, readPrefix} from './address.ts'
import {type Ipv6, ipv6Bytes, ipv6Text, isVersion6, readIpv6} from './ipv6-address.ts'

/** Bits of an address. */
export const addressBits = (ip: Ipv4 | Ipv6): 32 | 128 => (isVersion6(ip) ? 128 : 32)

/** `10.0.0.0/24` or `2001:db8:1::/64`; undefined for what is no prefix, and where bits behind its length are set. */
export function readIpPrefix(text: string): Prefix | undefined {
  const [addressText = '', length = '', more] = text.split('/')
  if (isIpv4(addressText)) return readPrefix(text)
  const address = readIpv6(addressText)
  if (more !== undefined || address === undefined || !/^\d{1,3}$/.test(length) || Number(length) > 128) return undefined
  const prefix = ipPrefixOf(address, Number(length))
  return prefix.address === address ? prefix : undefined
}

/** The prefix of `length` bits that `ip` lies in. */
export function ipPrefixOf(ip: Ipv4 | Ipv6, length: number): Prefix {
  if (!isVersion6(ip)) return prefixOf(ip, length)
  const bytes = ipv6Bytes(ip)
  for (let bit = length; bit < 128; bit++) bytes[bit >>> 3]! &= ~(0x80 >>> (bit & 7))
  return {address: ipv6Text(bytes), length}
}

/** Never, of an address of the other family. */
export function ipPrefixContains(prefix: Prefix, ip: Ipv4 | Ipv6): boolean {
  if (isVersion6(prefix.address) !== isVersion6(ip)) return false
  return isVersion6(ip) ? ipPrefixOf(ip, prefix.length).address === prefix.address : prefixContains(prefix, ip)
}
