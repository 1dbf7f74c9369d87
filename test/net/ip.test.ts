// What ip(8) says of routes and rules, as it was written down in a namespace.
import {describe, expect, it} from 'vitest'
import {readNextHops, readOtherDefaults, readRules} from '../../src/net/ip.ts'

describe('readNextHops', () => {
  it('has those that a route shares its flows among, with their weights', () => {
    const output =
      '[{"dst":"default","flags":[],"nexthops":[{"gateway":"10.7.0.1","dev":"eth0","weight":3,"flags":[]},{"via":{"family":"inet6","host":"fe80::b"},"dev":"eth0","weight":1,"flags":[]}]}]'
    expect(readNextHops(output)).toEqual([
      {gateway: '10.7.0.1', weight: 3},
      {gateway: 'fe80::b', weight: 1},
    ])
  })

  it.each([
    ['of one', '[{"dst":"default","gateway":"10.7.0.1","dev":"eth0","flags":[]}]'],
    ['without a route', '[]'],
  ])('is empty %s', (_, output) => expect(readNextHops(output)).toEqual([]))
})

describe('readOtherDefaults', () => {
  it('has all but the one of the lowest metric', () => {
    const output =
      '[{"dst":"default","gateway":"10.7.0.2","dev":"eth1","metric":200,"flags":[]},{"dst":"default","gateway":"10.7.0.1","dev":"eth0","flags":[]},{"dst":"default","dev":"tun0","metric":300,"flags":[]}]'
    expect(readOtherDefaults(output)).toEqual(['10.7.0.2 dev eth1 metric 200', 'dev tun0 metric 300'])
  })
})

describe('readRules', () => {
  it('has those that not every host has', () => {
    const output =
      '0:\tfrom all lookup local\n32764:\tfrom all fwmark 0x7 lookup 100\n32765:\tfrom 10.7.0.77 lookup 100\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n'
    expect(readRules(output)).toEqual(['from all fwmark 0x7 lookup 100', 'from 10.7.0.77 lookup 100'])
  })
})
