// Which VMs are at another site, by the ports of a bridge and by the inventory.
import {describe, expect, it} from 'vitest'
import {awayFrom, awayText, leadingPorts} from '../../src/domain/inter-site.ts'
import type {Vm} from '../../src/domain/inventory/site.ts'

const BX = '02:00:00:00:0a:02'
const MAC = '02:00:00:00:01:01'
const gateways = [
  {site: 'x', mac: BX},
  {site: 'y', mac: '02:00:00:00:0b:02'},
]
const vmAt = (site: string | undefined): Vm => ({
  ...{name: 'vm', segment: 's', ip: '10.1.0.1', mac: MAC, strategies: [], site},
})

/** What is left alone of one VM that is learned, with another site's gateway, behind an uplink; or behind another port. */
function left(site: string | undefined, {tunnel = false, ports = [] as string[], behind = 'eno1'} = {}): string {
  const learned = [
    {mac: BX, port: 'eno1', vlan: undefined},
    {mac: MAC, port: behind, vlan: undefined},
  ]
  const all = [
    {name: 'eno1', tunnel},
    {name: 'vnet1', tunnel: false},
  ]
  const leading = leadingPorts({gateways, ports}, 'y', all, learned)
  const certain = leadingPorts({gateways, ports}, 'y', all, [])
  return awayText(awayFrom('y', [vmAt(site)], {leading, certain, learned}), 'y')
}

describe('a VM that is learned', () => {
  const TABLE = "1 VM is not at site y: 1 behind eno1 by the bridge's forwarding table (vm)"
  const SHARED = "1 VM is not at site y: 1 behind eno1, where another site's gateway is too (vm)"
  it.each<[string, string | undefined, Parameters<typeof left>[1], string]>([
    ['behind a tunnel is away, whatever is written', 'y', {tunnel: true}, TABLE],
    ['behind a port of the inventory is away, whatever is written', 'y', {ports: ['eno1']}, TABLE],
    ["behind an uplink with another site's gateway is here, if that is written", 'y', {}, ''],
    ["behind an uplink with another site's gateway is away, if nothing is written", undefined, {}, SHARED],
    ["behind an uplink with another site's gateway is away, if that is written", 'x', {}, SHARED],
    ['behind a port of its own is here, whatever is written', 'x', {behind: 'vnet1'}, ''],
  ])('%s', (_name, site, where, text) => {
    expect(left(site, where)).toBe(text)
  })
})
