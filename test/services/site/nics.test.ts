// A VM of several NICs, by the socket and by what others see: each NIC is a switch of its own.
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {DISPATCH_LIMITS} from '../../../src/domain/movement/dispatch.ts'
import type {Movement} from '../../../src/domain/movement/movement.ts'
import {readControlLine} from '../../../src/services/site/control-line.ts'
import {dispatcher} from '../../../src/services/site/dispatcher.ts'
import {siteOrders} from '../../../src/services/site/orders.ts'
import {movedVms, servedBy} from '../../../src/services/site/served.ts'
import type {SwitchRecord, Wish} from '../../../src/services/site/switch-one.ts'

const SHARED = '02:00:00:00:09:09'
const segment = (name: string, octet: number, gateways: string[]): string => `
  ${name}:
    prefix: 10.${octet}.0.0/24
    gateways:
${gateways.map((site, i) => `      - { name: ${name}-${site}, site: ${site}, ip: 10.${octet}.0.254, mac: "02:00:00:0${octet}:0a:0${i}" }`).join('\n')}`
const INVENTORY = parseInventory(
  `version: 1
sites: {x: {}, y: {}}
segments:${segment('front', 1, ['x', 'y'])}${segment('back', 2, ['x', 'y'])}${segment('mgmt', 3, ['x'])}
vms:
  web:
    segment: front
    ip: 10.1.0.10
    mac: "02:00:00:00:01:10"
    nics:
      - { segment: back, ip: 10.2.0.10, mac: "02:00:00:00:02:10" }
      - { segment: mgmt, ip: 10.3.0.10, mac: "02:00:00:00:03:10" }
  trunk:
    segment: front
    ip: 10.1.0.20
    mac: "02:00:00:00:01:20"
    nics:
      - { segment: back, ip: 10.2.0.20, mac: "02:00:00:00:01:20" }
  one: { segment: front, ip: 10.1.0.30, mac: "${SHARED}" }
  other: { segment: back, ip: 10.2.0.30, mac: "${SHARED}" }
`,
  'gwswitch.yaml',
)

/** The orders of a service whose switches end as `exitCode` of their VM says. */
function ordered(exitCode: (vm: string) => number = () => 0) {
  const begun: string[] = []
  const served = servedBy(INVENTORY, 'y')
  const run = async ({vm, to, by, asked}: Wish): Promise<SwitchRecord> => {
    begun.push(`${vm.name} to ${to}`)
    const code = exitCode(vm.name)
    return {
      ...{vm: vm.name, from: 'x', to, by, asked, strategy: 'arp', detail: 'seen', ms: 1, atMs: 0, before: null},
      ...{outcome: code === 0 ? 'switched' : 'rolled_back', end: code === 0 ? 'switched' : 'rolled-back'},
      ...{code: code === 0 ? 'served' : 'unverified', uses: to, atOnce: false, exitCode: code, error: null},
    } as const
  }
  const dispatch = dispatcher(DISPATCH_LIMITS, {
    ...{nowMs: () => performance.now(), realMs: () => Date.now(), run, onEnded: () => {}, stopped: () => false},
    ...{later: () => {}, site: 'y', log: () => {}},
  })
  const standby = {
    ...{take: () => undefined, lay: async () => {}, expect: () => {}, reload: () => {}},
    ...{gateways: [], plans: 0, close: async () => {}},
  }
  const orders = siteOrders({
    ...{served: () => served, dispatcher: dispatch, standby, history: () => [], status: () => ({}), log: () => {}},
  })
  return {begun, orders, ask: async (line: string) => orders.answer(readControlLine(Buffer.from(line)))}
}

const movement = (over: Partial<Movement>): Movement => ({
  ...{kind: 'arrived', mac: null, vm: null, host: null, atMs: null, source: 'libvirt', port: null},
  ...over,
})

