// Where `garp --announce` refuses to speak, and what it offers then, on the bridges of a host in memory.
import {expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import type {HostLink} from '../../../src/domain/vantage/vm-port.ts'
import {runSpeak} from '../../../src/orders/garp/run-speak.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const signal = new AbortController().signal
const link = (name: string, kind: string, master?: HostLink['master']): HostLink => ({
  ...{name, kind, master, mac: 'fe:54:00:00:00:01'},
})
const LINKS = [
  link('vnet0', 'tap', {name: 'br0', kind: 'bridge'}),
  link('vnet1', 'tap', {name: 'ovs-system', kind: 'openvswitch'}),
  link('macvtap0', 'macvtap'),
  link('vxlan100', 'vxlan', {name: 'br0', kind: 'bridge'}),
  link('eth0', 'device'),
]

/** The VM was learned nowhere. */
function refusal(interfaceName: string, {isLeg = false, force = false} = {}): Promise<unknown> {
  const order = {announce: 'db-03', gateway: 'by', interfaceName, broadcast: false, listenMs: 0, force}
  const vantage = {
    links: async () => LINKS,
    learned: async () => [],
    injector: () => Promise.reject(new Error('nothing may be sent')),
  }
  const speaker = async () => ({vantage, tables: () => Promise.reject(new Error('nothing may be written'))}) as never
  const world = {...fakeWorld({interfaces: isLeg ? [ethernetInterface()] : []}), speaker}
  return runSpeak(order, inventory, {world, signal, dryRun: false}).then(
    () => {
      throw new Error('it spoke')
    },
    (error: unknown) => error,
  )
}

it.each([
  {name: 'vnet0', isLeg: false, offers: true},
  {name: 'eth0', isLeg: true, offers: true},
  {name: 'eth0', isLeg: false, offers: false},
  {name: 'vnet1', isLeg: false, offers: false},
  {name: 'vnet1', isLeg: true, offers: false},
  {name: 'macvtap0', isLeg: false, offers: false},
  {name: 'vxlan100', isLeg: false, offers: false},
])('refuses a VM that is not at $name (the host is the gateway: $isLeg), and offers --force: $offers', async (each) => {
  const error = await refusal(each.name, each)
  expect(error).toMatchObject({kind: 'runtime'})
  expect(/--force does it/.test((error as Error).message)).toBe(each.offers)
})

it.each([
  {name: 'macvtap0', isLeg: false, kind: 'runtime'},
  {name: 'vnet1', isLeg: true, kind: 'usage'},
])('refuses it with --force at $name too', async (each) => {
  expect(await refusal(each.name, {...each, force: true})).toMatchObject({kind: each.kind})
})
