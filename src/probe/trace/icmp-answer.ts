// ICMP errors over IPv4 as answers to probes of any protocol.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {ETHERTYPE_IPV4, parseEthernet} from '../../wire/ethernet.ts'
import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  type Icmp,
  type IcmpError,
  parseIcmp,
} from '../../wire/icmp.ts'
import {type Ipv4Packet, PROTOCOL_ICMP, parseIpv4} from '../../wire/ipv4.ts'
import type {Heard} from './probe.ts'

export interface ReceivedPacket {
  readonly packet: Ipv4Packet
  readonly returnMac: Mac
}

export type ReceivedIcmp = ReceivedPacket & {readonly icmp: Icmp}

/** A whole IPv4 packet to `destination`; undefined for any other frame. @throws WireError */
export function receivedPacket(bytes: Uint8Array, destination: Ipv4): ReceivedPacket | undefined {
  const frame = parseEthernet(bytes)
  if (frame.etherType !== ETHERTYPE_IPV4) return undefined
  const packet = parseIpv4(frame.payload)
  if (packet.destination !== destination || packet.fragmentOffset !== 0) return undefined
  return {packet, returnMac: frame.source}
}

/** An ICMP message to `destination`; undefined for any other frame. @throws WireError */
export function receivedIcmp(bytes: Uint8Array, destination: Ipv4): ReceivedIcmp | undefined {
  const received = receivedPacket(bytes, destination)
  return received?.packet.protocol === PROTOCOL_ICMP
    ? {...received, icmp: parseIcmp(received.packet.payload)}
    : undefined
}

/** Where an answer came from, and how. */
export const seen = ({packet, returnMac}: ReceivedPacket): Pick<Heard, 'source' | 'replyTtl' | 'returnMac'> => ({
  source: packet.source,
  replyTtl: packet.ttl,
  returnMac,
})

/** An ICMP error or redirect about a probe of ours; undefined for other messages. */
export function icmpAnswer(
  received: ReceivedIcmp,
  probe: Pick<Heard, 'identity' | 'sequence' | 'destination'>,
): Heard | undefined {
  const {icmp} = received
  if (icmp.kind === 'redirect') {
    const said = {type: ICMP_REDIRECT, code: icmp.code, quotedTtl: null, mtu: null, gateway: icmp.gateway}
    return {kind: 'redirect', ...probe, ...seen(received), error: {...said, extensions: []}}
  }
  if (icmp.kind !== 'time-exceeded' && icmp.kind !== 'destination-unreachable') return undefined
  const kind = icmp.kind === 'time-exceeded' ? 'expired' : 'refused'
  return {kind, ...probe, ...seen(received), error: said(icmp)}
}

const said = (icmp: IcmpError): NonNullable<Heard['error']> => ({
  type: icmp.kind === 'time-exceeded' ? ICMP_TIME_EXCEEDED : ICMP_DESTINATION_UNREACHABLE,
  code: icmp.code,
  quotedTtl: icmp.quoted.header?.ttl ?? null,
  mtu: icmp.kind === 'destination-unreachable' ? (icmp.nextHopMtu ?? null) : null,
  gateway: null,
  extensions: icmp.extensions,
})
