// The agent strategy in real situations, with a real agent in the VM: what it says, and what the VM's kernel has afterwards.
import {describe, it} from 'vitest'
import {useAgentInSegment} from '../support/agent-in-segment.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {useSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {startSwitch} from './proof-switch.ts'
import {
  type Change,
  DEAD_Y,
  DROP_PING,
  expectRow,
  NO_UPSTREAM_Y,
  OFF,
  type Row,
  type RunRow,
  SLIP,
} from './proof-table.ts'

const IP6 = {x: 'fe80::a', y: 'fe80::b', vm: '2001:db8:1::10'}
const ON_Y: Change = ['vm', 'ip route replace default via 10.1.0.2']
const SWITCHED = {code: 'served', end: 'switched', exit: 0, uses: Y_MAC}
const ALREADY = {code: 'already', end: 'already', exit: 0, uses: Y_MAC}
const DEAD = {code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC}

interface AgentRow extends Row {
  /** What the agent asks beyond a gateway; what it says itself is the VM's own traffic. */
  readonly probes?: readonly string[]
}

const BEFORE: Readonly<Record<string, AgentRow>> = {
  'nothing in the way, on its port': SWITCHED,
  'nothing in the way, at the new gateway': {at: 'gateway', ...SWITCHED},
  'there already': {changes: [ON_Y], ...ALREADY},
  'there already, at the gateway': {changes: [ON_Y], at: 'gateway', ...ALREADY},
  'the target is unplugged': {changes: [DEAD_Y], ...DEAD},
  'the target has no upstream': {changes: [NO_UPSTREAM_Y], ...DEAD},
  'the target has no upstream, asked there': {changes: [NO_UPSTREAM_Y], at: 'gateway', ...DEAD},
  "a slip in the target's MAC": {inventory: SLIP, ...DEAD},
  'the VM is off': {changes: [OFF], at: 'gateway', code: 'silent', end: 'not-begun', exit: 5, served: false},
}

const AFTER: Readonly<Record<string, AgentRow>> = {
  'both families': {ip6: true, ...SWITCHED},
  // Its agent asks the kernel, and refuses what would not move all.
  'IPv6 left behind by a route of the VM': {
    ip6: true,
    changes: [['vm', 'ip -6 route add 8000::/1 via fe80::a dev eth0']],
    ...{code: null, end: 'rolled-back', exit: 4, uses: X_MAC},
  },
  'a route of the VM keeps half of everything elsewhere': {
    changes: [['vm', 'ip route add 0.0.0.0/1 via 10.1.0.1']],
    ...{code: null, end: 'rolled-back', exit: 4, uses: X_MAC},
  },
  'the VM drops ICMP and says nothing': {
    changes: [DROP_PING],
    probes: [],
    ...{code: 'unverified', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'the same, as accepted': {
    changes: [DROP_PING],
    probes: [],
    flags: ['--accept-unverified'],
    ...{code: 'unverified', end: 'accepted', exit: 0, uses: Y_MAC},
  },
  'the VM drops ICMP and talks': {changes: [DROP_PING], talks: true, ...SWITCHED},
}

describe.skipIf(noNamespaces)('the agent strategy', () => {
  const lab = useSegmentLab({shared: false, ip6: IP6})
  const agent = useAgentInSegment(lab)

  const run: RunRow = async (at, {inventory = (yaml) => yaml, ...how}, middle) => {
    const by = how.at === 'gateway' ? 'udp' : 'socket'
    const switching = startSwitch(at, {
      ...{...how, strategy: 'agent'},
      inventory: (yaml) => agent.inventory(inventory(yaml), by),
    })
    agent.onApplied = middle && (() => middle(at, switching.child))
    return switching.ended
  }
  const ROLLBACK: Readonly<Record<string, AgentRow>> = {
    'the target dies once the VM is told': {
      middle: (at) => at.run(...DEAD_Y),
      ...{code: 'target-dead', end: 'rolled-back', exit: 3, uses: X_MAC},
    },
    'both gateways die once the VM is told: it stays where it is': {
      middle: (at) => at.run('sw', 'ip link set p-gx down; ip link set p-gy down'),
      ...{code: 'target-dead', end: 'unknown', exit: 7, served: false},
      // Its agent may have gone back by itself before it is told to stay.
      or: {end: 'rolled-back', exit: 3},
    },
    'Ctrl-C once the VM is told': {
      middle: (_at, child) => child.kill('SIGINT'),
      ...{code: null, end: 'rolled-back', exit: 130, uses: X_MAC},
    },
    'the agent crashes once it has done it': {
      middle: () => agent.kill(),
      ...{code: null, end: 'unknown', exit: 7, uses: Y_MAC},
    },
  }

  it.each(Object.entries({...BEFORE, ...AFTER, ...ROLLBACK}))('%s', async (_name, row) => {
    await agent.start(row.probes)
    await expectRow(lab(), row, run)
  })
})
