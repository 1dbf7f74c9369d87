// The JSON document of `gwswitch trace`, schema gwswitch.trace/2, as types: evidence and judgement in one. Scripts read it;
// text and pictures are drawn from it. schemas/trace.2.json is made of them.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Penalty, Threshold} from './compare.ts'
import type {EgressVerdict, Reason} from './decision-table.ts'
import type {
  HopReply,
  HostRouting,
  MacSource,
  ProbeProtocol,
  RedirectSeen,
  RouteSnapshot,
  SoloCheck,
  WorksEvidence,
} from './evidence.ts'
import type {Flag} from './flag.ts'
import type {Inbound, InboundReason, InboundVerdict} from './inbound.ts'
import type {SiteSource} from './places.ts'
import type {TraceExit} from './verdict.ts'

export const TRACE_SCHEMA = 'gwswitch.trace/2'

/** One destination. Times are in ms, rounded to 1 µs; shares from 0 to 1; null is "not known" or "nothing there". */
export interface TraceReport {
  /** ISO 8601 in UTC. */
  readonly startedAt: string
  readonly finishedAt: string
  readonly durationMs: number
  readonly complete: boolean
  readonly host: {
    readonly name: string | null
    readonly ip: Ipv4
    readonly mac: Mac
    readonly iface: string
    readonly site: string | null
    readonly siteSource: SiteSource | null
    readonly routing: HostRouting
  }
  readonly destination: {
    readonly ip: Ipv4
    readonly name: string | null
    readonly site: string | null
    readonly siteSource: SiteSource | null
  }
  readonly probe: {
    readonly proto: ProbeProtocol
    readonly port: number | null
    readonly flows: number
    /** Protocols that nothing answered before `proto` was taken. */
    readonly silent: readonly ProbeProtocol[]
    /** Pairs that count, of all alternatives together; those that warm caches are not among them. */
    readonly pairsSent: number
    readonly pairsUsed: number
    readonly rxTimestamp: 'kernel' | 'user'
    /** Time between two probes to the destination; more than at the start where it limits its answers. */
    readonly gapMs: number
    readonly limited: boolean
  }
  /** The current first hop, then the alternatives. */
  readonly candidates: readonly CandidateReport[]
  readonly dci: {readonly rttMs: number | null; readonly source: 'measured' | 'inventory' | null; readonly n: number}
  readonly egress: EgressReport
  /** Each alternative's own verdict; `egress` is the one that speaks for the destination. */
  readonly comparisons: readonly (EgressReport & {readonly pairsSent: number; readonly pairsUsed: number})[]
  readonly inbound: InboundReport
  readonly integrity: IntegrityReport
  readonly flags: readonly Flag[]
  readonly pairs: readonly PairReport[]
  readonly exitCode: TraceExit
}

/** What `--json` prints, for one destination as for many. */
export interface TraceDocument {
  readonly schema: typeof TRACE_SCHEMA
  readonly startedAt: string
  readonly finishedAt: string
  readonly durationMs: number
  /** False if anything was cut short. */
  readonly complete: boolean
  /** Most packets that were sent in any second, as promised, and how many were sent in all. */
  readonly rate: {readonly perSecond: number; readonly packetsSent: number}
  /** Those that could be traced, in the order asked for. */
  readonly results: readonly TraceReport[]
  /** Those that could not, and why. */
  readonly failures: readonly TraceFailure[]
  readonly exitCode: TraceExit
}

export interface TraceFailure {
  /** As it was asked for. */
  readonly destination: string
  readonly kind: 'usage' | 'runtime'
  readonly message: string
}

export interface CandidateReport {
  readonly role: 'current' | 'alternative'
  readonly name: string | null
  readonly site: string | null
  readonly siteSource: SiteSource | null
  /** At the VM's site? */
  readonly local: boolean | null
  readonly ip: Ipv4
  readonly mac: Mac
  readonly macSource: MacSource
  readonly firstHop: {readonly responders: readonly Ipv4[]; readonly minMs: number | null; readonly n: number}
  readonly sent: number
  readonly received: number
  readonly minMs: number | null
  readonly medianMs: number | null
  readonly hops: readonly HopReport[]
  /** What was tried through this exit alone; null if nothing was. */
  readonly works: WorksEvidence | null
  /** TCP flows that were asked beside echoes, one entry a flow; null if they were not. */
  readonly tcpFlows: readonly SoloCheck[] | null
}

export interface HopReport {
  readonly ttl: number
  readonly addr: Ipv4 | null
  /** Every address that answered, where there is more than one. */
  readonly addrs: readonly Ipv4[]
  readonly gateway: string | null
  readonly site: string | null
  readonly siteSource: SiteSource | null
  /** At another site than the VM? */
  readonly remote: boolean | null
  readonly minMs: number | null
  readonly answered: number
  readonly sent: number
  readonly returnMac: Mac | null
  readonly returnGateway: string | null
  readonly replyTtl: number | null
  readonly reached: boolean
  readonly mpls: HopReply['mpls']
  readonly ifInfo: HopReply['ifInfo']
}

export interface EgressReport {
  readonly verdict: EgressVerdict
  readonly reason: Reason
  readonly because: readonly string[]
  /** Index into `candidates` of the alternative compared with; null if there is none. */
  readonly alternative: number | null
  /** Do the numbers mean anything? Not where what was found makes them void. */
  readonly counts: boolean
  readonly penaltyMs: Penalty | null
  /** When the path changed in the middle of the run, ms from its start; null if it did not. */
  readonly changedAtMs: number | null
  readonly thresholdMs: number | null
  readonly thresholdSource: Threshold['source'] | null
  readonly ratioToDci: number | null
  readonly flows: readonly {readonly id: number; readonly n: number; readonly medianMs: number}[]
}

export interface InboundReport {
  readonly verdict: InboundVerdict
  readonly reason: InboundReason
  readonly via: Inbound['via']
  readonly shareFar: {readonly value: number; readonly lo: number; readonly hi: number} | null
  readonly costAtLeastMs: number | null
}

export interface IntegrityReport {
  readonly routeBefore: RouteSnapshot
  readonly routeAfter: RouteSnapshot
  /** Those that say the same once. */
  readonly redirectsSeen: readonly RedirectSeen[]
  readonly acceptRedirects: boolean | null
  readonly rawSocketsOpen: number
  /** How many stations answered ARP for an address, where more than one did. */
  readonly arpOwners: Readonly<Record<Ipv4, number>>
  /** Probes whose answers were dropped because somebody set the clock meanwhile. */
  readonly clockSteps: number
  readonly linkLost: string | null
}

/** One pair, flat enough to be a row of a table. */
export interface PairReport {
  readonly i: number
  /** Index into `candidates`. */
  readonly alternative: number
  readonly flow: number
  readonly first: 'current' | 'alternative'
  readonly sentAtMs: number
  readonly warmUp: boolean
  readonly currentMs: number | null
  readonly currentReturnMac: Mac | null
  readonly currentReplyTtl: number | null
  /** `10.0.0.2 3/1`: who refused, ICMP type and code. */
  readonly currentRefusal: string | null
  readonly alternativeMs: number | null
  readonly alternativeReturnMac: Mac | null
  readonly alternativeReplyTtl: number | null
  readonly alternativeRefusal: string | null
}
