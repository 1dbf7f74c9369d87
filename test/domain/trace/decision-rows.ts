// One world for every row of the decision table, and for the edges between rows.
import type {Reason} from '../../../src/domain/trace/verdict.ts'
import {KNOWN, NEAR_X, NEAR_Y, RX, RY, type Side, type Spec, TROMBONE} from './evidence-maker.ts'

export interface DecisionRow {
  readonly row: number
  readonly what: string
  readonly spec: Spec
  readonly reason: Reason
  readonly exit: number
  readonly minPenaltyMs?: number
}

const rx: Side = TROMBONE.current
const ry: Side = TROMBONE.alternatives[0]!
const STILL = {meanMs: 0}
const ROUTE = {gateway: RX.ip, redirected: false, expiresMs: null, neighbours: [{ip: RX.ip, mac: RX.mac}]}
const VIRTUAL = '00:00:5e:00:01:01'
const METRO = {...KNOWN, sites: KNOWN.sites.map((site) => ({...site, dciRttMs: 0.3}))}

/** Differences that are exactly `ms`, pair after pair. */
const exactly = (ms: number): Spec => ({
  current: {...rx, rttMs: 30 + ms, noise: STILL},
  alternatives: [{...ry, rttMs: 30, noise: STILL}],
})

/** `answered` of 20 probes come back on each side. */
const losing = (current: number, alternative: number, sent = 20): Spec => ({
  pairs: sent,
  current: {...rx, rttMs: (n) => (n < current ? 20.4 : null)},
  alternatives: [{...ry, rttMs: (n) => (n < alternative ? 0.03 : null)}],
})

