// Which ports are those of VMs, and where the others lead.
import {describe, expect, it} from 'vitest'
import type {InterfaceFacts} from '../../../src/net/ip.ts'
import {arrivalPorts, type PortsQuestion} from '../../../src/services/site/arrival-ports.ts'
import {ethernetInterface} from '../../../src/testing/world.ts'
import {readPrefix} from '../../../src/wire/address.ts'

const PREFIX = readPrefix('10.1.0.0/24')!
const [X, Y] = ['02:00:00:00:0a:02', '02:00:00:00:0b:02']
const gateway = (site: string, mac: string) => ({name: `b${site}`, segment: 's', site, ip: '10.1.0.254', mac})
const segment = {name: 's', prefix: PREFIX, gateways: [gateway('x', X), gateway('y', Y)]}
const inventory = (ports?: readonly string[]): PortsQuestion['inventory'] => ({
  ...{file: 'gwswitch.yaml', sites: [], vms: []},
  segments: [{...segment, ...(ports && {ports})}],
})

const BRIDGE = 2
const link = (name: string, index: number, over: Partial<InterfaceFacts> = {}): InterfaceFacts =>
  ethernetInterface({name, index, bridge: BRIDGE, kind: 'tun', addresses: [], ...over})
const HOST: readonly InterfaceFacts[] = [
  link('br0', BRIDGE, {kind: 'bridge', bridge: undefined}),
  link('tap1i0', 3),
  link('vnet2', 4, {kind: 'veth', carrier: false}),
  link('eth0', 5, {kind: ''}),
  link('vx0', 6, {kind: 'vxlan'}),
  link('vnet9', 7, {bridge: undefined}),
  link('br1', 8, {kind: 'bridge', bridge: undefined}),
  link('vnet8', 9, {bridge: 8}),
]
const ask = (over: Partial<PortsQuestion> = {}, learned: readonly {mac: string; port: string}[] = []) =>
  arrivalPorts({meant: ['br0'], site: 'y', inventory: inventory(), ...over}, HOST, learned)
const names = (ports: ReturnType<typeof ask>): string[] => ports.local.map(({name}) => name)

describe('the ports of VMs', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['of a bridge are those that lead to one VM', ['br0'], ['tap1i0', 'vnet2']],
    ['that fit a pattern may be on any bridge, or none', ['vnet*'], ['vnet2', 'vnet9', 'vnet8']],
    ['that are named are so whatever they are', ['eth0'], ['eth0']],
    ['of all bridges, where none is named', [], ['tap1i0', 'vnet2', 'vnet8']],
    ['are no tunnels', ['v*'], ['vnet2', 'vnet9', 'vnet8']],
    ['are not there yet', ['tap7*'], []],
  ])('%s', (_name, meant, wanted) => {
    expect(names(ask({meant}))).toEqual(wanted)
  })

  it('are not those that lead to another site by the inventory, or by where its gateway is learned', () => {
    expect(names(ask({inventory: inventory(['vnet2'])}))).toEqual(['tap1i0'])
    expect(names(ask({}, [{mac: X, port: 'vnet2'}]))).toEqual(['tap1i0'])
    expect(names(ask({}, [{mac: Y, port: 'vnet2'}]))).toEqual(['tap1i0', 'vnet2'])
  })
})

describe('where a port leads', () => {
  const [TAP, UPLINK, TUNNEL, APART] = [3, 5, 6, 9]
  it.each<[string, number, boolean, Parameters<typeof ask>, string | undefined]>([
    ['to VMs of this host', TAP, false, [], 'local'],
    ['to another site, a tunnel', TUNNEL, true, [], 'inter-site'],
    ['out of this host, an uplink of which nothing is known', UPLINK, false, [], 'other'],
    ['to another site, by the inventory', UPLINK, true, [{inventory: inventory(['eth0'])}], 'inter-site'],
    ['nowhere else then, not by a tunnel either', TUNNEL, true, [{inventory: inventory(['eth0'])}], 'other'],
    ['nowhere that counts, on another bridge', APART, false, [], undefined],
    ['nowhere, an interface that is not there', 99, false, [], undefined],
  ])('%s', (_name, index, isOfSite, args, side) => {
    expect(ask(...args).sideOf(index, 's', isOfSite)).toBe(side)
  })

  it('is not sure where the way to another site carries hosts of this one, too', () => {
    const host = HOST.filter(({name}) => name !== 'vx0')
    const ports = arrivalPorts({meant: ['br0'], site: 'y', inventory: inventory()}, host, [{mac: X, port: 'eth0'}])
    expect(ports.sideOf(UPLINK, 's', false)).toBe('inter-site')
    expect(ports.sideOf(UPLINK, 's', true)).toBe('other')
  })
})
