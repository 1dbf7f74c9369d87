// What a filter is meant to do, decided from the inventory before anything is generated or touched.
import {usage} from '../../errors.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {type Gateway, type Inventory, neededSegment, neededVm, type Segment} from '../inventory/site.ts'
import {classifySegment, filterRefusal, type GatewaySighting, type SegmentClass} from './classify.ts'
import {type FhrpGroup, fhrpGroup} from './fhrp.ts'
import {interSitePorts, type PortFacts, untaggedPorts} from './ports.ts'

/** A VM that has left: the old site's bridge answers ARP for it, so that the old gateway still finds it. */
export interface KeptVm {
  readonly name: string
  readonly ip: Ipv4
  readonly ip6: readonly Ipv6[]
  readonly mac: Mac
}

/**
 * The filter of one segment on one set of ports: everything that its rules depend on. Lists are in a fixed order, so that
 * equal intents give equal text.
 */
export interface FilterIntent {
  readonly segment: SegmentClass
  /** Inter-site ports. */
  readonly ports: readonly string[]
  /** The segment's VLAN; null: nobody wrote it down, and the rules hold for every tag and for none. */
  readonly vlan: number | 'untagged' | null
  /** Those of the ports at which frames of this VLAN have no tag. */
  readonly untagged: readonly string[]
  /** VLANs that are other segments', where this one's is not known. */
  readonly otherVlans: readonly number[]
  /** Shared gateway addresses, which stay local to each site. */
  readonly gw4: readonly Ipv4[]
  readonly gw6: readonly Ipv6[]
  /** The gateways speak IPv6: router advertisements and redirects stay local too. */
  readonly ipv6: boolean
  /** MACs of which no frame may cross. */
  readonly macs: readonly Mac[]
  /** MACs of the gateways' own: redundancy hellos from them stay local. */
  readonly routers: readonly Mac[]
  /** Redundancy groups of the gateways, by their virtual MACs. */
  readonly groups: readonly FhrpGroup[]
  readonly kept: readonly KeptVm[]
}

/** The command line, as typed. */
export interface FilterOrder {
  /** Empty: those of the inventory. */
  readonly ports: readonly string[]
  /** Segments on these ports; empty: all whose sites share a gateway address. */
  readonly segments: readonly string[]
  readonly inboundMoves: boolean
  readonly gatewayMacs: boolean
  /** Empty: whoever is kept already. */
  readonly keepInbound: readonly string[]
  readonly force: boolean
}

export interface DecidedFilters {
  /** One a segment, in the order of their names. */
  readonly intents: readonly FilterIntent[]
  /** Why these filters would cut traffic, with the cures; see {@link permitFilter}. */
  readonly refusals: readonly string[]
}

/** What is known of the host and of its past, beside the inventory. */
export interface FilterContext {
  /** Interfaces of this host. */
  readonly ports: readonly PortFacts[]
  /** What was observed of the gateways. */
  readonly seen?: readonly GatewaySighting[]
  /** VMs kept already, of a segment on these ports. */
  readonly keptBefore?: (segment: Segment, ports: readonly string[]) => readonly KeptVm[]
}

/** @throws Failure `usage` for a set-up that is known to cut traffic, unless forced. */
export function permitFilter({refusals}: Pick<DecidedFilters, 'refusals'>, force: boolean): void {
  const [first, ...others] = refusals
  if (first === undefined || force) return
  const more = others.length === 0 ? '' : `; ${others.length} more of them are refused too: filter show says why`
  throw usage(`${first}${more} (or --force)`)
}

/**
 * Decides what to filter: a filter for each segment.
 * @throws Failure `usage` for names and ports that are unknown, and where there is nothing to keep local.
 */
export function decideFilters(order: FilterOrder, inventory: Inventory, context: FilterContext): DecidedFilters {
  const {ports: host, seen = [], keptBefore = () => []} = context
  const segments = chosenSegments(order, inventory)
  const named = order.keepInbound.map((name) => namedVm(name, inventory, segments))
  const refusals: string[] = []
  const intents = segments.map((segment): FilterIntent => {
    const ports = interSitePorts(order.ports, segment, host)
    const mine = named.filter(({segment: of}) => of === segment.name).map(({vm}) => vm)
    const kept = mine.length > 0 ? mine : keptBefore(segment, ports)
    const shared = classifySegment(segment, seen)
    const {inboundMoves: moves, gatewayMacs} = order
    refusals.push(...[filterRefusal(shared, {moves, kept: kept.map(({name}) => name), gatewayMacs}) ?? []].flat())
    return {
      ...gatewayFacts(segment, shared, order, seen),
      ports,
      vlan: segment.vlan ?? null,
      untagged: untaggedPorts(segment.vlan, ports, host),
      otherVlans: segment.vlan === undefined ? vlansOfOthers(inventory, segment) : [],
      kept: byName(kept),
    }
  })
  return {intents, refusals}
}

