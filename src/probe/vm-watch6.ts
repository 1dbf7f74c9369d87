// The questions of vm-watch.ts for IPv6: echo by ICMPv6, sign of life by a neighbour solicitation (RFC 4861).
import type {Mac} from '../wire/address.ts'
import type {FrameAddresses} from '../wire/frames.ts'
import {type Icmpv6, icmpv6Frame, parseIcmpv6} from '../wire/icmpv6.ts'
import {NEXT_HEADER_ICMPV6, parseIpv6} from '../wire/ipv6.ts'
import {type Ipv6, ipv6Bytes, isLinkLocal, isMulticastIpv6, linkLocalOf} from '../wire/ipv6-address.ts'
import {ND_HOP_LIMIT} from '../wire/nd.ts'
import type {EchoIdentity, Sighting} from './sighting.ts'

/** The echo request that asks. */
export function echoFrame6(towards: FrameAddresses, ip: Ipv6, echo: EchoIdentity, sequence: number): Uint8Array {
  const {gatewayIp, from = gatewayIp, identifier} = echo
  const payload = new Uint8Array(8)
  // Not ND's hop limit: an answer need not be allowed to come from off the link, nor the question to go there.
  const packet = {source: from, destination: ip, hopLimit: 64}
  return icmpv6Frame(towards, packet, {kind: 'echo-request', identifier, sequence, payload})
}

/**
 * A solicitation for the VM from the link-local address that goes with our own MAC: it says nothing about any gateway,
 * and the VM answers to our MAC. Not from `::` as an ARP probe would be: to a VM whose address is tentative that says
 * that somebody else has it.
 */
export function probeFrame6(towards: FrameAddresses, ip: Ipv6): Uint8Array {
  const mac = towards.source
  return icmpv6Frame(
    towards,
    {source: linkLocalOf(mac), destination: ip},
    {kind: 'neighbour-solicitation', target: ip, options: [{kind: 'source-link-layer-address', mac}]},
  )
}

/**
 * What an IPv6 packet from the VM says; undefined if nothing. `heardAt` is the frame's destination MAC.
 * Throws `WireError` for bytes that are no packet.
 */
export function readPacket6(
  bytes: Uint8Array,
  {ip, heardAt}: {readonly ip: Ipv6; readonly heardAt: Mac},
  echo: EchoIdentity,
  withTraffic: boolean,
): Pick<Sighting, 'kind' | 'sequence'> | undefined {
  const packet = parseIpv6(bytes)
  const {source, destination, nextHeader, hopLimit, payload} = packet
  const message: Icmpv6 | undefined = nextHeader === NEXT_HEADER_ICMPV6 ? parseIcmpv6(payload, packet) : undefined
  if (message?.kind === 'neighbour-advertisement' && hopLimit === ND_HOP_LIMIT && message.target === ip) {
    if (destination === echo.gatewayIp) return {kind: 'nd-reply'}
    return destination === linkLocalOf(heardAt) ? {kind: 'alive'} : undefined
  }
  if (source !== ip) return undefined
  if (
    message?.kind === 'echo-reply' &&
    destination === (echo.from ?? echo.gatewayIp) &&
    message.identifier === echo.identifier
  ) {
    return {kind: 'echo-reply', sequence: message.sequence}
  }
  return withTraffic && leavesSegment(destination, ip) ? {kind: 'traffic'} : undefined
}

/** Unicast to somewhere that only a gateway can reach: outside the /64 that a SLAAC segment is (RFC 4862). */
function leavesSegment(destination: Ipv6, ip: Ipv6): boolean {
  if (isMulticastIpv6(destination) || isLinkLocal(destination) || destination === '::1') return false
  const [a, b] = [ipv6Bytes(destination), ipv6Bytes(ip)]
  return !isLinkLocal(ip) && a.subarray(0, 8).some((byte, i) => byte !== b[i])
}
