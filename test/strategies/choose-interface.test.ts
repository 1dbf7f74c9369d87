import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import type {InterfaceFacts} from '../../src/net/ip.ts'
import {askingLeg, chooseInterface} from '../../src/strategies/choose-interface.ts'
import {ethernetInterface} from '../../src/testing/world.ts'
import {INVENTORY} from '../support/inventory.ts'

const BY = '02:00:00:00:0b:02'
const OTHER = '02:00:00:00:0e:01'
const switchover = switchoverFrom(resolveSwitchover(parseInventory(INVENTORY, 'gwswitch.yaml'), {vm: 'db-03', to: 'y'}))
const link = (name: string, mac: string, ip?: string): InterfaceFacts =>
  ethernetInterface({name, mac, addresses: ip === undefined ? [] : [{ip, prefixLength: 24}]})
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
    ['the one that is named', [link('leg', BY), link('vnet0', OTHER)], 'vnet0', 'vnet0'],
  ])('is %s', (_, all, named, wanted) => {
    expect(chooseInterface(all, switchover, named, advice).name).toBe(wanted)
  })

  it.each<[string, readonly InterfaceFacts[], RegExp]>([
    ['legs that nothing tells apart', [link('v1', BY), link('v2', BY)], /^v1, v2 all have by's MAC .* with -i$/],
    ['none on the segment', [link('far', OTHER, '10.9.0.1')], /^no interface here is on segment tenant-b: name it$/],
    [
      'the VM itself',
      [link('eth0', '02:00:00:00:01:10', '10.1.0.10')],
      /^eth0 is the VM itself: run this at its gateway$/,
    ],
  ])('is not guessed: %s', (_, all, message) => {
    expect(() => chooseInterface(all, switchover, undefined, advice)).toThrow(message)
  })
})

describe('the leg by which a gateway asks for hosts', () => {
  const only32 = ethernetInterface({name: 'vrrp', mac: BY, addresses: [{ip: '10.1.0.254', prefixLength: 32}]})
  it.each<[string, readonly InterfaceFacts[], string | undefined]>([
    ['its own', [link('near', OTHER, '10.1.0.7'), link('leg', BY, '10.1.0.253')], 'leg'],
    ['the one below a virtual MAC with a /32', [only32, link('lan', OTHER, '10.1.0.253')], 'lan'],
    ['none, on a host that is another one', [link('near', OTHER, '10.1.0.7')], undefined],
    ['none, where nothing has the prefix', [only32], undefined],
  ])('is %s', (_, all, wanted) => {
    expect(askingLeg(all, BY, switchover.segment.prefix)?.name).toBe(wanted)
  })
})
