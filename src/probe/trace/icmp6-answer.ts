// ICMPv6 errors and redirects as answers to probes of any protocol, as icmp-answer.ts reads IPv4's.
import {etherType, nextHeader, type Test} from '../../net/packet/bpf.ts'
import type {Mac} from '../../wire/address.ts'
import {ETHERTYPE_IPV6, parseEthernet} from '../../wire/ethernet.ts'
import {type Icmpv6, parseIcmpv6} from '../../wire/icmpv6.ts'
import {ICMPV6_ERROR_TYPES, type Icmpv6Error} from '../../wire/icmpv6-errors.ts'
import {type Ipv6Packet, NEXT_HEADER_ICMPV6, parseIpv6} from '../../wire/ipv6.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {upperLayer} from '../../wire/ipv6-extensions.ts'
import {ND_HOP_LIMIT, ND_REDIRECT, type NdRedirect} from '../../wire/nd.ts'
import type {QuotedProbe} from '../../wire/quote.ts'
import {parseQuoted6, quotedProbe6} from '../../wire/quote6.ts'
import type {Heard} from './probe.ts'

export interface ReceivedPacket6 {
  readonly packet: Ipv6Packet
  readonly returnMac: Mac
  /** The protocol behind any extension headers, and its bytes. */
  readonly protocol: number
  readonly payload: Uint8Array
}

export type ReceivedIcmp6 = ReceivedPacket6 & {readonly icmp: Icmpv6}

/** Hop-by-hop options, routing, fragment, destination options: an ICMPv6 message may be behind one. */
const EXTENSIONS = [0, 43, 44, 60]
/** BPF clauses that let ICMPv6 messages through. */
export const ICMPV6_FILTER: readonly (readonly Test[])[] = [NEXT_HEADER_ICMPV6, ...EXTENSIONS].map((header) => [
  etherType(ETHERTYPE_IPV6),
  nextHeader(header),
])

/** A whole IPv6 packet to `destination`; undefined for any other frame. @throws WireError */
export function receivedPacket6(bytes: Uint8Array, destination: Ipv6): ReceivedPacket6 | undefined {
  const frame = parseEthernet(bytes)
  if (frame.etherType !== ETHERTYPE_IPV6) return undefined
  const packet = parseIpv6(frame.payload)
  if (packet.destination !== destination) return undefined
  const {protocol, offset, fragmentOffset, moreFragments} = upperLayer(packet.nextHeader, packet.payload)
  if (fragmentOffset !== 0 || moreFragments) return undefined
  return {packet, returnMac: frame.source, protocol, payload: packet.payload.subarray(offset)}
}

/** An ICMPv6 message to `destination`; undefined for any other frame. @throws WireError */
export function receivedIcmp6(bytes: Uint8Array, destination: Ipv6): ReceivedIcmp6 | undefined {
  const received = receivedPacket6(bytes, destination)
  return received?.protocol === NEXT_HEADER_ICMPV6
    ? {...received, icmp: parseIcmpv6(received.payload, received.packet)}
    : undefined
}

/** Where an answer came from, and how. */
export const seen6 = ({packet, returnMac}: ReceivedPacket6): Pick<Heard, 'source' | 'replyTtl' | 'returnMac'> => ({
  source: packet.source,
  replyTtl: packet.hopLimit,
  returnMac,
})

/** The probe that an error or a redirect is about; undefined for other messages, and where it does not say. */
export function probeQuoted({icmp}: ReceivedIcmp6): QuotedProbe | undefined {
  if ('quoted' in icmp) return quotedProbe6(icmp.quoted)
  if (icmp.kind !== 'redirect') return undefined
  const header = icmp.options.find((option) => option.kind === 'redirected-header')
  return header && quotedProbe6(parseQuoted6(header.packet))
}

/** An error or redirect about a probe of ours; undefined for other messages. */
export function icmp6Answer(
  received: ReceivedIcmp6,
  probe: Pick<Heard, 'identity' | 'sequence' | 'destination'>,
): Heard | undefined {
  const {icmp, packet} = received
  if (icmp.kind === 'redirect')
    return packet.hopLimit === ND_HOP_LIMIT
      ? {kind: 'redirect', ...probe, ...seen6(received), error: redirectSaid(icmp)}
      : undefined
  if (!('quoted' in icmp)) return undefined
  const kind = icmp.kind === 'time-exceeded' ? 'expired' : 'refused'
  return {kind, ...probe, ...seen6(received), error: said(icmp)}
}

const redirectSaid = ({target}: NdRedirect): NonNullable<Heard['error']> => ({
  ...{type: ND_REDIRECT, code: 0, quotedTtl: null, mtu: null, gateway: target},
  extensions: [],
})

const said = (icmp: Icmpv6Error): NonNullable<Heard['error']> => ({
  type: ICMPV6_ERROR_TYPES[icmp.kind],
  code: icmp.code,
  quotedTtl: icmp.quoted.header?.hopLimit ?? null,
  mtu: icmp.kind === 'packet-too-big' ? icmp.mtu : null,
  gateway: null,
  extensions: 'extensions' in icmp ? icmp.extensions : [],
})