export const DECISION_ROWS: readonly DecisionRow[] = [
  {
    row: 1,
    what: 'no CAP_NET_RAW',
    spec: {...TROMBONE, pairs: 0, rest: {capNetRaw: false}},
    reason: 'need-cap-net-raw',
    exit: 11,
  },
  {
    row: 1,
    what: 'no CAP_NET_RAW, no candidate',
    spec: {...TROMBONE, alternatives: [], rest: {capNetRaw: false}},
    reason: 'need-cap-net-raw',
    exit: 11,
  },
  {row: 1, what: 'no second candidate', spec: {...TROMBONE, alternatives: []}, reason: 'no-alternative', exit: 11},
  {
    row: 1,
    what: 'the second candidate is as far as the first',
    spec: {
      current: rx,
      alternatives: [{...rx, name: 'rx2', ip: '10.9.0.3', mac: '02:00:00:00:0a:03', hops: []}],
      known: {
        ...KNOWN,
        gateways: [
          ...KNOWN.gateways,
          {name: 'rx2', site: 'x', segment: 'tenant-a', ip: '10.9.0.3', mac: '02:00:00:00:0a:03'},
        ],
      },
    },
    reason: 'no-alternative',
    exit: 11,
  },
  {
    row: 2,
    what: 'route changed',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, gateway: RY.ip}}},
    reason: 'route-changed',
    exit: 11,
  },
  {
    row: 2,
    what: 'redirect taken',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, redirected: true}}},
    reason: 'route-changed',
    exit: 11,
  },
  {
    row: 2,
    what: 'neighbour MAC changed',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, neighbours: [{ip: RX.ip, mac: RY.mac}]}}},
    reason: 'route-changed',
    exit: 11,
  },
  {
    row: 10,
    what: 'a neighbour entry that timed out is no change',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, neighbours: []}}},
    reason: 'detour',
    exit: 10,
  },
  {
    row: 4,
    what: 'candidates share a MAC',
    spec: {current: rx, alternatives: [{...ry, mac: RX.mac}]},
    reason: 'first-hop-not-selectable',
    exit: 11,
  },
  {
    row: 4,
    what: 'TTL=1 is answered by two boxes',
    spec: {current: {...rx, mac: VIRTUAL, responders: [RX.ip, RY.ip]}, alternatives: [ry]},
    reason: 'vmac-unstable',
    exit: 11,
  },
  {
    row: 4,
    what: 'two boxes answer ARP with one MAC',
    spec: {...TROMBONE, integrity: {arpAnswers: [{ip: RX.ip, macs: [RX.mac, RX.mac]}]}},
    reason: 'vmac-unstable',
    exit: 11,
  },
  {
    row: 4,
    what: 'a stranger answers ARP too',
    spec: {...TROMBONE, integrity: {arpAnswers: [{ip: RX.ip, macs: [RX.mac, '02:00:00:00:0c:0c']}]}},
    reason: 'vmac-unstable',
    exit: 11,
  },
  {row: 5, what: 'nothing answers', spec: losing(0, 0), reason: 'destination-silent', exit: 11},
  {row: 6, what: 'answers through the current exit only', spec: losing(20, 0), reason: 'alternative-dead', exit: 12},
  {row: 6, what: 'twelve pairs are enough for that', spec: losing(12, 0, 12), reason: 'alternative-dead', exit: 12},
  {row: 7, what: 'answers through the alternative only', spec: losing(0, 20), reason: 'current-dead', exit: 12},
  {row: 8, what: 'nothing sent yet', spec: {...TROMBONE, pairs: 0}, reason: 'too-few-pairs', exit: 11},
  {row: 8, what: 'eleven pairs', spec: {...TROMBONE, pairs: 11}, reason: 'too-few-pairs', exit: 11},
  {row: 10, what: 'twelve pairs', spec: {...TROMBONE, pairs: 12}, reason: 'detour', exit: 10},
  {
    row: 8,
    what: 'silence that could be the loss the other has too',
    spec: losing(4, 0),
    reason: 'too-few-pairs',
    exit: 11,
  },
  {row: 8, what: 'loss differs by 25 points', spec: losing(20, 15), reason: 'too-few-pairs', exit: 11},
  {row: 10, what: 'loss differs by 20 points', spec: losing(20, 16), reason: 'detour', exit: 10},
  {
    row: 9,
    what: 'flows on both sides of the threshold',
    spec: {...TROMBONE, current: {...rx, rttMs: (_, flow) => (flow === 0 ? 0.5 : 20.4)}},
    reason: 'flows-disagree',
    exit: 11,
  },
  {
    row: 14,
    what: 'a flow of two pairs has no say',
    spec: {...TROMBONE, flows: 7, current: {...rx, rttMs: (_, flow) => (flow === 6 ? 20.4 : 0.5)}},
    reason: 'no-penalty',
    exit: 0,
  },
  {row: 10, what: 'slower, in its minima too, from afar', spec: TROMBONE, reason: 'detour', exit: 10},
  {
    row: 11,
    what: 'slower, but not in its minima',
    spec: {...TROMBONE, flows: 1, current: {...rx, rttMs: (n) => (n === 3 ? 0.05 : 26)}},
    reason: 'queue-not-geometry',
    exit: 11,
  },
  {
    row: 12,
    what: 'slower, but it is the exit of the VM’s own site',
    spec: {
      host: {site: {name: 'x', source: 'inventory'}},
      current: {...rx, firstHopMs: 0.03, rttMs: 60},
      alternatives: [{...ry, firstHopMs: 20.4, rttMs: 21}],
    },
    reason: 'local-exit-slower',
    exit: 0,
  },
  {
    row: 13,
    what: 'destination at the far site',
    spec: {destination: NEAR_X, current: {...rx, rttMs: 20.5}, alternatives: [{...ry, rttMs: 20.5}]},
    reason: 'destination-far',
    exit: 0,
  },
  {
    row: 13,
    what: 'the alternative goes by the far site too',
    spec: {
      current: rx,
      alternatives: [
        {
          ...ry,
          rttMs: 20.5,
          hops: [
            [RY.ip, 0.03, RY.mac],
            [RX.ip, 20.4, RX.mac],
            ['172.16.1.2', 20.45, RX.mac],
            [NEAR_Y, 20.5, RY.mac],
          ],
        },
      ],
    },
    reason: 'both-cross-dci',
    exit: 0,
  },
  {
    row: 14,
    what: 'no penalty: not moved yet',
    spec: {
      host: {site: {name: 'x', source: 'inventory'}},
      current: {...rx, firstHopMs: 0.03, rttMs: 20.5},
      alternatives: [{...ry, firstHopMs: 20.4, rttMs: 20.5}],
    },
    reason: 'no-penalty',
    exit: 0,
  },
  {
    row: 14,
    what: 'the current exit is the better one',
    spec: {
      current: {...ry},
      alternatives: [{...rx}],
      integrity: {before: {...ROUTE, gateway: RY.ip}, after: {...ROUTE, gateway: RY.ip}},
    },
    reason: 'current-better',
    exit: 0,
  },
  {
    row: 15,
    what: 'first hop at the far site, over a DCI too short to feel',
    spec: {
      known: METRO,
      flows: 1,
      current: {...rx, firstHopMs: 0.33, rttMs: (n) => 0.33 + (n % 2) * 0.6, noise: STILL},
      alternatives: [{...ry, noise: STILL}],
    },
    reason: 'path-remote-cost-unresolvable',
    exit: 11,
  },
  {
    row: 16,
    what: 'the interval holds the threshold',
    spec: {...TROMBONE, flows: 1, current: {...rx, rttMs: (n) => (n % 2) * 20 + 2}},
    reason: 'ci-straddles-threshold',
    exit: 11,
  },
  {
    row: 16,
    what: 'a penalty, but nobody knows where the VM is',
    spec: {
      host: {site: null},
      current: {...rx, firstHopMs: null, hops: []},
      alternatives: [{...ry, firstHopMs: null, hops: []}],
    },
    reason: 'site-unknown',
    exit: 11,
  },
  {
    row: 16,
    what: 'interval exactly at the threshold',
    spec: exactly(10),
    minPenaltyMs: 10,
    reason: 'ci-straddles-threshold',
    exit: 11,
  },
  {
    row: 10,
    what: 'interval a microsecond above it',
    spec: exactly(10.001),
    minPenaltyMs: 10,
    reason: 'detour',
    exit: 10,
  },
  {
    row: 14,
    what: 'interval a microsecond below it',
    spec: exactly(9.999),
    minPenaltyMs: 10,
    reason: 'no-penalty',
    exit: 0,
  },
  {
    row: 14,
    what: 'interval exactly at minus the threshold',
    spec: exactly(-10),
    minPenaltyMs: 10,
    reason: 'no-penalty',
    exit: 0,
  },
  {
    row: 14,
    what: 'interval below minus the threshold',
    spec: exactly(-10.001),
    minPenaltyMs: 10,
    reason: 'current-better',
    exit: 0,
  },
]
