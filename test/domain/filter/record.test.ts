import {describe, expect, it} from 'vitest'
import {answersForGateway, type BridgeFacts, planKept, presentOf} from '../../../src/domain/filter/kept.ts'
import {filterTable} from '../../../src/domain/filter/nft-text.ts'
import {interSitePorts, untaggedPorts} from '../../../src/domain/filter/ports.ts'
import {madeWithout, NOTHING_MADE, parseRecord, recordText, withFilters} from '../../../src/domain/filter/record.ts'
import {cutWords, frameWords} from '../../../src/domain/filter/words.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {FILTER, MAC_PROXY, recordedUnits} from '../../../src/domain/units.ts'
import {GROUPS_INVENTORY} from '../../support/fhrp-frames.ts'
import {FILTER_INVENTORY} from '../../support/filter-frames.ts'
import {intentOf} from '../../support/filter-order.ts'

const intent = intentOf(FILTER_INVENTORY, {keepInbound: ['db-03']})
const filter = {hook: 'bridge', intent} as const
const VM_MAC = '02:00:00:00:01:10'

describe('the record of filters', () => {
  it('reads back as it was written', () => {
    const groups = {hook: 'netdev', intent: intentOf(GROUPS_INVENTORY, {force: true})} as const
    const made = {neighbours: [{bridge: 'br0', ip: '10.1.0.10', mac: VM_MAC}], places: [], suppressed: ['vx0']}
    const record = {filters: [filter, groups], made}
    expect(parseRecord(recordText(record), 'filter.json')).toEqual(record)
  })

  it.each(['', '{}', '{"version": 2}', recordText({filters: [], made: NOTHING_MADE}).replace('[]', '[{}]')])(
    'is not read out of %j',
    (text) => expect(() => parseRecord(text, 'filter.json')).toThrow('filter.json: is no record of filters'),
  )

  it('has one filter a segment and set of ports', () => {
    const other = {hook: 'bridge', intent: {...intent, ports: ['vx0', 'vx1']}} as const
    const again = {hook: 'netdev', intent} as const
    expect(withFilters({filters: [filter, other], made: NOTHING_MADE}, [again])).toEqual([again, other])
    expect(filterTable(other.intent)).toBe('gwswitch/tenant-b/vx0/vx1')
    const strange = [['vx0:1'], ['vx0_1']].map((ports) => filterTable({...intent, ports}))
    expect(strange[0]).toMatch(/^gwswitch\/tenant-b\/vx0_1\/[0-9a-f]{16}$/)
    expect(strange[1]).toBe('gwswitch/tenant-b/vx0_1')
  })
})

const facts = (more: Partial<BridgeFacts> = {}): BridgeFacts => ({
  ports: [{name: 'vx0', bridge: 'br0', neighSuppress: false}],
  vlanAware: [],
  forwarding: new Map(),
  neighbours: new Map(),
  ...more,
})

describe('what is made for VMs that have left', () => {
  it('is ours to take away only where it was not there before', () => {
    const {made} = planKept([intent], NOTHING_MADE, facts())
    expect(made).toEqual({
      neighbours: ['10.1.0.10', '2001:db8:1::10'].map((ip) => ({bridge: 'br0', ip, mac: VM_MAC})),
      places: [{bridge: 'br0', mac: VM_MAC}],
      suppressed: ['vx0'],
    })
    const there = facts({
      ports: [{name: 'vx0', bridge: 'br0', neighSuppress: true}],
      forwarding: new Map([['br0', [{mac: VM_MAC, port: 'vx0', own: false, fixed: true}]]]),
      neighbours: new Map([['br0', made.neighbours.map(({ip, mac}) => ({ip, mac, permanent: true}))]]),
    })
    expect(planKept([intent], NOTHING_MADE, there).made, "somebody else's").toEqual(NOTHING_MADE)
    expect(planKept([intent], made, there).made, 'ours, from before').toEqual(made)
    expect(presentOf(madeWithout(made, NOTHING_MADE), there).places).toEqual([
      {bridge: 'br0', mac: VM_MAC, port: 'vx0'},
    ])
  })

  it('waits for a VM that is still behind a port of this site', () => {
    const forwarding = new Map([['br0', [{mac: VM_MAC, port: 'loc', own: false, fixed: false}]]])
    const {places, notes} = planKept([intent], NOTHING_MADE, facts({forwarding}))
    expect(places).toEqual([])
    expect(notes.join()).toContain('db-03 is still here, behind loc')
  })

  it('answers for a gateway only where its entry leads behind a port that suppresses', () => {
    const neighbours = new Map([['br0', [{ip: '10.1.0.254', mac: '02:00:00:00:0b:02', permanent: false}]]])
    const behind = (port: string) => new Map([['br0', [{mac: '02:00:00:00:0b:02', port, own: false, fixed: false}]]])
    const ports = [
      {name: 'vx0', bridge: 'br0', neighSuppress: true},
      {name: 'loc', bridge: 'br0', neighSuppress: false},
    ]
    expect(answersForGateway(intent, facts({ports, neighbours, forwarding: behind('vx0')}))).toHaveLength(1)
    expect(answersForGateway(intent, facts({ports, neighbours, forwarding: behind('loc')}))).toEqual([])
    expect(answersForGateway(intent, facts({ports, neighbours}))).toEqual([])
  })
})

