// What `gwswitch garp` was asked to do, checked before any frame leaves.
import {allGateways, findSegment, findVm, type Gateway, type Inventory, type Segment, segmentOfIp} from '../../domain/site.ts'
import {hint} from '../../domain/suggest.ts'
import {Failure} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import {type Ipv4, isGroupMac, isIpv4, type Mac, type Prefix, prefixContains, prefixOf, prefixText, readMac, ZERO_MAC} from '../../wire/address.ts'
import type {AnnounceRequest} from './announce.ts'
import type {Form} from './frames.ts'
import {scheduleMs} from './schedule.ts'

/** The command line, as typed. */
export interface GarpOrder {
  /** Inventory name or IPv4 address. */
  readonly gateway: string
  readonly interfaceName: string
  readonly mac?: string | undefined
  readonly vm?: string | undefined
  readonly vmIp?: string | undefined
  readonly vmMac?: string | undefined
  readonly form?: Form | 'both' | undefined
  readonly broadcast: boolean
  readonly vlanId?: number | undefined
  readonly count?: number | undefined
  readonly intervalMs?: number | undefined
  readonly listenMs: number
}

/** What will be sent, with the names for the report. */
export interface GarpRequest {
  readonly announce: AnnounceRequest
  readonly gatewayName: string | undefined
  readonly vmName: string | undefined
  readonly warnings: readonly string[]
}

const usage = (message: string): Failure => new Failure('usage', message)

/** @throws Failure `usage` for whatever must not be announced; `runtime` for an interface that is not there. */
export function garpRequest(order: GarpOrder, inventory: Inventory | undefined, interfaces: readonly InterfaceFacts[]): GarpRequest {
  const via = interfaces.find(({name}) => name === order.interfaceName)
  if (!via) {
    const names = interfaces.filter(({ethernet}) => ethernet).map(({name}) => name)
    throw new Failure('runtime', `no interface ${order.interfaceName} here; Ethernet interfaces are: ${names.join(', ') || 'none'}`)
  }
  const vm = namedVm(order, inventory)
  const known = namedGateway(order.gateway, inventory)
  const ip = known?.ip ?? order.gateway
  if (!isIpv4(ip)) {
    const names = inventory ? allGateways(inventory).map(({name}) => name) : []
    throw usage(`${ip} is neither an IPv4 address nor a gateway of the inventory${hint(ip, names)}`)
  }
  const segment = vm?.segment ?? segmentFor(known, ip, inventory)
  const prefix = segment?.prefix ?? prefixOn(via, ip)
  const own = new Set(interfaces.map(({mac}) => mac))
  const mac = announcedMac(order, known, ip, segment, via, own)
  checkAddresses(ip, vm, prefix, segment)
  const forms = formsOf(order, vm !== undefined)
  const vlan = order.vlanId === undefined ? undefined : {id: order.vlanId, priority: 0, dropEligible: false}
  const everybody = order.broadcast || vm === undefined
  return {
    gatewayName: known?.name ?? segment?.gateways.find((gateway) => gateway.mac === mac)?.name,
    vmName: vm?.name,
    announce: {
      gateway: {ip, mac},
      ...(vm && {vm: {ip: vm.ip, mac: vm.mac}}),
      vlan,
      segment: prefix,
      forms: forms.map((form) => ({form, fromMs: 0})),
      scheduleMs: scheduleMs(order),
      broadcast: order.broadcast,
      listenMs: order.listenMs,
    },
    warnings: [
      ...(everybody ? ['broadcast: every host of the segment that hears this moves, at the other sites too unless a site filter stops ARP on the DCI'] : []),
      ...(own.has(mac) ? [] : [`${mac} is on no interface of this host: only on the VM's own port can its answers be seen here`]),
    ],
  }
}

interface NamedVm {
  readonly name: string | undefined
  readonly ip: Ipv4
  readonly mac: Mac
  readonly segment: Segment | undefined
}

