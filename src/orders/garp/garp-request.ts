// What `gwswitch garp` was asked to do, checked before any frame leaves. Here the family is chosen; what each asks of an
// order is in garp-request4.ts and garp-request6.ts.
import {allGateways, type Gateway, type Inventory} from '../../domain/inventory/site.ts'
import {type InterfaceFacts, interfaceIn} from '../../net/ip.ts'
import type {AnnounceRequest} from '../../strategies/arp/announce.ts'
import {scheduleMs} from '../../strategies/arp/schedule.ts'
import {type Scene, vlanOf} from '../../strategies/scene.ts'
import type {Mac} from '../../wire/address.ts'
import {vlanTag} from '../../wire/ethernet.ts'
import {isIpv6} from '../../wire/ipv6-address.ts'
import type {GarpOrder} from './garp-order.ts'
import {request4} from './garp-request4.ts'
import {request6} from './garp-request6.ts'

/** What will be sent, with the names for the report. */
export interface GarpRequest {
  readonly announce: AnnounceRequest
  readonly gatewayName: string | undefined
  readonly vmName: string | undefined
  /** Of the gateway, and so of the VM; undefined where no inventory says. */
  readonly segmentName: string | undefined
  readonly warnings: readonly GarpWarning[]
  /** How long to hold the VM once it has moved, ms; 0: not at all. */
  readonly guardMs: number
  /** Gateways of the segment, to name whoever moves it back. */
  readonly gateways: readonly Gateway[]
}

/** What a run may do beside what is meant: `everybody` moves, or the MAC that is announced is `not-here`. */
export interface GarpWarning {
  readonly code: 'everybody' | 'not-here'
  readonly text: string
}

/** @throws Failure `usage` for whatever must not be announced; `runtime` for an interface that is not there. */
export function garpRequest(
  order: GarpOrder,
  inventory: Inventory | undefined,
  interfaces: readonly InterfaceFacts[],
): GarpRequest {
  const via = interfaceIn(interfaces, order.interfaceName)
  const known = inventory && allGateways(inventory).find(({name}) => name === order.gateway)
  const own = new Set(interfaces.map(({mac}) => mac))
  const requestOf = order.ip6 || isIpv6(order.gateway) ? request6 : request4
  const {gateway, gatewayName, vm, segment, prefix, forms, echoFrom} = requestOf(order, inventory, {known, via, own})
  const everybody = order.broadcast || vm === undefined
  return {
    gatewayName,
    vmName: vm?.name,
    segmentName: segment?.name,
    guardMs: order.guardMs ?? 0,
    gateways: segment?.gateways ?? [],
    announce: {
      gateway,
      ...(vm && {vm: {ip: vm.ip, mac: vm.mac}}),
      vlan: vlanTag(order.vlanId),
      segment: prefix,
      forms: forms.map((form) => ({form, fromMs: 0})),
      scheduleMs: scheduleMs(order),
      broadcast: order.broadcast,
      listenMs: order.listenMs,
      echoFrom,
      arrivalMs: order.arrivalMs,
    },
    warnings: [...(everybody ? [EVERYBODY] : []), ...(own.has(gateway.mac) ? [] : [notHere(gateway.mac)])],
  }
}

/** With the tag that the segment has at the interface, where nobody said another. */
export const asSeen = (request: GarpRequest, scene: Scene | undefined): GarpRequest =>
  scene === undefined ? request : {...request, announce: {...request.announce, vlan: vlanOf(scene)}}

const EVERYBODY: GarpWarning = {
  code: 'everybody',
  text: 'broadcast: every host of the segment that hears this moves, at the other sites too unless a site filter stops ARP on the DCI',
}

const notHere = (mac: Mac): GarpWarning => ({
  code: 'not-here',
  text: `${mac} is on no interface of this host: only on the VM's own port can its answers be seen here`,
})
