// Evidence and judgement as the JSON document of `gwswitch trace`, rounded to what means something.
import {type SideStats, sideStats} from './compare.ts'
import {candidatesOf} from './distance.ts'
import type {ProbeOutcome, SoloCheck, TraceEvidence, WorksEvidence} from './evidence.ts'
import type {Inbound} from './inbound.ts'
import {type CandidatePlace, type LocatedHop, locateHops} from './places.ts'
import {
  type CandidateReport,
  type EgressReport,
  type HopReport,
  type InboundReport,
  type IntegrityReport,
  TRACE_SCHEMA,
  type TraceDocument,
  type TraceFailure,
  type TraceReport,
} from './report.ts'
import {type Comparison, type Judgement, worstExit} from './verdict.ts'

/** One destination, as it was found and judged. */
export interface Judged {
  readonly evidence: TraceEvidence
  readonly judgement: Judgement
}

/** The run that the destinations were traced in. */
export interface RunFacts {
  /** ISO 8601 in UTC. */
  readonly startedAt: string
  readonly finishedAt: string
  readonly complete: boolean
  readonly rate: TraceDocument['rate']
}

/** The document of a run over one or more destinations. */
export function traceDocument(
  judged: readonly Judged[],
  failures: readonly TraceFailure[],
  {startedAt, finishedAt, complete, rate}: RunFacts,
): TraceDocument {
  const results = judged.map(traceReport)
  return {
    schema: TRACE_SCHEMA,
    ...{startedAt, finishedAt},
    durationMs: Date.parse(finishedAt) - Date.parse(startedAt),
    complete: complete && results.every((result) => result.complete),
    ...{rate, results, failures},
    exitCode: worstExit([...results.map((result) => result.exitCode), ...failures.map(() => 1 as const)]),
  }
}

/** One destination's report. */
export function traceReport({evidence, judgement}: Judged): TraceReport {
  const {host, destination, probe, pairs} = evidence
  const {places, chosen} = judgement
  const counted = pairs.filter((pair) => !pair.warmUp)
  return {
    startedAt: evidence.startedAt,
    finishedAt: new Date(Date.parse(evidence.startedAt) + evidence.durationMs).toISOString(),
    durationMs: ms(evidence.durationMs),
    complete: evidence.complete,
    host: {
      name: host.name,
      ip: host.ip,
      mac: host.mac,
      iface: host.iface,
      site: places.vm.site,
      siteSource: places.vm.source,
      routing: host.routing,
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
      gapMs: probe.gapMs,
      limited: probe.limited,
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
  return candidatesOf(evidence).map((candidate, i) => {
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
      works: candidate.works && worksReport(candidate.works),
      tcpFlows: candidate.tcpFlows?.map(checkReport) ?? null,
    }
  })
}

const checkReport = ({sent, answered, minMs}: SoloCheck): SoloCheck => ({sent, answered, minMs: maybe(minMs)})
const worksReport = ({small, syn, full}: WorksEvidence): WorksEvidence => ({
  small: checkReport(small),
  syn: checkReport(syn),
  full: {...checkReport(full), bytes: full.bytes, mtu: full.mtu},
})

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
      because: [],
      alternative: null,
      counts: false,
      changedAtMs: null,
      ...none,
      flows: [],
    }
  }
  const {penalty, threshold, ratioToDci} = comparison
  return {
    verdict: comparison.verdict,
    reason: comparison.reason,
    because: comparison.because,
    alternative: comparison.alternative + 1,
    counts: comparison.counts,
    changedAtMs: maybe(comparison.changedAtMs),
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
    redirectsSeen: integrity.redirectsSeen.map(({from, mac, gateway}) => ({from, mac, gateway})),
    acceptRedirects: integrity.acceptRedirects,
    rawSocketsOpen: integrity.rawSocketsOpen,
    arpOwners: Object.fromEntries(integrity.arpAnswers.map(({ip, macs}) => [ip, macs.length])),
    clockSteps: integrity.clockSteps.length,
    linkLost: integrity.linkLost,
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
