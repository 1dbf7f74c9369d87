// What the gateways of a segment have in common, and what follows for keeping them local to their sites.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {Gateway, Segment} from '../inventory/site.ts'
import {virtualMacProtocol} from './fhrp.ts'

/**
 * `per-site-ip`: every site's gateway has an address of its own, nothing is shared. `single-ip`: the sites share an
 * address, and (as far as is known) it is the only one that their routers have on the segment. `own-ip-and-vip`: they
 * share one beside their own. `virtual-mac`: the shared address has a redundancy protocol's virtual MAC. `anycast`: it
 * has the very same MAC at every site. `one-site`: there is nothing to choose between.
 */
export type SegmentKind = 'one-site' | 'per-site-ip' | 'single-ip' | 'own-ip-and-vip' | 'virtual-mac' | 'anycast'

/**
 * An address that a gateway was seen to ask with (ARP for another host), or to send redundancy hellos from; or one that a
 * virtual MAC speaks for.
 */
export interface GatewaySighting {
  readonly mac: Mac
  readonly ip: Ipv4
}

export interface SegmentClass {
  readonly segment: string
  readonly kind: SegmentKind
  /** Addresses that gateways of several sites have. */
  readonly shared4: readonly Ipv4[]
  readonly shared6: readonly Ipv6[]
  /** MACs that gateways of several sites have. */
  readonly sharedMacs: readonly Mac[]
  /** Gateways that hold a shared address. */
  readonly gateways: readonly string[]
  /** Why, one line a piece. */
  readonly because: readonly string[]
}

/** Classifies by the inventory, and by what was seen where that says more. */
export function classifySegment(segment: Segment, seen: readonly GatewaySighting[] = []): SegmentClass {
  const {gateways} = segment
  const shared4 = atSeveralSites(gateways, ({ip}) => [ip])
  const shared6 = atSeveralSites(gateways, ({ip6}) => ip6 ?? [])
  const sharedMacs = atSeveralSites(gateways, ({mac}) => [mac])
  const sharing = gateways.filter(
    ({ip, ip6, mac}) => shared4.includes(ip) || ip6?.some((each) => shared6.includes(each)) || sharedMacs.includes(mac),
  )
  const {kind, because} = kindOf(segment, sharing, {shared4, shared6, sharedMacs}, seen)
  return {segment: segment.name, kind, shared4, shared6, sharedMacs, gateways: sharing.map(({name}) => name), because}
}

/** The values that gateways of at least two sites have, in the order of the inventory. */
function atSeveralSites(gateways: readonly Gateway[], valuesOf: (gateway: Gateway) => readonly string[]): string[] {
  const sites = new Map<string, Set<string>>()
  for (const gateway of gateways) {
    for (const value of valuesOf(gateway)) sites.set(value, (sites.get(value) ?? new Set()).add(gateway.site))
  }
  return [...sites].filter(([, at]) => at.size > 1).map(([value]) => value)
}

function kindOf(
  segment: Segment,
  sharing: readonly Gateway[],
  shared: Pick<SegmentClass, 'shared4' | 'shared6' | 'sharedMacs'>,
  seen: readonly GatewaySighting[],
): Pick<SegmentClass, 'kind' | 'because'> {
  const sites = new Set(segment.gateways.map(({site}) => site))
  if (sites.size < 2) return {kind: 'one-site', because: [`its gateways are all at ${[...sites][0] ?? 'no site'}`]}
  if (sharing.length === 0) {
    const each = segment.gateways.map(({name, ip}) => `${name} ${ip}`).join(', ')
    return {kind: 'per-site-ip', because: [`every site has its own address: ${each}`]}
  }
  const addresses = [...shared.shared4, ...shared.shared6].join(', ')
  const common = `${sharing.map(({name}) => name).join(' and ')} share ${addresses || shared.sharedMacs.join(', ')}`
  const spoken = seen.filter(({ip}) => shared.shared4.includes(ip)).map(({mac, ip}) => ({name: ip, mac}))
  const virtual = [...sharing, ...spoken].flatMap(({name, mac}) => {
    const protocol = virtualMacProtocol(mac)
    return protocol === undefined ? [] : `${name} (${mac}): ${protocol}`
  })
  if (virtual.length > 0) return {kind: 'virtual-mac', because: [common, ...virtual]}
  if (shared.sharedMacs.length > 0) {
    return {kind: 'anycast', because: [common, `at the same MAC ${shared.sharedMacs.join(', ')}`]}
  }
  const own = sharing.map((gateway) => ({gateway, ip: ownAddress(gateway, shared.shared4, seen)}))
  if (own.every(({ip}) => ip !== undefined)) {
    return {kind: 'own-ip-and-vip', because: [common, ...own.map(({gateway, ip}) => `${gateway.name} asks as ${ip}`)]}
  }
  const without = own.filter(({ip}) => ip === undefined).map(({gateway}) => gateway)
  const why = without.map(({name, mac}) =>
    seen.some((each) => each.mac === mac)
      ? `${name} was seen to ask with the shared address`
      : `no own address is known of ${name}`,
  )
  return {kind: 'single-ip', because: [common, ...why]}
}

