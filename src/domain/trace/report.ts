// The JSON document of `gwswitch trace`, schema gwswitch.trace/1: evidence and judgement in one, rounded to what means
// something. Scripts read it; text and pictures are drawn from it.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {type Penalty, type SideStats, sideStats, type Threshold} from './compare.ts'
import type {
  HopReply,
  MacSource,
  ProbeOutcome,
  ProbeProtocol,
  RedirectSeen,
  RouteSnapshot,
  TraceEvidence,
} from './evidence.ts'
import type {Inbound, InboundReason, InboundVerdict} from './inbound.ts'
import {type CandidatePlace, type LocatedHop, locateHops, type SiteSource} from './places.ts'
import type {Flag} from './remarks.ts'
import {type Comparison, type EgressVerdict, type Judgement, type Reason, type TraceExit, worstExit} from './verdict.ts'

export const TRACE_SCHEMA = 'gwswitch.trace/1'

/** One destination. Times are in ms, rounded to 1 µs; shares from 0 to 1; null is "not known" or "nothing there". */
export interface TraceReport {
  readonly startedAt: string
  readonly durationMs: number
  readonly complete: boolean
  readonly host: {
    readonly name: string | null
    readonly ip: Ipv4
    readonly mac: Mac
    readonly iface: string
    readonly site: string | null
    readonly siteSource: SiteSource | null
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

/** What `--json` prints: one destination's report itself, or several under `results`. */
export type TraceDocument = SingleTraceDocument | MultiTraceDocument
export type SingleTraceDocument = {readonly schema: typeof TRACE_SCHEMA} & TraceReport
export interface MultiTraceDocument {
  readonly schema: typeof TRACE_SCHEMA
  readonly startedAt: string
  readonly durationMs: number
  readonly complete: boolean
  /** In the order asked for. */
  readonly results: readonly TraceReport[]
  readonly exitCode: TraceExit
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
  /** Row of the decision table. */
  readonly row: number
  readonly because: readonly string[]
  /** Index into `candidates` of the alternative compared with; null if there is none. */
  readonly alternative: number | null
  readonly penaltyMs: Penalty | null
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
  readonly redirectsSeen: readonly RedirectSeen[]
  readonly acceptRedirects: boolean | null
  readonly rawSocketsOpen: number
  /** How many stations answered ARP for an address. */
  readonly arpOwners: Readonly<Record<Ipv4, number>>
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

/** One destination, as it was found and judged. */
export interface Judged {
  readonly evidence: TraceEvidence
  readonly judgement: Judgement
}

/** The document of a run over one or more destinations. */
export function traceDocument(judged: readonly Judged[]): TraceDocument {
  const results = judged.map(traceReport)
  const [only] = results
  if (only !== undefined && results.length === 1) return {schema: TRACE_SCHEMA, ...only}
  const starts = results.map((result) => Date.parse(result.startedAt))
  const ends = results.map((result, i) => starts[i]! + result.durationMs)
  return {
    schema: TRACE_SCHEMA,
    startedAt: results.length === 0 ? '' : new Date(Math.min(...starts)).toISOString(),
    durationMs: results.length === 0 ? 0 : ms(Math.max(...ends) - Math.min(...starts)),
    complete: results.every((result) => result.complete),
    results,
    exitCode: worstExit(results.map((result) => result.exitCode)),
  }
}

/** The reports of a document, whichever its shape. */
export const reportsOf = (document: TraceDocument): readonly TraceReport[] =>
  'results' in document ? document.results : [document]

/** Assembles one destination's report. */
function traceReport({evidence, judgement}: Judged): TraceReport {
  const {host, destination, probe, pairs} = evidence
  const {places, chosen} = judgement
  const counted = pairs.filter((pair) => !pair.warmUp)
  return {
    startedAt: evidence.startedAt,
    durationMs: ms(evidence.durationMs),
    complete: evidence.complete,
    host: {
      name: host.name,
      ip: host.ip,
      mac: host.mac,
      iface: host.iface,
      site: places.vm.site,
      siteSource: places.vm.source,
    },
    destination: {
      ip: destination.ip,
      name: destination.name,
      site: places.destination.site,
      siteSource: places.destination.source,
    },
    probe: {
      proto: probe.protocol,
      port: probe.port,
      flows: probe.flows,
      silent: probe.silent,
      pairsSent: counted.length,
      pairsUsed: counted.filter((pair) => pair.viaCurrent.rttMs !== null && pair.viaAlternative.rttMs !== null).length,
      rxTimestamp: probe.rxTimestamp,
    },
    candidates: candidateReports(evidence, judgement),
    dci: chosen === null ? {rttMs: null, source: null, n: 0} : {...chosen.dci, rttMs: maybe(chosen.dci.rttMs)},
    egress: {...egressReport(chosen), verdict: judgement.verdict, reason: judgement.reason},
    comparisons: judgement.comparisons.map((each) => ({
      ...egressReport(each),
      pairsSent: each.pairsSent,
      pairsUsed: each.pairsUsed,
    })),
    inbound: inboundReport(judgement.inbound),
    integrity: integrityReport(evidence),
    flags: judgement.flags,
    pairs: pairs.map(({index, alternative, flow, first, sentAtMs, warmUp, viaCurrent, viaAlternative}) => ({
      i: index,
      alternative: alternative + 1,
      flow,
      first,
      sentAtMs: ms(sentAtMs),
      warmUp,
      currentMs: maybe(viaCurrent.rttMs),
      currentReturnMac: viaCurrent.returnMac,
      currentReplyTtl: viaCurrent.replyTtl,
      currentRefusal: refusal(viaCurrent),
      alternativeMs: maybe(viaAlternative.rttMs),
      alternativeReturnMac: viaAlternative.returnMac,
      alternativeReplyTtl: viaAlternative.replyTtl,
      alternativeRefusal: refusal(viaAlternative),
    })),
    exitCode: judgement.exitCode,
  }
}

function candidateReports(evidence: TraceEvidence, {places}: Judgement): readonly CandidateReport[] {
  const counted = evidence.pairs.filter((pair) => !pair.warmUp)
  const stats = [
    sideStats(counted.map((pair) => pair.viaCurrent.rttMs)),
    ...evidence.alternatives.map((_, i) =>
      sideStats(counted.filter((pair) => pair.alternative === i).map((pair) => pair.viaAlternative.rttMs)),
    ),
  ]
  return [evidence.current, ...evidence.alternatives].map((candidate, i) => {
    const place: CandidatePlace = i === 0 ? places.current : places.alternatives[i - 1]!
    const side: SideStats = stats[i]!
    return {
      role: i === 0 ? 'current' : 'alternative',
      name: candidate.name,
      site: place.site,
      siteSource: place.source,
      local: place.local,
      ip: candidate.ip,
      mac: candidate.mac,
      macSource: candidate.macSource,
      firstHop: {responders: place.responders, minMs: maybe(place.firstHopMinMs), n: place.firstHopAnswered},
      sent: side.sent,
      received: side.answered,
      minMs: maybe(side.minMs),
      medianMs: maybe(side.medianMs),
      hops: locateHops(evidence, places, i).map(hopReport),
    }
  })
}

const hopReport = (hop: LocatedHop): HopReport => ({
  ttl: hop.ttl,
  addr: hop.address,
  addrs: hop.addresses.length > 1 ? hop.addresses : [],
  gateway: hop.gateway,
  site: hop.site,
  siteSource: hop.source,
  remote: hop.remote,
  minMs: maybe(hop.minMs),
  answered: hop.answered,
  sent: hop.sent,
  returnMac: hop.returnMac,
  returnGateway: hop.returnGateway,
  replyTtl: hop.replyTtl,
  reached: hop.reached,
  mpls: hop.mpls,
  ifInfo: hop.ifInfo,
})

function egressReport(comparison: Comparison | null): EgressReport {
  if (comparison === null) {
    const none = {penaltyMs: null, thresholdMs: null, thresholdSource: null, ratioToDci: null}
    return {
      verdict: 'inconclusive',
      reason: 'no-alternative',
      row: 1,
      because: [],
      alternative: null,
      ...none,
      flows: [],
    }
  }
  const {penalty, threshold, ratioToDci} = comparison
  return {
    verdict: comparison.verdict,
    reason: comparison.reason,
    row: comparison.row,
    because: comparison.because,
    alternative: comparison.alternative + 1,
    penaltyMs: penalty && {
      median: ms(penalty.median),
      lo: ms(penalty.lo),
      hi: ms(penalty.hi),
      coverage: round(penalty.coverage, 4),
      min: ms(penalty.min),
    },
    thresholdMs: ms(threshold.ms),
    thresholdSource: threshold.source,
    ratioToDci: ratioToDci === null ? null : round(ratioToDci, 3),
    flows: comparison.flows.map(({flow, n, medianMs}) => ({id: flow, n, medianMs: ms(medianMs)})),
  }
}

const inboundReport = ({verdict, reason, via, shareFar, costAtLeastMs}: Inbound): InboundReport => ({
  verdict,
  reason,
  via,
  shareFar: shareFar && {value: round(shareFar.value, 4), lo: round(shareFar.lo, 4), hi: round(shareFar.hi, 4)},
  costAtLeastMs: maybe(costAtLeastMs),
})

function integrityReport({integrity}: TraceEvidence): IntegrityReport {
  return {
    routeBefore: integrity.before,
    routeAfter: integrity.after,
    redirectsSeen: integrity.redirectsSeen,
    acceptRedirects: integrity.acceptRedirects,
    rawSocketsOpen: integrity.rawSocketsOpen,
    arpOwners: Object.fromEntries(integrity.arpAnswers.map(({ip, macs}) => [ip, macs.length])),
  }
}

const refusal = ({refusal: said}: ProbeOutcome): string | null =>
  said === null ? null : `${said.from} ${said.type}/${said.code}`

/** Kernel time stamps are good to a microsecond at best. */
const ms = (value: number): number => round(value, 3)
const maybe = (value: number | null): number | null => (value === null ? null : ms(value))

/** Never -0, which prints as one. */
function round(value: number, digits: number): number {
  const rounded = Number(value.toFixed(digits))
  return rounded === 0 ? 0 : rounded
}
