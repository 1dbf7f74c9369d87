// One probe and what may come back for it, whatever its protocol: the seam between who measures (pairs, hops, checks) and
// who knows a protocol's bytes (the codecs: echo-probe.ts, syn-probe.ts).
import type {ProbeProtocol} from '../../domain/trace/evidence.ts'
import type {Test} from '../../net/packet/bpf.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {IcmpExtension} from '../../wire/icmp-extensions.ts'

/** One probe, before it is sent. */
export interface Probe {
  readonly protocol: ProbeProtocol
  /** MAC of the exit: the first hop under test. */
  readonly via: Mac
  readonly destination: Ipv4
  /** TTL, or hop limit. */
  readonly ttl: number
  /**
   * ICMP identifier, or source port: the flow. Never shared by two exits, so that no state which one exit's probe made on
   * the way lets the other's answers in; drawn from `identities.ts`.
   */
  readonly identity: number
  /** Destination port of TCP and UDP; 0 for ICMP. */
  readonly port: number
  /** Bytes of the IP packet, sent with don't-fragment; undefined: as few as the protocol needs. */
  readonly length?: number | undefined
}

/** What the codecs write into every frame of a run. */
export interface ProbeSource {
  readonly mac: Mac
  readonly ip: Ipv4
}

/** A frame that answers a probe of ours, read. */
export interface Heard {
  /**
   * `reached`: of the destination itself, a refused port included (RST, port unreachable of the destination): it is as
   * good an answer as any. `expired`: TTL exceeded. `refused`: any other ICMP error. `redirect`: ICMP redirect.
   */
  readonly kind: 'reached' | 'expired' | 'refused' | 'redirect'
  readonly identity: number
  /** Number of the probe among those of its identity; null where the answer does not say (a RST without ACK). */
  readonly sequence: number | null
  /** The destination that was probed: the answer's source, or that of the quoted packet. */
  readonly destination: Ipv4
  /** Source address of the answer, its TTL as it arrived, and the source MAC of its frame. */
  readonly source: Ipv4
  readonly replyTtl: number
  readonly returnMac: Mac
  /** What an ICMP error says; null for answers of the destination. */
  readonly error: IcmpErrorSaid | null
}

export interface IcmpErrorSaid {
  readonly type: number
  readonly code: number
  /** TTL of our probe as quoted; null if not quoted. */
  readonly quotedTtl: number | null
  /** Next-hop MTU in bytes of "fragmentation needed" (RFC 1191); null in all other errors. */
  readonly mtu: number | null
  /** The gateway that a redirect names; null in all other errors. */
  readonly gateway: Ipv4 | null
  readonly extensions: readonly IcmpExtension[]
}

/** What came back for one probe, with the time between two kernel clocks' readings. */
export interface ProbeReply extends Heard {
  readonly kind: 'reached' | 'expired' | 'refused'
  readonly rttMs: number
  /** The realtime clock was set between probe and answer: `rttMs` means nothing. */
  readonly clockStepped: boolean
}

/** One protocol of one address family. */
export interface ProbeCodec {
  readonly protocol: ProbeProtocol
  /** Does this codec speak the family of an address? */
  speaks(destination: Ipv4): boolean
  /** BPF clauses that let this protocol's answers through. */
  readonly filter: readonly (readonly Test[])[]
  /** The probe as an Ethernet frame. `sequence` (16 bits) comes back in {@link Heard}. */
  frame(from: ProbeSource, probe: Probe, sequence: number): Uint8Array
  /** Reads a received frame; undefined if it answers no probe of this protocol to `from`. Never throws. */
  read(bytes: Uint8Array, from: ProbeSource): Heard | undefined
}
