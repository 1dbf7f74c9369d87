// Frames that say where a gateway IP is, told apart by what they do to a neighbour table.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {isGroupMac} from '../../wire/address.ts'
import {ARP_REQUEST, type Arp, parseArp} from '../../wire/arp.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV6, parseEthernet} from '../../wire/ethernet.ts'
import {type Icmpv6, parseIcmpv6} from '../../wire/icmpv6.ts'
import {type Ipv6Packet, NEXT_HEADER_ICMPV6, parseIpv6} from '../../wire/ipv6.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {ND_HOP_LIMIT} from '../../wire/nd.ts'
import type {NdOption} from '../../wire/nd-options.ts'

/** One frame that says that a gateway IP is at a MAC. */
export interface Claim {
  /** Where it says that the gateway is. */
  readonly mac: Mac
  /** The frame's Ethernet source, which sent it or passes it on. */
  readonly source: Mac
  readonly destination: Mac
  readonly vlanId: number | undefined
  /** Whom hosts take for a default router by it, where it says so of another than the gateway. */
  readonly router?: Ipv6
  /** What kind of frame it is, in words. */
  readonly text: string
}

/** What a frame claims about `gatewayIp`; undefined if nothing. */
export function readClaim(bytes: Uint8Array, gatewayIp: Ipv4 | Ipv6): Claim | undefined {
  return ifWellFormed(() => {
    const {source, destination, vlan, etherType, payload} = parseEthernet(bytes)
    const claimed =
      etherType === ETHERTYPE_ARP
        ? arpClaim(parseArp(payload), gatewayIp, isGroupMac(destination))
        : etherType === ETHERTYPE_IPV6
          ? ndClaim(parseIpv6(payload), gatewayIp, isGroupMac(destination))
          : undefined
    return claimed && {...claimed, source, destination, vlanId: vlan?.id}
  })
}

/** What a frame says about a default router; undefined if nothing, or that it is none any more. */
export function readRouterClaim(bytes: Uint8Array): (Claim & {readonly router: Ipv6}) | undefined {
  return ifWellFormed(() => {
    const {source, destination, vlan, etherType, payload} = parseEthernet(bytes)
    if (etherType !== ETHERTYPE_IPV6) return undefined
    const packet = parseIpv6(payload)
    if (packet.nextHeader !== NEXT_HEADER_ICMPV6 || packet.hopLimit !== ND_HOP_LIMIT) return undefined
    const message = parseIcmpv6(packet.payload, packet)
    if (message.kind !== 'router-advertisement' || message.routerLifetime === 0) return undefined
    const cast = isGroupMac(destination) ? 'multicast' : 'unicast'
    const text = `${cast} router advertisement of ${packet.source}, which routes for ${message.routerLifetime} s`
    const mac = macIn(message.options, 'source') ?? source
    return {router: packet.source, mac, source, destination, vlanId: vlan?.id, text}
  })
}

/** RFC 826: whoever receives it may take the sender's pair, whatever the packet is for. */
function arpClaim(arp: Arp, gatewayIp: string, group: boolean): Pick<Claim, 'mac' | 'text'> | undefined {
  if (arp.senderIp !== gatewayIp) return undefined
  const cast = group ? 'broadcast' : 'unicast'
  const asks = arp.operation === ARP_REQUEST
  if (arp.targetIp === gatewayIp)
    return {mac: arp.senderMac, text: `${cast} gratuitous ${asks ? 'request' : 'reply'} for ${gatewayIp}`}
  if (asks) return {mac: arp.senderMac, text: `${cast} request who-has ${arp.targetIp} tell ${gatewayIp}`}
  return {mac: arp.senderMac, text: `${cast} reply to ${arp.targetIp}: ${gatewayIp} is at ${arp.senderMac}`}
}

function ndClaim(packet: Ipv6Packet, gatewayIp: string, group: boolean): Pick<Claim, 'mac' | 'text'> | undefined {
  if (packet.nextHeader !== NEXT_HEADER_ICMPV6 || packet.hopLimit !== ND_HOP_LIMIT) return undefined
  const message = parseIcmpv6(packet.payload, packet)
  const said = says(message, packet.source, gatewayIp)
  return said && {mac: said.mac, text: `${group ? 'multicast' : 'unicast'} ${said.text}`}
}

function says(message: Icmpv6, source: Ipv6, gatewayIp: Ipv6): Pick<Claim, 'mac' | 'text'> | undefined {
  switch (message.kind) {
    case 'neighbour-solicitation': {
      const mac = source === gatewayIp ? macIn(message.options, 'source') : undefined
      return mac === undefined
        ? undefined
        : {mac, text: `neighbour solicitation for ${message.target} from ${gatewayIp}`}
    }
    case 'neighbour-advertisement': {
      const mac = message.target === gatewayIp ? macIn(message.options, 'target') : undefined
      const flags = [message.router && 'R', message.solicited && 'S', message.override && 'O'].filter(Boolean).join(' ')
      return mac === undefined ? undefined : {mac, text: `neighbour advertisement (${flags}) of ${gatewayIp}`}
    }
    case 'router-advertisement': {
      const mac = source === gatewayIp ? macIn(message.options, 'source') : undefined
      return mac === undefined ? undefined : {mac, text: `router advertisement of ${gatewayIp}`}
    }
    case 'redirect': {
      const mac = message.target === gatewayIp ? macIn(message.options, 'target') : undefined
      return mac === undefined ? undefined : {mac, text: `redirect to ${gatewayIp}`}
    }
    default:
      return undefined
  }
}

function macIn(options: readonly NdOption[], side: 'source' | 'target'): Mac | undefined {
  for (const option of options) {
    if (option.kind === 'source-link-layer-address' && side === 'source') return option.mac
    if (option.kind === 'target-link-layer-address' && side === 'target') return option.mac
  }
  return undefined
}
