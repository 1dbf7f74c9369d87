import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import type {InterfaceFacts} from '../../src/net/ip.ts'
import {answerTo} from '../../src/services/arp-responder/answers.ts'
import {isMeant, portChanges, readyPorts} from '../../src/services/arp-responder/ports.ts'
import {awaitedOf, type ServeArpOrder, serveArp, serveArpRequest} from '../../src/services/arp-responder/serve.ts'
import {BROADCAST, ZERO_MAC} from '../../src/wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp} from '../../src/wire/arp.ts'
import {arpFrame, parseFrame} from '../../src/wire/frames.ts'
import {INVENTORY} from '../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../support/world.ts'

const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const PORT = '02:00:00:00:00:fe'
const VM = {ip: '10.1.0.10', mac: '02:00:00:00:01:10'}
const gateway = {name: 'by', ip: '10.1.0.254', mac: BY}
const vlan = {id: 7, priority: 0, dropEligible: false}
const question: Arp = {
  operation: ARP_REQUEST,
  senderMac: VM.mac,
  senderIp: VM.ip,
  targetMac: ZERO_MAC,
  targetIp: gateway.ip,
}
const ask = (over: Partial<Arp> = {}, to: {destination?: string; source?: string; tagged?: boolean} = {}) =>
  answerTo(
    arpFrame(
      {destination: to.destination ?? BROADCAST, source: to.source ?? VM.mac, ...(to.tagged && {vlan})},
      {...question, ...over},
    ),
    [gateway],
    PORT,
  )

describe('answerTo', () => {
  it("answers a VM with this site's MAC, to it alone, from the port's own", () => {
    const found = ask()!
    expect(found).toMatchObject({gateway, vm: VM, checksAnother: false})
    expect(parseFrame(found.frame)).toMatchObject({
      ethernet: {destination: VM.mac, source: PORT},
      arp: {operation: ARP_REPLY, senderMac: BY, senderIp: gateway.ip, targetMac: VM.mac, targetIp: VM.ip},
    })
  })

  it('keeps the tag of the question', () => {
    expect(parseFrame(ask({}, {tagged: true})!.frame)).toMatchObject({ethernet: {vlan}})
  })

  it.each([
    ['everybody', BROADCAST, false],
    ["this site's gateway", BY, false],
    ["another site's gateway", BX, true],
  ])('knows a VM that asks %s', (_name, destination, checksAnother) => {
    expect(ask({}, {destination})).toMatchObject({checksAnother})
  })

  it.each<[string, Partial<Arp>, {source?: string}]>([
    ['a question for another host', {targetIp: '10.1.0.11'}, {}],
    ['an answer', {operation: ARP_REPLY}, {}],
    ['who claims to be the gateway', {senderIp: gateway.ip}, {}],
    ['what the gateway itself asks', {}, {source: BY}],
    ['what we sent', {}, {source: PORT}],
  ])('lets %s alone', (_name, over, to) => {
    expect(ask(over, to)).toBeUndefined()
  })

  it('lets anything else alone', () => {
    expect(answerTo(new Uint8Array(60), [gateway], PORT)).toBeUndefined()
    expect(answerTo(new Uint8Array(5), [gateway], PORT)).toBeUndefined()
  })
})