describe('a VM of several NICs', () => {
  it('that arrives is switched NIC by NIC, each once, and one line says what became of each', async () => {
    const {ask, begun} = ordered()
    expect(await ask('arrived web')).toMatchObject({
      ...{ok: true, said: 'begun', vm: 'web', exitCode: 0},
      nics: [
        {vm: 'web/front', said: 'begun'},
        {vm: 'web/back', said: 'begun'},
        {vm: 'web/mgmt', said: 'left-out', segment: 'mgmt'},
      ],
    })
    expect(await ask('arrived web')).toMatchObject({ok: true, said: 'here-already'})
    expect(begun).toEqual(['web/front to front-y', 'web/back to back-y'])
  })

  it('that is switched is answered for when all have ended, as good as the worst', async () => {
    const {ask} = ordered((vm) => (vm === 'web/back' ? 3 : 0))
    expect(await ask('switch web')).toMatchObject({
      ...{ok: false, said: 'several', vm: 'web', exitCode: 3},
      nics: [
        {vm: 'web/front', said: 'switched', ok: true, exitCode: 0},
        {vm: 'web/back', said: 'rolled-back', ok: false, exitCode: 3},
        {vm: 'web/mgmt', said: 'left-out'},
      ],
    })
  })

  it('is switched by the NIC that has the gateway that was named, or that was named itself', async () => {
    const {ask, begun} = ordered()
    expect(await ask('switch web back-y')).toMatchObject({nics: [{vm: 'web/back', said: 'switched'}, {}, {}]})
    const one = await ask('switch web/front')
    expect(one).toMatchObject({said: 'switched', vm: 'web/front'})
    expect(one).not.toHaveProperty('nics')
    expect(begun).toEqual(['web/back to back-y', 'web/front to front-y'])
  })

  it('is told of by one MAC on two segments: both are switched', async () => {
    const {ask, begun} = ordered()
    expect(await ask('arrived 02:00:00:00:01:20')).toMatchObject({said: 'begun', vm: 'trunk', nics: [{}, {}]})
    expect(begun).toEqual(['trunk/front to front-y', 'trunk/back to back-y'])
  })

  it('is expected, and leaves, as a whole', async () => {
    const {ask} = ordered()
    expect(await ask('expect web 30')).toMatchObject({said: 'expected', nics: [{forMs: 30_000}, {forMs: 30_000}, {}]})
    expect(await ask('left web')).toMatchObject({said: 'nothing', nics: [{vm: 'web/front'}, {vm: 'web/back'}, {}]})
  })

  it.each([
    [
      'a port, which is that of one of them',
      'arrived web vnet0',
      /several NICs: name the one at vnet0 \(web\/front, web\/back\)/,
    ],
    ['a MAC of two VMs', `arrived ${SHARED}`, /is the MAC of one \(segment front\) and other \(segment back\)/],
    ['a NIC on a segment that is not served', 'arrived web/mgmt', /segment mgmt of web\/mgmt has no gateway/],
  ])('is not guessed at: %s', async (_name, line, message) => {
    const {ask, begun} = ordered()
    const said = await ask(line)
    expect(said).toMatchObject({ok: false, said: 'unknown', exitCode: 2})
    expect(said.error!.message).toMatch(message)
    expect(begun).toEqual([])
  })

  it.each<[string, Partial<Movement>, string[]]>([
    ['a platform that names it', {vm: 'web'}, ['web/front', 'web/back', 'web/mgmt']],
    ['a platform that says its MAC too', {vm: 'web', mac: '02:00:00:00:02:10'}, ['web/back']],
    ['a port where it was known by its segment', {vm: 'trunk/back', mac: '02:00:00:00:01:20'}, ['trunk/back']],
    ['a MAC alone', {mac: '02:00:00:00:01:20'}, ['trunk/front', 'trunk/back']],
    ['a MAC of several, and a name', {mac: SHARED, vm: 'other'}, ['other']],
    ['a MAC of several alone', {mac: SHARED}, []],
    ['a name that nobody has', {vm: 'nobody'}, []],
  ])('is meant by %s', (_name, over, vms) => {
    expect(movedVms(servedBy(INVENTORY, 'y'), movement(over)).map(({name}) => name)).toEqual(vms)
  })

  it('that its platform says has come is switched NIC by NIC', () => {
    const {orders, begun} = ordered()
    orders.moved(movement({vm: 'web'}))
    expect(begun).toEqual(['web/front to front-y', 'web/back to back-y'])
    expect(orders.counts).toEqual([{source: 'libvirt', kind: 'arrived', said: 'begun', count: 2}])
  })
})
