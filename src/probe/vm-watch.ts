// Which gateway does a VM send to now? Asked with an ICMP echo that claims to come from the gateway: the VM's answer
// goes to the MAC that its neighbour table holds for the gateway, so the destination MAC of the answer is the proof.
// (An ARP answer proves nothing: a VM with a permanent entry answers, and keeps its entry.) The same for IPv6, by ICMPv6
// and Neighbour Discovery, in vm-watch6.ts.

import type {Instruction} from '../net/packet/bpf.ts'
import {anyOf, etherType, ipProtocol, macTests} from '../net/packet/bpf.ts'
import type {Link, ReceivedFrame} from '../net/packet/link.ts'
import {ANY_IPV4, type Prefix, prefixContains, ZERO_MAC} from '../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, parseArp} from '../wire/arp.ts'
import {WireError} from '../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_RARP, parseEthernet} from '../wire/ethernet.ts'
import {arpFrame, icmpFrame} from '../wire/frames.ts'
import {parseIcmp} from '../wire/icmp.ts'
import {type Ipv4Packet, PROTOCOL_ICMP, parseIpv4} from '../wire/ipv4.ts'
import {type EchoIdentity, isVersion6, type Sighting, type WatchedVm} from './sighting.ts'
import {echoFrame6, probeFrame6, readPacket6} from './vm-watch6.ts'

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
export function echoFrame(link: Pick<Link, 'mac'>, vm: WatchedVm, echo: EchoIdentity, sequence: number): Uint8Array {
  if (isVersion6(vm.ip)) return echoFrame6(towards(vm, link), vm.ip, echo, sequence)
  return icmpFrame(
    towards(vm, link),
    {source: echo.from ?? echo.gatewayIp, destination: vm.ip, identification: sequence},
    {kind: 'echo-request', identifier: echo.identifier, sequence, payload: new Uint8Array(8)},
  )
}

const towards = (vm: WatchedVm, link: Pick<Link, 'mac'>) => ({
  destination: vm.mac,
  source: link.mac,
  ...(vm.vlan && {vlan: vm.vlan}),
})

/**
 * An ARP probe for the VM (RFC 5227 section 1.1): sender address 0.0.0.0, so that it changes no neighbour table, while
 * the VM answers it to our own MAC. Tells a VM that sends elsewhere from one that is not there.
 */
export function probeFrame(link: Pick<Link, 'mac'>, vm: WatchedVm): Uint8Array {
  if (isVersion6(vm.ip)) return probeFrame6(towards(vm, link), vm.ip)
  return arpFrame(towards(vm, link), {
    operation: ARP_REQUEST,
    senderMac: link.mac,
    senderIp: ANY_IPV4,
    targetMac: ZERO_MAC,
    targetIp: vm.ip,
  })
}

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
  try {
    const frame = parseEthernet(received.bytes)
    if (frame.source !== vm.mac || frame.vlan?.id !== vm.vlan?.id) return undefined
    const seen = {destinationMac: frame.destination, atNs: received.timestampNs, frame: received.bytes}
    const said = readPayload(frame, vm, echo, segment)
    return said && {...said, ...seen}
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

type Said = Pick<Sighting, 'kind' | 'sequence'>

function readPayload(
  {etherType, payload, destination}: ReturnType<typeof parseEthernet>,
  vm: WatchedVm,
  echo: EchoIdentity,
  segment: Prefix | undefined,
): Said | undefined {
  if (isVersion6(vm.ip)) {
    return etherType === ETHERTYPE_IPV6
      ? readPacket6(payload, {ip: vm.ip, heardAt: destination}, echo, segment !== undefined)
      : undefined
  }
  if (etherType === ETHERTYPE_ARP) {
    const arp = parseArp(payload)
    if (arp.operation !== ARP_REPLY || arp.senderIp !== vm.ip) return undefined
    if (arp.targetIp === ANY_IPV4) return {kind: 'alive'}
    return arp.targetIp === echo.gatewayIp ? {kind: 'arp-reply'} : undefined
  }
  if (etherType !== ETHERTYPE_IPV4) return undefined
  const packet = parseIpv4(payload)
  if (packet.source !== vm.ip) return undefined
  const sequence = answeredSequence(packet, echo)
  if (sequence !== undefined) return {kind: 'echo-reply', sequence}
  return segment && leavesSegment(packet, segment) ? {kind: 'traffic'} : undefined
}

function answeredSequence(packet: Ipv4Packet, echo: EchoIdentity): number | undefined {
  if (packet.protocol !== PROTOCOL_ICMP || packet.destination !== (echo.from ?? echo.gatewayIp)) return undefined
  const icmp = parseIcmp(packet.payload)
  return icmp.kind === 'echo-reply' && icmp.identifier === echo.identifier ? icmp.sequence : undefined
}

/** Unicast to somewhere that only a gateway can reach. */
function leavesSegment(packet: Ipv4Packet, segment: Prefix): boolean {
  const first = Number(packet.destination.split('.')[0])
  return first > 0 && first < 224 && first !== 127 && !prefixContains(segment, packet.destination)
}
