// Measures one destination through two or more first hops and returns what was seen: pairs of probes close in time, so
// that whatever the network does to one it does to the other.
import type {
  CandidateEvidence,
  FirstHopProbe,
  HostEvidence,
  KnownSites,
  PairEvidence,
  ProbeOutcome,
  RouteSnapshot,
  TraceEvidence,
} from '../../domain/trace/evidence.ts'
import {anyOf, etherType, ipProtocol} from '../../net/packet/bpf.ts'
import type {Link} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import {type Ipv4, prefixOf, prefixText} from '../../wire/address.ts'
import {ETHERTYPE_IPV4} from '../../wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../../wire/ipv4.ts'
import {
  alternativeHops,
  type Candidate,
  type CurrentHop,
  currentHop,
  type GatewayFact,
  type NamedHop,
} from './candidates.ts'
import {type HopScan, hopScan, refusalOf} from './hop-scan.ts'
import {type ProbeAnswer, type Prober, startProber} from './prober.ts'

const DEFAULT_TTL = 64

export interface TraceRequest {
  readonly destination: {readonly ip: Ipv4; readonly name: string | null}
  readonly interfaceName?: string | undefined
  readonly alternatives: readonly NamedHop[]
  /** The user named them; else they are all that the inventory has. */
  readonly alternativesNamed: boolean
  /** Name of this host and its site, as told; see `HostEvidence`. */
  readonly host: Pick<HostEvidence, 'name' | 'site'>
  readonly known: KnownSites
  readonly gateways: readonly GatewayFact[]
  /** Flows the pairs are spread over, at least 1. */
  readonly flows: number
  /** Mean time between pairs, ms. Each is drawn from half to one and a half of it. */
  readonly intervalMs: number
  /** How long an answer may take, ms. */
  readonly timeoutMs: number
  /** Asked after every pair count it names; the run goes on to the next while it says so. */
  readonly looks: readonly number[]
  goOn(evidence: TraceEvidence): boolean
}

/** What a run hands to whoever records it. */
export interface TraceObserver {
  onLink?(link: Link): Link
  onPair?(sent: number, wanted: number): void
}

/**
 * Runs one trace. When `signal` is aborted it stops early, and the evidence says it is not complete.
 * @throws Failure as {@link currentHop}, and `privilege` without CAP_NET_RAW.
 */
export async function trace(
  world: World,
  request: TraceRequest,
  observer: TraceObserver = {},
  signal?: AbortSignal,
): Promise<TraceEvidence> {
  const startedNs = world.now()
  const hop = await currentHop(world, request.destination.ip, request.interfaceName, request.gateways)
  const alternatives = await alternativeHops(world, request.alternatives, hop, request.alternativesNamed)
  const candidates = [hop.candidate, ...alternatives]
  const opened = await world.openLink(hop.facts.name, {
    filter: anyOf([[etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]]),
  })
  const link = observer.onLink?.(opened) ?? opened
  const prober = startProber(link, world, {
    source: hop.source,
    destination: request.destination.ip,
    flows: request.flows,
    timeoutMs: request.timeoutMs,
  })
  try {
    const before = await snapshot(world, request.destination.ip, hop, candidates)
    const run = startRun(world, request, prober, candidates, startedNs)
    let evidence: TraceEvidence | undefined
    for (const look of alternatives.length > 0 ? request.looks : []) {
      await run.pairsUpTo(look, (sent) => observer.onPair?.(sent, look), signal)
      const after = await snapshot(world, request.destination.ip, hop, candidates)
      evidence = await gather(world, request, hop, run, {before, after}, prober, startedNs, !signal?.aborted)
      if (signal?.aborted || !request.goOn(evidence)) break
    }
    return evidence ?? gather(world, request, hop, run, {before, after: before}, prober, startedNs, true)
  } finally {
    prober.stop()
    await link.close()
  }
}

/** One candidate while it is measured. */
interface Lane {
  readonly candidate: Candidate
  readonly scan: HopScan
  readonly firstHop: FirstHopProbe[]
}

