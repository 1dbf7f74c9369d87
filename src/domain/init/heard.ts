// What one frame tells about a segment that nothing is known of: who has which address, who is a router, who uses it.
import {ANY_IPV4, type Ipv4, isGroupMac, type Mac} from '../../wire/address.ts'
import {DHCP_CLIENT_PORT, parseDhcp} from '../../wire/dhcp.ts'
import {DHCPOFFER, DHCPREQUEST, dhcpOptions, readOption} from '../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_RARP,
  ethernetLength,
  parseEthernetHeader,
} from '../../wire/ethernet.ts'
import {type FhrpHello, HSRP_PORT, PROTOCOL_VRRP, parseHsrp, parseVrrp} from '../../wire/fhrp-hello.ts'
import {type Frame, parseFrame} from '../../wire/frames.ts'
import type {Icmp} from '../../wire/icmp.ts'
import {parseIcmpv6} from '../../wire/icmpv6.ts'
import {readIpv4Header} from '../../wire/ipv4.ts'
import {NEXT_HEADER_ICMPV6, parseIpv6} from '../../wire/ipv6.ts'
import {type Ipv6, isLinkLocal, isMulticastIpv6} from '../../wire/ipv6-address.ts'
import {ND_HOP_LIMIT} from '../../wire/nd.ts'
import {quotedProbe} from '../../wire/quote.ts'

/** A router's advertisement of itself (RFC 4861 section 4.2), lifetime above 0. */
export interface HeardAdvertisement {
  readonly lifetime: number
  readonly preference: 'low' | 'medium' | 'high'
  /** On-link prefixes, `2001:db8::` and their lengths. */
  readonly prefixes: readonly {readonly address: Ipv6; readonly length: number}[]
}

/** What a DHCP server offers, or has given. */
export interface HeardOffer {
  readonly server: Ipv4
  readonly ip: Ipv4
  readonly mask: Ipv4 | undefined
  readonly routers: readonly Ipv4[]
}

/** Of a frame: `mac` is its source, `tag` its VLAN (0: none). */
export type Heard = {readonly mac: Mac; readonly tag: number} & (
  | {readonly kind: 'arp'; readonly ip: Ipv4; readonly asksFor: Ipv4 | undefined}
  | {readonly kind: 'hello'; readonly ip: Ipv4; readonly hello: FhrpHello}
  | {readonly kind: 'offer'; readonly offer: HeardOffer}
  | {readonly kind: 'host-name'; readonly name: string}
  | {readonly kind: 'icmp-error'; readonly ip: Ipv4; readonly identifier: number; readonly sequence: number}
  | {readonly kind: 'packet'; readonly source: Ipv4; readonly destination: Ipv4; readonly to: Mac}
  | {readonly kind: 'advertisement'; readonly ip: Ipv6; readonly advertisement: HeardAdvertisement}
  | {readonly kind: 'ip6'; readonly ip: Ipv6}
)

/** Reads a frame; undefined where it tells nothing, or is not what it says. */
export const hear = (bytes: Uint8Array): Heard | undefined =>
  // Between virtual links a packet may be longer than any frame, and its checksum left to a card that is not there.
  ifWellFormed(() => ofFrame(bytes)) ?? ifWellFormed(() => ofHeader(bytes))

function ofFrame(bytes: Uint8Array): Heard | undefined {
  const frame = parseFrame(bytes)
  const {source: mac, vlan} = frame.ethernet
  if (isGroupMac(mac)) return undefined
  const heard = frame.kind === 'arp' ? ofArp(frame) : frame.kind === 'other' ? ofIpv6(frame) : ofIpv4(frame)
  return heard && ({mac, tag: vlan?.id ?? 0, ...heard} as Heard)
}

/** Who sends a packet to whom, whatever is in it. */
function ofHeader(bytes: Uint8Array): Heard | undefined {
  const ethernet = parseEthernetHeader(bytes)
  const {source: mac, destination: to, vlan} = ethernet
  if (ethernet.etherType !== ETHERTYPE_IPV4 || isGroupMac(mac) || isGroupMac(to)) return undefined
  const {source, destination} = readIpv4Header(bytes.subarray(ethernetLength(ethernet)))
  return source === ANY_IPV4 ? undefined : {kind: 'packet', mac, tag: vlan?.id ?? 0, source, destination, to}
}

