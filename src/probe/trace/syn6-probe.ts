// TCP SYN probes over IPv6, as syn-probe.ts has IPv4's.
import {etherType, nextHeader} from '../../net/packet/bpf.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV6} from '../../wire/ethernet.ts'
import {tcp6Frame} from '../../wire/frames6.ts'
import {NEXT_HEADER_TCP} from '../../wire/ipv6.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import {parseTcp} from '../../wire/tcp.ts'
import {ICMPV6_FILTER, icmp6Answer, probeQuoted, receivedIcmp6, receivedPacket6, seen6} from './icmp6-answer.ts'
import type {Heard, ProbeCodec, ProbeSource} from './probe.ts'
import {synAnswered, synAnswers, synOf} from './syn-probe.ts'

/** Ethernet's (RFC 9293 3.7.1). */
const MSS = 1440

/** TCP SYN over IPv6 (RFC 9293). */
export const SYN6_CODEC: ProbeCodec = {
  protocol: 'tcp',
  speaks: isVersion6,
  filter: [
    ...synAnswers(6).map((flags) => [etherType(ETHERTYPE_IPV6), nextHeader(NEXT_HEADER_TCP), ...flags]),
    ...ICMPV6_FILTER,
  ],
  frame: (from, probe, sequence) =>
    tcp6Frame(
      {destination: probe.via, source: from.mac},
      {source: from.ip, destination: probe.destination, hopLimit: probe.ttl, flowLabel: probe.identity},
      synOf(probe, sequence, MSS),
    ),
  read: (bytes, from) => ifWellFormed(() => readSegment(bytes, from) ?? readError(bytes, from)),
}

function readSegment(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedPacket6(bytes, from.ip)
  if (received?.protocol !== NEXT_HEADER_TCP) return undefined
  const probe = synAnswered(parseTcp(received.payload, received.packet))
  return probe && {kind: 'reached', ...probe, destination: received.packet.source, ...seen6(received), error: null}
}

function readError(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedIcmp6(bytes, from.ip)
  const quoted = received && probeQuoted(received)
  if (received === undefined || quoted?.protocol !== 'tcp' || quoted.source !== from.ip) return undefined
  const {sourcePort: identity, sequence: initial, destination} = quoted
  return icmp6Answer(received, {identity, sequence: initial === undefined ? null : initial & 0xffff, destination})
}
