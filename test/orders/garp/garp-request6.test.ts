import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import type {GarpOrder} from '../../../src/orders/garp/garp-order.ts'
import {garpRequest} from '../../../src/orders/garp/garp-request.ts'
import {arp} from '../../../src/strategies/arp/arp.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const withIp6 = (bx: string, by: string, vm = '2001:db8:1::10', more = '') =>
  parseInventory(
    INVENTORY.replace('mac: "02:00:00:00:0a:02" }', `mac: "02:00:00:00:0a:02", ip6: [${bx}] }`)
      .replace('mac: "02:00:00:00:0b:02" }', `mac: "02:00:00:00:0b:02", ${more}ip6: [${by}] }`)
      .replace('mac: "02:00:00:00:01:10",', `mac: "02:00:00:00:01:10", ip6: [${vm}],`),
    'gwswitch.yaml',
  )
const shared = withIp6('fe80::1, "2001:db8:1::1"', 'fe80::1, "2001:db8:1::1"')
const apart = withIp6('fe80::a', 'fe80::b')
const own = ethernetInterface()
const order = (over: Partial<GarpOrder> = {}): GarpOrder => ({
  gateway: 'by',
  interfaceName: 'eth0',
  broadcast: false,
  listenMs: 1000,
  ip6: true,
  ...over,
})
const BY = '02:00:00:00:0b:02'

describe('garpRequest for IPv6', () => {
  it('takes the link-local address of a gateway that is named', () => {
    expect(garpRequest(order({vm: 'db-03'}), shared, [own])).toMatchObject({
      gatewayName: 'by',
      announce: {gateway: {ip: 'fe80::1', mac: BY}, vm: {ip: '2001:db8:1::10'}, forms: [{form: 'ask'}]},
    })
  })

  it('takes everything from flags, in any form of address', () => {
    const {announce} = garpRequest(
      order({gateway: 'FE80:0::1', ip6: false, vmIp: '2001:DB8::10', vmMac: '02-00-00-00-01-10', form: 'reply'}),
      undefined,
      [own],
    )
    expect(announce).toMatchObject({
      gateway: {ip: 'fe80::1', mac: BY},
      vm: {ip: '2001:db8::10'},
      forms: [{form: 'reply'}],
    })
  })

  it('moves the default route by a pair of advertisements, and asks for it from off the segment', () => {
    const {announce} = garpRequest(order({vm: 'db-03', form: 'ra', old: 'bx'}), apart, [own])
    expect(announce).toMatchObject({
      gateway: {ip: 'fe80::b', old: 'fe80::a'},
      forms: [{form: 'withdraw'}, {form: 'ra'}],
      echoFrom: '100::1',
    })
  })

  it('redirects one destination, and asks from there', () => {
    const {announce} = garpRequest(
      order({vm: 'db-03', form: 'redirect', old: 'fe80::a', destination: '2001:db8:9::1'}),
      apart,
      [own],
    )
    expect(announce).toMatchObject({
      gateway: {old: 'fe80::a', destination: '2001:db8:9::1'},
      forms: [{form: 'redirect'}],
      echoFrom: '2001:db8:9::1',
    })
  })

  it.each<[string, Partial<GarpOrder>, RegExp]>([
    [
      'an IPv4 VM',
      {vmIp: '10.1.0.10', vmMac: '02:00:00:00:01:10'},
      /--vm-ip 10\.1\.0\.10 is not an IPv6 address, as the gateway's is/,
    ],
    ['a multicast gateway', {gateway: 'ff02::1'}, /no address a station can have/],
    ['the ARP form', {form: 'request'}, /no gratuitous request/],
    ['a question without a VM', {form: 'ask'}, /--form ask is for one VM/],
    ['a redirect without a destination', {vm: 'db-03', form: 'redirect', old: 'bx'}, /give --destination/],
    ['a redirect from nobody', {vm: 'db-03', form: 'redirect', destination: '2001:db8:9::1'}, /name it with --old/],
    ['a router that leaves itself', {vm: 'db-03', form: 'ra', old: 'fe80::b'}, /is the gateway itself/],
    [
      'an advertisement of a global address',
      {gateway: '2001:db8:1::1', form: 'ra', mac: BY},
      /is no link-local address/,
    ],
    ['a gateway that this host is not', {gateway: 'bx'}, /on no interface of this host/],
  ])('refuses %s', (_name, over, message) => {
    expect(() => garpRequest(order(over), apart, [own])).toThrow(
      expect.objectContaining({kind: 'usage', message: expect.stringMatching(message)}),
    )
  })

  it('refuses forms of IPv6 for an IPv4 gateway', () => {
    expect(() => garpRequest(order({ip6: false, form: 'ra'}), apart, [own])).toThrow(/is of IPv6/)
  })
})

