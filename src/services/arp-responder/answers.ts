// What a site-local responder says to one frame: the paper's router that answers only for the VMs of its own site.
import {type Ipv4, isGroupMac, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp, parseArp} from '../../wire/arp.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV6, type Ethernet, parseEthernet, type Vlan} from '../../wire/ethernet.ts'
import {arpFrame} from '../../wire/frames.ts'
import {icmpv6Frame, parseIcmpv6} from '../../wire/icmpv6.ts'
import {type Ipv6Packet, NEXT_HEADER_ICMPV6, parseIpv6} from '../../wire/ipv6.ts'
import {ANY_IPV6, type Ipv6} from '../../wire/ipv6-address.ts'
import {ND_HOP_LIMIT} from '../../wire/nd.ts'

/** A gateway address and where it is at this site. */
export interface LocalGateway {
  readonly name: string | undefined
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
}

/** A VM's question for a gateway, with the answer. */
export interface Answer {
  readonly gateway: LocalGateway
  readonly vm: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vlan: Vlan | undefined
  /**
   * It asked another MAC alone: it still uses another site's gateway and checks that it is there. A reply would come
   * within the lock time and be ignored; it must be asked in turn.
   */
  readonly checksAnother: boolean
  readonly frame: Uint8Array
}

/** Builds the answer to a frame that came from a VM; undefined if it is no question for one of `gateways`. */
export function answerTo(bytes: Uint8Array, gateways: readonly LocalGateway[], ownMac: Mac): Answer | undefined {
  return ifWellFormed(() => {
    const frame = parseEthernet(bytes)
    if (gateways.some(({mac}) => mac === frame.source) || frame.source === ownMac) return undefined
    if (frame.etherType === ETHERTYPE_ARP) return arpAnswer(frame, parseArp(frame.payload), gateways, ownMac)
    if (frame.etherType === ETHERTYPE_IPV6) return ndAnswer(frame, parseIpv6(frame.payload), gateways, ownMac)
    return undefined
  })
}

function arpAnswer(frame: Ethernet, arp: Arp, gateways: readonly LocalGateway[], source: Mac): Answer | undefined {
  const gateway = gateways.find(({ip}) => ip === arp.targetIp)
  // Whoever says that it is the gateway itself asks nothing.
  if (!gateway || arp.operation !== ARP_REQUEST || arp.senderIp === gateway.ip || arp.senderMac === ZERO_MAC)
    return undefined
  const vm = {ip: arp.senderIp, mac: arp.senderMac}
  const reply: Arp = {
    operation: ARP_REPLY,
    senderMac: gateway.mac,
    senderIp: gateway.ip,
    targetMac: vm.mac,
    targetIp: vm.ip,
  }
  const addresses = {destination: vm.mac, source, vlan: frame.vlan}
  return {gateway, vm, vlan: frame.vlan, checksAnother: asksAnother(frame, gateway), frame: arpFrame(addresses, reply)}
}

const asksAnother = ({destination}: Ethernet, gateway: LocalGateway): boolean =>
  !isGroupMac(destination) && destination !== gateway.mac

function ndAnswer(
  frame: Ethernet,
  packet: Ipv6Packet,
  gateways: readonly LocalGateway[],
  source: Mac,
): Answer | undefined {
  if (packet.nextHeader !== NEXT_HEADER_ICMPV6 || packet.hopLimit !== ND_HOP_LIMIT || packet.source === ANY_IPV6)
    return undefined
  const message = parseIcmpv6(packet.payload, packet)
  if (message.kind !== 'neighbour-solicitation') return undefined
  const gateway = gateways.find(({ip}) => ip === message.target)
  if (!gateway || packet.source === gateway.ip) return undefined
  const vm = {ip: packet.source, mac: frame.source}
  const addresses = {destination: vm.mac, source, vlan: frame.vlan}
  const answer = icmpv6Frame(
    addresses,
    {source: gateway.ip, destination: vm.ip},
    {
      kind: 'neighbour-advertisement',
      router: true,
      solicited: true,
      override: true,
      target: gateway.ip,
      options: [{kind: 'target-link-layer-address', mac: gateway.mac}],
    },
  )
  return {gateway, vm, vlan: frame.vlan, checksAnother: asksAnother(frame, gateway), frame: answer}
}
