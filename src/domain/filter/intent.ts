// What a filter is meant to do, decided from the inventory before anything is generated or touched.
import {usage} from '../../errors.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {type Inventory, neededSegment, neededVm, type Segment} from '../inventory/site.ts'
import {classifySegment, filterRefusal, type GatewaySighting, type SegmentClass} from './classify.ts'

/** A VM that has left: the old site's bridge answers ARP for it, so that the old gateway still finds it. */
export interface KeptVm {
  readonly name: string
  readonly ip: Ipv4
  readonly ip6: readonly Ipv6[]
  readonly mac: Mac
}

/** Everything that the rules depend on. Lists are in a fixed order, so that equal intents give equal text. */
export interface FilterIntent {
  /** Inter-site ports. */
  readonly ports: readonly string[]
  readonly segments: readonly SegmentClass[]
  /** Shared gateway addresses, which stay local to each site. */
  readonly gw4: readonly Ipv4[]
  readonly gw6: readonly Ipv6[]
  /** The gateways speak IPv6: router advertisements and redirects stay local too. */
  readonly ipv6: boolean
  /** MACs of which no frame may cross. */
  readonly macs: readonly Mac[]
  readonly kept: readonly KeptVm[]
}

/** The command line, as typed. */
export interface FilterOrder {
  readonly ports: readonly string[]
  /** Segments on these ports; empty: all whose sites share a gateway address. */
  readonly segments: readonly string[]
  readonly inboundMoves: boolean
  readonly gatewayMacs: boolean
  readonly keepInbound: readonly string[]
  readonly force: boolean
}

export interface DecidedFilter {
  readonly intent: FilterIntent
  /** Why this filter would cut traffic, with the cures; see {@link permitFilter}. */
  readonly refusals: readonly string[]
}

/** Longest interface name, IFNAMSIZ less the NUL; the kernel allows neither blanks nor slashes. */
const INTERFACE = /^[^\s/"\\]{1,15}$/

/** @throws Failure `usage` for a set-up that is known to cut traffic, unless forced. */
export function permitFilter({refusals}: DecidedFilter, force: boolean): void {
  if (refusals.length > 0 && !force) throw usage(`${refusals.join('; ')} (or --force)`)
}

/**
 * Decides what to filter. `seen` is what was observed of the gateways.
 * @throws Failure `usage` for names that are unknown, and where there is nothing to keep local.
 */
export function decideFilter(
  order: FilterOrder,
  inventory: Inventory,
  seen: readonly GatewaySighting[] = [],
): DecidedFilter {
  for (const port of order.ports) {
    if (!INTERFACE.test(port))
      throw usage(`"${port}" is not an interface name (want the port that leads to the other site)`)
  }
  const segments = chosenSegments(order, inventory)
  const kept = order.keepInbound.map((name) => keptVm(name, inventory, segments))
  const classes = segments.map((segment) => classifySegment(segment, seen))
  const refusals = classes.flatMap((segment) => {
    const keptHere = kept.filter(({segment: of}) => of === segment.segment).map(({vm}) => vm.name)
    return filterRefusal(segment, {moves: order.inboundMoves, kept: keptHere, gatewayMacs: order.gatewayMacs}) ?? []
  })
  return {
    intent: intentOf(
      order,
      segments,
      classes,
      kept.map(({vm}) => vm),
    ),
    refusals,
  }
}

function chosenSegments(order: FilterOrder, inventory: Inventory): Segment[] {
  if (order.segments.length > 0) {
    return sorted(order.segments).map((name) => neededSegment(inventory, name))
  }
  const shared = inventory.segments.filter((segment) => classifySegment(segment).gateways.length > 0)
  if (shared.length > 0) return shared
  const why = inventory.segments.map((segment) => `${segment.name}: ${classifySegment(segment).because[0]}`).join('; ')
  throw usage(
    `${inventory.file}: nothing to keep local, no gateway address is at several sites (${why || 'no segments'})`,
  )
}

function keptVm(nameOrIp: string, inventory: Inventory, segments: readonly Segment[]): {vm: KeptVm; segment: string} {
  const vm = neededVm(inventory, nameOrIp)
  if (!segments.some(({name}) => name === vm.segment)) {
    const names = segments.map(({name}) => name).join(', ')
    throw usage(
      `--keep-inbound ${vm.name}: it is on segment ${vm.segment}, which this filter does not cover (${names})`,
    )
  }
  const {name, ip, mac, ip6 = []} = vm
  return {vm: {name, ip, mac, ip6}, segment: vm.segment}
}

const sorted = <T extends string>(values: Iterable<T>): T[] => [...new Set(values)].sort()

function intentOf(
  order: FilterOrder,
  segments: readonly Segment[],
  classes: readonly SegmentClass[],
  kept: readonly KeptVm[],
): FilterIntent {
  const holders = segments.flatMap(({gateways}, i) => gateways.filter(({name}) => classes[i]!.gateways.includes(name)))
  const forced = order.force
    ? segments.flatMap(({gateways}, i) => (classes[i]!.gateways.length === 0 ? gateways : []))
    : []
  const anycast = classes.flatMap(({kind, sharedMacs}) => (kind === 'anycast' ? sharedMacs : []))
  return {
    ports: sorted(order.ports),
    segments: classes,
    gw4: sorted([...classes.flatMap(({shared4}) => shared4), ...forced.map(({ip}) => ip)]),
    gw6: sorted([...classes.flatMap(({shared6}) => shared6), ...forced.flatMap(({ip6 = []}) => ip6)]),
    ipv6: [...holders, ...forced].some(({ip6 = []}) => ip6.length > 0),
    macs: sorted([...anycast, ...(order.gatewayMacs ? [...holders, ...forced].map(({mac}) => mac) : [])]),
    kept: [...new Map(kept.map((vm) => [vm.name, vm])).values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}
