// Which interfaces of this host lead to its VMs, and which to another site, as they come and go.
import {leadingPorts} from '../../domain/inter-site.ts'
import type {Inventory, Segment} from '../../domain/inventory/site.ts'
import type {PortSide} from '../../domain/movement/arrivals.ts'
import type {LearnedMac} from '../../domain/vantage/vm-port.ts'
import {TUNNELS} from '../../net/bridge-host.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import {isMeant} from '../arp-responder/ports.ts'

/** Kinds of ip-link(8) that lead to one VM, or container. */
const VM_KINDS: ReadonlySet<string> = new Set(['tun', 'veth'])

export interface WatchedPort {
  readonly name: string
  readonly index: number
  readonly carrier: boolean
}

export interface ArrivalPorts {
  /** Those of VMs. */
  readonly local: readonly WatchedPort[]
  /** The bridges that these are ports of. */
  readonly bridges: readonly string[]
  /** Whether there is such an interface, and it was looked at. */
  isKnown(index: number): boolean
  nameOf(index: number): string
  /**
   * Where an interface leads for a VM of a segment; undefined: nothing that is seen there counts. `isOfSite`: the VM was last
   * known to be at this site.
   */
  sideOf(index: number, segment: string | undefined, isOfSite: boolean): PortSide | undefined
}

export interface PortsQuestion {
  /** Names and patterns; a bridge means its ports that lead to VMs; empty: those of every bridge. */
  readonly meant: readonly string[]
  readonly site: string | undefined
  readonly inventory: Inventory | undefined
}

/** `gatewaysAt`: behind which ports other sites' gateways were learned. */
export function arrivalPorts(
  {meant, site, inventory}: PortsQuestion,
  all: readonly InterfaceFacts[],
  gatewaysAt: readonly LearnedMac[],
): ArrivalPorts {
  const byIndex = new Map(all.map((each) => [each.index, each]))
  const ports = all
    .filter(({bridge}) => bridge !== undefined)
    .map(({name, kind = ''}) => ({name, tunnel: TUNNELS.has(kind)}))
  const segments: readonly Pick<Segment, 'name' | 'gateways' | 'ports'>[] = inventory?.segments ?? []
  const leading = (segment: Pick<Segment, 'gateways' | 'ports'>, learned: readonly LearnedMac[]): ReadonlySet<string> =>
    new Set(leadingPorts(segment, site ?? '', ports, learned))
  const certain = new Map(segments.map((each) => [each.name, leading(each, [])]))
  // Without a site of our own nobody knows which gateways are another one's.
  const likely = new Map(segments.map((each) => [each.name, leading(each, site === undefined ? [] : gatewaysAt)]))
  const tunnels = new Set(ports.filter(({tunnel}) => tunnel).map(({name}) => name))
  const isLeading = (name: string): boolean =>
    tunnels.has(name) || [...certain.values(), ...likely.values()].some((names) => names.has(name))

  const isOfVms = ({name, kind = '', bridge}: InterfaceFacts): boolean => {
    const bridgeName = bridge === undefined ? undefined : byIndex.get(bridge)?.name
    if (isLeading(name) || kind === 'bridge') return false
    if (meant.some((pattern) => isMeant(pattern, name))) return true
    const isOfMeantBridge = meant.length === 0 || meant.some((each) => each === bridgeName)
    return bridgeName !== undefined && isOfMeantBridge && VM_KINDS.has(kind)
  }
  const found = all.filter((each) => each.ethernet && isOfVms(each))
  const local = new Set(found.map(({index}) => index))
  const bridges = new Set(found.flatMap(({bridge}) => bridge ?? []))
  return {
    local: found.map(({name, index, carrier}) => ({name, index, carrier})),
    bridges: [...bridges].flatMap((index) => byIndex.get(index)?.name ?? []),
    isKnown: (index) => byIndex.has(index),
    nameOf: (index) => byIndex.get(index)?.name ?? `interface ${index}`,
    sideOf(index, segment, isOfSite) {
      if (local.has(index)) return 'local'
      const {name, bridge} = byIndex.get(index) ?? {name: '', bridge: undefined}
      if (bridge === undefined || !bridges.has(bridge)) return undefined
      const sure = segment === undefined ? tunnels : certain.get(segment)
      if (sure?.has(name)) return 'inter-site'
      // One uplink may carry hosts of this site and the way to the other.
      if (segment !== undefined && likely.get(segment)?.has(name)) return isOfSite ? 'other' : 'inter-site'
      return 'other'
    },
  }
}
