// The situations that were staged in network namespaces, with the verdicts that real packets got there.

import type {EgressVerdict, Reason} from '../../../src/domain/trace/decision-table.ts'
import type {InboundVerdict} from '../../../src/domain/trace/inbound.ts'
import {NEAR_X, NEAR_Y, type Noise, RX, RY, type Side, type Spec, seeded, TROMBONE} from './evidence-maker.ts'

export interface Scenario {
  readonly name: string
  readonly what: string
  readonly spec: Spec
  readonly verdict: EgressVerdict
  readonly reason: Reason
  readonly inbound?: InboundVerdict
  /** Median penalty in ms, and how far off it may be. */
  readonly penalty?: readonly [ms: number, tolerance: number]
  readonly thresholdMs?: readonly [ms: number, tolerance: number]
}

const rx: Side = TROMBONE.current
const ry: Side = TROMBONE.alternatives[0]!
const JITTER: Noise = {meanMs: 3, spikeShare: 0.05, spikeMs: 60}
const METRO: Noise = {meanMs: 0.4}
const SILENT_HOPS = {firstHopMs: null, hops: [null, null, null, [NEAR_Y, 20.4, RY.mac]]} as const
const VIRTUAL = '00:00:5e:00:01:01'

/** A queue on the DCI: exponential waits, so that once in a while it is empty. */
function queued(baseMs: number, meanMs: number, seed: number): (pair: number) => number {
  const random = seeded(seed)
  const waits = Array.from({length: 200}, () => -Math.log(1 - random()) * meanMs)
  return (pair) => baseMs + waits[pair]!
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'S1',
    what: 'trombone, return direct',
    spec: TROMBONE,
    verdict: 'trombone',
    reason: 'detour',
    inbound: 'local',
    penalty: [20.48, 0.3],
    thresholdMs: [10.19, 0.2],
  },
  {
    name: 'S2',
    what: 'and inbound too: everything comes back by x',
    spec: {current: {...rx, rttMs: 40.7, returnMac: RX.mac}, alternatives: [{...ry, rttMs: 20.1, returnMac: RX.mac}]},
    verdict: 'trombone',
    reason: 'detour',
    inbound: 'inbound-trombone',
    penalty: [20.64, 0.3],
  },
  {
    name: 'S2b',
    what: 'egress fixed, inbound still by x',
    spec: {current: {...ry, rttMs: 20.1, returnMac: RX.mac}, alternatives: [{...rx, rttMs: 40.7, returnMac: RX.mac}]},
    verdict: 'none',
    reason: 'current-better',
    inbound: 'inbound-trombone',
    penalty: [-20.67, 0.3],
  },
  {
    name: 'S3',
    what: 'destination near x',
    spec: {
      destination: NEAR_X,
      current: {...rx, rttMs: 20.5, returnMac: RX.mac},
      alternatives: [{...ry, rttMs: 20.5, returnMac: RX.mac}],
    },
    verdict: 'none',
    reason: 'destination-far',
    penalty: [0.01, 0.1],
  },
  {
    name: 'S4',
    what: 'the local exit is in use',
    spec: {current: ry, alternatives: [rx]},
    verdict: 'none',
    reason: 'current-better',
    penalty: [-20.6, 0.4],
  },
  {
    name: 'S5',
    what: 'both gateways drop their time exceeded',
    spec: {current: {...rx, ...SILENT_HOPS}, alternatives: [{...ry, ...SILENT_HOPS}]},
    verdict: 'trombone',
    reason: 'detour',
    penalty: [20.58, 0.4],
    thresholdMs: [1, 0],
  },
  {
    name: 'S6',
    what: 'the destination drops ICMP',
    spec: {current: {...rx, rttMs: null}, alternatives: [{...ry, rttMs: null}]},
    verdict: 'inconclusive',
    reason: 'destination-silent',
    inbound: 'unknown',
  },
  {
    name: 'S6 tcp',
    what: 'the same, asked by TCP',
    spec: {...TROMBONE, probe: {protocol: 'tcp', port: 443, silent: ['icmp']}},
    verdict: 'trombone',
    reason: 'detour',
    penalty: [20.57, 0.4],
  },
  {
    name: 'S6 udp',
    what: 'the same, asked by UDP: port unreachable is rate limited, 5 of 12 pairs are left',
    spec: {
      pairs: 12,
      probe: {protocol: 'udp', port: 33434, silent: ['icmp']},
      current: {...rx, rttMs: (n) => (n < 7 ? 20.4 : null)},
      alternatives: [{...ry, rttMs: (n) => (n >= 2 && n < 9 ? 0.03 : null)}],
    },
    verdict: 'inconclusive',
    reason: 'too-few-pairs',
  },
  {
    name: 'S7',
    what: 'heavy jitter and spikes',
    spec: {seed: 3, pairs: 30, current: {...rx, noise: JITTER}, alternatives: [{...ry, noise: JITTER}]},
    verdict: 'trombone',
    reason: 'detour',
    penalty: [20.4, 6],
  },
  {
    name: 'S7 near x',
    what: 'heavier jitter, no detour, 20 pairs: not enough to say no',
    spec: {
      seed: 7,
      flows: 1,
      destination: NEAR_X,
      current: {...rx, rttMs: 20.5, noise: {...JITTER, meanMs: 20}},
      alternatives: [{...ry, rttMs: 20.5, noise: {...JITTER, meanMs: 20}}],
    },
    verdict: 'inconclusive',
    reason: 'ci-straddles-threshold',
  },
  {
    name: 'S7 near x, n=60',
    what: 'no detour, the jitter of S7, 60 pairs',
    spec: {
      seed: 25,
      pairs: 60,
      flows: 1,
      destination: NEAR_X,
      current: {...rx, rttMs: 20.5, noise: JITTER},
      alternatives: [{...ry, rttMs: 20.5, noise: JITTER}],
    },
    verdict: 'none',
    reason: 'destination-far',
  },
  {
    name: 'S8',
    what: 'a metro DCI of 1 ms round trip, with jitter',
    spec: {
      seed: 2,
      pairs: 30,
      current: {...rx, hops: [], firstHopMs: 1, rttMs: 2.2, noise: METRO},
      alternatives: [{...ry, noise: METRO}],
    },
    verdict: 'trombone',
    reason: 'detour',
    penalty: [2.28, 0.5],
    thresholdMs: [0.5, 0.02],
  },
  {
    name: 'S9',
    what: 'ECMP behind rx: flows at 20.7 or at 40.7 ms',
    spec: {
      pairs: 64,
      flows: 8,
      current: {...rx, rttMs: (_, flow) => (flow % 2 === 0 ? 20.7 : 40.7)},
      alternatives: [ry],
    },
    verdict: 'trombone',
    reason: 'detour',
  },
  {
    name: 'S10',
    what: 'ry has no route',
    spec: {...TROMBONE, alternatives: [{...ry, rttMs: null, refusal: {from: RY.ip, type: 3, code: 0}}]},
    verdict: 'local-exit-unusable',
    reason: 'alternative-dead',
  },
  {
    name: 'S10b',
    what: 'ry drops what it should forward, the return included',
    spec: {current: {...rx, rttMs: null}, alternatives: [{...ry, rttMs: null}]},
    verdict: 'inconclusive',
    reason: 'destination-silent',
  },
  {
    name: 'S12',
    what: 'one virtual IP and MAC at both sites, not kept apart',
    spec: {
      current: {
        ip: '10.9.0.254',
        mac: VIRTUAL,
        firstHopMs: 20.4,
        responders: [RX.ip, RY.ip],
        rttMs: (n) => (n % 3 === 0 ? 20.4 : 0.03),
        returnMac: VIRTUAL,
      },
      alternatives: [ry],
    },
    verdict: 'inconclusive',
    reason: 'vmac-unstable',
    inbound: 'unknown',
  },
  {
    name: 'S13',
    what: 'ry’s own default route is rx',
    spec: {
      current: rx,
      alternatives: [
        {
          ...ry,
          rttMs: 20.6,
          hops: [
            [RY.ip, 0.03, RY.mac],
            [RX.ip, 20.4, RX.mac],
            ['172.16.1.2', 20.5, RX.mac],
            ['172.16.2.2', 20.5, RY.mac],
            [NEAR_Y, 20.6, RY.mac],
          ],
        },
      ],
      integrity: {redirectsSeen: [{from: RY.ip, mac: RY.mac, gateway: RX.ip, atMs: 0}]},
    },
    verdict: 'none',
    reason: 'both-cross-dci',
    penalty: [-0.17, 0.3],
  },
  {
    name: 'S15',
    what: 'ARP for rx is answered at y: its ARP round trip is 0.01 ms, its TTL=1 round trip is not',
    spec: {...TROMBONE, host: {site: null}, integrity: {arpAnswers: [{ip: RX.ip, macs: [RX.mac]}]}},
    verdict: 'trombone',
    reason: 'detour',
  },
  {
    name: 'S16',
    what: 'strict uRPF beyond ry while inbound is by x',
    spec: {current: {...rx, rttMs: 40.7, returnMac: RX.mac}, alternatives: [{...ry, rttMs: null}]},
    verdict: 'local-exit-unusable',
    reason: 'alternative-dead',
    inbound: 'inbound-trombone',
  },
  {
    name: 'S16b',
    what: 'strict rp_filter in the VM, one NIC: no effect',
    spec: {...TROMBONE, seed: 16},
    verdict: 'trombone',
    reason: 'detour',
    penalty: [20.57, 0.4],
  },
  {
    name: 'S17',
    what: 'a queue on the DCI, destination near x',
    spec: {
      pairs: 60,
      flows: 1,
      destination: NEAR_X,
      current: {...rx, rttMs: queued(20.5, 13, 17)},
      alternatives: [{...ry, rttMs: 20.5}],
    },
    verdict: 'inconclusive',
    reason: 'ci-straddles-threshold',
  },
  {
    name: 'S18',
    what: 'a long queue on the DCI, destination near x: the median alone would lie',
    spec: {
      pairs: 60,
      flows: 1,
      destination: NEAR_X,
      current: {...rx, rttMs: queued(20.5, 32, 18)},
      alternatives: [{...ry, rttMs: 20.5}],
    },
    verdict: 'inconclusive',
    reason: 'queue-not-geometry',
  },
  {
    name: 'S17b',
    what: 'a trombone and a queue',
    spec: {pairs: 40, current: {...rx, rttMs: queued(20.5, 14, 171)}, alternatives: [ry]},
    verdict: 'trombone',
    reason: 'detour',
  },
]
