import {describe, expect, it} from 'vitest'
import type {InterfaceMessage} from '../../src/net/netlink/interface-message.ts'
import {vmPorts} from '../../src/services/dhcp-shim/ports.ts'

const link = (index: number, name: string, bridge?: number, isBridge = false): InterfaceMessage => ({
  ...{index, name, bridge, isBridge, kind: isBridge ? 'bridge' : 'veth', vlan: undefined, vrf: undefined, mtu: 1500},
  ...{mac: '02:00:00:00:00:01', up: true, carrier: true, ethernet: true},
})
const HOST = [
  ...[link(1, 'br-a', undefined, true), link(2, 'vx0', 1), link(3, 'tap0', 1), link(4, 'tap1', 1)],
  ...[link(5, 'br-b', undefined, true), link(6, 'vx1', 5), link(7, 'tap2', 5), link(8, 'eth0')],
]

describe('the ports of VMs', () => {
  it.each<[string, string[], string[], string[], string[]?]>([
    ['are the others of a bridge', ['vx0'], ['tap0', 'tap1'], []],
    ['of two bridges', ['vx0', 'vx1'], ['tap0', 'tap1', 'tap2'], []],
    ['all of a bridge that leads nowhere', ['br-b'], ['vx1', 'tap2'], []],
    ['not those that the inventory says lead to another site', ['vx0'], ['tap1'], [], ['tap0']],
    ['none where a port is no bridge port', ['eth0'], [], []],
    ['none where it is not there', ['vx0', 'vx9'], ['tap0', 'tap1'], ['vx9']],
  ])('%s', (_, elsewhere, ports, missing, interSite = []) => {
    const found = vmPorts(HOST, elsewhere, interSite)
    expect([found.ports.map(({name}) => name), found.missing]).toEqual([ports, missing])
  })

  it('are none by a name that would be something else in a ruleset', () => {
    expect(vmPorts([...HOST, link(9, 'tap*', 1), link(10, 'a"b', 1)], ['vx0', 'tap0'], [])).toMatchObject({
      ports: [{name: 'tap1', index: 4, mtu: 1500, mac: '02:00:00:00:00:01'}],
    })
  })
})
