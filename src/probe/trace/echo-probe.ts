// ICMP echo probes that a load balancer keeps on one path, and what may come back for them.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV4, parseEthernet} from '../../wire/ethernet.ts'
import {icmpFrame} from '../../wire/frames.ts'
import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_TIME_EXCEEDED,
  type Icmp,
  type IcmpError,
  parseIcmp,
} from '../../wire/icmp.ts'
import {type Ipv4Packet, PROTOCOL_ICMP, parseIpv4} from '../../wire/ipv4.ts'
import {quotedProbe} from '../../wire/quote.ts'

/** One echo request. `sequence` is unique in the run and is what answers are matched by, never the gateway's MAC. */
export interface EchoProbe {
  readonly sourceMac: Mac
  /** The first hop under test. */
  readonly destinationMac: Mac
  readonly source: Ipv4
  readonly destination: Ipv4
  readonly ttl: number
  readonly identifier: number
  readonly sequence: number
}

const PAYLOAD_LENGTH = 56 - 8

/**
 * The probe as a frame. The second payload word makes up for the sequence number, so that all probes of one identifier
 * carry one checksum: routers that hash the first ICMP words then send them all the same way (Paris traceroute).
 */
export function echoProbeFrame(probe: EchoProbe): Uint8Array {
  const payload = new Uint8Array(PAYLOAD_LENGTH)
  const complement = 0xffff - probe.sequence
  payload[2] = complement >>> 8
  payload[3] = complement & 0xff
  return icmpFrame(
    {destination: probe.destinationMac, source: probe.sourceMac},
    {source: probe.source, destination: probe.destination, ttl: probe.ttl, identification: probe.sequence},
    {kind: 'echo-request', identifier: probe.identifier, sequence: probe.sequence, payload},
  )
}

/** What a frame is to the probes of this run. */
export type EchoAnswer =
  | {readonly kind: 'reached'; readonly sequence: number; readonly packet: Ipv4Packet; readonly returnMac: Mac}
  | {
      readonly kind: 'expired' | 'refused'
      readonly sequence: number
      readonly packet: Ipv4Packet
      readonly returnMac: Mac
      readonly icmp: IcmpError
      readonly quotedTtl: number | undefined
    }
  | {readonly kind: 'redirect'; readonly packet: Ipv4Packet; readonly returnMac: Mac; readonly gateway: Ipv4}

/** Reads a received frame; undefined if it answers no probe of ours from `source` to `destination`. */
export function readEchoAnswer(
  bytes: Uint8Array,
  ends: {source: Ipv4; destination: Ipv4; owns(identifier: number): boolean},
): EchoAnswer | undefined {
  return ifWellFormed(() => {
    const frame = parseEthernet(bytes)
    if (frame.etherType !== ETHERTYPE_IPV4) return undefined
    const packet = parseIpv4(frame.payload)
    if (packet.protocol !== PROTOCOL_ICMP || packet.destination !== ends.source || packet.fragmentOffset !== 0)
      return undefined
    const icmp = parseIcmp(packet.payload)
    const seen = {packet, returnMac: frame.source}
    if (icmp.kind === 'echo-reply') {
      const ours = packet.source === ends.destination && ends.owns(icmp.identifier)
      return ours ? {kind: 'reached', sequence: icmp.sequence, ...seen} : undefined
    }
    const quoted = quotedEcho(icmp, ends)
    if (!quoted) return undefined
    if (icmp.kind === 'redirect') return {kind: 'redirect', gateway: icmp.gateway, ...seen}
    if (icmp.kind !== 'time-exceeded' && icmp.kind !== 'destination-unreachable') return undefined
    const kind = icmp.kind === 'time-exceeded' ? 'expired' : 'refused'
    return {kind, icmp, sequence: quoted.sequence, quotedTtl: icmp.quoted.header?.ttl, ...seen}
  })
}

function quotedEcho(
  icmp: Icmp,
  ends: {source: Ipv4; destination: Ipv4; owns(identifier: number): boolean},
): {sequence: number} | undefined {
  if (!('quoted' in icmp)) return undefined
  const quoted = quotedProbe(icmp.quoted)
  if (quoted?.protocol !== 'icmp' || quoted.source !== ends.source || quoted.destination !== ends.destination)
    return undefined
  return ends.owns(quoted.identifier) ? quoted : undefined
}

/** The ICMP type number of an error, for reports. */
export const icmpErrorType = (icmp: IcmpError): number =>
  icmp.kind === 'time-exceeded' ? ICMP_TIME_EXCEEDED : ICMP_DESTINATION_UNREACHABLE
