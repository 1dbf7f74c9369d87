import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {garpManyText, runGarpMany} from '../../../src/orders/garp/garp-many.ts'
import type {GarpOrder} from '../../../src/orders/garp/garp-order.ts'
import {afterRound, askFrames, asksAgain, NO_ROUND} from '../../../src/orders/garp/tell-all.ts'
import {announcementFrame} from '../../../src/strategies/arp/frames.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {type FakeVm, vmBehind} from '../../support/vm.ts'
import {type FakeWorld, fakeWorld} from '../../support/world.ts'

const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const mac = (i: number): string => `02:00:00:00:02:${i.toString(16).padStart(2, '0')}`
const names = [1, 2, 3, 4].map((i) => `vm-${i}`)
const inventory = parseInventory(
  INVENTORY.replace(
    /db-03: .*/,
    names.map((name, i) => `${name}: { segment: tenant-b, ip: 10.1.0.${i + 1}, mac: "${mac(i + 1)}" }`).join('\n  '),
  ),
  'gwswitch.yaml',
)
const order: GarpOrder = {gateway: 'by', interfaceName: 'eth0', broadcast: false, listenMs: 1000}
const stage = (world: FakeWorld, over = {}) => ({world, dryRun: false, signal: new AbortController().signal, ...over})

/** VMs 1 and 2 follow, 3 keeps a permanent entry, 4 is gone; the first frame to 2 is lost. */
function segment() {
  const vms = names.map(
    (_, i): FakeVm => ({
      ip: `10.1.0.${i + 1}`,
      mac: mac(i + 1),
      gatewayMac: BX,
      permanent: i === 2,
      silent: i === 3,
      lose: i === 1 ? 2 : 0,
    }),
  )
  const world: FakeWorld = fakeWorld()
  const open = world.openLink
  world.openLink = async (...args) => ({
    ...(await open(...args)),
    sendMany(frames) {
      for (const frame of frames) {
        world.sent.push(frame)
        const at = vms.findIndex((vm) => Buffer.from(frame).toString('hex', 0, 6) === vm.mac.replaceAll(':', ''))
        vmBehind(vms[at]!, '10.1.0.254')(frame, world)
      }
      return frames.length
    },
  })
  return {vms, world}
}

describe('garp --all', () => {
  it('tells every VM of the segment, goes on with those that did not follow, and says who did', async () => {
    const {vms, world} = segment()
    const document = await runGarpMany(order, inventory, stage(world))
    expect(vms.map(({gatewayMac}) => gatewayMac)).toEqual([BY, BY, BX, BX])
    expect(document.vms.map(({vm, verdict, gatewayUsed}) => [vm.name, verdict, gatewayUsed])).toEqual([
      ['vm-1', 'moved', BY],
      ['vm-2', 'moved', BY],
      ['vm-3', 'not-moved', BX],
      ['vm-4', 'silent', null],
    ])
    expect(document).toMatchObject({schema: 'gwswitch.garp-many/2', exitCode: 4, framesSent: world.sent.length})
    // Round one: four VMs; two: all but the first; then the two that never follow, eight times. Question and echo each.
    expect(world.sent).toHaveLength(2 * (4 + 3 + 8 * 2))
    expect(garpManyText(document).at(-1)).toMatch(/^MOVED {5}2 of 4 VMs send to by/)
  })

  it.each<[string, string, number]>([
    ['nobody answers', '', 3],
    ['all that ever answer do so at once', '+', 4],
    ['one is heard in the second round only', '-+', 10],
    ['every other round brings somebody', '+-+-+', 13],
    ['somebody takes VMs back again and again', '+'.repeat(100), 30],
  ])('ends where %s (%s) after %i rounds', (_name, brought, most) => {
    let rounds = NO_ROUND
    while (asksAgain(rounds)) rounds = afterRound(rounds, brought[rounds.asked] === '+')
    expect(rounds.asked).toBe(most)
  })

  it.each<[string, Partial<GarpOrder>, string[]]>([
    ['those alone that are not at another site', {}, ['vm-2', 'vm-4']],
    ['all of them if it is told so', {otherSites: true}, names],
  ])('tells %s', async (_name, over, told) => {
    const {world} = segment()
    const sites = parseInventory(
      INVENTORY.replace(
        /db-03: .*/,
        // vm-2 has come home since; vm-3 is at the other site by the inventory, and nowhere by the bridge.
        names
          .map((name, i) => {
            const site = i === 1 || i === 2 ? ', site: x' : ''
            return `${name}: { segment: tenant-b, ip: 10.1.0.${i + 1}, mac: "${mac(i + 1)}"${site} }`
          })
          .join('\n  '),
      ),
      'gwswitch.yaml',
    )
    world.bridgeOf = async () => ({portOf: undefined, isBridge: true})
    world.learned = async () => [
      {mac: BX, port: 'vx0', vlan: undefined},
      {mac: mac(1), port: 'vx0', vlan: undefined},
      {mac: mac(2), port: 'vnet2', vlan: undefined},
    ]
    const link = {
      neighSuppress: false,
      openVswitch: false,
      vlanAware: false,
      vlanDevice: undefined,
      vlans: [],
      untaggedVlans: [],
    }
    world.hostLinks = async () =>
      ['vx0', 'vnet2'].map((name) => ({...link, name, bridge: 'eth0', tunnel: name === 'vx0'}))
    const document = await runGarpMany({...order, ...over}, sites, stage(world, {dryRun: true}))
    expect(document.vms.map(({vm}) => vm.name)).toEqual(told)
    const leftAlone = [
      {name: 'vm-1', ip: '10.1.0.1', site: null, port: 'vx0'},
      {name: 'vm-3', ip: '10.1.0.3', site: 'x', port: null},
    ]
    expect(document.leftAlone).toEqual(over.otherSites ? [] : leftAlone)
    const text =
      "left alone: 2 VMs are not at site y: 1 behind vx0 by the bridge's forwarding table (vm-1); 1 at site x by the inventory (vm-3); --other-sites tells them too"
    expect(document.warnings).toEqual(over.otherSites ? [] : [text])
  })

  it('builds the frames that one VM alone would get, tagged ones too', () => {
    const vms = inventory.vms.filter(({segment}) => segment === 'tenant-b')
    const gateway = {ip: '10.1.0.254', mac: BY}
    for (const vlan of [undefined, {id: 7, priority: 0, dropEligible: false}]) {
      const each = vms.map((vm) => announcementFrame('ask', gateway, {vm, vlan}, BX).bytes)
      expect(askFrames(gateway, vms, vlan, BX)).toEqual(each)
    }
  })

  it('sends nothing in a dry run', async () => {
    const {world} = segment()
    const document = await runGarpMany(order, inventory, stage(world, {dryRun: true}))
    expect(document.vms.map(({verdict}) => verdict)).toEqual(['not-sent', 'not-sent', 'not-sent', 'not-sent'])
    expect(world.sent).toHaveLength(0)
    expect(world.openLinks).toBe(0)
  })

  it.each<[string, Partial<GarpOrder>, typeof inventory | undefined, RegExp]>([
    ['without an inventory', {gateway: '10.1.0.254'}, undefined, /needs an inventory/],
    ['beside a VM', {vm: 'vm-1'}, inventory, /every VM in rounds of its own/],
    ['for IPv6', {ip6: true}, inventory, /IPv6 ones VM by VM/],
    ['for a gateway that this host is not', {gateway: 'bx'}, inventory, /on no interface of this host/],
  ])('refuses %s', async (_name, over, known, message) => {
    await expect(runGarpMany({...order, ...over}, known, stage(fakeWorld()))).rejects.toThrow(message)
  })
})
