// ICMPv6 echo probes that a load balancer keeps on one path, as echo-probe.ts has IPv4's.
import {ifWellFormed} from '../../wire/error.ts'
import {icmpv6Frame} from '../../wire/icmpv6.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import {ICMPV6_FILTER, icmp6Answer, probeQuoted, receivedIcmp6, seen6} from './icmp6-answer.ts'
import type {Probe, ProbeCodec, ProbeSource} from './probe.ts'

const HEADERS_LENGTH = 40 + 8
/** Of the whole packet where none is asked for. */
const LENGTH = HEADERS_LENGTH + 48
/** The second payload word must fit in. */
const LEAST_LENGTH = HEADERS_LENGTH + 4

/** ICMP echo over IPv6 (RFC 4443). */
export const ECHO6_CODEC: ProbeCodec = {
  protocol: 'icmp',
  speaks: isVersion6,
  filter: ICMPV6_FILTER,
  frame: echoFrame,
  read(bytes, from) {
    return ifWellFormed(() => {
      const received = receivedIcmp6(bytes, from.ip)
      if (received === undefined) return undefined
      const {icmp, packet} = received
      if (icmp.kind === 'echo-reply') {
        const {identifier: identity, sequence} = icmp
        return {kind: 'reached', identity, sequence, destination: packet.source, error: null, ...seen6(received)}
      }
      const quoted = probeQuoted(received)
      if (quoted?.protocol !== 'icmp' || quoted.source !== from.ip) return undefined
      const {identifier: identity, sequence, destination} = quoted
      return icmp6Answer(received, {identity, sequence, destination})
    })
  },
}

/**
 * The second payload word makes up for the sequence number, so that all probes of one identifier carry one checksum; they
 * have one flow label too, which routers may hash (RFC 6438).
 */
function echoFrame(from: ProbeSource, probe: Probe, sequence: number): Uint8Array {
  const payload = new Uint8Array(Math.max(LEAST_LENGTH, probe.length ?? LENGTH) - HEADERS_LENGTH)
  const complement = 0xffff - sequence
  payload[2] = complement >>> 8
  payload[3] = complement & 0xff
  return icmpv6Frame(
    {destination: probe.via, source: from.mac},
    {source: from.ip, destination: probe.destination, hopLimit: probe.ttl, flowLabel: probe.identity},
    {kind: 'echo-request', identifier: probe.identity, sequence, payload},
  )
}