/**
 * The address that the router's own ARP requests carry, where that is not a shared one. A router that was seen to ask with
 * the shared one does so, whatever the inventory says.
 */
function ownAddress(gateway: Gateway, shared: readonly Ipv4[], seen: readonly GatewaySighting[]): Ipv4 | undefined {
  const used = seen.filter(({mac, ip}) => mac === gateway.mac && ip !== '0.0.0.0')
  if (used.some(({ip}) => shared.includes(ip))) return undefined
  return gateway.ownIp ?? used[0]?.ip
}

/** What the operator says about inbound traffic. */
export interface InboundPlan {
  /** Inbound moves to the new site together with the VM (a host route, a new announcement). */
  readonly moves: boolean
  /** VMs of this segment for which the old site's bridge shall answer ARP. */
  readonly kept: readonly string[]
  /** Frames of and to the gateways' own MACs shall be dropped too. */
  readonly gatewayMacs: boolean
}

/** Why a filter on this segment would cut traffic, with what would make it work; undefined if it does not. */
export function filterRefusal(segment: SegmentClass, inbound: InboundPlan): string | undefined {
  const {segment: name, kind} = segment
  const gateways = segment.gateways.join(' and ')
  if (kind === 'one-site' || kind === 'per-site-ip') {
    return (
      `segment ${name}: ${segment.because[0]}, so a filter would cut off the VMs that use another site's: ` +
      'leave it out, and move its VMs with the strategies agent, dhcp or mac-proxy'
    )
  }
  if (inbound.moves) return undefined
  if (inbound.gatewayMacs) {
    return (
      `segment ${name}: packets that ${gateways} route carry their own MACs; dropping those cuts inbound through the old site at once: ` +
      'leave --gateway-macs out, or give --inbound-moves if inbound moves in the same step'
    )
  }
  if (kind === 'anycast') {
    return (
      `segment ${name}: what ${gateways} route carries the MAC ${segment.sharedMacs.join(', ')}, which must not cross the DCI; a VM that has moved gets nothing through the old site: ` +
      'move inbound in the same step and say so with --inbound-moves'
    )
  }
  if (kind === 'single-ip' && inbound.kept.length === 0) {
    return (
      `segment ${name}: ${gateways} have no address but the shared ${segment.shared4.join(', ')}; once ARP for it stays local, the old site's router can no longer find a VM that has moved, and inbound through it stops within a minute: ` +
      'give each router an address of its own (ownIp in the inventory), or move inbound in the same step (--inbound-moves), or let the bridge answer for the VM (--keep-inbound VM)'
    )
  }
  return undefined
}

/** What else an operator should know of a segment of this kind, one line a piece. */
export function kindAdvice(segment: SegmentClass): readonly string[] {
  switch (segment.kind) {
    case 'one-site':
      return ['nothing to filter']
    case 'per-site-ip':
      return [
        'not for the filter: the VM must be given another gateway address (agent, dhcp) or be redirected (mac-proxy)',
      ]
    case 'single-ip':
      return [
        'inbound must move in the same step, or the bridge must answer for moved VMs (--keep-inbound)',
        'flip every VM that has moved (switch --strategy arp)',
      ]
    case 'own-ip-and-vip':
      return ['inbound through the old site keeps working', 'flip every VM that has moved (switch --strategy arp)']
    case 'virtual-mac':
      return [
        'the routers of both sites become active: their hellos stay local too',
        'equal virtual MACs at all sites need no flip; different ones do (switch --strategy arp)',
      ]
    case 'anycast':
      return ['no flip is needed', 'inbound must move in the same step: routed packets carry the shared MAC']
  }
}
