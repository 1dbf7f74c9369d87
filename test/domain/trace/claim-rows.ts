// Worlds for what a trace may claim beyond the cost: fitness alone, other boxes, detours that a switch does not mend,
// paths that change.
import type {Reason} from '../../../src/domain/trace/decision-table.ts'
import {PLAIN_ROUTING} from '../../../src/domain/trace/evidence.ts'
import {
  ALL_WORKS,
  ANYWHERE,
  NEAR_X,
  NEAR_Y,
  RX,
  RY,
  type Side,
  type Spec,
  TROMBONE,
  worksBut,
} from './evidence-maker.ts'

export interface DecisionRow {
  readonly what: string
  readonly spec: Spec
  readonly reason: Reason
  readonly exit: number
  readonly minPenaltyMs?: number
}

const rx: Side = TROMBONE.current
const ry: Side = TROMBONE.alternatives[0]!
/** The local exit, whose own route leads over the segment to the other one. */
const BEHIND_RY: Side = {
  ...ry,
  rttMs: 20.5,
  hops: [
    [RY.ip, 0.03, RY.mac],
    [RX.ip, 20.4, RX.mac],
    ['172.16.1.2', 20.45, RX.mac],
    [NEAR_Y, 20.5, RY.mac],
  ],
}

export const CLAIM_ROWS: readonly DecisionRow[] = [
  {
    what: 'echoes go straight, and half of the TCP flows over the other site',
    spec: {current: {...ry, tcpFlowsMs: [0.1, 20.2, 0.1, 20.3, 20.2, 0.1]}, alternatives: [rx]},
    reason: 'flows-disagree',
    exit: 11,
  },
  {
    what: 'some flows through the local exit go over the other site, none is slower than the far exit',
    spec: {
      probe: {protocol: 'tcp', port: 443},
      pairs: 24,
      current: {...ry, rttMs: (_, flow) => (flow === 0 ? 20.3 : 0.1)},
      alternatives: [rx],
    },
    reason: 'flows-disagree',
    exit: 11,
  },
  {
    what: 'TCP flows that are late as often as echoes are',
    spec: {
      pairs: 60,
      current: {...ry, noise: {meanMs: 8}, tcpFlowsMs: [0.1, 12, 3, 8, 14, 1]},
      alternatives: [{...rx, rttMs: 60, noise: {meanMs: 8}}],
    },
    reason: 'current-better',
    exit: 0,
  },
  {
    what: 'TCP flows as quick as echoes',
    spec: {current: {...ry, tcpFlowsMs: [0.1, 0.2, 0.1, 9, 0.2, 0.1]}, alternatives: [rx]},
    reason: 'current-better',
    exit: 0,
  },
  {
    what: 'answered only while the exit in use is probed too',
    spec: {...TROMBONE, alternatives: [{...ry, works: worksBut('small')}]},
    reason: 'not-alone',
    exit: 12,
  },
  {
    what: 'full-size packets are swallowed behind the alternative',
    spec: {...TROMBONE, alternatives: [{...ry, works: worksBut('full')}]},
    reason: 'drops-large',
    exit: 12,
  },
  {
    what: 'full-size packets are swallowed behind both: that is no reason against one',
    spec: {current: {...rx, works: worksBut('full')}, alternatives: [{...ry, works: worksBut('full')}]},
    reason: 'detour',
    exit: 10,
  },
  {
    what: 'a router says what size gets through: senders will heed it',
    spec: {
      ...TROMBONE,
      alternatives: [{...ry, works: {...ALL_WORKS, full: {sent: 1, answered: 0, minMs: null, bytes: 1500, mtu: 1400}}}],
    },
    reason: 'detour',
    exit: 10,
  },
  {
    what: 'a SYN is not answered through the alternative alone',
    spec: {...TROMBONE, alternatives: [{...ry, works: worksBut('syn')}]},
    reason: 'drops-tcp',
    exit: 12,
  },
  {
    what: 'silent beside the exit in use, and answered alone: that is not dead',
    spec: {...TROMBONE, alternatives: [{...ry, rttMs: null, works: ALL_WORKS}]},
    reason: 'too-few-pairs',
    exit: 11,
  },
  {
    what: 'silent, and nobody asked it alone',
    spec: {...TROMBONE, alternatives: [{...ry, rttMs: null, works: null}]},
    reason: 'too-few-pairs',
    exit: 11,
  },
  {
    what: 'a box next to the VM answers for the destination',
    spec: {...TROMBONE, alternatives: [{...ry, replyTtl: 64}]},
    reason: 'another-box-answers',
    exit: 11,
  },
  {
    what: 'a host of another kind answers',
    spec: {...TROMBONE, alternatives: [{...ry, replyTtl: 126}]},
    reason: 'another-box-answers',
    exit: 11,
  },
  {
    what: 'a host at another distance answers, by the same way back',
    spec: {...TROMBONE, alternatives: [{...ry, replyTtl: 61}]},
    reason: 'another-box-answers',
    exit: 11,
  },
  {
    what: 'the way back is another, and longer',
    spec: {...TROMBONE, current: {...rx, returnMac: RX.mac}, alternatives: [{...ry, replyTtl: 61}]},
    reason: 'detour',
    exit: 10,
  },
  {
    what: 'the local exit in use sends it back over the segment',
    spec: {current: BEHIND_RY, alternatives: [{...rx, rttMs: 20.5}]},
    reason: 'detour-behind-exit',
    exit: 10,
  },
  {
    what: 'the same, and where the destination is nobody knows',
    spec: {destination: ANYWHERE, current: BEHIND_RY, alternatives: [{...rx, rttMs: 20.5}]},
    reason: 'both-far',
    exit: 11,
  },
  {
    what: 'a local exit that gains nothing towards a destination at home',
    spec: {current: {...ry, rttMs: 20.5}, alternatives: [{...rx, rttMs: 20.5}]},
    reason: 'both-far',
    exit: 11,
  },
  {
    what: 'a local exit that is the slower one towards a destination at home: a queue there, or a way that leaves',
    spec: {current: {...rx, rttMs: 20.5}, alternatives: [{...ry, rttMs: 28}]},
    reason: 'both-far',
    exit: 11,
  },
  {
    what: 'the destination is where the exit in use is',
    spec: {destination: NEAR_X, current: {...rx, rttMs: 60}, alternatives: [{...ry, rttMs: 20.5}]},
    reason: 'destination-at-exit',
    exit: 0,
  },
  {
    what: 'the host shares its flows with the far exit',
    spec: {
      current: ry,
      alternatives: [rx],
      host: {
        routing: {
          ...PLAIN_ROUTING,
          nextHops: [
            {gateway: RY.ip, weight: 1},
            {gateway: RX.ip, weight: 1},
          ],
        },
      },
    },
    reason: 'host-spreads-flows',
    exit: 10,
  },
  {
    what: 'the path changed a moment ago',
    spec: {pairs: 26, current: {...rx, rttMs: 20.4}, alternatives: [{...ry, rttMs: (n) => (n < 20 ? 20.4 : 0.03)}]},
    reason: 'path-changed',
    exit: 11,
  },
  {
    what: 'the path changed, and how it is now is clear',
    spec: {pairs: 40, current: {...rx, rttMs: 20.4}, alternatives: [{...ry, rttMs: (n) => (n < 20 ? 20.4 : 0.03)}]},
    reason: 'detour',
    exit: 10,
  },
  {
    what: 'the path changed, and the detour is gone',
    spec: {
      pairs: 40,
      host: {site: {name: 'y', source: 'flag'}},
      current: {...rx, rttMs: (n) => (n < 20 ? 40.8 : 20.4)},
      alternatives: [{...ry, rttMs: 20.3}],
      destination: ANYWHERE,
    },
    reason: 'no-penalty',
    exit: 0,
  },
]