function chosenSegments(order: FilterOrder, inventory: Inventory): Segment[] {
  if (order.segments.length > 0) return sorted(order.segments).map((name) => neededSegment(inventory, name))
  const shared = inventory.segments.filter((segment) => classifySegment(segment).gateways.length > 0)
  // Whose ports are written down and others is not meant by these.
  const here = shared.filter(
    ({ports}) => order.ports.length === 0 || ports?.some((port) => order.ports.includes(port)) !== false,
  )
  if (here.length > 0) return here.sort((a, b) => (a.name < b.name ? -1 : 1))
  const why = inventory.segments.map((segment) => `${segment.name}: ${classifySegment(segment).because[0]}`).join('; ')
  throw usage(
    shared.length > 0
      ? `${inventory.file}: no segment is on ${order.ports.join(', ')}; by their "ports", ${shared.map(({name, ports = []}) => `${name} is on ${ports.join(', ')}`).join('; ')}`
      : `${inventory.file}: nothing to keep local, no gateway address is at several sites (${why || 'no segments'})`,
  )
}

function namedVm(nameOrIp: string, inventory: Inventory, segments: readonly Segment[]): {vm: KeptVm; segment: string} {
  const vm = neededVm(inventory, nameOrIp)
  if (!segments.some(({name}) => name === vm.segment)) {
    const names = segments.map(({name}) => name).join(', ')
    throw usage(
      `--keep-inbound ${vm.name}: it is on segment ${vm.segment}, which this filter does not cover (${names})`,
    )
  }
  return {vm: keptVm(vm), segment: vm.segment}
}

export const keptVm = ({
  name,
  ip,
  mac,
  ip6 = [],
}: Omit<KeptVm, 'ip6'> & {ip6?: readonly Ipv6[] | undefined}): KeptVm => ({
  ...{name, ip, mac, ip6},
})

/** Each once, in the order of their names. */
export const byName = <T extends {readonly name: string}>(all: readonly T[]): T[] =>
  [...new Map(all.map((each) => [each.name, each])).values()].sort((a, b) => (a.name < b.name ? -1 : 1))

const sorted = <T extends string>(values: Iterable<T>): T[] => [...new Set(values)].sort()

const vlansOfOthers = (inventory: Inventory, segment: Segment): number[] =>
  inventory.segments
    .filter(({name}) => name !== segment.name)
    .flatMap(({vlan}) => (typeof vlan === 'number' ? [vlan] : []))
    .filter((vlan, i, all) => all.indexOf(vlan) === i)
    .sort((a, b) => a - b)

/** What the rules know of the gateways. A forced segment that shares nothing counts whole. */
function gatewayFacts(
  segment: Segment,
  shared: SegmentClass,
  order: FilterOrder,
  seen: readonly GatewaySighting[],
): Pick<FilterIntent, 'segment' | 'gw4' | 'gw6' | 'ipv6' | 'macs' | 'routers' | 'groups'> {
  const sharing = segment.gateways.filter(({name}) => shared.gateways.includes(name))
  const forced = order.force && sharing.length === 0
  const holders: readonly Gateway[] = forced ? segment.gateways : sharing
  const spoken = seen.filter(({ip}) => shared.shared4.includes(ip)).map(({mac}) => mac)
  const macs = [...holders.map(({mac}) => mac), ...spoken]
  return {
    segment: shared,
    gw4: sorted(forced ? holders.map(({ip}) => ip) : shared.shared4),
    gw6: sorted(forced ? holders.flatMap(({ip6 = []}) => ip6) : shared.shared6),
    ipv6: holders.some(({ip6 = []}) => ip6.length > 0),
    macs: sorted([
      ...(shared.kind === 'anycast' ? shared.sharedMacs : []),
      ...(order.gatewayMacs ? holders.map(({mac}) => mac) : []),
    ]),
    routers: sorted(macs.filter((mac) => fhrpGroup(mac) === undefined)),
    groups: shared.kind === 'virtual-mac' ? groupsOf(macs) : [],
  }
}

/** Each group once, in the order of their numbers. */
function groupsOf(macs: readonly Mac[]): FhrpGroup[] {
  const groups = sorted(macs).flatMap((mac) => fhrpGroup(mac) ?? [])
  const byKey = new Map(groups.map((each) => [`${each.protocol} ${each.group} ${each.macs[0]!.value}`, each]))
  return [...byKey.values()].sort((a, b) => a.group - b.group)
}