describe('the plan of the arp strategy', () => {
  const plan = (inventory: ReturnType<typeof withIp6>, options = {}) =>
    arp.plan(switchoverFrom(resolveSwitchover(inventory, {vm: 'db-03', to: 'y'})), options, fakeWorld())

  it('moves every shared IPv6 address by its neighbour entry', async () => {
    const planned = await plan(shared)
    expect(planned.ip6).toEqual([
      {way: 'neighbour', vmIp: '2001:db8:1::10', from: 'fe80::1', to: 'fe80::1'},
      {way: 'neighbour', vmIp: '2001:db8:1::10', from: '2001:db8:1::1', to: '2001:db8:1::1'},
    ])
    expect(JSON.parse(JSON.stringify(planned))).toEqual(planned)
    expect(arp.describe(planned).join('\n')).toMatch(/fe80::1 is there too, by a neighbour solicitation/)
  })

  it('moves the default route where each site has its own link-local address', async () => {
    const planned = await plan(apart)
    expect(planned.ip6).toEqual([
      {
        ...{way: 'router', vmIp: '2001:db8:1::10', from: 'fe80::a', to: 'fe80::b'},
        ra: {from: {lifetime: 1800, preference: 'medium'}, to: {lifetime: 1800, preference: 'medium'}},
      },
    ])
    expect(planned.frames.map(({form}) => form)).toEqual(['ask', 'reply', 'withdraw', 'ra'])
    expect(arp.describe(planned).join('\n')).toMatch(/fe80::b \(by\) routes from now on, and fe80::a \(bx\) does not/)
  })

  it('says in the name of either router what the inventory says of it', async () => {
    const told = withIp6('fe80::a', 'fe80::b', '2001:db8:1::10', 'ra: { lifetime: 600, preference: high }, ')
    const planned = await plan(told)
    expect(planned.ip6[0]?.ra).toEqual({
      from: {lifetime: 1800, preference: 'medium'},
      to: {lifetime: 600, preference: 'high'},
    })
    const [, , withdraw, ra] = planned.frames
    // Flags behind the hop limit: preference high is 01 at 0x18 (RFC 4191), with lifetime 0 it is medium.
    expect(ra).toMatchObject({text: expect.stringMatching(/routes for 600 s, preference high/)})
    expect(ra!.hex).toMatch(/8600....00080258/)
    expect(withdraw!.hex).toMatch(/8600....00000000/)
  })

  it('warns of the next advertisement of the old router, unless the VM is held', async () => {
    const warning = /^the next router advertisement of bx that reaches db-03 takes its IPv6 back: /
    expect((await plan(apart)).cautions).toEqual([expect.stringMatching(warning)])
    expect((await plan(apart, {guardMs: 60_000})).cautions.join()).not.toMatch(/next router advertisement/)
    expect((await plan(shared)).cautions).toEqual([])
  })

  it('says what it leaves as it is', async () => {
    const noVm = parseInventory(
      INVENTORY.replace('mac: "02:00:00:00:0b:02" }', 'mac: "02:00:00:00:0b:02", ip6: [fe80::1] }'),
      'f',
    )
    expect((await plan(noVm)).cautions).toEqual([
      expect.stringMatching(/leaves IPv6 as it is: the inventory gives db-03 no ip6/),
    ])
    expect((await plan(parseInventory(INVENTORY, 'f'))).cautions).toEqual([])
    expect((await plan(shared, {guardMs: 60_000})).cautions).toEqual([
      expect.stringMatching(/the guard sees that the VM left, not who told it/),
    ])
  })

  it('refuses one MAC at every site: there is nothing to move', async () => {
    const anycast = parseInventory(INVENTORY.replace('02:00:00:00:0a:02', '02:00:00:00:0b:02'), 'f')
    await expect(plan(anycast)).rejects.toThrow(/both at 02:00:00:00:0b:02: one MAC at every site needs no move/)
  })
})
