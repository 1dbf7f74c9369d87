// What `trace` saw on the wire, as plain JSON data. No judgement lives here: verdict.ts reads this and nothing else, so
// that evidence which was stored can be judged again.
//
// Units: every time is in milliseconds, as a number with a fraction. RTTs are the difference of two kernel time stamps
// wherever `probe.rxTimestamp` is `kernel`. `null` is "looked, and there is none"; nothing is left undefined.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {IcmpExtension, MplsLabel} from '../../wire/icmp-extensions.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/** What the probes are: ICMP echo (RFC 792), TCP SYN, or UDP to a port that should be closed. */
export type ProbeProtocol = 'icmp' | 'tcp' | 'udp'

/** Everything gathered about one destination, from one run. */
export interface TraceEvidence {
  /** Start of the run, ISO 8601 in UTC. */
  readonly startedAt: string
  readonly durationMs: number
  /** False if the run was cut short (Ctrl-C, deadline): what is here is right, but there is less of it than planned. */
  readonly complete: boolean
  /** False if no packet socket could be opened for want of CAP_NET_RAW; everything measured is then empty. */
  readonly capNetRaw: boolean
  readonly host: HostEvidence
  readonly destination: DestinationEvidence
  readonly probe: ProbeEvidence
  /** The first hop in use: the default route's gateway when the kernel holds a redirect for the destination. */
  readonly current: CandidateEvidence
  /** The first hops it is compared with. Empty if none is known. */
  readonly alternatives: readonly CandidateEvidence[]
  /** Every pair sent, in order, of all alternatives together. */
  readonly pairs: readonly PairEvidence[]
  readonly integrity: IntegrityEvidence
  readonly known: KnownSites
}

/** Where the probes are sent from: the VM itself, or a host on its segment and at its site. */
export interface HostEvidence {
  /** Inventory name, else null. */
  readonly name: string | null
  readonly ip: Ipv4
  readonly mac: Mac
  readonly iface: string
  /** Prefix of the address on the interface, `10.0.0.0/24`: what is inside answers without a router. Null if unknown. */
  readonly prefix: string | null
  /** The VM's site as told, by flag or inventory; null if nobody told. What is measured may overrule the inventory. */
  readonly site: {readonly name: string; readonly source: 'flag' | 'inventory'} | null
  readonly routing: HostRouting
}

/** What this host's own packets may do otherwise than the probes. */
export interface HostRouting {
  /** Next hops of the route that is in use: two or more share the host's flows. Empty if there is one. */
  readonly nextHops: readonly {readonly gateway: Ipv4; readonly weight: number}[]
  /** Default routes of the main table beside the one in use, `10.0.0.2 dev eth0 metric 200`. */
  readonly otherDefaults: readonly string[]
  /** Rules beside the three that every host has (ip-rule(8)), `from 10.0.0.77 lookup 100`. */
  readonly rules: readonly string[]
  /** Other addresses on the interface, which programs may bind to. */
  readonly otherSources: readonly Ipv4[]
}

export const PLAIN_ROUTING: HostRouting = {nextHops: [], otherDefaults: [], rules: [], otherSources: []}

export interface DestinationEvidence {
  readonly ip: Ipv4
  /** As given by the user (host name) or the inventory; null for a bare address. */
  readonly name: string | null
}

export interface ProbeEvidence {
  /** The protocol that the pairs were sent with. */
  readonly protocol: ProbeProtocol
  /** Destination port for tcp and udp, null for icmp. */
  readonly port: number | null
  /** Number of flows the pairs were spread over. */
  readonly flows: number
  /** Protocols that were tried first and got no answer through any candidate, in order. */
  readonly silent: readonly ProbeProtocol[]
  readonly rxTimestamp: 'kernel' | 'user'
  /** Time between two probes to the destination at the end, ms: more than at the start where it limits its answers. */
  readonly gapMs: number
  /** The destination answers only so many probes a second: the gap was widened until it answered all. */
  readonly limited: boolean
  /** When first hops and hops were asked afresh, the path having changed, ms from the start; null if they were not. */
  readonly afreshAtMs: number | null
}

