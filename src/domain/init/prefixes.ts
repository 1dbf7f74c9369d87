// Which IPv4 prefixes a LAN has: said by this host's own address or by DHCP, else guessed around what is heard.
import {type Ipv4, ipv4Value, type Prefix, prefixContains, prefixOf} from '../../wire/address.ts'
import type {Lan} from './notebook.ts'

/** Of an interface of this host, or of --prefix (`interfaceName` undefined: wherever an address of it is heard). */
export interface KnownPrefix {
  readonly prefix: Prefix
  readonly interfaceName: string | undefined
  readonly by: 'given' | 'interface'
}

export interface LanPrefix {
  readonly prefix: Prefix
  readonly by: KnownPrefix['by'] | 'dhcp' | 'guess'
}

/** What is guessed where nobody says how long the prefix is. */
const GUESSED_LENGTH = 24
const MOST_PREFIXES = 16

/** In the order in which they were come to know; no two overlap. */
export function prefixesOf(lan: Lan, known: readonly KnownPrefix[]): readonly LanPrefix[] {
  const found: LanPrefix[] = []
  const overlaps = ({prefix}: LanPrefix): boolean =>
    found.some((each) => prefixContains(each.prefix, prefix.address) || prefixContains(prefix, each.prefix.address))
  const take = (prefix: LanPrefix): void => {
    if (found.length < MOST_PREFIXES && !overlaps(prefix)) found.push(prefix)
  }
  const heard = addressesOn(lan)
  for (const {prefix, interfaceName, by} of known) {
    // An address of the interface itself is on its untagged LAN; its VLANs have interfaces of their own.
    const here = interfaceName === lan.interfaceName && lan.tag === 0
    if (here || (interfaceName === undefined && heard.some((ip) => prefixContains(prefix, ip)))) take({prefix, by})
  }
  for (const {ip, mask} of lan.offers.values()) {
    if (mask !== undefined) take({prefix: prefixOf(ip, maskLength(mask)), by: 'dhcp'})
  }
  for (const ip of heard) {
    if (!found.some(({prefix}) => prefixContains(prefix, ip))) take({prefix: prefixOf(ip, GUESSED_LENGTH), by: 'guess'})
  }
  return found
}

/** Addresses that are on the LAN itself: ARP is about no others. Not those that hosts give themselves (RFC 3927). */
function addressesOn(lan: Lan): readonly Ipv4[] {
  const all = [...lan.stations.values()].flatMap(({ips, asksFor, hellos}) => [
    ...ips,
    ...asksFor,
    ...[...hellos.values()].map(({ip}) => ip),
  ])
  return [...new Set(all)].filter((ip) => !/^(?:0|127|169\.254|22[4-9]|2[3-5]\d)\./.test(ip))
}

const maskLength = (mask: Ipv4): number => {
  const ones = ipv4Value(mask).toString(2).replace(/0+$/, '').length
  return ipv4Value(mask) === 0 ? 0 : ones
}