describe('the ports', () => {
  const port = (name: string, index: number, over: Partial<InterfaceFacts> = {}): InterfaceFacts =>
    ethernetInterface({name, index, mac: PORT, addresses: [], ...over})

  it.each([
    ['vnet0', 'vnet0', true],
    ['vnet0', 'vnet01', false],
    ['vnet*', 'vnet', true],
    ['vnet*', 'vnet12', true],
    ['vnet*', 'myvnet1', false],
    ['tap?', 'tap1', true],
    ['tap?', 'tap12', false],
    ['a.b', 'axb', false],
    ['*', 'a.b-c@d', true],
  ])('%s means %s: %s', (pattern, name, meant) => expect(isMeant(pattern, name)).toBe(meant))

  it('are those that are meant and carry frames', () => {
    const all = [
      ...[port('vnet0', 1), port('vnet1', 2, {up: false}), port('vnet2', 3, {carrier: false})],
      ...[port('vnet3', 4, {ethernet: false}), port('br0', 5)],
    ]
    expect(readyPorts(['vnet*'], all).map(({name}) => name)).toEqual(['vnet0'])
  })

  it.each<[string, readonly (readonly [string, number])[], readonly (readonly [string, number])[], string[], string[]]>(
    [
      ['stay', [['a', 1]], [['a', 1]], [], []],
      [
        'come',
        [['a', 1]],
        [
          ['a', 1],
          ['b', 2],
        ],
        [],
        ['b'],
      ],
      [
        'go',
        [
          ['a', 1],
          ['b', 2],
        ],
        [['b', 2]],
        ['a'],
        [],
      ],
      ['are made anew', [['a', 1]], [['a', 7]], ['a'], ['a']],
    ],
  )('%s', (_what, served, ready, close, open) => {
    const changes = portChanges(
      new Map(served),
      ready.map(([name, index]) => port(name, index)),
    )
    expect({close: changes.close, open: changes.open.map(({name}) => name)}).toEqual({close, open})
  })

  it('of the service are followed as they come and go; a bridge, or the gateway itself, is never one of them', async () => {
    const interfaces = [port('vnet0', 1), port('vnet-br', 2), port('vnet-gw', 3, {mac: BY})]
    const world = fakeWorld({interfaces, bridges: {other: 'vnet-br'}})
    const request = serveArpRequest(order(['vnet*', 'tap9']), inventory)
    const stop = new AbortController()
    const told: string[] = []
    const serving = serveArp(request, {
      ...{world, signal: stop.signal, log: () => {}, tell: (line) => void told.push(line)},
      ready: (asked, ports) => void told.push(`${ports} ready, ${awaitedOf(asked, ports)} awaited`),
    })
    await world.sleep(500)
    world.deliver(arpFrame({destination: BROADCAST, source: VM.mac}, question))
    await world.sleep(1500)
    expect(world.openLinks).toBe(1)
    interfaces.splice(0, 1, port('tap9', 9))
    await world.sleep(1500)
    interfaces.splice(0, 1, port('vnet0', 11), port('tap9', 9, {up: false}))
    await world.sleep(1500)
    world.deliver(arpFrame({destination: BROADCAST, source: VM.mac}, question))
    await world.sleep(100)
    stop.abort()
    expect(await serving).toMatchObject({
      ports: [
        {interface: 'vnet0', answered: 2},
        {interface: 'tap9', answered: 0},
      ],
      awaited: [],
    })
    expect(told).toEqual([
      'vnet0 ready, tap9 awaited',
      'vnet0 is gone, or down: waiting for it',
      'answering on tap9',
      'tap9 is gone, or down: waiting for it',
      'answering on vnet0',
    ])
    expect(world.openLinks).toBe(0)
    const named = serveArpRequest(order(['vnet-br']), inventory)
    const stage = {world, signal: stop.signal, log: () => {}, tell: () => {}, ready: () => {}}
    await expect(serveArp(named, stage)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(/^vnet-br is a bridge/),
    })
  })

  it('that are named and come later as no VM port are left out, which is said once', async () => {
    const interfaces = [port('vnet0', 1)]
    const world = fakeWorld({interfaces, bridges: {other: 'br9'}})
    const stop = new AbortController()
    const told: string[] = []
    const stage = {world, signal: stop.signal, log: () => {}, ready: () => {}}
    const tell = (line: string): void => void told.push(line)
    const serving = serveArp(serveArpRequest(order(['vnet*', 'br9', 'gw9']), inventory), {...stage, tell})
    await world.sleep(500)
    interfaces.push(port('br9', 8), port('gw9', 9, {mac: BY}), port('vnet-gw', 10, {mac: BY}))
    await world.sleep(3500)
    stop.abort()
    expect(await serving).toMatchObject({ports: [{interface: 'vnet0'}]})
    expect(told).toEqual([
      "br9 is a bridge, through which the other site's VMs are heard too: nothing is answered there",
      'gw9 is the gateway 10.1.0.254 itself, whose kernel answers already: nothing is answered there',
    ])
  })

  function order(interfaceNames: readonly string[]): ServeArpOrder {
    return {interfaceNames, site: 'y', gateways: [], vms: [], hold: false}
  }
  const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
})