describe('the ports of a filter', () => {
  const host = [{name: 'vx0'}, {name: 'vx0.100', vlanDevice: 100}, {name: 'acc', untaggedVlans: [100]}]
  it('are those that are named, else those of the inventory that are here', () => {
    const segment = {name: 's', ports: ['vx0', 'vx9']}
    expect(interSitePorts(['acc', 'vx0', 'acc'], segment, host)).toEqual(['acc', 'vx0'])
    expect(interSitePorts([], segment, host)).toEqual(['vx0'])
    expect(() => interSitePorts(['vx9'], segment, host)).toThrow('there is no interface "vx9" here')
    expect(() => interSitePorts([], {name: 's'}, host)).toThrow('which ports lead to the other site?')
    expect(() => interSitePorts([], {name: 's', ports: ['vx9']}, host)).toThrow(
      'none of its ports (vx9) is on this host',
    )
  })

  it('see frames of a VLAN without a tag where something took it off', () => {
    const names = host.map(({name}) => name)
    expect(untaggedPorts(100, names, host)).toEqual(['vx0.100', 'acc'])
    expect(untaggedPorts(200, names, host)).toEqual([])
    expect(untaggedPorts('untagged', names, host)).toEqual(names)
    expect(untaggedPorts(undefined, names, host)).toEqual([])
  })

  it('and the VLAN are of the inventory', () => {
    const read = (text: string) => parseInventory(FILTER_INVENTORY.replace('prefix:', `${text}\n    prefix:`), 'i.yaml')
    expect(read('vlan: 100\n    ports: [vx0]').segments[0]).toMatchObject({vlan: 100, ports: ['vx0']})
    expect(intentOf(read('vlan: untagged'))).toMatchObject({vlan: 'untagged', untagged: ['vx0']})
    for (const vlan of ['0', '4095', 'no', '1.5'])
      expect(() => read(`vlan: ${vlan}`)).toThrow('is not a VLAN (want 1 to 4094, or untagged)')
    expect(() => read('ports: ["a b"]')).toThrow('"a b" is not an interface (want vx0)')
  })
})

describe('in words', () => {
  it('a filter says whose frames it means, and what else it cuts', () => {
    expect(frameWords(intent)).toBe('on vx0, every VLAN and none (the inventory gives the segment no "vlan")')
    expect(frameWords({...intent, vlan: 100})).toBe('on vx0, VLAN 100')
    const groups = cutWords(intentOf(GROUPS_INVENTORY, {force: true})).join('\n')
    expect(groups).toContain('all that another VRRP group 7 on the segment sends')
    const bare = cutWords(intentOf(FILTER_INVENTORY.replaceAll(/, ip6: \[.*?\]/g, ''))).join('\n')
    expect(bare).not.toContain('router advertisements')
    expect(cutWords(intent).join('\n')).toContain('router advertisements of every router on the segment')
  })

  it('a unit starts this very program, whatever its path is made of', () => {
    const [apply] = recordedUnits(FILTER, ['/opt/my node/bin/node', '/srv/50%/run.js'])
    expect(apply!.text).toContain('ExecStart="/opt/my node/bin/node" /srv/50%%/run.js filter apply --recorded\n')
    expect(apply!.text).toMatch(/^After=.*nftables\.service/m)
    const units = recordedUnits(MAC_PROXY, ['/usr/bin/gwswitch'])
    expect(units.map(({name}) => name)).toEqual([
      ...['gwswitch-mac-proxy.service', 'gwswitch-mac-proxy-check.service', 'gwswitch-mac-proxy-check.timer'],
    ])
    expect(units[0]!.text).toContain('ExecStart=/usr/bin/gwswitch mac-proxy apply\n')
    expect(units[1]!.text).toContain('ExecStart=/usr/bin/gwswitch mac-proxy list\n')
  })
})
