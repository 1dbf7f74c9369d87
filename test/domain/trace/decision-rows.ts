// One world for every row of the decision table, and for the edges between rows.
import {CLAIM_ROWS, type DecisionRow} from './claim-rows.ts'
import {ANYWHERE, KNOWN, NEAR_X, NEAR_Y, RX, RY, type Side, type Spec, TROMBONE} from './evidence-maker.ts'

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
    what: 'no CAP_NET_RAW',
    spec: {...TROMBONE, pairs: 0, rest: {capNetRaw: false}},
    reason: 'need-cap-net-raw',
    exit: 11,
  },
  {
    what: 'no CAP_NET_RAW, no candidate',
    spec: {...TROMBONE, alternatives: [], rest: {capNetRaw: false}},
    reason: 'need-cap-net-raw',
    exit: 11,
  },
  {what: 'no second candidate', spec: {...TROMBONE, alternatives: []}, reason: 'no-alternative', exit: 11},
  {
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
    what: 'route changed',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, gateway: RY.ip}}},
    reason: 'route-changed',
    exit: 11,
  },
  {
    what: 'redirect taken',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, redirected: true}}},
    reason: 'route-changed',
    exit: 11,
  },
  {
    what: 'neighbour MAC changed',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, neighbours: [{ip: RX.ip, mac: RY.mac}]}}},
    reason: 'route-changed',
    exit: 11,
  },
  {
    what: 'a neighbour entry that timed out is no change',
    spec: {...TROMBONE, integrity: {after: {...ROUTE, neighbours: []}}},
    reason: 'detour',
    exit: 10,
  },
  {
    what: 'candidates share a MAC',
    spec: {current: rx, alternatives: [{...ry, mac: RX.mac}]},
    reason: 'first-hop-not-selectable',
    exit: 11,
  },
  {
    what: 'TTL=1 is answered by two boxes',
    spec: {current: {...rx, mac: VIRTUAL, responders: [RX.ip, RY.ip]}, alternatives: [ry]},
    reason: 'vmac-unstable',
    exit: 11,
  },
  {
    what: 'two boxes answer ARP with one MAC',
    spec: {...TROMBONE, integrity: {arpAnswers: [{ip: RX.ip, macs: [RX.mac, RX.mac]}]}},
    reason: 'vmac-unstable',
    exit: 11,
  },
  {
    what: 'a stranger answers ARP too',
    spec: {...TROMBONE, integrity: {arpAnswers: [{ip: RX.ip, macs: [RX.mac, '02:00:00:00:0c:0c']}]}},
    reason: 'vmac-unstable',
    exit: 11,
  },
  {what: 'nothing answers', spec: losing(0, 0), reason: 'destination-silent', exit: 11},
  {what: 'answers through the current exit only', spec: losing(20, 0), reason: 'alternative-dead', exit: 12},
  {what: 'twelve pairs are enough for that', spec: losing(12, 0, 12), reason: 'alternative-dead', exit: 12},
  {what: 'answers through the alternative only', spec: losing(0, 20), reason: 'current-dead', exit: 12},
  {what: 'nothing sent yet', spec: {...TROMBONE, pairs: 0}, reason: 'too-few-pairs', exit: 11},
  {what: 'eight pairs', spec: {...TROMBONE, pairs: 8}, reason: 'too-few-pairs', exit: 11},
  {what: 'nine pairs', spec: {...TROMBONE, pairs: 9}, reason: 'detour', exit: 10},
  {
    what: 'silence that could be the loss the other has too',
    spec: losing(4, 0),
    reason: 'too-few-pairs',
    exit: 11,
  },
  {what: 'loss that may be chance', spec: losing(20, 15), reason: 'detour', exit: 10},
  {what: 'the alternative loses half', spec: losing(40, 20, 40), reason: 'local-exit-loses', exit: 11},
  {
    what: 'the alternative loses half, to a destination that limits its answers',
    spec: {...losing(40, 20, 40), probe: {limited: true}},
    reason: 'detour',
    exit: 10,
  },
  {what: 'the exit in use loses half', spec: losing(20, 40, 40), reason: 'detour', exit: 10},
  {
    what: 'the exit in use loses half, and is no slower',
    spec: {
      ...losing(20, 40, 40),
      current: {...rx, rttMs: (n) => (n < 20 ? 20.4 : null)},
      alternatives: [{...ry, rttMs: 20.4}],
    },
    reason: 'exit-loses',
    exit: 11,
  },
  {
    what: 'flows on both sides of the threshold',
    spec: {current: {...rx, rttMs: (_, flow) => (flow === 0 ? 20.5 : 40.8)}, alternatives: [{...ry, rttMs: 20.4}]},
    reason: 'flows-disagree',
    exit: 11,
  },
  {
    what: 'a flow of two pairs has no say',
    spec: {
      destination: ANYWHERE,
      pairs: 28,
      flows: 14,
      current: {...rx, rttMs: (_, flow) => (flow === 13 ? 40.8 : 20.5)},
      alternatives: [{...ry, rttMs: 20.4}],
    },
    reason: 'no-penalty',
    exit: 0,
  },
  {what: 'slower, in its minima too, from afar', spec: TROMBONE, reason: 'detour', exit: 10},
  {
    what: 'slower, but not in its minima',
    spec: {...TROMBONE, flows: 1, current: {...rx, rttMs: (n) => (n === 3 ? 0.05 : 26)}},
    reason: 'queue-not-geometry',
    exit: 11,
  },
  {
    what: 'slower, but it is the exit of the VM’s own site',
    spec: {
      host: {site: {name: 'x', source: 'inventory'}},
      current: {...rx, firstHopMs: 0.03, rttMs: 60, hops: []},
      alternatives: [{...ry, firstHopMs: 20.4, rttMs: 21, hops: []}],
    },
    reason: 'local-exit-slower',
    exit: 0,
  },
  {
    what: 'destination at the far site',
    spec: {destination: NEAR_X, current: {...rx, rttMs: 20.5}, alternatives: [{...ry, rttMs: 20.5}]},
    reason: 'destination-far',
    exit: 0,
  },
  {
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
    what: 'no penalty: not moved yet',
    spec: {
      host: {site: {name: 'x', source: 'inventory'}},
      current: {...rx, firstHopMs: 0.03, rttMs: 20.5, hops: []},
      alternatives: [{...ry, firstHopMs: 20.4, rttMs: 20.5, hops: []}],
    },
    reason: 'no-penalty',
    exit: 0,
  },
  {
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
    what: 'the interval holds the threshold',
    spec: {
      ...{flows: 1, current: {...rx, rttMs: (n) => 30 + (n % 2) * 20}},
      alternatives: [{...ry, rttMs: 30}],
    },
    reason: 'ci-straddles-threshold',
    exit: 11,
  },
  {
    what: 'a penalty that varies, in 15 pairs of 3 s',
    spec: {...TROMBONE, pairs: 15, flows: 1, current: {...rx, rttMs: (n) => 20.4 + (n % 4) * 8}},
    reason: 'too-restless',
    exit: 11,
  },
  {
    what: 'no penalty, by a way out that varies, in 15 pairs of 3 s',
    spec: {
      ...{pairs: 15, flows: 1, current: {...rx, rttMs: 20.4}},
      alternatives: [{...ry, rttMs: (n) => 20.4 + (n % 4) * 8}],
    },
    reason: 'too-restless',
    exit: 11,
  },
  {
    what: 'a penalty, but nobody knows where the VM is',
    spec: {
      host: {site: null},
      current: {...rx, firstHopMs: null, rttMs: 60, hops: []},
      alternatives: [{...ry, firstHopMs: null, rttMs: 40, hops: []}],
    },
    reason: 'site-unknown',
    exit: 11,
  },
  {
    what: 'interval exactly at the threshold',
    spec: exactly(10),
    minPenaltyMs: 10,
    reason: 'ci-straddles-threshold',
    exit: 11,
  },
  {
    what: 'interval a microsecond above it',
    spec: exactly(10.001),
    minPenaltyMs: 10,
    reason: 'detour',
    exit: 10,
  },
  {
    what: 'interval a microsecond below it',
    spec: exactly(9.999),
    minPenaltyMs: 10,
    reason: 'no-penalty',
    exit: 0,
  },
  {
    what: 'interval exactly at minus the threshold',
    spec: {...exactly(-10), destination: ANYWHERE},
    minPenaltyMs: 10,
    reason: 'no-penalty',
    exit: 0,
  },
  {
    what: 'interval below minus the threshold',
    spec: exactly(-10.001),
    minPenaltyMs: 10,
    reason: 'current-better',
    exit: 0,
  },
  ...CLAIM_ROWS,
]
