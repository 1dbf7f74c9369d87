import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {answerTo} from '../../src/services/arp-responder/answers.ts'
import {type ServeArpOrder, serveArpRequest} from '../../src/services/arp-responder/serve.ts'
import {BROADCAST, ZERO_MAC} from '../../src/wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp} from '../../src/wire/arp.ts'
import {arpFrame, parseFrame} from '../../src/wire/frames.ts'
import {INVENTORY} from '../support/inventory.ts'

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
    })
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
