// UDP probes to a port, and what may come back for them: "port unreachable" of the destination itself, or a service's
// answer. The probe's number is in the IP identification, which an error quotes; a service does not say it.
import {etherType, ipProtocol, type Test} from '../../net/packet/bpf.ts'
import {isIpv4} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV4} from '../../wire/ethernet.ts'
import {udpFrame} from '../../wire/frames.ts'
import {UNREACHABLE_PORT} from '../../wire/icmp.ts'
import {PROTOCOL_ICMP, PROTOCOL_UDP} from '../../wire/ipv4.ts'
import {quotedProbe} from '../../wire/quote.ts'
import {parseUdp, UDP_LENGTH} from '../../wire/udp.ts'
import {icmpAnswer, receivedIcmp, receivedPacket, seen} from './icmp-answer.ts'
import type {Heard, Probe, ProbeCodec, ProbeSource} from './probe.ts'

const IPV4_LENGTH = 20
/** Of the whole packet where none is asked for: as large as the other protocols' probes. */
const LENGTH = 76
/** Of the destination port in the frame, behind an IP header of 20 bytes or 40. */
const PORT_AT = {4: 14 + IPV4_LENGTH + 2, 6: 14 + 40 + 2} as const

/** Identities are ports above what hosts give out by themselves: this lets little of other sessions through. */
export const highPort = (family: 4 | 6): Test => ({offset: PORT_AT[family], size: 2, mask: 0xe000, value: 0xe000})

/** UDP over IPv4 (RFC 768). */
export const UDP_CODEC: ProbeCodec = {
  protocol: 'udp',
  speaks: isIpv4,
  filter: [
    [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_UDP), highPort(4)],
    [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)],
  ],
  frame: datagramFrame,
  read: (bytes, from) => ifWellFormed(() => readService(bytes, from) ?? readError(bytes, from)),
}

function datagramFrame(from: ProbeSource, probe: Probe, sequence: number): Uint8Array {
  const length = Math.max(probe.length ?? LENGTH, IPV4_LENGTH + UDP_LENGTH)
  return udpFrame(
    {destination: probe.via, source: from.mac},
    {source: from.ip, destination: probe.destination, ttl: probe.ttl, identification: sequence},
    {
      sourcePort: probe.identity,
      destinationPort: probe.port,
      payload: new Uint8Array(length - IPV4_LENGTH - UDP_LENGTH),
    },
  )
}

function readService(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedPacket(bytes, from.ip)
  if (received?.packet.protocol !== PROTOCOL_UDP || received.packet.moreFragments) return undefined
  const {destinationPort: identity} = parseUdp(received.packet.payload, received.packet)
  const destination = received.packet.source
  return {kind: 'reached', identity, sequence: null, destination, ...seen(received), error: null}
}

function readError(bytes: Uint8Array, from: ProbeSource): Heard | undefined {
  const received = receivedIcmp(bytes, from.ip)
  if (received === undefined || !('quoted' in received.icmp)) return undefined
  const {quoted} = received.icmp
  const probe = quotedProbe(quoted)
  if (probe?.protocol !== 'udp' || probe.source !== from.ip) return undefined
  const {sourcePort: identity, destination} = probe
  const answer = icmpAnswer(received, {identity, sequence: quoted.header?.identification ?? null, destination})
  const refused = received.icmp.kind === 'destination-unreachable' && received.icmp.code === UNREACHABLE_PORT
  return answer && refused && answer.source === destination ? {...answer, kind: 'reached', error: null} : answer
}
