// What the commands say that tell or ask a VM without a strategy: the same proof, in the same codes.
import {writeFileSync} from 'node:fs'
import {describe, expect, it} from 'vitest'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, type SegmentNode, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'

type Change = readonly [node: SegmentNode, script: string]

interface Row {
  readonly args: readonly string[]
  /** Done before, as a script in one of the namespaces. */
  readonly change?: Change
  readonly and?: Change
  readonly at?: SegmentNode
  readonly ip6?: true
  readonly exit: number
  readonly json: object
  /** The MAC that the VM uses afterwards. */
  readonly uses: string
}

const GARP = ['garp', 'by', '--vm', 'db-03', '-i', 'eth0']
const ON_PORT = ['garp', 'by', '--vm', 'db-03', '-i', 'vnet0']
const NO_UPSTREAM: Change = ['gy', 'ip route del default']
const ON_Y: Change = ['vm', `ip neigh replace 10.1.0.254 lladdr ${Y_MAC} dev eth0 nud reachable`]
const DEAD_Y: Change = ['sw', 'ip link set p-gy down']
const GARP6 = [...GARP, '--ip6']
const NO_FORWARDING6: Change = ['gy', 'sysctl -qw net.ipv6.conf.all.forwarding=0']
const ON_Y_BOTH: Change = ['vm', `${ON_Y[1]}; ip -6 neigh replace fe80::a lladdr ${Y_MAC} dev eth0 nud reachable`]
const WHO_Y = ['who', '-i', 'vnet0', '--site', 'y']
const SERVES = {name: 'by', family: 4, code: 'served'}
const IP6 = {x: 'fe80::a', y: 'fe80::a', vm: '2001:db8:1::10'}
const SLIP = '02:00:00:00:0b:22'

const ROWS: Readonly<Record<string, Row>> = {
  'garp at the gateway': {args: GARP, exit: 0, json: {verdict: 'moved', code: 'served'}, uses: Y_MAC},
  "garp on the VM's port": {
    ...{at: 'sw', args: [...ON_PORT, '--mac', Y_MAC]},
    ...{exit: 0, json: {verdict: 'moved', code: 'served'}, uses: Y_MAC},
  },
  'garp, a slip in the MAC': {
    ...{at: 'sw', args: [...ON_PORT, '--mac', SLIP]},
    ...{exit: 4, json: {verdict: 'not-sent', code: 'target-dead', frames: []}, uses: X_MAC},
  },
  'garp, the gateway is unplugged': {
    ...{at: 'sw', args: [...ON_PORT, '--mac', Y_MAC], change: DEAD_Y},
    ...{exit: 4, json: {verdict: 'not-sent', code: 'target-dead'}, uses: X_MAC},
  },
  'garp to it all the same': {
    ...{at: 'sw', args: [...ON_PORT, '--mac', Y_MAC, '--force'], change: DEAD_Y},
    ...{exit: 4, json: {verdict: 'moved', code: 'target-dead'}, uses: Y_MAC},
  },
  'garp, the gateway takes nothing on': {
    ...{args: GARP, change: NO_UPSTREAM},
    ...{exit: 4, json: {verdict: 'moved', code: 'target-dead'}, uses: Y_MAC},
  },
  'garp for all': {
    args: ['garp', 'by', '--all', '-i', 'eth0'],
    ...{exit: 0, json: {vms: [{verdict: 'moved', code: 'served'}]}, uses: Y_MAC},
  },
  'garp for all, a slip in the MAC': {
    ...{at: 'sw', args: ['garp', 'by', '--all', '-i', 'br0', '--mac', SLIP]},
    ...{exit: 4, json: {framesSent: 0, vms: [{verdict: 'not-sent', code: 'target-dead'}]}, uses: X_MAC},
  },
  'garp over IPv6': {ip6: true, args: GARP6, exit: 0, json: {verdict: 'moved', code: 'served'}, uses: X_MAC},
  'garp over IPv6, and the gateway takes no IPv6 on': {
    ...{ip6: true, args: GARP6, change: NO_FORWARDING6},
    ...{exit: 4, json: {verdict: 'moved', code: 'target-dead'}, uses: X_MAC},
  },
  'garp over IPv6, and the gateway has no way for it that is known': {
    ...{ip6: true, args: GARP6, change: ['gy', 'ip -6 route del default']},
    ...{exit: 0, json: {verdict: 'moved', code: 'unverified'}, uses: X_MAC},
  },
  'garp over IPv6 asks nothing of IPv4': {
    ...{ip6: true, args: GARP6, change: NO_UPSTREAM},
    ...{exit: 0, json: {verdict: 'moved', code: 'served'}, uses: X_MAC},
  },
  'who, where it should be': {
    ...{at: 'sw', args: ['who', '-i', 'vnet0', '--site', 'y'], change: ON_Y},
    ...{exit: 0, json: {rows: [{code: 'served'}], gateways: [{name: 'by', code: 'served'}]}, uses: Y_MAC},
  },
  "who, at another site's gateway": {
    ...{at: 'sw', args: ['who', '-i', 'vnet0', '--site', 'y']},
    ...{exit: 10, json: {rows: [{code: 'elsewhere'}], gateways: []}, uses: X_MAC},
  },
  'who, over IPv6 too': {
    ...{ip6: true, at: 'sw', args: WHO_Y, change: ON_Y_BOTH, exit: 0, uses: Y_MAC},
    json: {rows: [{code: 'served'}, {code: 'served'}], gateways: [SERVES, {...SERVES, family: 6}]},
  },
  'who, over IPv6 to nowhere that is known': {
    ...{
      ip6: true,
      at: 'sw',
      args: WHO_Y,
      change: ON_Y_BOTH,
      and: ['gy', 'ip -6 route del default'],
      exit: 0,
      uses: Y_MAC,
    },
    json: {
      rows: [{code: 'served'}, {code: 'unverified'}],
      gateways: [SERVES, {name: 'by', family: 6, code: 'unverified'}],
    },
  },
  'who, at a gateway that is cut off': {
    ...{at: 'sw', args: ['who', '-i', 'vnet0', '--site', 'x'], change: ['sw', 'ip link set p-gx down']},
    ...{exit: 12, json: {rows: [{code: 'target-dead'}], gateways: [{name: 'bx', code: 'target-dead'}]}, uses: X_MAC},
  },
}

describe.skipIf(noNamespaces).concurrent('a VM that is told or asked', () => {
  it.each(Object.entries(ROWS))('%s', async (_, {args, at = 'gy', change, and, ip6, exit, json, uses}) => {
    await withSegmentLab(ip6 ? {ip6: IP6} : {}, async (lab: SegmentLab) => {
      for (const each of [change, and]) if (each) await lab.run(...each)
      writeFileSync(lab.inventoryFile, lab.inventory)
      const said = await gwswitch([...args, '-f', lab.inventoryFile, '--json'], {namespace: lab.ns(at)})
      expect({exit: said.code, json: said.json, stderr: said.stderr}).toMatchObject({exit, json})
      expect(said.json.exitCode).toBe(exit)
      expect(await lab.gateway()).toBe(uses)
    })
  })
})
