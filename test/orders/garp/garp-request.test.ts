import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import type {GarpOrder} from '../../../src/orders/garp/garp-order.ts'
import {garpRequest} from '../../../src/orders/garp/garp-request.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface} from '../../support/world.ts'

const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const own = ethernetInterface()
const order = (over: Partial<GarpOrder> = {}): GarpOrder => ({
  gateway: 'by',
  interfaceName: 'eth0',
  broadcast: false,
  listenMs: 1000,
  ...over,
})

describe('garpRequest', () => {
  it('takes everything from the inventory', () => {
    const request = garpRequest(order({vm: 'db-03'}), inventory, [own])
    expect(request).toMatchObject({gatewayName: 'by', vmName: 'db-03', warnings: []})
    expect(request.announce).toMatchObject({
      gateway: {ip: '10.1.0.254', mac: '02:00:00:00:0b:02'},
      vm: {ip: '10.1.0.10', mac: '02:00:00:00:01:10'},
      segment: {address: '10.1.0.0', length: 24},
      forms: [{form: 'ask'}],
    })
  })

  it('takes everything from flags', () => {
    const request = garpRequest(
      order({gateway: '10.1.0.254', vmIp: '10.1.0.77', vmMac: '02-00-00-00-01-77'}),
      undefined,
      [own],
    )
    expect(request.announce).toMatchObject({gateway: {mac: own.mac}, vm: {ip: '10.1.0.77', mac: '02:00:00:00:01:77'}})
  })

  it('tells everybody where no VM is named, and warns', () => {
    const request = garpRequest(order(), inventory, [own])
    expect(request.announce.forms.map(({form}) => form)).toEqual(['reply', 'request'])
    expect(request.warnings.map(({text}) => text).join()).toMatch(/every host of the segment/)
  })

  it('warns where only the port of the VM can show its answers', () => {
    const request = garpRequest(order({vm: 'db-03', mac: '02:00:00:00:0b:77'}), inventory, [own])
    expect(request.warnings.map(({text}) => text).join()).toMatch(/only on the VM's own port/)
  })

  it.each<[string, Partial<GarpOrder>, RegExp]>([
    ['a multicast MAC', {mac: '01:00:5e:00:00:01'}, /multicast MAC/],
    ['the broadcast MAC', {mac: 'ff:ff:ff:ff:ff:ff'}, /multicast MAC/],
    ['the zero MAC', {mac: '00:00:00:00:00:00'}, /the zero MAC/],
    ['no MAC at all', {mac: '02:00:00'}, /not a MAC address/],
    ['a multicast MAC of the VM', {vmIp: '10.1.0.10', vmMac: '33:33:00:00:00:01'}, /--vm-mac .* multicast/],
    ['a gateway outside the segment', {gateway: '10.9.0.1'}, /lies outside 10\.1\.0\.0\/24/],
    [
      'a VM outside the segment',
      {gateway: '10.1.0.254', vmIp: '10.9.0.9', vmMac: '02:00:00:00:01:10'},
      /VM 10\.9\.0\.9 lies outside/,
    ],
    ['an unknown gateway', {gateway: 'bz'}, /neither an IPv4 address nor a gateway.*bx|by/],
    ['an unknown VM', {vm: 'db-3'}, /no VM "db-3".*db-03/],
    ['a gateway that this host is not', {gateway: 'bx'}, /02:00:00:00:0a:02.*on no interface.*--mac 02:00:00:00:0a:02/],
    [
      'a shared gateway IP from a host that is no gateway',
      {gateway: '10.1.0.254', interfaceName: 'eth1'},
      /name the gateway, or give --mac/,
    ],
    [
      'the VM as its own gateway',
      {gateway: '10.1.0.10', vmIp: '10.1.0.10', vmMac: '02:00:00:00:01:10'},
      /both the gateway and the VM/,
    ],
    ['a question without a VM', {form: 'ask'}, /--form ask asks one VM/],
    ['an address no station has', {gateway: '224.0.0.1'}, /224\.0\.0\.1/],
  ])('refuses %s before anything is sent', (_name, over, message) => {
    const other = ethernetInterface({name: 'eth1', mac: '02:00:00:00:00:77', addresses: []})
    const refuse = () => garpRequest(order(over), inventory, [own, other])
    expect(refuse).toThrow(message)
    expect(refuse).toThrow(expect.objectContaining({kind: 'usage'}))
  })

  it('names the interfaces there are', () => {
    expect(() => garpRequest(order({interfaceName: 'eth9'}), inventory, [own])).toThrow(
      expect.objectContaining({kind: 'usage', message: expect.stringMatching(/no interface eth9 here.*eth0/)}),
    )
  })
})
