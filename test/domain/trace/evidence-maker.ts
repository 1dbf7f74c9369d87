// Evidence as the two-site lab would give it, from base round trips and seeded noise.
//
//   site x: rx 10.9.0.1, destinations 198.51.100.0/24        site y: ry 10.9.0.2, destinations 203.0.113.0/24
//   the VM 10.9.0.10 is at y and uses rx; the DCI and the WAN cost 10 ms one way each
import type {
  CandidateEvidence,
  HopEvidence,
  HopReply,
  KnownSites,
  PairEvidence,
  ProbeOutcome,
  TraceEvidence,
  WorksEvidence,
} from '../../../src/domain/trace/evidence.ts'
import {PLAIN_ROUTING} from '../../../src/domain/trace/evidence.ts'

export const RX = {name: 'rx', ip: '10.9.0.1', mac: '02:00:00:00:0a:01'} as const
export const RY = {name: 'ry', ip: '10.9.0.2', mac: '02:00:00:00:0b:02'} as const
export const NEAR_Y = '203.0.113.10'
export const NEAR_X = '198.51.100.10'
/** Near no site that is known. */
export const ANYWHERE = '192.0.2.10'

export const KNOWN: KnownSites = {
  sites: [
    {name: 'x', prefixes: ['198.51.100.0/24', '172.16.1.0/30'], dciRttMs: null},
    {name: 'y', prefixes: ['203.0.113.0/24', '172.16.2.0/30'], dciRttMs: null},
  ],
  gateways: [
    {...RX, site: 'x', segment: 'tenant-a'},
    {...RY, site: 'y', segment: 'tenant-a'},
  ],
  segment: 'tenant-a',
  siteRegex: null,
}

/** Uniform from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** What is added to every round trip: exponential jitter, and now and then a spike. */
export interface Noise {
  readonly meanMs: number
  readonly spikeShare?: number
  readonly spikeMs?: number
}

const CALM: Noise = {meanMs: 0.05}

function sample(noise: Noise, random: () => number): number {
  const spike = random() < (noise.spikeShare ?? 0) ? random() * (noise.spikeMs ?? 0) : 0
  return -Math.log(1 - random()) * noise.meanMs + spike
}

/** One first hop, as it behaves. */
export interface Side {
  readonly name?: string | null
  readonly ip: string
  readonly mac: string
  /** TTL=1 round trip, null if it never answers TTL=1. */
  readonly firstHopMs: number | null
  readonly firstHopProbes?: number
  /** MAC that its TTL=1 answers bear; its own by default. */
  readonly answersFrom?: string
  /** Addresses that answer TTL=1 in turn; the candidate's own by default. */
  readonly responders?: readonly string[]
  /** Round trip to the destination by pair; null is a loss. */
  readonly rttMs: number | null | ((pair: number, flow: number) => number | null)
  readonly noise?: Noise
  /** MAC of the frames that bring the answers; a list is taken in turn. */
  readonly returnMac: string | readonly string[]
  /** Hops from TTL 1: address, base round trip, MAC the answer comes back by; null for a silent one. */
  readonly hops?: readonly (readonly [address: string, ms: number, returnMac: string] | null)[]
  readonly refusal?: ProbeOutcome['refusal']
  /** TTL of the destination's answers as they arrive; 62 by default. */
  readonly replyTtl?: number
  /** What it is good for alone; by default all, or nothing where the destination is silent. */
  readonly works?: WorksEvidence | null
  /** Round trips of TCP flows that were asked beside echoes. */
  readonly tcpFlowsMs?: readonly number[]
}

const PASSED = {sent: 1, answered: 1, minMs: 1}
const FAILED = {sent: 3, answered: 0, minMs: null}
export const ALL_WORKS: WorksEvidence = {small: PASSED, syn: PASSED, full: {...PASSED, bytes: 1500, mtu: null}}
const NOTHING_WORKS: WorksEvidence = {
  small: FAILED,
  syn: {...FAILED, sent: 1},
  full: {sent: 0, answered: 0, minMs: null, bytes: 1500, mtu: null},
}
/** Everything works but one check. */
export const worksBut = (check: keyof WorksEvidence): WorksEvidence => ({
  ...ALL_WORKS,
  [check]: {...ALL_WORKS[check], ...FAILED},
})

export interface Spec {
  readonly seed?: number
  readonly pairs?: number
  readonly flows?: number
  readonly destination?: string
  readonly current: Side
  /** One or more; none makes row 1. */
  readonly alternatives: readonly Side[]
  readonly host?: Partial<TraceEvidence['host']>
  readonly known?: KnownSites
  readonly integrity?: Partial<TraceEvidence['integrity']>
  readonly probe?: Partial<TraceEvidence['probe']>
  readonly rest?: Partial<TraceEvidence>
}

/** The VM at y, going out through rx to a destination near y: the trombone itself. */
export const TROMBONE: Pick<Spec, 'current' | 'alternatives'> = {
  current: {
    ...RX,
    firstHopMs: 20.37,
    rttMs: 20.44,
    returnMac: RY.mac,
    hops: [
      [RX.ip, 20.37, RX.mac],
      ['172.16.1.2', 20.45, RX.mac],
      ['172.16.2.2', 20.5, RY.mac],
      [NEAR_Y, 20.44, RY.mac],
    ],
  },
  alternatives: [
    {
      ...RY,
      firstHopMs: 0.03,
      rttMs: 0.03,
      returnMac: RY.mac,
      hops: [
        [RY.ip, 0.03, RY.mac],
        ['172.16.2.2', 0.05, RY.mac],
        [NEAR_Y, 0.03, RY.mac],
      ],
    },
  ],
}

