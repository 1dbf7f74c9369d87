// The order that `gwswitch garp` was given, and what both families read from it.
import {
  findSegment,
  type Gateway,
  type Inventory,
  neededVm,
  type Segment,
  segmentOfIp,
} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {AnnouncedGateway, Form} from '../../strategies/arp/announcement.ts'
import {type Ipv4, isGroupMac, isIpv4, type Mac, type Prefix, readMac, ZERO_MAC} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/** The command line, as typed. */
export interface GarpOrder {
  /** Inventory name, IPv4 or IPv6 address. */
  readonly gateway: string
  readonly interfaceName: string
  readonly mac?: string | undefined
  readonly vm?: string | undefined
  readonly vmIp?: string | undefined
  readonly vmMac?: string | undefined
  readonly form?: Exclude<Form, 'withdraw'> | 'both' | undefined
  readonly broadcast: boolean
  readonly vlanId?: number | undefined
  readonly count?: number | undefined
  readonly intervalMs?: number | undefined
  readonly listenMs: number
  /** Take the IPv6 address of a gateway that is given by its name. */
  readonly ip6?: boolean | undefined
  /** The router that the VM shall leave (ra, redirect): its name, or its IPv6 address. */
  readonly old?: string | undefined
  /** Of a redirect. */
  readonly destination?: string | undefined
  readonly routerLifetimeS?: number | undefined
  readonly guardMs?: number | undefined
  readonly arrivalMs?: number | undefined
  /** Tell the VM also about a gateway that is not there. */
  readonly force?: boolean | undefined
  /** Of many VMs, also those that are at another site. */
  readonly otherSites?: boolean | undefined
}

/** Where an order is carried out, and the gateway that it names. */
export interface GarpPlace {
  /** Undefined for a gateway that is given by its address. */
  readonly known: Gateway | undefined
  readonly via: InterfaceFacts
  /** The MACs of this host. */
  readonly own: ReadonlySet<Mac>
}

/** What one family makes of an order. */
export interface FamilyRequest {
  readonly gateway: AnnouncedGateway
  readonly gatewayName: string | undefined
  readonly vm: {readonly name: string | undefined; readonly ip: Ipv4 | Ipv6; readonly mac: Mac} | undefined
  readonly segment: Segment | undefined
  /** Outside it lies what only a gateway can reach, if that is known. */
  readonly prefix: Prefix | undefined
  readonly forms: readonly Form[]
  /** See `AnnounceRequest.echoFrom`. */
  readonly echoFrom?: Ipv6 | undefined
}

export interface NamedVm {
  readonly name: string | undefined
  readonly ip: Ipv4
  readonly ip6: readonly Ipv6[]
  readonly mac: Mac
  readonly segment: Segment | undefined
}

export function namedVm(order: GarpOrder, inventory: Inventory | undefined): NamedVm | undefined {
  if (order.vm !== undefined) {
    if (!inventory) throw usage(`--vm ${order.vm} needs an inventory; without one give --vm-ip and --vm-mac`)
    const vm = neededVm(inventory, order.vm)
    return {name: vm.name, ip: vm.ip, ip6: vm.ip6 ?? [], mac: vm.mac, segment: findSegment(inventory, vm.segment)}
  }
  if (order.vmIp === undefined || order.vmMac === undefined) return undefined
  if (!isIpv4(order.vmIp)) throw usage(`--vm-ip ${order.vmIp} is not an IPv4 address, as the gateway's is`)
  return {
    name: undefined,
    ip: order.vmIp,
    ip6: [],
    mac: stationMac('--vm-mac', order.vmMac),
    segment: inventory && segmentOfIp(inventory, order.vmIp),
  }
}

export function stationMac(flag: string, text: string): Mac {
  const mac = readMac(text)
  if (!mac) throw usage(`${flag} ${text} is not a MAC address (want 02:00:00:00:0a:01)`)
  if (mac === ZERO_MAC || isGroupMac(mac))
    throw usage(`${flag} ${mac} is ${mac === ZERO_MAC ? 'the zero' : 'a multicast'} MAC, which no station has`)
  return mac
}

/** A gateway that this host is not may be announced only by saying its MAC: a slip would cut a whole segment off. */
export function announcedMac(
  order: GarpOrder,
  ip: Ipv4 | Ipv6,
  segment: Segment | undefined,
  {known, via, own}: GarpPlace,
): Mac {
  if (order.mac !== undefined) return stationMac('--mac', order.mac)
  if (known) {
    if (own.has(known.mac)) return known.mac
    throw usage(
      `${known.name} is at ${known.mac}, which is on no interface of this host: if it is meant, give --mac ${known.mac}`,
    )
  }
  const gateways = segment?.gateways.filter((gateway) => gateway.ip === ip || gateway.ip6?.includes(ip)) ?? []
  if (gateways.length > 0 && !gateways.some(({mac}) => mac === via.mac)) {
    const at = gateways.map(({name, mac}) => `${name} ${mac}`).join(', ')
    throw usage(`${ip} is at ${at}, not at ${via.mac} of ${via.name}: name the gateway, or give --mac`)
  }
  return stationMac(`the MAC of ${via.name},`, via.mac)
}