type Told = Heard extends infer H ? (H extends Heard ? Omit<H, 'tag' | 'mac'> & {readonly mac?: Mac} : never) : never

function ofArp({ethernet, arp}: Extract<Frame, {kind: 'arp'}>): Told | undefined {
  if (ethernet.etherType === ETHERTYPE_RARP || isGroupMac(arp.senderMac)) return undefined
  const asksFor = arp.operation === 1 && arp.targetIp !== arp.senderIp ? arp.targetIp : undefined
  // The sender field is what receivers believe, and a router with a virtual MAC may send from its own.
  return {kind: 'arp', mac: arp.senderMac, ip: arp.senderIp, asksFor}
}

function ofIpv4(frame: Exclude<Frame, {kind: 'arp' | 'other'}>): Told | undefined {
  const {ip, ethernet} = frame
  if (frame.kind === 'ipv4' && ip.protocol === PROTOCOL_VRRP && ip.ttl === 255)
    return {kind: 'hello', ip: ip.source, hello: parseVrrp(frame.payload)}
  if (frame.kind === 'udp') {
    if (frame.udp.destinationPort === HSRP_PORT)
      return {kind: 'hello', ip: ip.source, hello: parseHsrp(frame.udp.payload)}
    if (frame.udp.destinationPort === DHCP_CLIENT_PORT || frame.udp.sourcePort === DHCP_CLIENT_PORT)
      return ofDhcp(frame.udp.payload)
  }
  if (frame.kind === 'icmp') {
    const error = errorOf(frame.icmp)
    if (error !== undefined) return {kind: 'icmp-error', ip: ip.source, ...error}
  }
  if (isGroupMac(ethernet.destination) || ip.source === ANY_IPV4) return undefined
  return {kind: 'packet', source: ip.source, destination: ip.destination, to: ethernet.destination}
}

/** Which echo an ICMP error is about. */
function errorOf(icmp: Icmp): {identifier: number; sequence: number} | undefined {
  const quoted = 'quoted' in icmp ? quotedProbe(icmp.quoted) : undefined
  if (quoted?.protocol !== 'icmp') return undefined
  return {identifier: quoted.identifier, sequence: quoted.sequence}
}

function ofDhcp(payload: Uint8Array): Told | undefined {
  const message = parseDhcp(payload)
  const type = readOption(message.options, dhcpOptions.messageType)
  if (type === DHCPREQUEST) {
    const name = readOption(message.options, dhcpOptions.hostName)
    return name === undefined ? undefined : {kind: 'host-name', mac: message.chaddr, name}
  }
  const server = readOption(message.options, dhcpOptions.serverIdentifier)
  if (message.op !== 2 || server === undefined || message.yiaddr === ANY_IPV4 || (type ?? 0) < DHCPOFFER)
    return undefined
  return {
    kind: 'offer',
    offer: {
      ...{server, ip: message.yiaddr, mask: readOption(message.options, dhcpOptions.subnetMask)},
      routers: readOption(message.options, dhcpOptions.router) ?? [],
    },
  }
}

function ofIpv6({ethernet, payload}: Extract<Frame, {kind: 'other'}>): Told | undefined {
  if (ethernet.etherType !== ETHERTYPE_IPV6) return undefined
  const packet = parseIpv6(payload)
  const {source, destination, hopLimit} = packet
  if (packet.nextHeader === NEXT_HEADER_ICMPV6 && hopLimit === ND_HOP_LIMIT) {
    const message = parseIcmpv6(packet.payload, {source, destination})
    if (message.kind === 'router-advertisement') {
      if (message.routerLifetime === 0) return undefined
      const prefixes = message.options.flatMap((option) =>
        option.kind === 'prefix-information' && option.onLink
          ? [{address: option.prefix, length: option.prefixLength}]
          : [],
      )
      const {routerLifetime: lifetime, preference} = message
      return {kind: 'advertisement', ip: source, advertisement: {lifetime, preference, prefixes}}
    }
    if (message.kind === 'neighbour-advertisement') return {kind: 'ip6', ip: message.target}
  }
  return source === '::' || isMulticastIpv6(source) || isLinkLocal(source) ? undefined : {kind: 'ip6', ip: source}
}
