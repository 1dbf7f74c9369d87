// What `gwswitch garp` was asked to do about an IPv4 gateway.
import {
  allGateways,
  findSegment,
  type Gateway,
  type Inventory,
  type Segment,
  segmentOfIp,
} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {usage} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {Form} from '../../strategies/arp/announcement.ts'
import {type Ipv4, isIpv4, type Prefix, prefixContains, prefixOf, prefixText} from '../../wire/address.ts'
import {announcedMac, type FamilyRequest, type GarpOrder, type GarpPlace, type NamedVm, namedVm} from './garp-order.ts'

/** @throws Failure `usage` for whatever must not be announced. */
export function request4(order: GarpOrder, inventory: Inventory | undefined, place: GarpPlace): FamilyRequest {
  const {known, via} = place
  const form6 = (['ra', 'redirect'] as const).find((form) => form === order.form)
  if (form6) throw usage(`--form ${form6} is of IPv6: give the gateway's IPv6 address, or --ip6 with its name`)
  const vm = namedVm(order, inventory)
  const ip = known?.ip ?? order.gateway
  if (!isIpv4(ip)) {
    const names = inventory ? allGateways(inventory).map(({name}) => name) : []
    throw usage(`${ip} is neither an IPv4 address, nor an IPv6 one, nor a gateway of the inventory${hint(ip, names)}`)
  }
  const segment = vm?.segment ?? segmentFor(known, ip, inventory)
  const prefix = segment?.prefix ?? prefixOn(via, ip)
  const mac = announcedMac(order, ip, segment, place)
  checkAddresses(ip, vm, prefix, segment)
  return {
    gateway: {ip, mac},
    gatewayName: known?.name ?? segment?.gateways.find((gateway) => gateway.mac === mac)?.name,
    vm,
    segment,
    prefix,
    forms: formsOf(order, vm !== undefined),
  }
}

const segmentFor = (known: Gateway | undefined, ip: Ipv4, inventory: Inventory | undefined): Segment | undefined =>
  inventory && ((known && findSegment(inventory, known.segment)) ?? segmentOfIp(inventory, ip))

/** The prefix of the interface that `ip` should lie in: the one it does lie in, else the first. Host routes say nothing. */
function prefixOn(via: InterfaceFacts, ip: Ipv4): Prefix | undefined {
  const prefixes = via.addresses
    .filter(({prefixLength}) => prefixLength < 31)
    .map((own) => prefixOf(own.ip, own.prefixLength))
  return prefixes.find((prefix) => prefixContains(prefix, ip)) ?? prefixes[0]
}

function checkAddresses(
  ip: Ipv4,
  vm: NamedVm | undefined,
  prefix: Prefix | undefined,
  segment: Segment | undefined,
): void {
  const of = segment ? `segment ${segment.name}` : 'the interface'
  for (const [what, address] of [
    ['gateway', ip],
    ['VM', vm?.ip],
  ] as const) {
    if (address === undefined) continue
    if (prefix && !prefixContains(prefix, address))
      throw usage(`${what} ${address} lies outside ${prefixText(prefix)} of ${of}`)
    const first = Number(address.split('.')[0])
    if (first === 0 || first === 127 || first >= 224) throw usage(`${what} ${address} is no address a station can have`)
  }
  if (vm?.ip === ip) throw usage(`${ip} is both the gateway and the VM`)
}

function formsOf(order: GarpOrder, hasVm: boolean): readonly Form[] {
  const form = order.form ?? (hasVm ? 'ask' : 'both')
  if (form === 'ask' && !hasVm) throw usage('--form ask asks one VM: name it with --vm, or with --vm-ip and --vm-mac')
  return form === 'both' ? ['reply', 'request'] : [form]
}