/** How the MAC of a candidate was learnt: neighbour table, inventory, command line, or an ARP request. */
export type MacSource = 'neigh' | 'inventory' | 'flag' | 'arp'

/** One first hop. Candidates differ by MAC; their IP may be one and the same (a gateway IP shared by the sites). */
export interface CandidateEvidence {
  /** Inventory name, else null. */
  readonly name: string | null
  readonly ip: Ipv4
  readonly mac: Mac
  readonly macSource: MacSource
  /** TTL=1 probes towards the destination through this MAC, at least 20, spread over the run. */
  readonly firstHop: readonly FirstHopProbe[]
  /** TTL-limited probes with their answers, by TTL from 1; the last entry is where the destination answered, if it did. */
  readonly hops: readonly HopEvidence[]
  /** What was tried through this exit alone, when it mattered; null if nothing was. */
  readonly works: WorksEvidence | null
  /** TCP SYNs of different flows through it, one entry a flow: echoes have no ports, and may go another way. Null if not asked. */
  readonly tcpFlows: readonly SoloCheck[] | null
}

/** Would it work if it were the only exit? Each probe has an identity of its own, and nothing else is under way. */
export interface WorksEvidence {
  /** Small probes of the protocol that the pairs were sent with, a second apart. */
  readonly small: SoloCheck
  /** TCP SYN between two ports that nobody uses: a reset is an answer. */
  readonly syn: SoloCheck
  /** Packets as large as the interface takes, not to be fragmented. */
  readonly full: SoloCheck & {
    readonly bytes: number
    /** MTU that a router on the way states (RFC 1191); null if none does. */
    readonly mtu: number | null
  }
}

export interface SoloCheck {
  readonly sent: number
  readonly answered: number
  /** Smallest round trip, ms; null without an answer. */
  readonly minMs: number | null
}

export const NOT_CHECKED: SoloCheck = {sent: 0, answered: 0, minMs: null}

/** One TTL=1 probe. The first three are null if nothing came back. */
export interface FirstHopProbe {
  readonly rttMs: number | null
  /** Source address of the answer: often the interface address behind a virtual one. */
  readonly responder: Ipv4 | null
  /** Source MAC of the answer's frame. */
  readonly returnMac: Mac | null
  /** The destination itself answered, not a router: it, or another box with its address, is one hop away. */
  readonly reached: boolean
}

/** What was heard from one TTL. */
export interface HopEvidence {
  /** TTL the probes left with. */
  readonly ttl: number
  /** Probes sent with this TTL. */
  readonly sent: number
  readonly replies: readonly HopReply[]
}

export interface HopReply {
  readonly rttMs: number
  /** Source address of the answer. */
  readonly address: Ipv4
  /** Source MAC of the answer's frame: the gateway that it came back through. */
  readonly returnMac: Mac
  /** TTL of the answer as it arrived. */
  readonly replyTtl: number
  /** TTL of our probe as quoted in the answer: 1 from an ordinary router, more from one that hides hops. Null if not quoted. */
  readonly quotedTtl: number | null
  /** True if this is the destination's own answer, not a time exceeded. */
  readonly reached: boolean
  /** MPLS label stack (RFC 4950), outermost first. */
  readonly mpls: readonly MplsLabel[] | null
  /** Interface objects (RFC 5837). */
  readonly ifInfo: readonly InterfaceInfo[] | null
  /** Name of the address in the DNS, if looked up. */
  readonly dnsName: string | null
}

/** One interface information object, RFC 5837 section 4.1. */
export type InterfaceInfo = Extract<IcmpExtension, {readonly kind: 'interface'}>

