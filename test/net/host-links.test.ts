import {expect, it} from 'vitest'
import {readHostLinks} from '../../src/net/host-links.ts'

/** As iproute2 6.1 writes it, cut down to what is read. */
const LINKS = JSON.stringify([
  {ifname: 'eth0', address: '02:00:00:00:00:01', linkinfo: {}},
  {ifname: 'br0', address: '02:00:00:00:00:02', linkinfo: {info_kind: 'bridge', info_data: {ageing_time: 30_000}}},
  {
    ifname: 'vnet0',
    address: 'fe:54:00:00:00:01',
    master: 'br0',
    linkinfo: {info_kind: 'tun', info_data: {type: 'tap', pi: false}, info_slave_kind: 'bridge', info_slave_data: {}},
  },
  {ifname: 'tun0', linkinfo: {info_kind: 'tun', info_data: {type: 'tun'}}},
  {ifname: 'macvtap0', address: '02:00:00:00:01:10', linkinfo: {info_kind: 'macvtap', info_data: {mode: 'bridge'}}},
  {ifname: 'p0', address: '02:00:00:00:00:03', master: 'ovs-system', linkinfo: {info_slave_kind: 'openvswitch'}},
])
it('tells what an interface is, and what it is a port of', () => {
  expect(readHostLinks(LINKS).map(({name, kind, master}) => [name, kind, master?.name, master?.kind])).toEqual([
    ['eth0', 'device', undefined, undefined],
    ['br0', 'bridge', undefined, undefined],
    ['vnet0', 'tap', 'br0', 'bridge'],
    ['tun0', 'tun', undefined, undefined],
    ['macvtap0', 'macvtap', undefined, undefined],
    ['p0', 'device', 'ovs-system', 'openvswitch'],
  ])
})

it.each([
  ['no list', '{}'],
  ['no name', '[{"address":"02:00:00:00:00:01"}]'],
])('says in one line that the answer has %s', (_what, output) => {
  expect(() => readHostLinks(output)).toThrow(expect.objectContaining({kind: 'runtime'}))
})
