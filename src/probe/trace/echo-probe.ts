// ICMP echo probes that a load balancer keeps on one path, and what may come back for them.
import {etherType, ipProtocol} from '../../net/packet/bpf.ts'
import {type Ipv4, isIpv4, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV4} from '../../wire/ethernet.ts'
import {icmpFrame} from '../../wire/frames.ts'
import {PROTOCOL_ICMP} from '../../wire/ipv4.ts'
import {quotedProbe} from '../../wire/quote.ts'
import {icmpAnswer, receivedIcmp, seen} from './icmp-answer.ts'
import type {Heard, ProbeCodec} from './probe.ts'

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
  /** Bytes of the IP packet; undefined: 76. */
  readonly length?: number | undefined
}

const PAYLOAD_LENGTH = 56 - 8
/** IPv4 header without options, and ICMP's. */
const HEADERS_LENGTH = 20 + 8
/** The second payload word must fit in. */
const LEAST_LENGTH = HEADERS_LENGTH + 4

/**
 * The probe as a frame. The second payload word makes up for the sequence number, so that all probes of one identifier
 * carry one checksum: routers that hash the first ICMP words then send them all the same way (Paris traceroute).
 * @internal
 */
export function echoProbeFrame(probe: EchoProbe): Uint8Array {
  const length = Math.max(LEAST_LENGTH, probe.length ?? HEADERS_LENGTH + PAYLOAD_LENGTH)
  const payload = new Uint8Array(length - HEADERS_LENGTH)
  const complement = 0xffff - probe.sequence
  payload[2] = complement >>> 8
  payload[3] = complement & 0xff
  return icmpFrame(
    {destination: probe.destinationMac, source: probe.sourceMac},
    {source: probe.source, destination: probe.destination, ttl: probe.ttl, identification: probe.sequence},
    {kind: 'echo-request', identifier: probe.identifier, sequence: probe.sequence, payload},
  )
}

/** ICMP echo over IPv4 (RFC 792). */
export const ECHO_CODEC: ProbeCodec = {
  protocol: 'icmp',
  speaks: isIpv4,
  filter: [[etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]],
  frame: (from, {via, destination, ttl, identity, length}, sequence) =>
    echoProbeFrame({
      ...{sourceMac: from.mac, destinationMac: via, source: from.ip, destination},
      ...{ttl, identifier: identity, sequence, length},
    }),
  read(bytes, from) {
    return ifWellFormed(() => {
      const received = receivedIcmp(bytes, from.ip)
      if (received === undefined) return undefined
      const {icmp, packet} = received
      if (icmp.kind === 'echo-reply') {
        const {identifier: identity, sequence} = icmp
        return {kind: 'reached', identity, sequence, destination: packet.source, error: null, ...seen(received)}
      }
      const quoted = 'quoted' in icmp ? quotedProbe(icmp.quoted) : undefined
      if (quoted?.protocol !== 'icmp' || quoted.source !== from.ip) return undefined
      const {identifier: identity, sequence, destination} = quoted
      return icmpAnswer(received, {identity, sequence, destination})
    })
  },
}

/** What a frame is to one flow of echoes. */
export interface EchoAnswer {
  readonly kind: Exclude<Heard['kind'], 'redirect'>
  readonly sequence: number
  readonly source: Ipv4
  readonly replyTtl: number
}

/** Reads a received frame; undefined if it answers no echo of `identifier` from `source` to `destination`. */
export function readEchoAnswer(
  bytes: Uint8Array,
  flow: {readonly source: Ipv4; readonly destination: Ipv4; readonly identifier: number},
): EchoAnswer | undefined {
  const heard = ECHO_CODEC.read(bytes, {mac: ZERO_MAC, ip: flow.source})
  if (heard === undefined || heard.kind === 'redirect' || heard.sequence === null) return undefined
  if (heard.identity !== flow.identifier || heard.destination !== flow.destination) return undefined
  return {kind: heard.kind, sequence: heard.sequence, source: heard.source, replyTtl: heard.replyTtl}
}