function namedVm(order: GarpOrder, inventory: Inventory | undefined): NamedVm | undefined {
  if (order.vm !== undefined) {
    if (!inventory) throw usage(`--vm ${order.vm} needs an inventory; without one give --vm-ip and --vm-mac`)
    const vm = findVm(inventory, order.vm)
    if (!vm) throw usage(`${inventory.file}: no VM "${order.vm}"${hint(order.vm, inventory.vms.map(({name}) => name))}`)
    return {name: vm.name, ip: vm.ip, mac: vm.mac, segment: findSegment(inventory, vm.segment)}
  }
  if (order.vmIp === undefined || order.vmMac === undefined) return undefined
  if (!isIpv4(order.vmIp)) throw usage(`--vm-ip ${order.vmIp} is not an IPv4 address`)
  return {name: undefined, ip: order.vmIp, mac: stationMac('--vm-mac', order.vmMac), segment: inventory && segmentOfIp(inventory, order.vmIp)}
}

const namedGateway = (text: string, inventory: Inventory | undefined): Gateway | undefined =>
  inventory && allGateways(inventory).find(({name}) => name === text)

const segmentFor = (known: Gateway | undefined, ip: Ipv4, inventory: Inventory | undefined): Segment | undefined =>
  inventory && ((known && findSegment(inventory, known.segment)) ?? segmentOfIp(inventory, ip))

/** The prefix of the interface that `ip` should lie in: the one it does lie in, else the first. Host routes say nothing. */
function prefixOn(via: InterfaceFacts, ip: Ipv4): Prefix | undefined {
  const prefixes = via.addresses.filter(({prefixLength}) => prefixLength < 31).map((own) => prefixOf(own.ip, own.prefixLength))
  return prefixes.find((prefix) => prefixContains(prefix, ip)) ?? prefixes[0]
}

function stationMac(flag: string, text: string): Mac {
  const mac = readMac(text)
  if (!mac) throw usage(`${flag} ${text} is not a MAC address (want 02:00:00:00:0a:01)`)
  if (mac === ZERO_MAC || isGroupMac(mac)) throw usage(`${flag} ${mac} is ${mac === ZERO_MAC ? 'the zero' : 'a multicast'} MAC, which no station has`)
  return mac
}

/** A gateway that this host is not may be announced only by saying its MAC: a slip would cut a whole segment off. */
function announcedMac(
  order: GarpOrder,
  known: Gateway | undefined,
  ip: Ipv4,
  segment: Segment | undefined,
  via: InterfaceFacts,
  own: ReadonlySet<Mac>,
): Mac {
  if (order.mac !== undefined) return stationMac('--mac', order.mac)
  if (known) {
    if (own.has(known.mac)) return known.mac
    throw usage(`${known.name} is at ${known.mac}, which is on no interface of this host: if it is meant, give --mac ${known.mac}`)
  }
  const gateways = segment?.gateways.filter((gateway) => gateway.ip === ip) ?? []
  if (gateways.length > 0 && !gateways.some(({mac}) => mac === via.mac)) {
    const at = gateways.map(({name, mac}) => `${name} ${mac}`).join(', ')
    throw usage(`${ip} is at ${at}, not at ${via.mac} of ${via.name}: name the gateway, or give --mac`)
  }
  return stationMac(`the MAC of ${via.name},`, via.mac)
}

function checkAddresses(ip: Ipv4, vm: NamedVm | undefined, prefix: Prefix | undefined, segment: Segment | undefined): void {
  const of = segment ? `segment ${segment.name}` : 'the interface'
  for (const [what, address] of [['gateway', ip], ['VM', vm?.ip]] as const) {
    if (address === undefined) continue
    if (prefix && !prefixContains(prefix, address)) throw usage(`${what} ${address} lies outside ${prefixText(prefix)} of ${of}`)
    const first = Number(address.split('.')[0])
    if (first === 0 || first === 127 || first >= 224) throw usage(`${what} ${address} is no address a station can have`)
  }
  if (vm?.ip === ip) throw usage(`${ip} is both the gateway and the VM`)
}

function formsOf(order: GarpOrder, hasVm: boolean): Form[] {
  const form = order.form ?? (hasVm ? 'ask' : 'both')
  if (form === 'ask' && !hasVm) throw usage('--form ask asks one VM: name it with --vm, or with --vm-ip and --vm-mac')
  return form === 'both' ? ['reply', 'request'] : [form]
}
