// What a DHCP server gives out on one segment: addresses, times, options, and the router of the site a VM is in.
import {ANY_IPV4, type Ipv4, ipv4Text, ipv4Value, type Mac, type Prefix, prefixContains} from '../../wire/address.ts'
import type {ClasslessRoute, DhcpOption} from '../../wire/dhcp-options.ts'
import type {AddressRange} from './book.ts'
import type {Directive} from './lease.ts'
import type {ClientRequest} from './request.ts'

/** A router of the segment and the site it is at. */
export interface SiteRouter {
  readonly site: string
  readonly ip: Ipv4
}

/** An address kept for one VM. */
export interface Reservation {
  readonly vm: string
  readonly mac: Mac
  readonly ip: Ipv4
  /** Where the inventory says it is. */
  readonly site: string | undefined
}

/** How long clients may keep what they get, in seconds. */
export interface LeaseTimes {
  readonly leaseS: number
  /** When they ask this server again (option 58). */
  readonly t1S: number
  /** When they ask any server (option 59). */
  readonly t2S: number
}

/** A segment as the server serves it. */
export interface Scope {
  readonly segment: string
  readonly prefix: Prefix
  /** In the order of the inventory. */
  readonly routers: readonly SiteRouter[]
  readonly pool: readonly AddressRange[]
  readonly reservations: ReadonlyMap<Mac, Reservation>
  /** Addresses that the pool must not give out: routers, reservations, the server. */
  readonly excluded: ReadonlySet<Ipv4>
  readonly times: LeaseTimes
  /** Where a client that boots from the network goes on (siaddr); 0.0.0.0 without. */
  readonly nextServer: Ipv4
  /** Clients are known by their MAC alone. */
  readonly ignoreClientId: boolean
  /** Where a VM is of which nobody said it; undefined gives it the first router. */
  readonly defaultSite: string | undefined
  /** Given to those who ask for them, in this order to those who ask for nothing. Without 1, 3, 51, 58, 59, 121. */
  readonly options: readonly DhcpOption[]
  /** Further routes of option 121; the default route by the VM's own router is added. */
  readonly routes: readonly ClasslessRoute[]
}

/** What is so of a segment whoever gives out its addresses: its routers, its VMs, and where they are. */
export type Sites = Pick<Scope, 'segment' | 'routers' | 'reservations' | 'defaultSite'>

/** All that the rules need to know, beside leases. */
export interface ServerFacts {
  /** Option 54, and where clients send renewals. */
  readonly serverIdentifier: Ipv4
  /** Of the segment that clients without a relay are on. */
  readonly local: string
  readonly scopes: ReadonlyMap<string, Scope>
}

/**
 * The scope of a message: by the link that its relay selects (RFC 3527), whose own address is then anything that the
 * server can reach, else by the relay's address; by `ciaddr` for what a client sends straight to the server, which it does
 * over routers too; else that of the interface.
 */
export function scopeFor(
  facts: ServerFacts,
  {message: {giaddr, ciaddr}, relay: {linkSelection}}: ClientRequest,
  unicast: boolean,
): Scope | undefined {
  const local = facts.scopes.get(facts.local)
  if (giaddr !== ANY_IPV4) return scopeOf(facts, linkSelection ?? giaddr)
  if (!unicast || ciaddr === ANY_IPV4) return local
  return scopeOf(facts, ciaddr) ?? local
}

function scopeOf(facts: ServerFacts, ip: Ipv4): Scope | undefined {
  let best: Scope | undefined
  for (const scope of facts.scopes.values()) {
    if (prefixContains(scope.prefix, ip) && scope.prefix.length > (best?.prefix.length ?? -1)) best = scope
  }
  return best
}

/** Where the inventory has a client, as a {@link Directive} remembers it. */
export const inventorySiteOf = (scope: Sites, mac: Mac): string => scope.reservations.get(mac)?.site ?? ''

/** Whether the inventory has had a newer word about the client, another `site`, since a site was said of it. */
function isSuperseded(scope: Sites, {mac, inventorySite: then, receivedSite}: Directive): boolean {
  const now = inventorySiteOf(scope, mac)
  // The other server may have read the inventory that is new earlier than this one.
  return then !== undefined && now !== '' && now !== then && now !== receivedSite
}

/** The site that was said of a client and still counts: a `site` that the inventory got later is the newer word. */
export const saidSite = (scope: Sites, directive: Directive | undefined): string | undefined =>
  directive && isSuperseded(scope, directive) ? undefined : directive?.site

/**
 * What was said of sites and does not count any more, with the site forgotten: it must not come back to life where the
 * inventory has the old site again. Of segments that are not served nothing is known.
 */
export const forgotten = ({scopes}: ServerFacts, directives: Iterable<Directive>): readonly Directive[] =>
  [...directives].flatMap((each) => {
    const scope = scopes.get(each.segment)
    return scope && each.site !== undefined && isSuperseded(scope, each) ? [{...each, site: undefined}] : []
  })

/** The site a client is in, as far as somebody said it. */
export const siteOf = (scope: Sites, mac: Mac, directive: Directive | undefined): string | undefined =>
  saidSite(scope, directive) ?? scope.reservations.get(mac)?.site ?? scope.defaultSite

/**
 * The routers for a VM at `site`, the first of which it uses. A site without a router of its own, and an unknown site,
 * get the segment's first: a VM without a gateway is worse off than one with a detour.
 */
export function routersAt(scope: Sites, site: string | undefined): readonly Ipv4[] {
  const own = scope.routers.filter((router) => router.site === site)
  const chosen = own.length > 0 ? own : scope.routers.slice(0, 1)
  return chosen.map(({ip}) => ip)
}

/** Reads `10.0.0.100-10.0.0.199`, or one address; undefined if it is no range, or turned round. */
export function readRange(text: string): AddressRange | undefined {
  const [from = '', to = from, more] = text.split('-').map((part) => part.trim())
  if (more !== undefined) return undefined
  try {
    const [first, last] = [ipv4Value(from), ipv4Value(to)]
    return first <= last ? {first, last} : undefined
  } catch {
    return undefined
  }
}

export const rangeText = ({first, last}: AddressRange): string => `${ipv4Text(first)}-${ipv4Text(last)}`

/** T1 and T2 for a lease, where they are not given: a half and seven eighths of it (RFC 2131 4.4.5). */
export function leaseTimes(leaseS: number, t1S?: number, t2S?: number): LeaseTimes {
  const t1 = t1S ?? Math.max(1, Math.floor(leaseS / 2))
  return {leaseS, t1S: t1, t2S: t2S ?? Math.max(t1, Math.floor((leaseS * 7) / 8))}
}
