// IPv6's questions of vm-watch.ts: echo by ICMPv6, sign of life by a neighbour solicitation (RFC 4861).
import {ETHERTYPE_IPV6} from '../wire/ethernet.ts'
import {type Icmpv6, icmpv6Frame, parseIcmpv6} from '../wire/icmpv6.ts'
import {NEXT_HEADER_ICMPV6, parseIpv6} from '../wire/ipv6.ts'
import {type Ipv6, ipv6Bytes, isLinkLocal, isMulticastIpv6, linkLocalOf} from '../wire/ipv6-address.ts'
import {isNd, ND_HOP_LIMIT} from '../wire/nd.ts'
import type {FamilyWatch} from './sighting.ts'

export const watch6: FamilyWatch = {
  echo: (towards, ip, {gatewayIp, from = gatewayIp, identifier}, sequence) =>
    icmpv6Frame(
      towards,
      // Not ND's hop limit: an answer need not be allowed to come from off the link, nor the question to go there.
      {source: from, destination: ip, hopLimit: 64},
      {kind: 'echo-request', identifier, sequence, payload: new Uint8Array(8)},
    ),

  /**
   * From the link-local address that goes with our own MAC: it says nothing about any gateway, and the VM answers to our
   * MAC. Not from `::` as an ARP probe would be: to a VM whose address is tentative that says that somebody else has it.
   */
  probe(towards, ip) {
    const mac = towards.source
    return icmpv6Frame(
      towards,
      {source: linkLocalOf(mac), destination: ip},
      {kind: 'neighbour-solicitation', target: ip, options: [{kind: 'source-link-layer-address', mac}]},
    )
  },
  probeName: 'solicitation from us',

  /** `segment` says that traffic counts, and nothing more: it is an IPv4 prefix. */
  read(frame, ip, echo, segment) {
    if (frame.etherType !== ETHERTYPE_IPV6) return undefined
    const packet = parseIpv6(frame.payload)
    const {source, destination, nextHeader, hopLimit, payload} = packet
    const message: Icmpv6 | undefined = nextHeader === NEXT_HEADER_ICMPV6 ? parseIcmpv6(payload, packet) : undefined
    if (message?.kind === 'neighbour-advertisement' && hopLimit === ND_HOP_LIMIT && message.target === ip) {
      if (destination === echo.gatewayIp) return {kind: 'nd-reply'}
      return destination === linkLocalOf(frame.destination) ? {kind: 'alive'} : undefined
    }
    // It never leaves the link, whatever prefix its destination has.
    if (message && isNd(message)) return undefined
    if (source !== ip) return undefined
    const answers = message?.kind === 'echo-reply' && destination === (echo.from ?? echo.gatewayIp)
    if (answers && message.identifier === echo.identifier) return {kind: 'echo-reply', sequence: message.sequence}
    return segment && leavesSegment(destination, ip) ? {kind: 'traffic'} : undefined
  },
}

/** Unicast to somewhere that only a gateway can reach: outside the /64 that a SLAAC segment is (RFC 4862). */
function leavesSegment(destination: Ipv6, ip: Ipv6): boolean {
  if (isMulticastIpv6(destination) || isLinkLocal(destination) || destination === '::1') return false
  const [a, b] = [ipv6Bytes(destination), ipv6Bytes(ip)]
  return !isLinkLocal(ip) && a.subarray(0, 8).some((byte, i) => byte !== b[i])
}
