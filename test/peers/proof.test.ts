// What a switch says of real situations, and what it leaves behind: nothing that was not seen, and no VM worse than before.
import {spawn} from 'node:child_process'
import {describe, expect, it} from 'vitest'
import {noNamespaces} from '../support/namespaces.ts'
import {BEYOND, type SegmentLab, type SegmentOptions, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {switchIn} from './proof-switch.ts'

/** What is done to a situation before the switch, as a script in one of its namespaces. */
type Change = readonly [node: Parameters<SegmentLab['run']>[0], script: string]

const DROP_PING: Change = [
  'vm',
  `nft 'add table inet fw; add chain inet fw in { type filter hook input priority 0; }; add rule inet fw in icmp type echo-request drop'`,
]
const ON_Y: Change = ['vm', `ip neigh replace 10.1.0.254 lladdr ${Y_MAC} dev eth0 nud reachable`]
const DEAD_Y: Change = ['sw', 'ip link set p-gy down']
const DEAF_Y: Change = [
  'gy',
  `nft 'add table netdev dead; add chain netdev dead in { type filter hook ingress device eth0 priority 0; policy drop; }'`,
]
const NO_UPSTREAM_Y: Change = ['gy', 'ip route del default']
const BROKEN_UPSTREAM_Y: Change = ['net', 'ip link set gy down']
const NO_FORWARDING_Y: Change = ['gy', 'sysctl -qw net.ipv4.ip_forward=0']
const OFF: Change = ['vm', 'ip link set eth0 down']
/** The routers beyond have somewhere to send it on to: what expires there is told, as often as it is asked. */
const NEXT_HOP: Change = ['net', 'ip route add default via 172.16.1.1']
/** An inventory that says nothing of what lies near the sites. */
const BLIND = (yaml: string): string => yaml.replaceAll(/prefixes: \[[^\]]*\]/g, 'prefixes: []')
/** A third gateway, named before the others, that the VM does not use. */
const THREE = (yaml: string): string =>
  yaml
    .replace('sites:', 'sites:\n  z: {}')
    .replace(/(\n +)- \{ name: bx/, '$1- { name: bz, site: z, ip: 10.1.0.254, mac: "02:00:00:00:0c:02" }$&')
const SLIP = (yaml: string): string => yaml.replace(Y_MAC, '02:00:00:00:0b:22')

function talkingVm(lab: SegmentLab): Disposable {
  const talk = spawn('ip', ['netns', 'exec', lab.ns('vm'), 'ping', '-q', '-i2', BEYOND], {stdio: 'ignore'})
  return {[Symbol.dispose]: () => void talk.kill('SIGKILL')}
}

interface Row {
  readonly changes?: readonly Change[]
  readonly options?: SegmentOptions
  readonly inventory?: (yaml: string) => string
  readonly at?: 'port' | 'gateway'
  readonly flags?: readonly string[]
  readonly code: string
  readonly end: string
  readonly exit: number
  /** The MAC that the VM uses afterwards; undefined: not looked at. */
  readonly uses?: string
  readonly served?: boolean
  /** The VM sends a packet off its segment every two seconds. */
  readonly talks?: boolean
}

const ARP_ROWS: Readonly<Record<string, Row>> = {
  'nothing in the way, on its port': {code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  'nothing in the way, at the new gateway': {at: 'gateway', code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  'there already': {changes: [ON_Y], code: 'already', end: 'already', exit: 0, uses: Y_MAC},
  'there already, at the gateway': {
    changes: [ON_Y],
    at: 'gateway',
    code: 'already',
    end: 'already',
    exit: 0,
    uses: Y_MAC,
  },
  'the target is unplugged': {changes: [DEAD_Y], code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC},
  'the target has its link and answers nothing': {
    changes: [DEAF_Y],
    code: 'target-dead',
    end: 'not-begun',
    exit: 3,
    uses: X_MAC,
  },
  'the target has no upstream': {changes: [NO_UPSTREAM_Y], code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC},
  'the target has no upstream, asked there': {
    changes: [NO_UPSTREAM_Y],
    at: 'gateway',
    code: 'target-dead',
    end: 'not-begun',
    exit: 3,
    uses: X_MAC,
  },
  'the upstream of the target is broken': {
    changes: [BROKEN_UPSTREAM_Y],
    code: 'target-dead',
    end: 'not-begun',
    exit: 3,
    uses: X_MAC,
  },
  'the target does not forward': {
    changes: [NO_FORWARDING_Y],
    code: 'target-dead',
    end: 'not-begun',
    exit: 3,
    uses: X_MAC,
  },
  'the target does not forward, asked there': {
    changes: [NO_FORWARDING_Y],
    at: 'gateway',
    code: 'target-dead',
    end: 'not-begun',
    exit: 3,
    uses: X_MAC,
  },
  "a slip in the target's MAC": {inventory: SLIP, code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC},
  'the VM is off': {changes: [OFF], at: 'gateway', code: 'silent', end: 'not-begun', exit: 5, served: false},
  'the VM drops ICMP and says nothing': {changes: [DROP_PING], code: 'unverified', end: 'unknown', exit: 7},
  'the same, as accepted': {
    changes: [DROP_PING],
    flags: ['--accept-unverified'],
    code: 'unverified',
    end: 'accepted',
    exit: 0,
    uses: Y_MAC,
  },
  'the VM drops ICMP and talks': {
    changes: [DROP_PING],
    talks: true,
    code: 'served',
    end: 'switched',
    exit: 0,
    uses: Y_MAC,
  },
  'the VM keeps a permanent entry': {
    changes: [['vm', `ip neigh replace 10.1.0.254 lladdr ${X_MAC} dev eth0 nud permanent`]],
    ...{code: 'elsewhere', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'a route of the VM keeps half of everything elsewhere': {
    changes: [['vm', 'ip route add 0.0.0.0/1 via 10.1.0.252']],
    ...{code: 'partial', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'IPv6 left behind': {
    options: {ip6: {x: 'fe80::a', y: 'fe80::a', vm: '2001:db8:1::10'}},
    changes: [['vm', `ip neigh replace fe80::a lladdr ${X_MAC} dev eth0 nud permanent`]],
    ...{code: 'partial', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'both families': {
    options: {ip6: {x: 'fe80::a', y: 'fe80::a', vm: '2001:db8:1::10'}},
    ...{code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  },
  'proved by a destination that is named': {
    flags: ['--verify-to', BEYOND],
    code: 'served',
    end: 'switched',
    exit: 0,
    uses: Y_MAC,
  },
  'nothing is known beyond the gateways: the next hop is': {
    inventory: BLIND,
    changes: [NEXT_HOP],
    ...{code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  },
  'the same, asked at the gateway': {
    inventory: BLIND,
    at: 'gateway',
    ...{code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  },
  'the same, and the next hop does not answer': {
    inventory: BLIND,
    changes: [BROKEN_UPSTREAM_Y],
    ...{code: 'unverified', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'three gateways: which one it leaves is seen': {
    inventory: THREE,
    ...{code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  },
  'three gateways, and back to the one that was seen': {
    inventory: THREE,
    changes: [['vm', 'ip route add 0.0.0.0/1 via 10.1.0.252']],
    ...{code: 'partial', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'a destination that is named and does not answer': {
    flags: ['--verify-to', '203.0.113.77'],
    ...{code: 'unverified', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
}

describe.skipIf(noNamespaces)('the arp strategy says what it saw, where', () => {
  it.each(Object.entries(ARP_ROWS))('%s', async (_name, row) => {
    await withSegmentLab(row.options ?? {}, async (lab) => {
      for (const [node, script] of row.changes ?? []) await lab.run(node, script)
      using _talk = row.talks ? talkingVm(lab) : undefined
      const found = await switchIn(lab, row)
      expect({code: found.json.code, end: found.json.end, exit: found.exit}).toEqual({
        ...{code: row.code, end: row.end, exit: row.exit},
      })
      expect(found.json.exitCode).toBe(found.exit)
      if (row.uses !== undefined) expect(await lab.gateway()).toBe(row.uses)
      if (row.served === false) return
      await lab.run('vm', `ping -c1 -W2 ${BEYOND}`)
    })
  })
})
