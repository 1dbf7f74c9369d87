import {describe, expect, it} from 'vitest'
import type {NftHook} from '../../../src/domain/filter/nft-text.ts'
import {readHostLinks} from '../../../src/net/bridge-host.ts'
import {applyFilters} from '../../../src/orders/filter/apply.ts'
import type {FilterWorld} from '../../../src/probe/filter/filter-world.ts'
import {FILTER_INVENTORY} from '../../support/filter-frames.ts'
import {intentOf} from '../../support/filter-order.ts'

/** As iproute2 6.1 writes it, cut down to what is read. */
const LINKS = JSON.stringify([
  {ifname: 'br0', linkinfo: {info_kind: 'bridge', info_data: {vlan_filtering: 0}}},
  {ifname: 'vx1', master: 'br0', linkinfo: {info_slave_kind: 'bridge'}},
  {ifname: 'eth0', linkinfo: {}},
  {ifname: 'vx0', master: 'ovs-system', linkinfo: {info_kind: 'vxlan', info_slave_kind: 'openvswitch'}},
])

/** A host on which nothing is filtered yet. */
const host = {
  links: async () => readHostLinks(LINKS, '[]'),
  readTables: async () => new Map(),
  compileTables: async () => new Map(),
  bridgeFdb: async () => [],
  neighbours: async () => [],
  readRecord: () => undefined,
} as Partial<FilterWorld> as FilterWorld

function applied(port: string, hook: NftHook, keepInbound: readonly string[] = []) {
  const intent = intentOf(FILTER_INVENTORY, {ports: [port], keepInbound})
  return applyFilters(() => ({filters: [{hook, intent}], refusals: [], notes: []}), host, {dryRun: true})
}

const OVS = 'vx0 is a port of Open vSwitch, whose frames no bridge filter sees'
const NO_PORT = 'eth0 is no port of a bridge here; bridge ports are: vx1'
const NETDEV = '--hook netdev filters at the port itself'
const KEPT = '--keep-inbound takes a bridge'

describe('a filter at a port that is no bridge port', () => {
  it.each<[string, string, NftHook, readonly string[], string]>([
    ['of Open vSwitch', 'vx0', 'bridge', [], `${OVS}; ${NETDEV}`],
    ['of Open vSwitch, with a VM to answer for', 'vx0', 'bridge', ['db-03'], `${OVS}; ${NETDEV}, ${KEPT}`],
    ['of Open vSwitch, at the port itself, with a VM to answer for', 'vx0', 'netdev', ['db-03'], `${OVS}; ${KEPT}`],
    ['of nothing', 'eth0', 'bridge', [], `${NO_PORT}; ${NETDEV}`],
  ])('%s is refused with what works there', async (_what, port, hook, kept, message) => {
    await expect(applied(port, hook, kept)).rejects.toMatchObject({kind: 'usage', message})
  })

  it.each<[string, NftHook]>([
    ['vx0', 'netdev'],
    ['eth0', 'netdev'],
    ['vx1', 'bridge'],
  ])('is not refused at %s by %s', async (port, hook) => {
    expect(await applied(port, hook)).toMatchObject({changed: true, ports: [port]})
  })
})
