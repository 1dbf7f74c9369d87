// Which gateway does a VM send to now? Asked with an echo that claims to come from the gateway: the VM's answer goes to the
// MAC that its neighbour table holds for the gateway, so the destination MAC of the answer is the proof. (An ARP answer
// proves nothing: a VM with a permanent entry answers, and keeps its entry.) Here the family is chosen; what its frames
// are is in vm-watch4.ts and vm-watch6.ts.
import type {Instruction} from '../net/packet/bpf.ts'
import {anyOf, etherType, ipProtocol, macTests} from '../net/packet/bpf.ts'
import type {Link, ReceivedFrame} from '../net/packet/link.ts'
import type {Prefix} from '../wire/address.ts'
import {ifWellFormed} from '../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_RARP, parseEthernet} from '../wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../wire/ipv4.ts'
import {isVersion6} from '../wire/ipv6-address.ts'
import type {EchoIdentity, Sighting, WatchedVm} from './sighting.ts'
import {watch4} from './vm-watch4.ts'
import {watch6} from './vm-watch6.ts'

const watchOf = ({ip}: WatchedVm) => (isVersion6(ip) ? watch6 : watch4)

/** Lets through what {@link readSighting} understands, and RARP, by which a hypervisor announces a resumed VM. */
export function vmFilter(vm: Pick<WatchedVm, 'mac'>, withTraffic: boolean): Instruction[] {
  const from = macTests('source', vm.mac)
  const ip = withTraffic ? [etherType(ETHERTYPE_IPV4)] : [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]
  return anyOf([
    [etherType(ETHERTYPE_ARP), ...from],
    [...ip, ...from],
    [etherType(ETHERTYPE_IPV6), ...from],
    [etherType(ETHERTYPE_RARP), ...from],
  ])
}

/** The echo request that asks; its Ethernet source is the link's own MAC, so that no bridge relearns a gateway's. */
export const echoFrame = (link: Pick<Link, 'mac'>, vm: WatchedVm, echo: EchoIdentity, sequence: number): Uint8Array =>
  watchOf(vm).echo(towards(vm, link), vm.ip, echo, sequence)

/**
 * Asks the VM for a sign of life in a way that changes no neighbour table; it answers to our own MAC. Tells a VM that
 * sends elsewhere from one that is not there.
 */
export const probeFrame = (link: Pick<Link, 'mac'>, vm: WatchedVm): Uint8Array =>
  watchOf(vm).probe(towards(vm, link), vm.ip)

/** What {@link probeFrame} is, in words. */
export const probeName = (vm: WatchedVm): string => watchOf(vm).probeName

const towards = ({mac, vlan}: WatchedVm, link: Pick<Link, 'mac'>) => ({destination: mac, source: link.mac, vlan})

/**
 * What a received frame says about the VM; undefined if nothing. With `segment` given, the VM's ordinary traffic to
 * addresses outside it counts too.
 */
export function readSighting(
  received: ReceivedFrame,
  vm: WatchedVm,
  echo: EchoIdentity,
  segment: Prefix | undefined,
): Sighting | undefined {
  return ifWellFormed(() => {
    const frame = parseEthernet(received.bytes)
    if (frame.source !== vm.mac || frame.vlan?.id !== vm.vlan?.id) return undefined
    const seen = {destinationMac: frame.destination, atNs: received.timestampNs, frame: received.bytes}
    const said = watchOf(vm).read(frame, vm.ip, echo, segment)
    return said && {...said, ...seen}
  })
}
