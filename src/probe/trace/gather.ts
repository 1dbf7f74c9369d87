// Evidence out of what a run holds at a moment.
import type {
  CandidateEvidence,
  IntegrityEvidence,
  ProbeProtocol,
  RouteSnapshot,
  TraceEvidence,
} from '../../domain/trace/evidence.ts'
import {prefixText} from '../../wire/address.ts'
import {ipPrefixOf} from '../../wire/ip-prefix.ts'
import {addressesLike, type CurrentHop, type FoundHops} from './candidates.ts'
import type {Exit} from './exit.ts'
import type {Pairs} from './pairs.ts'
import type {Station} from './run.ts'
import type {TraceRequest} from './trace-request.ts'

/** When and from where a run began. */
export interface Began {
  /** On the monotonic clock, ns, and as ISO 8601 in UTC. */
  readonly startedNs: bigint
  readonly startedAt: string
  readonly hop: CurrentHop
  readonly arpAnswers: FoundHops['arpAnswers']
}

export interface Gathered extends Began {
  readonly request: TraceRequest
  readonly station: Station
  readonly exits: readonly Exit[]
  readonly pairs: Pairs
  readonly probed: {
    readonly protocol: ProbeProtocol
    readonly silent: readonly ProbeProtocol[]
    readonly afreshAtMs: number | null
  }
  readonly snapshots: Pick<IntegrityEvidence, 'before' | 'after'>
  readonly complete: boolean
  /** What decides whether redirects change routes; undefined while the run goes on. */
  readonly redirects: {readonly acceptRedirects: boolean | undefined; readonly rawSocketsOpen: number} | undefined
}

/** Nothing was asked yet: two of these differ in nothing. */
export const UNSEEN: RouteSnapshot = {gateway: null, redirected: false, expiresMs: null, neighbours: []}

export function evidenceOf(gathered: Gathered): TraceEvidence {
  const {request, hop, exits, pairs, probed, station} = gathered
  const msOf = (ns: bigint): number => Number(ns - gathered.startedNs) / 1e6
  const [current, ...alternatives] = exits.map(candidateOf)
  return {
    startedAt: gathered.startedAt,
    durationMs: pairs.elapsedMs(),
    complete: gathered.complete,
    capNetRaw: true,
    host: hostOf(request, hop),
    destination: request.destination,
    probe: {
      protocol: probed.protocol,
      port: probed.protocol === 'icmp' ? null : request.port,
      flows: request.flows,
      silent: [...probed.silent],
      rxTimestamp: 'kernel',
      gapMs: pairs.gapMs(),
      limited: pairs.limited(),
      afreshAtMs: probed.afreshAtMs,
    },
    current: current!,
    alternatives,
    pairs: pairs.settled,
    integrity: {
      ...gathered.snapshots,
      redirectsSeen: station.prober
        .redirects()
        .filter(({destination}) => destination === request.destination.ip)
        .map(({from, mac, gateway, atNs}) => ({from, mac, gateway, atMs: msOf(atNs)})),
      acceptRedirects: gathered.redirects?.acceptRedirects ?? null,
      rawSocketsOpen: gathered.redirects?.rawSocketsOpen ?? 0,
      arpAnswers: gathered.arpAnswers,
      clockSteps: station.prober.clockSteps.map(msOf),
      linkLost: station.lost.aborted ? (station.lost.reason as Error).message : null,
    },
    known: request.known,
  }
}

const candidateOf = ({candidate, firstHop, scan, scanned, works, tcpFlows}: Exit): CandidateEvidence => ({
  ...candidate,
  firstHop: [...firstHop.probes],
  hops: scanned.length > 0 && !scan.done() ? scanned : scan.hops(),
  works,
  tcpFlows,
})

function hostOf(request: TraceRequest, {facts, source, routing}: CurrentHop): TraceEvidence['host'] {
  const addresses = addressesLike(source, facts)
  const address = addresses.find((each) => each.ip === source) ?? addresses[0]
  return {
    ...request.host,
    ip: source,
    mac: facts.mac,
    iface: facts.name,
    prefix: address ? prefixText(ipPrefixOf(address.ip, address.prefixLength)) : null,
    routing,
  }
}
