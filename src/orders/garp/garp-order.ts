// The order that `gwswitch garp` was given, and what both families read from it.
import {
  findSegment,
  findVm,
  type Gateway,
  type Inventory,
  type Segment,
  segmentOfIp,
} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {Failure} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {AnnounceRequest} from '../../strategies/arp/announce.ts'
import type {Form} from '../../strategies/arp/announcement.ts'
import {type Ipv4, isGroupMac, isIpv4, type Mac, readMac, ZERO_MAC} from '../../wire/address.ts'
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
}

/** What will be sent, with the names for the report. */
export interface GarpRequest {
  readonly announce: AnnounceRequest
  readonly gatewayName: string | undefined
  readonly vmName: string | undefined
  readonly warnings: readonly string[]
  /** How long to hold the VM once it has moved, ms; 0: not at all. */
  readonly guardMs: number
  /** Gateways of the segment, to name whoever moves it back. */
  readonly gateways: readonly Gateway[]
}

export const usage = (message: string): Failure => new Failure('usage', message)

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
    const vm = findVm(inventory, order.vm)
    if (!vm)
      throw usage(
        `${inventory.file}: no VM "${order.vm}"${hint(
          order.vm,
          inventory.vms.map(({name}) => name),
        )}`,
      )
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
  known: Gateway | undefined,
  ip: Ipv4 | Ipv6,
  segment: Segment | undefined,
  via: InterfaceFacts,
  own: ReadonlySet<Mac>,
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

/** What a run may do beside what is meant. */
export function warningsOf(everybody: boolean, mac: Mac, own: ReadonlySet<Mac>): string[] {
  return [
    ...(everybody
      ? [
          'broadcast: every host of the segment that hears this moves, at the other sites too unless a site filter stops ARP on the DCI',
        ]
      : []),
    ...(own.has(mac)
      ? []
      : [`${mac} is on no interface of this host: only on the VM's own port can its answers be seen here`]),
  ]
}
