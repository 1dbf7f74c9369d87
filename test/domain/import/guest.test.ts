import {describe, expect, it} from 'vitest'
import {type ImportOrder, importGuests, readAddresses} from '../../../src/domain/import/guest.ts'
import {readKubevirt} from '../../../src/domain/import/kubevirt.ts'
import {readLibvirt} from '../../../src/domain/import/libvirt.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {readMac} from '../../../src/wire/address.ts'
import {INVENTORY} from '../../support/inventory.ts'

const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const PLAIN: ImportOrder = {networks: new Map(), segment: undefined, site: undefined, addresses: new Map()}
const MAC = '52:54:00:00:00:01'

const nic = (inner: string, mac = MAC): string => `<interface type='bridge'><mac address='${mac}'/>${inner}</interface>`
const domain = (devices: string, name = 'web-09'): string =>
  `<?xml version='1.0'?>\n<domain type='kvm'><name>${name}</name><devices>${devices}</devices></domain>\n`

describe('a domain of libvirt', () => {
  it('is read with its NICs, their networks, VLAN and addresses, and its agent', () => {
    const devices = [
      nic("<source network='ovs' portgroup='pg-a' bridge='br0'/><target dev='vnet3'/><vlan><tag id='42'/></vlan>"),
      nic(
        "<source bridge='br1'/><ip address='10.0.0.9' prefix='24'/><vlan trunk='yes'><tag id='1'/><tag id='2'/></vlan>",
        '52:54:00:00:00:02',
      ),
      "<interface type='hostdev'/>",
      "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    ]
    expect(readLibvirt(domain(devices.join('')) + domain('', 'db'), 'f')).toEqual([
      {
        name: 'web-09',
        nics: [
          {mac: MAC, networks: ['br0', 'ovs', 'pg-a', 'vnet3'], vlan: 42, ips: []},
          {mac: '52:54:00:00:00:02', networks: ['br1'], vlan: undefined, ips: ['10.0.0.9']},
        ],
        left: ['a NIC of type hostdev has no MAC'],
        agent: {domain: 'web-09'},
      },
      {name: 'db', nics: [], left: []},
    ])
  })

  it.each([
    ['', 'f: is no domain of libvirt (want what virsh dumpxml prints)'],
    ['error: failed to get domain', 'f: is no domain of libvirt (want what virsh dumpxml prints)'],
    [`${domain('')}<domain>`, 'f: is no domain of libvirt (want what virsh dumpxml prints)'],
    ['<network><domain/></domain>', 'f: not XML: Opening and ending tag mismatch: "network" != "domain"'],
    ['<domain><name>x</domain>', 'f: not XML: Opening and ending tag mismatch: "name" != "domain"'],
    ['<domain><name>&a;</name></domain>', 'f: not XML: entity not found:&a;'],
    ['<domain></domain>', 'f: a domain has no name'],
  ])('%j is refused', (text, message) => {
    expect(() => readLibvirt(text, 'f')).toThrow(expect.objectContaining({kind: 'usage', message}))
  })
})

const vmi = (over: object = {}): object => ({
  kind: 'VirtualMachineInstance',
  metadata: {name: 'web', namespace: 'shop'},
  spec: {
    domain: {
      devices: {
        interfaces: [
          {name: 'default', masquerade: {}},
          {name: 'lan', bridge: {}},
          {name: 'sto', bridge: {}},
        ],
      },
    },
    networks: [
      {name: 'default', pod: {}},
      {name: 'lan', multus: {networkName: 'shop/net-a'}},
      {name: 'sto', multus: {networkName: 'net-b'}},
    ],
  },
  status: {
    interfaces: [
      {name: 'default', mac: '02:00:00:00:00:d0', ipAddress: '10.244.0.7', ipAddresses: ['10.244.0.7']},
      {name: 'lan', mac: MAC, ipAddress: '10.0.0.9', ipAddresses: ['10.0.0.9', '2001:db8::9', 'fe80::1%eth0']},
      {name: 'sto', mac: '52:54:00:00:00:02'},
      {name: 'odd'},
    ],
  },
  ...over,
})

describe('a VirtualMachineInstance', () => {
  it('is read with its NICs that are on a segment', () => {
    const found = [
      {
        name: 'shop.web',
        nics: [
          {mac: MAC, networks: ['shop/net-a', 'net-a', 'lan'], vlan: undefined, ips: ['10.0.0.9', '2001:db8::9']},
          {mac: '52:54:00:00:00:02', networks: ['net-b', 'sto'], vlan: undefined, ips: []},
        ],
        left: ['NIC 02:00:00:00:00:d0 left out: default is behind NAT of its pod (masquerade)', 'NIC odd has no MAC'],
      },
    ]
    expect(readKubevirt(JSON.stringify(vmi()), 'f')).toEqual(found)
    expect(readKubevirt(JSON.stringify({kind: 'List', items: [vmi()]}), 'f')).toEqual(found)
    const off = readKubevirt(JSON.stringify(vmi({status: {}})), 'f')
    expect(off).toEqual([{name: 'shop.web', nics: [], left: ['has no NIC in its status: it does not run']}])
  })

  it.each([
    ['', 'f: is no JSON (want what kubectl get vmi -A -o json prints)'],
    [
      '{"items": [{"kind": "Pod"}]}',
      'f: item 0 is no VirtualMachineInstance: kind: Invalid input: expected "VirtualMachineInstance"',
    ],
  ])('%j is refused', (text, message) => {
    expect(() => readKubevirt(text, 'f')).toThrow(expect.objectContaining({kind: 'usage', message}))
  })
})

describe('what an inventory makes of a VM', () => {
  const guest = (name: string, ...nics: object[]) => ({
    ...{name, left: []},
    nics: nics.map((each) => ({...{mac: MAC, networks: ['br0'], vlan: undefined, ips: []}, ...each})),
  })
  const one = (nics: object | object[], order: Partial<ImportOrder> = {}, known = inventory) =>
    importGuests([guest('web-09', ...[nics].flat())], known, {...PLAIN, ...order})
  const twins = parseInventory(
    INVENTORY.replace('prefix: 10.1.0.0/24', 'vlan: 8\n    prefix: 10.0.0.0/24')
      .replace('prefix: 10.0.0.0/24\n    gateways', 'vlan: 7\n    prefix: 10.0.0.0/24\n    gateways')
      .replaceAll('10.1.0.', '10.0.0.')
      .replace(/ {2}db-03.*\n/, ''),
    'twins.yaml',
  )

  it.each<[string, ReturnType<typeof one>, string]>([
    ['its address', one({ips: ['10.1.0.20']}), 'tenant-b'],
    ['the name of its bridge', one({ips: ['10.1.0.20'], networks: ['tenant-b']}), 'tenant-b'],
    ['what is said of its bridge', one({ips: ['10.1.0.20']}, {networks: new Map([['br0', 'tenant-b']])}), 'tenant-b'],
    ['the one for all others', one({ips: ['10.1.0.20']}, {segment: 'tenant-b'}), 'tenant-b'],
    ['its VLAN, where tenants have one prefix', one({ips: ['10.0.0.20'], vlan: 8}, {}, twins), 'tenant-b'],
  ])('is on the segment of %s', (_, {vms, left}, segment) => {
    expect(vms['web-09']).toMatchObject({segment, mac: MAC})
    expect(left).toEqual([])
  })

  it('has its further addresses, its site and agent, and a NIC for each of its own', () => {
    const nics = [
      {ips: ['10.0.0.9', '192.0.2.1', '10.0.0.8', '2001:db8::9']},
      {mac: '52:54:00:00:00:02', ips: ['10.1.0.9']},
      {mac: '52:54:00:00:00:03', ips: ['10.1.0.8']},
    ]
    const made = importGuests([{...guest('web-09', ...nics), agent: {domain: 'web-09'}}], inventory, {
      ...PLAIN,
      site: 'x',
    })
    expect(made).toEqual({
      left: [],
      vms: {
        'web-09': {
          ...{segment: 'tenant-a', ip: '10.0.0.9', mac: MAC, ips: ['10.0.0.8'], ip6: ['2001:db8::9']},
          ...{site: 'x', agent: {domain: 'web-09'}},
          nics: [
            {segment: 'tenant-b', ip: '10.1.0.9', mac: '52:54:00:00:00:02'},
            {name: 'tenant-b-2', segment: 'tenant-b', ip: '10.1.0.8', mac: '52:54:00:00:00:03'},
          ],
        },
      },
    })
    const whole = parseInventory(INVENTORY, 'gwswitch.yaml', [
      {path: 'vms.yaml', text: JSON.stringify({vms: made.vms})},
    ])
    expect(whole.vms.slice(2).map(({name}) => name)).toEqual([
      'web-09/tenant-a',
      'web-09/tenant-b',
      'web-09/tenant-b-2',
    ])
  })

  it.each<[string, ReturnType<typeof one>, string]>([
    ['no address', one({networks: ['tenant-a']}), 'no IPv4 address of it is known (--addresses FILE)'],
    [
      'no segment',
      one({ips: ['192.0.2.9']}),
      'its segment is not known: it is on br0 (--network br0=SEGMENT, or --segment)',
    ],
    [
      'no name of anything',
      one({networks: []}),
      'its segment is not known: it is on nothing that has a name (--network NAME=SEGMENT, or --segment)',
    ],
    [
      'two segments of one prefix',
      one({ips: ['10.0.0.9']}, {}, twins),
      'its segment is not known: it is on br0 (--network br0=SEGMENT, or --segment)',
    ],
    [
      'addresses of another segment',
      one({ips: ['192.0.2.9']}, {segment: 'tenant-a'}),
      'its addresses (192.0.2.9) are none of tenant-a',
    ],
    ["a gateway's address", one({ips: ['10.0.0.1']}), 'it is the gateway rx'],
    ["a gateway's MAC", one({ips: ['10.0.0.9'], mac: '02:00:00:00:0b:01'}), 'it is the gateway ry'],
  ])('is left out with %s', (_, {vms, left}, why) => {
    expect(vms).toEqual({})
    expect(left).toEqual([
      expect.stringMatching(/^web-09: NIC [0-9a-f:]+ left out: /),
      'web-09: left out: no NIC of it is on a segment of gwswitch.yaml'.replace(
        'gwswitch',
        left.at(-1)!.includes('twins') ? 'twins' : 'gwswitch',
      ),
    ])
    expect(left[0]!.replace(/^.* left out: /, '')).toBe(why)
  })

  it('is called as an inventory may call it, once', () => {
    const guests = [
      guest('my VM (1)', {ips: ['10.0.0.9']}),
      guest('my-VM-1', {ips: ['10.0.0.8'], mac: '52:54:00:00:00:02'}),
      guest('other', {ips: ['10.0.0.9'], mac: '52:54:00:00:00:03'}),
    ]
    const {vms, left} = importGuests(guests, inventory, PLAIN)
    expect(Object.keys(vms)).toEqual(['my-VM-1'])
    expect(left).toEqual([
      'my VM (1): is called my-VM-1 here, where names are letters, digits, "-", "_", "."',
      'my-VM-1: another VM is called my-VM-1 already',
      "other: NIC 52:54:00:00:00:03 left out: 10.0.0.9 is my-VM-1's already",
      'other: left out: no NIC of it is on a segment of gwswitch.yaml',
    ])
  })

  it('needs segments that there are', () => {
    expect(() => one({}, {segment: 'tenant-z'})).toThrow(
      'gwswitch.yaml: no segment "tenant-z" (did you mean "tenant-a"?)',
    )
    expect(() => one({}, {networks: new Map([['br0', 'b']])})).toThrow('gwswitch.yaml: no segment "b"')
  })

  it.each([
    [
      'ip neigh',
      '10.0.0.9 dev br0 lladdr 52:54:00:00:00:01 REACHABLE\nfe80::9 dev br0 lladdr 52:54:00:00:00:01 STALE',
      ['10.0.0.9', 'fe80::9'],
    ],
    ['virsh domifaddr', ' vnet0      52:54:00:00:00:01    ipv4         10.0.0.9/24', ['10.0.0.9']],
    ['leases of dnsmasq', '1700000000 52:54:00:00:00:01 10.0.0.9 web *', ['10.0.0.9']],
    ['a line without a MAC', '10.0.0.9 dev br0 FAILED', undefined],
  ])('takes addresses from %s', (_, text, ips) => expect(readAddresses(text, readMac).get(MAC)).toEqual(ips))
})
