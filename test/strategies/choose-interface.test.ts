import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import type {Segment} from '../../src/domain/inventory/site.ts'
import {resolveSwitchover, type Switchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import type {InterfaceFacts} from '../../src/net/ip.ts'
import {askingLeg, chooseInterface} from '../../src/strategies/choose-interface.ts'
import {ethernetInterface} from '../../src/testing/world.ts'
import {INVENTORY} from '../support/inventory.ts'

const BY = '02:00:00:00:0b:02'
const OTHER = '02:00:00:00:0e:01'
const switchover = switchoverFrom(resolveSwitchover(parseInventory(INVENTORY, 'gwswitch.yaml'), {vm: 'db-03', to: 'y'}))
const link = (name: string, mac: string, ip?: string): InterfaceFacts =>
  ethernetInterface({name, mac, addresses: ip === undefined ? [] : [{ip, prefixLength: 24}]})
const vlan = (name: string, id: number): InterfaceFacts => ({...link(name, BY, '10.1.0.253'), vlan: id})
const bare = (name: string, id?: number): InterfaceFacts => ({...link(name, BY), vlan: id})
const inVlan = (vlan: Segment['vlan']): Switchover => ({...switchover, segment: {...switchover.segment, vlan}})
const advice = {otherwise: ': name it', where: 'its gateway'}

describe('the interface that a strategy acts through', () => {
  it.each<[string, readonly InterfaceFacts[], string | undefined, string]>([
    ['the leg of the gateway', [link('a', OTHER, '10.1.0.7'), link('leg', BY)], undefined, 'leg'],
    [
      'of legs with one MAC the one on the segment',
      [link('v1', BY, '10.9.0.1'), link('v2', BY, '10.1.0.253')],
      undefined,
      'v2',
    ],
    [
      'the bridge that has the address, not its port',
      [link('eth1', BY), link('br0', BY, '10.1.0.253')],
      undefined,
      'br0',
    ],
    [
      'another leg on the segment',
      [link('far', OTHER, '10.9.0.1'), link('near', OTHER, '10.1.0.7')],
      undefined,
      'near',
    ],
    [
      'of legs on the segment, where tenants have one prefix, that of its VLAN',
      [vlan('v200', 200), vlan('v100', 100)],
      undefined,
      'v100',
    ],
    [
      'that of its VLAN, where none has an address',
      [bare('v200', 200), bare('v100', 100), bare('trunk')],
      undefined,
      'v100',
    ],
    [
      'the one without an address, of which nobody knows better',
      [link('other', BY, '10.9.0.1'), link('leg', BY)],
      undefined,
      'leg',
    ],
    ['the one that is named', [link('leg', BY), link('vnet0', OTHER)], 'vnet0', 'vnet0'],
  ])('is %s', (_, all, named, wanted) => {
    expect(chooseInterface(all, inVlan(100), named, advice).name).toBe(wanted)
  })

  it.each<[string, readonly InterfaceFacts[], RegExp]>([
    ['legs that nothing tells apart', [link('v1', BY), link('v2', BY)], /^v1, v2 all have by's MAC .* with -i$/],
    [
      'a leg on another segment alone',
      [link('v1', BY, '10.9.0.1')],
      /^no interface here is on segment tenant-b: name it$/,
    ],
    ['legs of other VLANs', [vlan('v200', 200), vlan('v300', 300)], /^v200, v300 all have by's MAC .* with -i$/],
    ['none on the segment', [link('far', OTHER, '10.9.0.1')], /^no interface here is on segment tenant-b: name it$/],
    [
      'the VM itself',
      [link('eth0', '02:00:00:00:01:10', '10.1.0.10')],
      /^eth0 is the VM itself: run this at its gateway$/,
    ],
  ])('is not guessed: %s', (_, all, message) => {
    expect(() => chooseInterface(all, inVlan(100), undefined, advice)).toThrow(message)
  })

  it('is not guessed by a VLAN that nobody wrote down, and may be the one without a tag', () => {
    const legs = [vlan('v100', 100), link('plain', BY, '10.1.0.253')]
    expect(() => chooseInterface(legs, switchover, undefined, advice)).toThrow(/^v100, plain all have/)
    expect(chooseInterface(legs, inVlan('untagged'), undefined, advice).name).toBe('plain')
  })
})

describe('the leg by which a gateway asks for hosts', () => {
  const only32 = ethernetInterface({name: 'vrrp', mac: BY, addresses: [{ip: '10.1.0.254', prefixLength: 32}]})
  const tenants = [link('br-a', BY, '10.1.0.254'), link('br-b', BY, '10.1.0.254'), link('vnet0', OTHER)]
  it.each<[string, readonly InterfaceFacts[], string | undefined, (readonly string[])?]>([
    ['of tenants with one prefix and one MAC that of the bridge of the port', tenants, 'br-b', ['vnet0', 'br-b']],
    ['of those none, where the port is on no such bridge', tenants, undefined, ['vnet0']],
    ['its own', [link('near', OTHER, '10.1.0.7'), link('leg', BY, '10.1.0.253')], 'leg'],
    ['the one below a virtual MAC with a /32', [only32, link('lan', OTHER, '10.1.0.253')], 'lan'],
    ['none, on a host that is another one', [link('near', OTHER, '10.1.0.7')], undefined],
    ['none, where nothing has the prefix', [only32], undefined],
  ])('is %s', (_, all, wanted, places = []) => {
    expect(askingLeg(all, BY, switchover.segment, places)?.name).toBe(wanted)
  })
})
