// What is judged of a host: a table of facts, what is found in them, and the command that mends it.
import {describe, expect, it} from 'vitest'
import type {DoctorFacts, DoctorInterface} from '../../../src/domain/doctor/facts.ts'
import {doctorExit} from '../../../src/domain/doctor/finding.ts'
import {findingsOf} from '../../../src/domain/doctor/rules.ts'
import {strategyPlaces} from '../../../src/domain/doctor/strategy-places.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {doctorText} from '../../../src/render/doctor-text.ts'
import {paintWith} from '../../../src/render/paint.ts'

const INVENTORY = parseInventory(
  `version: 1
sites: {x: {}, y: {agentKey: /etc/gwswitch/y.key}}
segments:
  lan:
    prefix: 10.0.0.0/24
    vlan: 70
    ports: [vx0]
    dhcp: { server: kea, control: /run/kea/control }
    gateways:
      - { name: gx, site: x, ip: 10.0.0.254, mac: "02:00:00:00:0a:01", ownIp: 10.0.0.252 }
      - { name: gy, site: y, ip: 10.0.0.254, mac: "02:00:00:00:0b:01" }
vms:
  db-03: { segment: lan, ip: 10.0.0.10, mac: "02:00:00:00:00:10", agent: {} }
`,
  'gwswitch.yaml',
)

const SETTINGS = {accept_redirects: 0, arp_accept: 1, arp_announce: 2, arp_ignore: 1, forwarding: 1, rp_filter: 2}
const port = (name: string, changes: Partial<DoctorInterface> = {}): DoctorInterface => ({
  ...{name, mac: '02:00:00:00:0c:01', up: true, carrier: true, addresses: [], isBridge: false, bridge: null},
  ...{settings: SETTINGS, locktime: 100},
  ...changes,
})
const at = (ip: string) => [{ip, prefixLength: 24}]
/** As gateway gx. */
const leg = (changes: Partial<DoctorInterface> = {}): DoctorInterface =>
  port('eth0', {mac: '02:00:00:00:0a:01', addresses: [...at('10.0.0.252'), ...at('10.0.0.254')], ...changes})
const BRIDGE = [port('br0', {isBridge: true}), port('vx0', {bridge: 'br0'}), port('vnet0', {bridge: 'br0'})]
const set = (changes: Partial<typeof SETTINGS>) => ({settings: {...SETTINGS, ...changes}})

const yes = {state: 'yes', why: null} as const
const facts = (changes: Partial<DoctorFacts> = {}): DoctorFacts => ({
  ...{node: '24.15.0', kernel: '6.12.0', isRoot: true, programs: {ip: true, bridge: true, nft: true}},
  capabilities: new Set(['CAP_NET_RAW', 'CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_ADMIN']),
  abilities: {'raw-frames': yes, 'nft-bridge': yes, 'nft-timeouts': yes, 'vlan-devices': yes, conntrack: yes},
  ...{
    interfaces: [],
    all: {...SETTINGS, rp_filter: 0, arp_ignore: 0, arp_announce: 0, arp_accept: 0},
    bridgeNetfilter: 0,
    sockets: [],
  },
  inventory: {files: ['gwswitch.yaml'], inventory: INVENTORY, findings: []},
  ...{readable: new Set<string>(), network: undefined, program: 'gwswitch'},
  strategies: ['arp', 'agent', 'dhcp', 'mac-proxy', 'other'].map((name) => ({name, needs: 'what it needs'})),
  ...changes,
})
const no = {state: 'no', why: 'Operation not supported'} as const
const only = (interfaces: readonly DoctorInterface[], changes: Partial<DoctorFacts> = {}) =>
  facts({interfaces, ...changes})
const all = facts().all