describe('serveArpRequest', () => {
  const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
  const order = (over: Partial<ServeArpOrder>): ServeArpOrder => ({
    interfaceNames: ['vnet0'],
    gateways: [],
    vms: [],
    hold: false,
    ...over,
  })

  it('takes the gateways of a site that others share an address with', () => {
    expect(serveArpRequest(order({site: 'y', vms: ['db-03']}), inventory)).toEqual({
      interfaceNames: ['vnet0'],
      gateways: [gateway],
      vms: new Set([VM.mac]),
      hold: false,
      named: [],
      unknown: [],
    })
  })

  it('with --hold knows the named VMs beforehand, each with the gateways of its segment and family', () => {
    const named = (over: Partial<ServeArpOrder>, of = inventory) => {
      const {named, unknown} = serveArpRequest(order({site: 'y', hold: true, ...over}), of)
      return [named.map(({gateway, vm}) => `${vm.ip} ${vm.mac} on ${gateway.ip} at ${gateway.mac}`), unknown]
    }
    const it = `10.1.0.10 ${VM.mac} on 10.1.0.254 at ${BY}`
    expect(named({vms: ['db-03']})).toEqual([[it], []])
    expect(named({vms: [VM.mac, '02:00:00:00:01:77']})).toEqual([[it], ['02:00:00:00:01:77']])
    expect(named({vms: ['web-07'], gateways: ['10.1.0.99=02:00:00:00:0b:09']}), 'not its gateways').toEqual([
      [],
      ['02:00:00:00:00:10'],
    ])
    expect(named({vms: ['db-03'], site: undefined, gateways: [`10.1.0.254=${BX}`]})).toEqual([
      [`10.1.0.10 ${VM.mac} on 10.1.0.254 at ${BX}`],
      [],
    ])
    expect(named({})).toEqual([[], []])
  })

  it('takes them from flags', () => {
    const gateways = ['10.1.0.254=02-00-00-00-0B-02', 'FE80::1=0200.0000.0b02']
    expect(serveArpRequest(order({gateways}), undefined).gateways).toEqual([
      {name: undefined, ip: '10.1.0.254', mac: BY},
      {name: undefined, ip: 'fe80::1', mac: BY},
    ])
  })

  it.each<[string, Partial<ServeArpOrder>, RegExp]>([
    ['nothing to answer', {}, /say what to answer/],
    ['an unknown site', {site: 'z'}, /no site "z"/],
    ['a MAC that is none', {gateways: ['10.1.0.254=zz']}, /want ADDRESS=MAC/],
    ['a multicast MAC', {gateways: ['10.1.0.254=01:00:5e:00:00:01']}, /no station has the MAC/],
    ['two MACs for one address', {gateways: [`10.1.0.254=${BX}`, `10.1.0.254=${BY}`]}, /given two MACs/],
    ['an unknown VM', {site: 'y', vms: ['db-30']}, /neither a MAC nor a VM.*db-03/],
  ])('refuses %s', (_name, over, message) => {
    expect(() => serveArpRequest(order(over), inventory)).toThrow(
      expect.objectContaining({kind: 'usage', message: expect.stringMatching(message)}),
    )
  })

  it('refuses a site without an inventory', () => {
    expect(() => serveArpRequest(order({site: 'y'}), undefined)).toThrow(/needs an inventory/)
  })
})
