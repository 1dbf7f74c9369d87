// IPv4's questions of vm-watch.ts: echo by ICMP, sign of life by an ARP probe.
import {ANY_IPV4, type Prefix, prefixContains, ZERO_MAC} from '../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, parseArp} from '../wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4} from '../wire/ethernet.ts'
import {arpFrame, icmpFrame} from '../wire/frames.ts'
import {parseIcmp} from '../wire/icmp.ts'
import {type Ipv4Packet, PROTOCOL_ICMP, parseIpv4} from '../wire/ipv4.ts'
import type {EchoIdentity, FamilyWatch} from './sighting.ts'

export const watch4: FamilyWatch = {
  echo: (towards, ip, {gatewayIp, from = gatewayIp, identifier}, sequence) =>
    icmpFrame(
      towards,
      {source: from, destination: ip, identification: sequence},
      {kind: 'echo-request', identifier, sequence, payload: new Uint8Array(8)},
    ),

  /** RFC 5227 section 1.1: with the sender address 0.0.0.0 it changes no neighbour table. */
  probe: (towards, ip) =>
    arpFrame(towards, {
      operation: ARP_REQUEST,
      senderMac: towards.source,
      senderIp: ANY_IPV4,
      targetMac: ZERO_MAC,
      targetIp: ip,
    }),
  probeName: 'ARP probe',

  read({etherType, payload}, ip, echo, segment) {
    if (etherType === ETHERTYPE_ARP) {
      const arp = parseArp(payload)
      if (arp.operation !== ARP_REPLY || arp.senderIp !== ip) return undefined
      if (arp.targetIp === ANY_IPV4) return {kind: 'alive'}
      return arp.targetIp === echo.gatewayIp ? {kind: 'arp-reply'} : undefined
    }
    if (etherType !== ETHERTYPE_IPV4) return undefined
    const packet = parseIpv4(payload)
    if (packet.source !== ip) return undefined
    const sequence = answeredSequence(packet, echo)
    if (sequence !== undefined) return {kind: 'echo-reply', sequence}
    return segment && leavesSegment(packet, segment) ? {kind: 'traffic'} : undefined
  },
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
