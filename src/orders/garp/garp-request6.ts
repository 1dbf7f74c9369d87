// What `gwswitch garp` was asked to do about an IPv6 gateway.
import {allGateways, type Gateway, type Inventory, type Segment} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import {type Form, OFF_SEGMENT6} from '../../strategies/arp/announcement.ts'
import type {Mac} from '../../wire/address.ts'
import {type Ipv6, isLinkLocal, isMulticastIpv6, readIpv6} from '../../wire/ipv6-address.ts'
import {announcedMac, type FamilyRequest, type GarpOrder, type GarpPlace, namedVm, stationMac} from './garp-order.ts'

/** @throws Failure `usage` for whatever must not be announced. */
export function request6(order: GarpOrder, inventory: Inventory | undefined, place: GarpPlace): FamilyRequest {
  const ip = gatewayIp6(order, place.known)
  const named = place.known ?? (inventory && onlyGatewayAt(inventory, ip, order.mac))
  const vm = vmOf(order, inventory)
  const segment =
    vm?.segment ?? inventory?.segments.find(({gateways}) => gateways.some((each) => each.ip6?.includes(ip)))
  const mac = announcedMac(order, ip, segment, place)
  const forms = formsOf(order, vm !== undefined)
  const redirects = forms.includes('redirect')
  const withdraws = forms.includes('withdraw')
  const destination = order.destination === undefined ? undefined : station('--destination', order.destination)
  if (redirects && destination === undefined)
    throw usage('--form redirect is for one destination: give --destination IP6')
  if ((forms.includes('ra') || redirects) && !isLinkLocal(ip)) {
    throw usage(
      `${ip} is no link-local address, by which alone routers advertise themselves and are redirected to (RFC 4861)`,
    )
  }
  return {
    gateway: {
      ip,
      mac,
      ...((withdraws || redirects) && {old: oldRouter(order, segment, ip)}),
      ra: {
        ...named?.ra,
        ...(order.routerLifetimeS !== undefined && {lifetime: order.routerLifetimeS}),
      },
      ...(destination !== undefined && {destination}),
    },
    gatewayName: named?.name,
    vm,
    segment,
    prefix: segment?.prefix,
    forms,
    // What shall move is not the neighbour entry: the echo must ask for the route.
    echoFrom: redirects ? destination : withdraws ? OFF_SEGMENT6 : undefined,
  }
}

function station(flag: string, text: string): Ipv6 {
  const ip = readIpv6(text)
  if (ip === undefined) throw usage(`${flag} ${text} is not an IPv6 address, as the gateway's is`)
  if (isMulticastIpv6(ip) || ip === '::' || ip === '::1') throw usage(`${flag} ${ip} is no address a station can have`)
  return ip
}

function gatewayIp6(order: GarpOrder, known: Gateway | undefined): Ipv6 {
  if (!known) return station('gateway', order.gateway)
  const ip = known.ip6?.find((each) => isLinkLocal(each)) ?? known.ip6?.[0]
  if (ip === undefined) throw usage(`${known.name} has no ip6 in the inventory: give its IPv6 address`)
  return ip
}

/** The gateway of the inventory that is meant by an address; where sites share it, the MAC decides. */
function onlyGatewayAt(inventory: Inventory, ip: Ipv6, mac: Mac | undefined): Gateway | undefined {
  const at = allGateways(inventory).filter(
    (gateway) => gateway.ip6?.includes(ip) && (mac === undefined || gateway.mac === mac),
  )
  return at.length === 1 ? at[0] : undefined
}

interface Vm6 {
  readonly name: string | undefined
  readonly ip: Ipv6
  readonly mac: Mac
  readonly segment: Segment | undefined
}

function vmOf(order: GarpOrder, inventory: Inventory | undefined): Vm6 | undefined {
  if (order.vmIp !== undefined && order.vmMac !== undefined) {
    return {
      name: undefined,
      ip: station('--vm-ip', order.vmIp),
      mac: stationMac('--vm-mac', order.vmMac),
      segment: undefined,
    }
  }
  const vm = namedVm(order, inventory)
  if (!vm) return undefined
  const ip = vm.ip6.find((each) => !isLinkLocal(each)) ?? vm.ip6[0]
  if (ip === undefined) throw usage(`${vm.name} has no ip6 in the inventory: give --vm-ip and --vm-mac`)
  return {name: vm.name, ip, mac: vm.mac, segment: vm.segment}
}

/** The router in whose name `withdraw` and `redirect` speak. */
function oldRouter({old, form}: GarpOrder, segment: Segment | undefined, ip: Ipv6): Ipv6 {
  if (old === undefined) throw usage(`--form ${form} speaks for the router that is left: name it with --old`)
  const named = segment?.gateways.find((gateway) => gateway.name === old || gateway.ip6?.includes(readIpv6(old) ?? ''))
  const address = named?.ip6?.find((each) => isLinkLocal(each)) ?? (named ? undefined : station('--old', old))
  if (address === undefined || !isLinkLocal(address))
    throw usage(`--old ${old}: want the link-local address by which that router is known`)
  if (address === ip) throw usage(`--old ${address} is the gateway itself: a shared address moves with --form ask`)
  return address
}

function formsOf(order: GarpOrder, hasVm: boolean): Form[] {
  const form = order.form ?? (hasVm ? 'ask' : 'reply')
  switch (form) {
    case 'ask':
    case 'redirect':
      if (!hasVm) throw usage(`--form ${form} is for one VM: name it with --vm, or with --vm-ip and --vm-mac`)
      return [form]
    case 'ra':
      return order.old === undefined ? ['ra'] : ['withdraw', 'ra']
    case 'request':
      throw usage('IPv6 has no gratuitous request: take --form reply (an unsolicited neighbour advertisement), or ra')
    default:
      return ['reply']
  }
}