export function evidenceOf(spec: Spec): TraceEvidence {
  const random = seeded(spec.seed ?? 1)
  const snapshot = {
    gateway: spec.current.ip,
    redirected: false,
    expiresMs: null,
    neighbours: [{ip: spec.current.ip, mac: spec.current.mac}],
  }
  const destination = spec.destination ?? NEAR_Y
  return {
    startedAt: '2026-03-01T10:00:00.000Z',
    durationMs: 6120,
    complete: true,
    capNetRaw: true,
    host: {
      name: 'web-07',
      ip: '10.9.0.10',
      mac: '02:00:00:00:00:10',
      iface: 'eth0',
      prefix: '10.9.0.0/24',
      site: {name: 'y', source: 'inventory'},
      routing: PLAIN_ROUTING,
      ...spec.host,
    },
    destination: {ip: destination, name: null},
    probe: {
      ...{protocol: 'icmp', port: null, flows: spec.flows ?? 4, silent: [], rxTimestamp: 'kernel'},
      ...{gapMs: 20, limited: false, afreshAtMs: null},
      ...spec.probe,
    },
    current: candidateOf(spec.current, destination, random),
    alternatives: spec.alternatives.map((side) => candidateOf(side, destination, random)),
    pairs: pairsOf(spec, random),
    integrity: {
      before: snapshot,
      after: snapshot,
      redirectsSeen: [],
      acceptRedirects: true,
      rawSocketsOpen: 0,
      arpAnswers: [],
      clockSteps: [],
      linkLost: null,
      ...spec.integrity,
    },
    known: spec.known ?? KNOWN,
    ...spec.rest,
  }
}

function candidateOf(side: Side, destination: string, random: () => number): CandidateEvidence {
  const responders = side.responders ?? [side.ip]
  return {
    name: side.name ?? null,
    ip: side.ip,
    mac: side.mac,
    macSource: 'inventory',
    firstHop: Array.from({length: side.firstHopProbes ?? 20}, (_, i) =>
      side.firstHopMs === null
        ? {rttMs: null, responder: null, returnMac: null, reached: false}
        : {
            rttMs: side.firstHopMs + (i === 0 ? 0 : sample(side.noise ?? CALM, random)),
            responder: responders[i % responders.length]!,
            returnMac: side.answersFrom ?? side.mac,
            reached: false,
          },
    ),
    hops: (side.hops ?? []).map((hop, i): HopEvidence => {
      const reply = (address: string, ms: number, returnMac: string): HopReply => ({
        rttMs: ms + sample(CALM, random),
        address,
        returnMac,
        replyTtl: 64 - i,
        quotedTtl: address === destination ? null : 1,
        reached: address === destination,
        mpls: null,
        ifInfo: null,
        dnsName: null,
      })
      return {ttl: i + 1, sent: 3, replies: hop === null ? [] : Array.from({length: 3}, () => reply(...hop))}
    }),
    tcpFlows: side.tcpFlowsMs?.map((minMs) => ({sent: 1, answered: 1, minMs})) ?? [],
    works: side.works === undefined ? (isSilent(side) ? NOTHING_WORKS : ALL_WORKS) : side.works,
  }
}

const isSilent = ({rttMs}: Side): boolean => (typeof rttMs === 'function' ? rttMs(0, 0) : rttMs) === null

function pairsOf(spec: Spec, random: () => number): PairEvidence[] {
  const count = spec.pairs ?? 20
  const flows = spec.flows ?? 4
  const pairs: PairEvidence[] = []
  for (let n = -1; n < count; n++) {
    for (const [alternative, side] of spec.alternatives.entries()) {
      const flow = Math.max(n, 0) % flows
      pairs.push({
        index: pairs.length,
        alternative,
        flow,
        first: random() < 0.5 ? 'current' : 'alternative',
        sentAtMs: 100 + 200 * (n + 1),
        // The first pair waits for ARP: it takes one DCI round trip more, and must not count.
        warmUp: n < 0,
        viaCurrent: outcomeOf(spec.current, n, flow, n < 0 ? 40 : 0, random),
        viaAlternative: outcomeOf(side, n, flow, 0, random),
      })
    }
  }
  return pairs
}

function outcomeOf(side: Side, n: number, flow: number, extra: number, random: () => number): ProbeOutcome {
  const base = typeof side.rttMs === 'function' ? side.rttMs(Math.max(n, 0), flow) : side.rttMs
  const noise = sample(side.noise ?? CALM, random)
  if (base === null) return {rttMs: null, returnMac: null, replyTtl: null, refusal: side.refusal ?? null}
  const macs = typeof side.returnMac === 'string' ? [side.returnMac] : side.returnMac
  return {
    rttMs: base + noise + extra,
    returnMac: macs[Math.max(n, 0) % macs.length]!,
    replyTtl: side.replyTtl ?? 62,
    refusal: null,
  }
}
