import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {type SpeakOrder, speakRequest} from '../../../src/orders/garp/speak-request.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface} from '../../support/world.ts'

const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const port = ethernetInterface({name: 'vnet0', mac: 'fe:54:00:00:00:01', addresses: []})
const order = (over: Partial<SpeakOrder> = {}): SpeakOrder => ({
  ...{announce: 'db-03', gateway: 'by', interfaceName: 'vnet0', broadcast: false, listenMs: 100, force: false},
  ...over,
})

describe('speakRequest', () => {
  it('takes everything from the inventory, and says what the answer to a shared address does', () => {
    expect(speakRequest(order(), inventory, [port])).toMatchObject({
      plan: {
        vm: {name: 'db-03', ip: '10.1.0.10', mac: '02:00:00:00:01:10'},
        ...{port: 'vnet0', leg: null, scheduleMs: [0, 50, 200, 450, 800]},
        gateway: {name: 'by', ip: '10.1.0.254', mac: '02:00:00:00:0b:02'},
      },
      warnings: [
        '10.1.0.254 is also the address of bx: the answer of by moves the VM to it; ownIp in the inventory avoids that',
      ],
    })
    expect(speakRequest(order({announce: 'web-07', gateway: 'ry'}), inventory, [port]).warnings).toEqual([])
  })

  it('takes everything from flags', () => {
    const asked = order({announce: '10.9.0.10=02:00:00:00:09:10', gateway: '10.9.0.1', count: 2})
    expect(speakRequest(asked, undefined, []).plan).toMatchObject({
      vm: {name: '10.9.0.10', ip: '10.9.0.10', mac: '02:00:00:00:09:10'},
      gateway: {name: '10.9.0.1', ip: '10.9.0.1', mac: null},
      scheduleMs: [0, 50],
    })
  })

  it('means the gateway that this host is, and writes at its leg', () => {
    const leg = ethernetInterface()
    expect(speakRequest(order({gateway: undefined}), inventory, [port, leg]).plan).toMatchObject({
      ...{leg: 'eth0', gateway: {name: 'by'}},
    })
  })

  it('writes at the leg of the tenant whose bridge the port is in, and at none where that is not known', () => {
    const legs = ['br-a', 'br-b'].map((name) => ethernetInterface({name}))
    expect(speakRequest(order(), inventory, [...legs, port], 'br-b').plan.leg).toBe('br-b')
    expect(speakRequest(order(), inventory, [...legs, port]).plan.leg).toBeNull()
  })

  it('means the gateway of the site that the inventory has the VM at', () => {
    const at = parseInventory(INVENTORY.replace('"02:00:00:00:01:10", s', '"02:00:00:00:01:10", site: x, s'), 'i.yaml')
    expect(speakRequest(order({gateway: undefined}), at, [port]).plan.gateway.name).toBe('bx')
    expect(speakRequest(order({gateway: '10.1.0.254'}), at, [port]).plan.gateway).toMatchObject({
      ...{name: 'bx', mac: '02:00:00:00:0a:02'},
    })
  })

  it.each<[string, Partial<SpeakOrder>, RegExp]>([
    ['a VM that nobody knows', {announce: 'db-04'}, /^--announce db-04 is no VM of the inventory/],
    ['a VM without an address', {announce: '02:00:00:00:01:99'}, /its address is not known: say IP=02:00:00:00:01:99/],
    ['a gateway in the place of a VM', {announce: '10.1.0.254=02:00:00:00:01:99'}, /is the gateway bx/],
    ['an unclear gateway', {gateway: undefined}, /which gateway shall know db-03 is not clear: name it \(bx, by\)/],
    ['an address that two gateways share', {gateway: '10.1.0.254'}, /db-03 is not clear: name it \(bx, by\)/],
    ["another segment's gateway", {gateway: 'ry'}, /^ry is no gateway of db-03's segment/],
    ['a gateway outside the segment', {gateway: '10.9.0.1'}, /lies outside segment tenant-b/],
    ['a MAC that is none', {gateway: '10.1.0.254', mac: '02:00'}, /--mac 02:00 is not a MAC address/],
  ])('refuses %s', (_, over, message) => {
    expect(() => speakRequest(order(over), inventory, [port])).toThrow(message)
  })
})