type Row = [
  what: string,
  of: DoctorFacts,
  exit: number,
  ...found: readonly (readonly [code: string, mend: string | null])[],
]
const TABLE: readonly Row[] = [
  ['a host with nothing on the segment is fine', facts(), 0],
  ['a gateway as it should be is fine', only([leg()]), 0],
  ['a bridge as it should be is fine', only(BRIDGE), 0],
  ['a leg that is down', only([leg({up: false, carrier: false})]), 12, ['leg-down', 'ip link set eth0 up']],
  ['a leg without carrier', only([leg({carrier: false})]), 12, ['leg-down', null]],
  [
    'a leg that does not forward',
    only([leg(set({forwarding: 0}))]),
    12,
    ['not-forwarding', 'sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.eth0.forwarding=1'],
  ],
  [
    'a leg that answers no ARP',
    only([leg(set({arp_ignore: 8}))]),
    12,
    ['arp-ignore', 'sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0'],
  ],
  [
    'a leg that makes no entry from an announcement',
    only([leg(set({arp_accept: 0}))]),
    10,
    ['arp-accept', 'sysctl -w net.ipv4.conf.eth0.arp_accept=1'],
  ],
  ['which "all" makes good', only([leg(set({arp_accept: 0}))], {all: {...all, arp_accept: 1}}), 0],
  [
    'strict return paths on a router, by "all"',
    only([leg(set({rp_filter: 0}))], {all: {...all, rp_filter: 1}}),
    10,
    ['rp-filter', 'sysctl -w net.ipv4.conf.eth0.rp_filter=2'],
  ],
  ['which loose ones of the interface outweigh', only([leg(set({rp_filter: 2}))], {all: {...all, rp_filter: 1}}), 0],
  [
    'and which do not matter on a host with one way',
    only([port('eth1', {addresses: at('10.0.0.7'), ...set({rp_filter: 1, forwarding: 0})})]),
    0,
  ],
  ['redirects: of a router only where both switches allow them', only([leg(set({accept_redirects: 1}))]), 0],
  [
    'of a host where either does',
    only([port('eth1', {addresses: at('10.0.0.7'), ...set({accept_redirects: 1, forwarding: 0})})]),
    10,
    ['accept-redirects', 'sysctl -w net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth1.accept_redirects=0'],
  ],
  [
    'and not off the segments',
    only([port('eth1', {addresses: at('192.0.2.7'), ...set({accept_redirects: 1, forwarding: 0})})]),
    0,
  ],
  [
    'two interfaces on one segment',
    only([
      port('eth1', {addresses: at('10.0.0.7'), ...set({arp_ignore: 0})}),
      port('eth2.70', {addresses: at('10.0.0.8'), ...set({arp_announce: 0})}),
    ]),
    10,
    [
      'arp-flux',
      'sysctl -w net.ipv4.conf.eth1.arp_ignore=1 net.ipv4.conf.eth1.arp_announce=2 net/ipv4/conf/eth2.70/arp_ignore=1 net/ipv4/conf/eth2.70/arp_announce=2',
    ],
  ],
  [
    'entries that withstand for long',
    only([leg({locktime: 101})]),
    10,
    ['locktime', 'sysctl -w net.ipv4.neigh.eth0.locktime=100'],
  ],
  [
    'a bridge whose frames pass the IP filter',
    only(BRIDGE, {bridgeNetfilter: 1}),
    10,
    ['bridge-nf', 'sysctl -w net.bridge.bridge-nf-call-iptables=0'],
  ],
  ['which says nothing where there is no bridge', only([leg()], {bridgeNetfilter: 1}), 0],
  [
    'a port of the inventory on no bridge',
    only([BRIDGE[0]!, BRIDGE[2]!, port('vx0')]),
    12,
    ['port', 'ip link set vx0 master br0'],
  ],
  ['one that is down', only([BRIDGE[0]!, port('vx0', {bridge: 'br0', up: false})]), 12, ['port', 'ip link set vx0 up']],
  [
    'a kernel without nftables for bridges, at a bridge',
    only(BRIDGE, {abilities: {...facts().abilities, 'nft-bridge': no}}),
    12,
    ['nft-bridge', null],
  ],
  ['and elsewhere', facts({abilities: {...facts().abilities, 'nft-bridge': no}}), 0],
  [
    'a kernel without VLANs, where a segment has one',
    only(BRIDGE, {abilities: {...facts().abilities, 'vlan-devices': no}}),
    10,
    ['vlan-devices', null],
  ],
  [
    'what this user may not try says nothing',
    only(BRIDGE, {abilities: {...facts().abilities, 'nft-bridge': {state: 'unknown', why: null}}}),
    0,
  ],
  [
    'no CAP_NET_RAW',
    facts({capabilities: new Set(['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_ADMIN'])}),
    12,
    ['no-capability', 'sudo gwswitch doctor'],
  ],
  [
    'no CAP_NET_ADMIN',
    facts({capabilities: new Set(['CAP_NET_RAW', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_ADMIN'])}),
    10,
    ['no-capability', 'sudo gwswitch doctor'],
  ],
  [
    'no nft',
    facts({programs: {ip: true, bridge: true, nft: false}}),
    10,
    ['no-program', 'apt-get install -y nftables'],
  ],
  ['no ip', facts({programs: {ip: false, bridge: true, nft: true}}), 12, ['no-program', 'apt-get install -y iproute2']],
  [
    'a socket at which nobody listens',
    facts({sockets: [{service: 'serve site', path: '/run/gwswitch/site.sock', state: 'dead'}]}),
    10,
    ['dead-socket', 'rm /run/gwswitch/site.sock'],
  ],
  [
    'one that listens, and one that is not there',
    facts({
      sockets: [
        {service: 'a', path: '/a', state: 'listening'},
        {service: 'b', path: '/b', state: 'absent'},
      ],
    }),
    0,
  ],
  ['no inventory', facts({inventory: undefined, interfaces: BRIDGE}), 10, ['no-inventory', 'gwswitch init -i br0']],
  [
    'one that is refused',
    facts({inventory: {files: ['a.yaml'], inventory: null, findings: [{severity: 'error', text: 'a.yaml:2: no'}]}}),
    12,
    ['inventory', null],
  ],
  [
    'a suspicious one',
    facts({
      inventory: {files: ['a.yaml'], inventory: INVENTORY, findings: [{severity: 'warning', text: 'a.yaml:2: odd'}]},
    }),
    10,
    ['inventory', null],
  ],
  [
    'a gateway at another MAC',
    facts({network: [{kind: 'gateway', name: 'gx', ip: '10.0.0.254', mac: 'm', standing: 'other-mac', others: ['n']}]}),
    12,
    ['network', null],
  ],
  [
    'a VM at another MAC',
    facts({network: [{kind: 'vm', name: 'db-03', ip: '10.0.0.10', mac: 'm', standing: 'other-mac', others: ['n']}]}),
    10,
    ['network', null],
  ],
  [
    'a gateway that is silent',
    facts({network: [{kind: 'gateway', name: 'gx', ip: '10.0.0.254', mac: 'm', standing: 'silent', others: []}]}),
    10,
    ['network', null],
  ],
  [
    'a VM that is silent',
    facts({network: [{kind: 'vm', name: 'db-03', ip: '10.0.0.10', mac: 'm', standing: 'silent', others: []}]}),
    0,
  ],
]

describe('doctor', () => {
  it.each<Row>([...TABLE])('%s', (_, of, exit, ...found) => {
    const findings = findingsOf(of)
    const bad = findings.filter(({level}) => level !== 'fine')
    expect(bad.map(({code, mend}) => [code, mend])).toEqual(found)
    expect(doctorExit(findings)).toBe(exit)
    for (const {why} of bad) expect(why).toBeTruthy()
  })

  it('knows of one host that it is one gateway of those that share an address', () => {
    const legs = (of: DoctorFacts) =>
      findingsOf(of)
        .filter(({code}) => code === 'leg')
        .map(({what}) => what)
    expect(legs(only([leg()]))).toEqual(['this host is gateway gx (site x) at eth0'])
    // By its own address, where the MAC of the inventory is a virtual one.
    expect(legs(only([leg({mac: '02:00:00:00:0f:0f'})]))).toEqual(['this host is gateway gx (site x) at eth0'])
    expect(legs(only([port('eth0', {addresses: at('10.0.0.254')})]))).toEqual([])
  })

  it.each<[string, DoctorFacts, Record<string, string>]>([
    ['nowhere near', facts(), {arp: 'no', agent: 'no', dhcp: 'no', 'mac-proxy': 'no', other: 'unknown'}],
    ['a hypervisor', only(BRIDGE), {arp: 'yes', agent: 'no', dhcp: 'no', 'mac-proxy': 'yes', other: 'unknown'}],
    [
      'without rights',
      only(BRIDGE, {capabilities: new Set()}),
      {arp: 'no', agent: 'no', dhcp: 'no', 'mac-proxy': 'no', other: 'unknown'},
    ],
    [
      'with the key and the socket',
      facts({readable: new Set(['/etc/gwswitch/y.key', '/run/kea/control'])}),
      {arp: 'no', agent: 'yes', dhcp: 'yes', 'mac-proxy': 'no', other: 'unknown'},
    ],
    [
      'without an inventory',
      only(BRIDGE, {inventory: undefined}),
      {arp: 'unknown', agent: 'unknown', dhcp: 'unknown', 'mac-proxy': 'yes', other: 'unknown'},
    ],
  ])('says which strategies work from here: %s', (_, of, want) => {
    const places = strategyPlaces(of)
    expect(Object.fromEntries(places.map(({strategy, here}) => [strategy, here]))).toEqual(want)
    for (const {here, where} of places) expect(where === null).toBe(here === 'yes' || where === null)
    expect(places.filter(({here, where}) => here === 'no' && where === null)).toEqual([])
  })

  it('is read without colour as with it: a symbol and a word, and the command below', () => {
    const of = only([leg(set({arp_accept: 0}))])
    const shown = {findings: findingsOf(of), strategies: strategyPlaces(of)}
    const text = doctorText(shown, paintWith(false)).join('\n')
    expect(text).toMatch(
      /^! WRONG {2}eth0, the leg of gateway gx, makes no entry.*\n {9}a VM that arrives.*\n {9}sysctl -w net\.ipv4\.conf\.eth0\.arp_accept=1$/m,
    )
    expect(text).toMatch(/^0 broken, 1 wrong, \d+ fine; 1 with the command that mends it$/m)
    expect(text).toMatch(/^arp +✓ works/m)
  })
})
