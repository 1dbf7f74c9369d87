// UDP probes over IPv6, as udp-probe.ts has IPv4's. There is no identification in the header: the probe's number is in the
// checksum, for which two bytes of the payload make up.
import {etherType, nextHeader} from '../../net/packet/bpf.ts'
import {fold} from '../../wire/checksum.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV6} from '../../wire/ethernet.ts'
import {udp6Frame} from '../../wire/frames6.ts'
import {UNREACHABLE_PORT6} from '../../wire/icmpv6-errors.ts'
import {NEXT_HEADER_UDP} from '../../wire/ipv6.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import {parseUdp, serializeUdp, UDP_LENGTH} from '../../wire/udp.ts'
import {ICMPV6_FILTER, icmp6Answer, probeQuoted, receivedIcmp6, receivedPacket6, seen6} from './icmp6-answer.ts'
import type {Heard, Probe, ProbeCodec, ProbeSource} from './probe.ts'
import {highPort} from './udp-probe.ts'

const HEADERS_LENGTH = 40 + UDP_LENGTH
/** Of the whole packet where none is asked for: as large as the other protocols' probes. */
const LENGTH = 96
/** What makes up for the checksum must fit in. */
const LEAST_LENGTH = HEADERS_LENGTH + 2
const CHECKSUM_AT = 6

/** UDP over IPv6 (RFC 8200 8.1). */
export const UDP6_CODEC: ProbeCodec = {
  protocol: 'udp',
  speaks: isVersion6,
  filter: [[etherType(ETHERTYPE_IPV6), nextHeader(NEXT_HEADER_UDP), highPort(6)], ...ICMPV6_FILTER],
  frame: datagramFrame,
  read: (bytes, from) => ifWellFormed(() => readService(bytes, from) ?? readError(bytes, from)),
}

function datagramFrame(from: ProbeSource, probe: Probe, sequence: number): Uint8Array {
  const payload = new Uint8Array(Math.max(LEAST_LENGTH, probe.length ?? LENGTH) - HEADERS_LENGTH)
  const udp = {sourcePort: probe.identity, destinationPort: probe.port, payload}
  const ends = {source: from.ip, destination: probe.destination}
  const bare = serializeUdp(udp, ends)
  const word = fold(((bare[CHECKSUM_AT]! << 8) | bare[CHECKSUM_AT + 1]!) + 0xffff - checksumOf(sequence))
  payload[0] = word >>> 8
  payload[1] = word & 0xff
  return udp6Frame(
    {destination: probe.via, source: from.mac},
    {...ends, hopLimit: probe.ttl, flowLabel: probe.identity},
    udp,
  )
}

/** A checksum of 0 would say that there is none. */
const checksumOf = (sequence: number): number => (sequence === 0 ? 0xffff : sequence)

function readService(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedPacket6(bytes, from.ip)
  if (received?.protocol !== NEXT_HEADER_UDP) return undefined
  const {destinationPort: identity} = parseUdp(received.payload, received.packet)
  const destination = received.packet.source
  return {kind: 'reached', identity, sequence: null, destination, ...seen6(received), error: null}
}

function readError(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedIcmp6(bytes, from.ip)
  const quoted = received && probeQuoted(received)
  if (received === undefined || quoted?.protocol !== 'udp' || quoted.source !== from.ip) return undefined
  const {sourcePort: identity, checksum, destination} = quoted
  const answer = icmp6Answer(received, {identity, sequence: checksum ?? null, destination})
  const {icmp} = received
  const refused = icmp.kind === 'destination-unreachable' && icmp.code === UNREACHABLE_PORT6
  return answer && refused && answer.source === destination ? {...answer, kind: 'reached', error: null} : answer
}
