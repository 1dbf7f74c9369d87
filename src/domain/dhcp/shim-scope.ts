// Whose leases a shim changes at a site: the VMs of the inventory on segments where the sites' gateways differ.
import {usage} from '../../errors.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {gatewaysAtSite, type Inventory, neededSite, type Segment, type Vm} from '../inventory/site.ts'
import type {Sites} from './scope.ts'

export interface ShimVm {
  readonly name: string
  readonly mac: Mac
  readonly ip: Ipv4
  readonly segment: string
  /** This site's gateways on its segment, in the order of the inventory. */
  readonly local: readonly Ipv4[]
  /** Those of other sites that are not this site's too. */
  readonly foreign: ReadonlySet<Ipv4>
}

export interface ShimScope {
  readonly site: string
  /** By their MACs, which a client's `chaddr` names. */
  readonly vms: ReadonlyMap<Mac, ShimVm>
  /** Ports that lead to another site, as far as the inventory names them. */
  readonly interSite: readonly string[]
  /** Segments with VMs for which nothing can be changed, and why. */
  readonly leftOut: readonly {readonly segment: string; readonly reason: string}[]
}

/** @throws Failure `usage` for an unknown site, and where there is no VM whose leases could be changed. */
export function shimScope(inventory: Inventory, site: string): ShimScope {
  neededSite(inventory, site)
  const vms = new Map<Mac, ShimVm>()
  const leftOut: {segment: string; reason: string}[] = []
  const holders = Map.groupBy(inventory.vms, ({mac}) => mac)
  const isAlone = ({mac}: Vm): boolean => holders.get(mac)!.length === 1
  for (const segment of inventory.segments) {
    const members = inventory.vms.filter((vm) => vm.segment === segment.name)
    if (members.length === 0) continue
    const local = gatewaysAtSite(segment, site).map(({ip}) => ip)
    const foreign = foreignTo(segment, local)
    const none = whyNot(site, local, foreign)
    const reason = none ?? sharedText(members.filter((vm) => !isAlone(vm)))
    if (reason !== undefined) leftOut.push({segment: segment.name, reason})
    if (none !== undefined) continue
    for (const {name, mac, ip} of members.filter(isAlone))
      vms.set(mac, {name, mac, ip, segment: segment.name, local, foreign})
  }
  if (vms.size > 0) return {site, vms, interSite: inventory.segments.flatMap(({ports}) => ports ?? []), leftOut}
  const why = leftOut.map(({segment, reason}) => `segment ${segment} ${reason}`).join('; ')
  throw usage(`${inventory.file}: no VM whose leases differ by site: ${why || 'it has no VMs'}`)
}

/** By segment, as a control socket looks at it: every VM is at this site. */
export function shimSites({site, vms}: ShimScope): ReadonlyMap<string, Sites> {
  const bySegment = Map.groupBy(vms.values(), ({segment}) => segment)
  return new Map(
    [...bySegment].map(([segment, members]) => {
      const reservations = members.map(({name: vm, mac, ip}) => [mac, {vm, mac, ip, site}] as const)
      const routers = members[0]!.local.map((ip) => ({site, ip}))
      return [segment, {segment, routers, reservations: new Map(reservations), defaultSite: site}]
    }),
  )
}

const foreignTo = ({gateways}: Segment, local: readonly Ipv4[]): ReadonlySet<Ipv4> =>
  new Set(gateways.map(({ip}) => ip).filter((ip) => !local.includes(ip)))

/** A reply names its client by the MAC alone. */
const sharedText = (vms: readonly Vm[]): string | undefined =>
  vms.length === 0
    ? undefined
    : `has VMs whose MAC one of another segment has too: ${vms.map(({name, mac}) => `${name} (${mac})`).join(', ')}`

function whyNot(site: string, local: readonly Ipv4[], foreign: ReadonlySet<Ipv4>): string | undefined {
  if (local.length === 0) return `has no gateway at site ${site}`
  return foreign.size > 0 ? undefined : 'has the same gateway address at every site, which DHCP cannot tell apart'
}