function startRun(
  world: World,
  request: TraceRequest,
  prober: Prober,
  candidates: readonly Candidate[],
  startedNs: bigint,
) {
  const lanes: Lane[] = candidates.map((candidate) => ({candidate, scan: hopScan(), firstHop: []}))
  const pairs: PairEvidence[] = []
  const pending = new Set<Promise<void>>()
  const track = (work: Promise<void>): void => {
    const settled = work.finally(() => pending.delete(settled))
    pending.add(settled)
  }
  const limited = async (lane: Lane, ttl: number): Promise<void> => {
    const answer = await prober.send({via: lane.candidate.mac, ttl, flow: 0})
    lane.scan.heard(ttl, answer)
    if (ttl === 1) {
      lane.firstHop.push({
        rttMs: answer?.rttMs ?? null,
        responder: answer?.packet.source ?? null,
        returnMac: answer?.returnMac ?? null,
      })
    }
  }
  /** The two probes of a pair, 10 to 30 ms apart: near enough to share the network's mood, too far to queue on each other. */
  const pair = async (alternative: number, slot: number, warmUp: boolean): Promise<void> => {
    const flow = slot % request.flows
    const first = world.random() < 0.5 ? 'current' : 'alternative'
    const vias = {current: candidates[0]!.mac, alternative: candidates[alternative + 1]!.mac}
    const second = first === 'current' ? 'alternative' : 'current'
    const sentAtMs = Number(world.now() - startedNs) / 1e6
    const one = prober.send({via: vias[first], ttl: DEFAULT_TTL, flow})
    await world.sleep(10 + 20 * world.random())
    const other = prober.send({via: vias[second], ttl: DEFAULT_TTL, flow})
    const index = pairs.length
    pairs.push({index, alternative, flow, first, sentAtMs, warmUp, viaCurrent: NO_ANSWER, viaAlternative: NO_ANSWER})
    const outcomes = {[first]: outcome(await one), [second]: outcome(await other)}
    pairs[index] = {...pairs[index]!, viaCurrent: outcomes.current!, viaAlternative: outcomes.alternative!}
  }
  let slots = 0
  return {
    lanes,
    pairs,
    /** Sends pairs until `count` countable ones per alternative are out, then waits for the last answers. */
    async pairsUpTo(count: number, onPair: (sent: number) => void, signal?: AbortSignal): Promise<void> {
      // Pair 0 only warms caches: the first packet through a cold gateway waits for ARP.
      for (; slots <= count && !signal?.aborted; slots++) {
        for (let alternative = 0; alternative + 1 < candidates.length; alternative++)
          track(pair(alternative, slots, slots === 0))
        for (const lane of lanes) {
          track(limited(lane, 1))
          const ttl = lane.scan.next()
          if (ttl !== undefined) track(limited(lane, ttl))
        }
        onPair(slots)
        await world.sleep(request.intervalMs * (0.5 + world.random()), signal).catch(() => {})
      }
      await Promise.all(pending)
    },
  }
}

const NO_ANSWER: ProbeOutcome = {rttMs: null, returnMac: null, replyTtl: null, refusal: null}

function outcome(answer: ProbeAnswer | undefined): ProbeOutcome {
  if (answer?.kind !== 'reached') return {...NO_ANSWER, refusal: refusalOf(answer)}
  return {rttMs: answer.rttMs, returnMac: answer.returnMac, replyTtl: answer.packet.ttl, refusal: null}
}

async function snapshot(
  world: World,
  destination: Ipv4,
  hop: CurrentHop,
  candidates: readonly Candidate[],
): Promise<RouteSnapshot> {
  const route = await world.routeTo(destination, hop.facts.name)
  const entries = await world.neighbours(hop.facts.name)
  const ips = new Set(candidates.map((candidate) => candidate.ip))
  return {
    gateway: route?.gateway ?? null,
    redirected: route?.redirected ?? false,
    expiresMs: route?.redirected && route.expiresS !== undefined ? route.expiresS * 1000 : null,
    neighbours: entries.flatMap((entry) =>
      entry.mac !== undefined && ips.has(entry.ip) ? [{ip: entry.ip, mac: entry.mac}] : [],
    ),
  }
}

async function gather(
  world: World,
  request: TraceRequest,
  hop: CurrentHop,
  run: {readonly lanes: readonly Lane[]; readonly pairs: readonly PairEvidence[]},
  snapshots: {before: RouteSnapshot; after: RouteSnapshot},
  prober: Prober,
  startedNs: bigint,
  complete: boolean,
): Promise<TraceEvidence> {
  const {acceptRedirects, rawSocketsOpen} = await world.redirectFacts(hop.facts.name)
  const address = hop.facts.addresses.find((candidate) => candidate.ip === hop.source)
  const [current, ...alternatives] = run.lanes.map(
    ({candidate, scan, firstHop}): CandidateEvidence => ({...candidate, firstHop: [...firstHop], hops: scan.hops()}),
  )
  return {
    startedAt: new Date(Number(startedNs / 1_000_000n)).toISOString(),
    durationMs: Number(world.now() - startedNs) / 1e6,
    complete,
    capNetRaw: true,
    host: {
      ...request.host,
      ip: hop.source,
      mac: hop.facts.mac,
      iface: hop.facts.name,
      prefix: address ? prefixText(prefixOf(address.ip, address.prefixLength)) : null,
    },
    destination: request.destination,
    probe: {protocol: 'icmp', port: null, flows: request.flows, silent: [], rxTimestamp: 'kernel'},
    current: current!,
    alternatives,
    pairs: [...run.pairs],
    integrity: {
      ...snapshots,
      redirectsSeen: prober.redirects.map(({packet, returnMac, gateway}) => ({
        from: packet.source,
        mac: returnMac,
        gateway,
      })),
      acceptRedirects: acceptRedirects ?? null,
      rawSocketsOpen,
      arpAnswers: [],
    },
    known: request.known,
  }
}
