// At which ports a segment's frames are, and with which tag, by what `ip -d -j link` and `bridge -j vlan` say.
import {describe, expect, it} from 'vitest'
import {learnedVlan, type Place, placesOf} from '../../src/domain/who-places.ts'
import {readHostLinks} from '../../src/net/bridge-host.ts'

const bridge = (ifname: string, vlan_filtering: number) => ({
  ifname,
  linkinfo: {info_kind: 'bridge', info_data: {vlan_filtering}},
})
const port = (ifname: string, master: string, linkinfo: object = {info_kind: 'veth'}) => ({
  ifname,
  master,
  linkinfo: {...linkinfo, info_slave_kind: 'bridge', info_slave_data: {neigh_suppress: false}},
})
const vlanDevice = (id: number) => ({info_kind: 'vlan', info_data: {protocol: '802.1Q', id, flags: []}})
const LINKS = JSON.stringify([
  {ifname: 'lo', linkinfo: {}},
  bridge('br0', 1),
  port('vnet1', 'br0'),
  port('vnet2', 'br0'),
  port('vx0', 'br0', {info_kind: 'vxlan', info_data: {id: 5}}),
  bridge('br200', 0),
  port('eth1.200', 'br200', vlanDevice(200)),
  port('vnet9', 'br200'),
  {ifname: 'eth1', linkinfo: {}},
  {ifname: 'eth1.300', linkinfo: vlanDevice(300)},
  bridge('plain', 0),
  port('vx9', 'plain', {info_kind: 'vxlan', info_data: {id: 9}}),
])
// `bridge -j vlan show` of iproute2 6.1.
const VLANS = JSON.stringify([
  {ifname: 'br0', vlans: [{vlan: 1, flags: ['PVID', 'Egress Untagged']}, {vlan: 300}]},
  {ifname: 'vnet1', vlans: [{vlan: 100, flags: ['PVID', 'Egress Untagged']}]},
  {ifname: 'vnet2', vlans: [{vlan: 200, flags: ['PVID', 'Egress Untagged']}]},
  {ifname: 'vx0', vlans: [{vlan: 1, flags: ['PVID', 'Egress Untagged']}, {vlan: 100}, {vlan: 200}, {vlan: 300}]},
  {ifname: 'br200', vlans: [{vlan: 1, flags: ['PVID', 'Egress Untagged']}]},
])
const host = readHostLinks(LINKS, VLANS)

const at = (port: string, tag: number | undefined, over: Partial<Place> = {}): Place => ({
  port,
  tag,
  sure: true,
  ...over,
})
const unsure = {sure: false}
const apartFrom = (vlan: number) => ({bridge: {apart: `br0 itself is not in VLAN ${vlan}`}})

describe('the places of a segment', () => {
  it.each<[string, number | 'untagged' | undefined, string, number | undefined, readonly Place[]]>([
    ["a VM's port in the VLAN, as its PVID", 100, 'vnet1', undefined, [at('vnet1', undefined, apartFrom(100))]],
    ['a trunk of the same bridge', 100, 'vx0', undefined, [at('vx0', 100, apartFrom(100))]],
    ['a trunk of a bridge that is in the VLAN, too', 300, 'vx0', undefined, [at('vx0', 300, {bridge: {tag: 300}})]],
    ["a port in the bridge's own PVID", 1, 'vx0', undefined, [at('vx0', undefined, {bridge: {tag: undefined}})]],
    ['the bridge itself, where it is in the VLAN', 300, 'br0', undefined, [at('br0', 300)]],
    ['the bridge itself, by its PVID', 1, 'br0', undefined, [at('br0', undefined)]],
    ['untagged by the inventory', 'untagged', 'vx0', undefined, [at('vx0', undefined)]],
    ['not written down', undefined, 'vx0', undefined, [at('vx0', undefined)]],
    ['a VLAN device of it', 300, 'eth1.300', undefined, [at('eth1.300', undefined)]],
    ['a bridge around a VLAN device of it', 200, 'br200', undefined, [at('br200', undefined)]],
    ['a port of that bridge', 200, 'vnet9', undefined, [at('vnet9', undefined)]],
    ['the port by which it crosses, by the inventory', 100, 'vx9', undefined, [at('vx9', 100)]],
    ['a bridge that does not say', 100, 'plain', undefined, [at('plain', 100, unsure), at('plain', undefined, unsure)]],
    [
      'an interface that nothing is known of',
      100,
      'eth7',
      undefined,
      [at('eth7', 100, unsure), at('eth7', undefined, unsure)],
    ],
    ["the operator's own word", 100, 'vnet2', 7, [at('vnet2', 7)]],
  ])('%s', (_name, vlan, name, tag, places) => {
    expect(placesOf(vlan, {ports: ['vx9']}, [name], host, tag)).toEqual({places, apart: ''})
  })

  it.each<[string, number, readonly string[], string]>([
    ["another VLAN's port", 100, ['vnet2'], 'br0 keeps VLANs apart, and vnet2 is not in VLAN 100: -i vnet1 -i vx0 are'],
    [
      'the bridge itself, where it is not in the VLAN',
      200,
      ['br0'],
      'br0 keeps VLANs apart, and br0 itself is not in VLAN 200: -i vnet2 -i vx0 are',
    ],
    [
      'a VLAN that no port has',
      400,
      ['vx0'],
      'br0 keeps VLANs apart, and vx0 is not in VLAN 400: nor is any other port of it',
    ],
    ['a VLAN device of another', 200, ['eth1.300'], 'eth1.300 is of VLAN 300, not 200'],
  ])('none: %s', (_name, vlan, ports, apart) => {
    expect(placesOf(vlan, {}, ports, host, undefined)).toEqual({places: [], apart})
  })

  it('are those ports alone that are in the VLAN', () => {
    expect(placesOf(100, {}, ['vnet1', 'vnet2', 'vx0'], host, undefined)).toEqual({
      places: [at('vnet1', undefined, apartFrom(100)), at('vx0', 100, apartFrom(100))],
      apart: '',
    })
  })
})

it.each<[string, (number | undefined)[], number | undefined]>([
  ['the one that the MACs were learned in', [100, 100], 100],
  ['none where they were learned in two', [100, 200], undefined],
  ['none where nothing was learned', [], undefined],
])('the VLAN of a segment is %s', (_name, vlans, vlan) => {
  const learned = vlans.map((each, i) => ({mac: `02:00:00:00:00:0${i}`, vlan: each}))
  expect(
    learnedVlan(new Set(['02:00:00:00:00:00', '02:00:00:00:00:01']), [...learned, {mac: '02:00:00:00:00:09', vlan: 7}]),
  ).toBe(vlan)
})