/** One probe through the current first hop and one through an alternative, a few ms apart, same flow. */
export interface PairEvidence {
  /** Counts from 0 over the run. */
  readonly index: number
  /** Index into `alternatives`. */
  readonly alternative: number
  /** Flow number, from 0. Each exit has an identifier, or source port, of its own for it, the same in all its pairs. */
  readonly flow: number
  /** Which probe left first; drawn at random. */
  readonly first: 'current' | 'alternative'
  /** When the first of the two left, from `startedAt`. */
  readonly sentAtMs: number
  /** True for a pair that only warms caches (cold ARP costs a DCI round trip): it is kept and never counted. */
  readonly warmUp: boolean
  readonly viaCurrent: ProbeOutcome
  readonly viaAlternative: ProbeOutcome
}

/** What became of one probe of a pair. */
export interface ProbeOutcome {
  /** RTT to the destination; null if it did not answer in time. */
  readonly rttMs: number | null
  /** Source MAC of the answer's frame: the gateway that delivered it. Null without an answer. */
  readonly returnMac: Mac | null
  /** TTL of the answer as it arrived. Null without an answer. */
  readonly replyTtl: number | null
  /** An ICMP error in place of an answer: who sent it, type and code (3/1 host unreachable, 3/13 prohibited, …). */
  readonly refusal: {readonly from: Ipv4; readonly type: number; readonly code: number} | null
}

/** What could make the result void or hide the detour. */
export interface IntegrityEvidence {
  readonly before: RouteSnapshot
  readonly after: RouteSnapshot
  /** ICMP redirects received during the run, those that say the same once; when last, ms from the start of the run. */
  readonly redirectsSeen: readonly (RedirectSeen & {readonly atMs: number})[]
  /** The host's effective accept_redirects on the interface; null if unknown. */
  readonly acceptRedirects: boolean | null
  /** Raw ICMP sockets of other programs: through them, redirects that our probes cause change this host's routes. */
  readonly rawSocketsOpen: number
  /** Every answer to each ARP request of this run: a MAC twice means two boxes share it. Empty if none was sent. */
  readonly arpAnswers: readonly {readonly ip: Ipv4; readonly macs: readonly Mac[]}[]
  /** When an answer was dropped because somebody set the clock meanwhile, ms from the start of the run. */
  readonly clockSteps: readonly number[]
  /** Why no more could be sent: the interface went down or away; null if it stayed. */
  readonly linkLost: string | null
}

/** Route and neighbours as the kernel holds them. */
export interface RouteSnapshot {
  /** Next hop towards the destination, null if on-link or no route. */
  readonly gateway: Ipv4 | null
  /** True if that next hop comes from an ICMP redirect. */
  readonly redirected: boolean
  /** Time that the redirect is still held. Null if not redirected. */
  readonly expiresMs: number | null
  /** Kernel neighbour entries of the candidates' addresses; an address without a complete entry is left out. */
  readonly neighbours: readonly {readonly ip: Ipv4; readonly mac: Mac}[]
}

export interface RedirectSeen {
  /** Who sent it: source address of the ICMP message and source MAC of its frame. */
  readonly from: Ipv4
  readonly mac: Mac
  /** The gateway it recommends. */
  readonly gateway: Ipv4
}

/** What the inventory says about places, cut down to what one trace needs. All empty without an inventory. */
export interface KnownSites {
  readonly sites: readonly {
    readonly name: string
    /** Prefixes near the site, `198.51.100.0/24`. */
    readonly prefixes: readonly string[]
    /** DCI round trip to the other site; null if not known. */
    readonly dciRttMs: number | null
  }[]
  readonly gateways: readonly KnownGateway[]
  /** The host's segment; null if its address lies in none. */
  readonly segment: string | null
  /** Regular expression whose first group, found in a hop's name, is a site's name (`--site-regex`); null if none. */
  readonly siteRegex: string | null
}

export interface KnownGateway {
  readonly name: string
  readonly segment: string
  readonly site: string
  readonly ip: Ipv4
  readonly mac: Mac
  readonly ip6?: readonly Ipv6[]
}

/** What is known of places without an inventory. */
export const NOTHING_KNOWN: KnownSites = {sites: [], gateways: [], segment: null, siteRegex: null}
