// Whether a strategy speaks for a VM, and for which of its addresses.
import {describe, expect, it} from 'vitest'
import type {Gateway} from '../../../src/domain/inventory/site.ts'
import type {Scene} from '../../../src/strategies/scene.ts'
import {knownAddresses, planSpeaking} from '../../../src/strategies/speak-for/plan.ts'
import {ethernetInterface} from '../../support/world.ts'

const MAC = '02:00:00:00:01:10'
const by: Gateway = {name: 'by', segment: 's', site: 'y', ip: '10.1.0.254', mac: '02:00:00:00:0b:02'}
const segment = {name: 's', prefix: {address: '10.1.0.0', length: 24}, gateways: [by]}
const place = {site: undefined, strategies: []}
const vm = {...place, name: 'db-03', segment: 's', ip: '10.1.0.10', mac: MAC, ip6: ['fe80::10', '2001:db8:1::10']}

function planned({scene = {}, to = by}: {scene?: Partial<Scene>; to?: Gateway}) {
  const own = {interface: 'eth0', ask: {interface: 'eth0', source: '10.1.0.253'}, vantage: 'target', vlan: null}
  return planSpeaking(
    {...own, ...scene} as unknown as Scene,
    {vm, segment, to, interfaces: [ethernetInterface({name: 'eth0'})]},
    true,
  )
}

describe('a strategy that speaks for a VM', () => {
  it('writes at its own leg, and is silent where neither that nor the port is here', () => {
    expect(planned({})).toMatchObject({leg: 'eth0', port: null})
    expect(planned({scene: {vantage: 'host'}, to: {...by, mac: '02:00:00:00:0a:02'}})).toBeNull()
  })

  it('is silent about a VM that may be at another site', () => {
    expect(planned({scene: {otherSite: true}})).toBeNull()
  })

  it('makes the IPv6 of a VM known to a gateway that has some, and to no other', () => {
    expect(knownAddresses(planned({})!)).toEqual(['10.1.0.10'])
    expect(knownAddresses(planned({to: {...by, ip6: ['fe80::1']}})!)).toEqual(['10.1.0.10', '2001:db8:1::10'])
  })
})
