// What the arp strategy says of real situations, and what it leaves behind: nothing that was not seen, and no VM worse than
// before.
import {describe, expect, it} from 'vitest'
import {noNamespaces} from '../support/namespaces.ts'
import {BEYOND, BEYOND6, useSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {
  BROKEN_UPSTREAM_Y,
  type Change,
  DEAD_Y,
  DEAF_Y,
  DROP_PING,
  expectRow,
  NO_FORWARDING_Y,
  NO_UPSTREAM_Y,
  OFF,
  type Row,
  SLIP,
} from './proof-table.ts'

const IP6 = {x: 'fe80::a', y: 'fe80::a', vm: '2001:db8:1::10'}
const ON_Y: Change = ['vm', `ip neigh replace 10.1.0.254 lladdr ${Y_MAC} dev eth0 nud reachable`]
const NO_UPSTREAM6_Y: Change = ['gy', 'ip -6 route del default']
const FIREWALL: Change = [
  'vm',
  `nft 'add table inet fw; add chain inet fw in { type filter hook input priority 0; }; add rule inet fw in icmp type echo-request ip saddr != 10.1.0.0/24 drop'`,
]
/** The routers beyond have somewhere to send it on to: what expires there is told, as often as it is asked. */
const NEXT_HOP: Change = ['net', 'ip route add default via 172.16.1.1']
/** An inventory that says nothing of what lies near the sites. */
const BLIND = (yaml: string): string => yaml.replaceAll(/prefixes: \[[^\]]*\]/g, 'prefixes: []')
/** A third gateway, named before the others, that the VM does not use. */
const THREE = (yaml: string): string =>
  yaml
    .replace('sites:', 'sites:\n  z: {}')
    .replace(/(\n +)- \{ name: bx/, '$1- { name: bz, site: z, ip: 10.1.0.254, mac: "02:00:00:00:0c:02" }$&')

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
  'the VM is off, at its port': {
    changes: [OFF],
    evidence: 'vnet0 has no carrier: db-03 is off, or unplugged',
    ...{code: 'silent', end: 'not-begun', exit: 5, served: false},
  },
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
    ip6: true,
    changes: [['vm', `ip neigh replace fe80::a lladdr ${X_MAC} dev eth0 nud permanent`]],
    evidence: /^db-03 leaves over IPv6 through bx/,
    ...{code: 'partial', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'both families': {
    ip6: true,
    evidence: /^by takes IPv6 on: 2001:db8:f2::2 answers for 100::8$/,
    ...{code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  },
  'both families, seen at the new gateway': {
    ip6: true,
    at: 'gateway',
    evidence: /^by takes IPv6 on: its next hop 2001:db8:f2::2 answers$/,
    ...{code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  },
  'both families, by a destination that the inventory names': {
    ip6: true,
    inventory: (yaml) => yaml.replace('y: { prefixes', `y: { probes: ["${BEYOND6}"], prefixes`),
    evidence: `by takes IPv6 on: ${BEYOND6} answers`,
    ...{code: 'served', end: 'switched', exit: 0, uses: Y_MAC},
  },
  'the target has no upstream for IPv6': {
    ip6: true,
    changes: [NO_UPSTREAM6_Y],
    evidence: /^by was not seen to take IPv6 on: .* \(the gateway that is left does\)$/,
    ...{code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC},
  },
  'the target has no upstream for IPv6, asked there': {
    ...{ip6: true, at: 'gateway', changes: [NO_UPSTREAM6_Y]},
    ...{code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC},
  },
  'the target does not forward IPv6': {
    ip6: true,
    changes: [['gy', 'sysctl -qw net.ipv6.conf.all.forwarding=0']],
    ...{code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC},
  },
  'neither gateway has an upstream for IPv6: it is no worse, and nobody can say that it is served': {
    ip6: true,
    changes: [NO_UPSTREAM6_Y, ['gx', 'ip -6 route del default']],
    evidence: /^by was not seen to take IPv6 on: .* \(the gateway that is left was not seen to either\)$/,
    ...{code: 'unverified', end: 'rolled-back', exit: 3, uses: X_MAC},
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
  'a firewall of the VM answers the segment alone, asked at the new gateway': {
    changes: [FIREWALL],
    at: 'gateway',
    evidence: /^db-03 answers the gateway's address at by .* its firewall answers the segment alone$/,
    ...{code: 'unverified', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'the same, and it is there already: it stays': {
    changes: [FIREWALL, ON_Y],
    at: 'gateway',
    ...{code: 'unverified', end: 'rolled-back', exit: 3, uses: Y_MAC},
  },
}

describe.skipIf(noNamespaces)('the arp strategy says what it saw, where', () => {
  const lab = useSegmentLab({ip6: IP6})

  it.each(Object.entries(ARP_ROWS))('%s', async (_name, row) => {
    await expectRow(lab(), row)
    // The table says so, and not only the packets.
    if (row.uses !== undefined) expect(await lab().gateway()).toBe(row.uses)
  })
})
