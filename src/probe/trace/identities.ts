// ICMP identifiers and source ports of one run. Each is given out once: whoever asks again, gets a flow that nothing on
// the way has seen.
import type {ProbeProtocol} from '../../domain/trace/evidence.ts'

/** Above what Linux gives to programs by itself (net.ipv4.ip_local_port_range, 32768 to 60999). */
const FIRST_PORT = 61_000
const PORTS = 0x1_0000 - FIRST_PORT

export interface Identities {
  /** A fresh ICMP identifier, or a fresh source port. */
  fresh(protocol: ProbeProtocol): number
}

/** `random` is uniform in [0, 1): two runs on one host begin at different numbers. */
export function makeIdentities(random: () => number): Identities {
  const start = {identifier: Math.floor(random() * 0x1_0000), port: Math.floor(random() * PORTS)}
  const given = {identifier: 0, port: 0}
  return {
    fresh: (protocol) =>
      protocol === 'icmp'
        ? (start.identifier + given.identifier++) & 0xffff
        : FIRST_PORT + ((start.port + given.port++) % PORTS),
  }
}
