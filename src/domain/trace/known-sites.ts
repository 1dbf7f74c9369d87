// What the inventory says about places, cut down to one trace, and the look-ups in it. Two answers that differ are none:
// a place that is guessed would turn into a verdict that is guessed.
import {Failure} from '../../errors.ts'
import {type Ipv4, type Mac, prefixText} from '../../wire/address.ts'
import {readIpPrefix} from '../../wire/ip-prefix.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {allGateways, findSegment, type Inventory, longestMatch, segmentOfIp} from '../inventory/site.ts'
import type {KnownGateway, KnownSites} from './evidence.ts'

/**
 * The places that matter to a host at `ip`, whose segment is found by that address unless it is named.
 * Throws Failure('usage') for a `siteRegex` that is none, or has no group.
 */
export function knownSites(
  inventory: Inventory,
  host: {readonly ip: Ipv4; readonly segment?: string | undefined; readonly siteRegex?: string | undefined},
): KnownSites {
  if (host.siteRegex !== undefined) checkSiteRegex(host.siteRegex)
  const segment = host.segment === undefined ? segmentOfIp(inventory, host.ip) : findSegment(inventory, host.segment)
  return {
    sites: inventory.sites.map((site) => ({
      name: site.name,
      prefixes: site.prefixes.map(prefixText),
      dciRttMs: site.dciRttMs ?? null,
    })),
    gateways: allGateways(inventory).map(({name, segment, site, ip, mac, ip6}) => ({
      ...{name, segment, site, ip, mac},
      ...(ip6 && {ip6}),
    })),
    segment: segment?.name ?? null,
    siteRegex: host.siteRegex ?? null,
  }
}

function checkSiteRegex(source: string): void {
  const want = 'want a regular expression whose first group is the site, like "\\.([a-z]+)\\d+\\."'
  try {
    // The empty alternative matches anything, and the match then lists every group there is.
    if (new RegExp(`${source}|`).exec('')!.length > 1) return
  } catch {
    throw new Failure('usage', `site regex ${JSON.stringify(source)} does not parse (${want})`)
  }
  throw new Failure('usage', `site regex ${JSON.stringify(source)} has no group (${want})`)
}

/** The gateways of the host's segment: the only ones whose MACs mean anything to it. */
const segmentGateways = (known: KnownSites): readonly KnownGateway[] =>
  known.gateways.filter((gateway) => gateway.segment === known.segment)

/** The gateway that owns a MAC on the host's segment; undefined if none does, or several. */
export function knownGatewayOfMac(known: KnownSites, mac: Mac): KnownGateway | undefined {
  const owners = segmentGateways(known).filter((gateway) => gateway.mac === mac)
  return owners.length === 1 ? owners[0] : undefined
}

/** The gateway at an address, the host's segment first; undefined if there is none, or one at several sites. */
export function knownGatewayOfIp(known: KnownSites, ip: Ipv4 | Ipv6): KnownGateway | undefined {
  const isAt = (gateway: KnownGateway): boolean => gateway.ip === ip || gateway.ip6?.includes(ip) === true
  const here = segmentGateways(known).filter(isAt)
  const owners = here.length > 0 ? here : known.gateways.filter(isAt)
  return new Set(owners.map((gateway) => gateway.site)).size === 1 ? owners[0] : undefined
}

/** The site that an address is near: longest match over the sites' prefixes; undefined if none, or a tie. */
export function siteOfPrefix(known: KnownSites, ip: Ipv4 | Ipv6): string | undefined {
  const rows = known.sites.flatMap((site) =>
    site.prefixes.flatMap((text) => {
      const prefix = readIpPrefix(text)
      return prefix === undefined ? [] : [{prefix, value: site.name}]
    }),
  )
  return longestMatch(rows, ip)
}

/** The site that a name speaks of, by the first group of `siteRegex`; case does not matter. */
export function siteOfName(known: KnownSites, name: string): string | undefined {
  if (known.siteRegex === null) return undefined
  const said = new RegExp(known.siteRegex, 'i').exec(name)?.[1]?.toLowerCase()
  return known.sites.find((site) => site.name.toLowerCase() === said)?.name
}

/** The other site of two; undefined where there are more, or fewer. */
export function otherSite(known: KnownSites, site: string): string | undefined {
  const others = known.sites.filter((each) => each.name !== site)
  return known.sites.length === 2 && others.length === 1 ? others[0]!.name : undefined
}

/** DCI round trip stated for two sites (or, where their names are not known, for the only two there are), in ms. */
export function statedDciRttMs(known: KnownSites, a: string | null, b: string | null): number | undefined {
  const both =
    a === null || b === null
      ? known.sites.length === 2
        ? known.sites
        : []
      : known.sites.filter((site) => site.name === a || site.name === b)
  const stated = both.map((site) => site.dciRttMs).filter((ms) => ms !== null)
  return a !== null && a === b ? undefined : stated.length === 0 ? undefined : Math.min(...stated)
}
