import {expect, it} from 'vitest'
import {readFdb} from '../../src/net/bridge-ports.ts'

it("a bridge's table is read without those of its ports, where a VXLAN remembers hosts that have moved here", () => {
  const rows = [
    {mac: '02:00:00:00:01:10', ifname: 'vnet0', flags: [], master: 'br-b', state: ''},
    {mac: '02:00:00:00:0b:02', ifname: 'br-b', flags: [], master: 'br-b', state: 'permanent'},
    {mac: '02:00:00:00:0a:02', ifname: 'vx0', flags: [], master: 'br-b', vlan: 7, state: 'static'},
    {mac: '02:00:00:00:01:10', ifname: 'vx0', dst: '192.0.2.1', flags: ['self'], state: ''},
    {mac: '33:33:00:00:00:01', ifname: 'vnet0', flags: ['self'], state: 'permanent'},
  ]
  expect(readFdb(JSON.stringify(rows))).toEqual([
    {mac: '02:00:00:00:01:10', port: 'vnet0', vlan: undefined, own: false, fixed: false},
    {mac: '02:00:00:00:0b:02', port: 'br-b', vlan: undefined, own: true, fixed: false},
    {mac: '02:00:00:00:0a:02', port: 'vx0', vlan: 7, own: false, fixed: true},
  ])
})
