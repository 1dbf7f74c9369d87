import {describe, expect, it} from 'vitest'
import type {ServeSiteOrder} from '../../../src/services/site/request.ts'
import {serveSiteRequest} from '../../../src/services/site/request.ts'
import {ethernetInterface} from '../../support/world.ts'
import {inventory, keyFile, LEG, order, request, useKeyFile} from './site-fixture.ts'

useKeyFile()

describe('serve site', () => {
  it('finds the segment, the gateway and where it is to be asked', () => {
    expect(request()).toMatchObject({
      ...{site: 'y', segment: {name: 'tenant-a'}, to: {name: 'ry', ip: '10.0.0.2'}, gw6: undefined},
      ...{key: {kid: 'site-y'}, listen: {address: '::', port: 6743}, ask: ['10.0.0.2:6743'], source: '10.0.0.2'},
    })
    // What is switched is signed by the key that was given, also under another name.
    const {inventory: known} = request({kid: 'y-2026'})
    expect(known.segments[0]!.gateways.map(({agentKey}) => agentKey)).toEqual([undefined, keyFile])
    expect(known.vms[0]!.agent?.kid).toBe('y-2026')
    expect(request({kid: 'y-2026'}).key.kid).toBe('y-2026')
  })

  it('is told by the MAC of a leg without an address, and then where it is reached', () => {
    const bare = {...LEG, addresses: []}
    expect(() => serveSiteRequest(order(), inventory(), [bare])).toThrow(
      /seg-a has no address .* --listen ADDRESS:PORT/,
    )
    const told = serveSiteRequest(order({listen: '192.0.2.9'}), inventory(), [bare])
    expect(told).toMatchObject({source: undefined, ask: ['192.0.2.9:6743'], listen: {address: '192.0.2.9', port: 6743}})
    expect(serveSiteRequest(order({beacon: false}), inventory(), [bare]).ask).toEqual([])
  })

  it("takes the site's key of the inventory, and the gateway's IPv6 address as a switch does", () => {
    const known = inventory((text) =>
      text
        .replace('y: { prefixes: [203.0.113.0/24] }', `y: { prefixes: [203.0.113.0/24], agentKey: ${keyFile} }`)
        .replace('ip: 10.0.0.2,', 'ip: 10.0.0.2, ip6: ["fd00::2", "fe80::2"],'),
    )
    expect(request({key: undefined}, known)).toMatchObject({key: {kid: 'site-y'}, gw6: 'fe80::2'})
  })

  it.each<[string, Partial<ServeSiteOrder>, RegExp, ((text: string) => string)?]>([
    ['no such site', {site: 'z'}, /^gwswitch\.yaml: no site "z"/],
    ['a slip', {site: 'ryy'}, /no site "ryy"/],
    ['no such segment', {segment: 'tenant-c'}, /no segment "tenant-c".*did you mean/],
    ['no such interface', {interfaceName: 'eth9'}, /^no interface eth9 here; Ethernet interfaces are: seg-a/],
    ['no key', {key: undefined}, /^no key to sign with: give --key FILE, or write sites\.y\.agentKey/],
    ['a key that is not there', {key: '/nowhere/y.key'}, /^\/nowhere\/y\.key: no such file/],
    ['no address to listen on', {listen: 'eth0:1'}, /^--listen eth0:1: is not ADDRESS:PORT/],
    ['a gateway IP that all sites have', {segment: 'tenant-b'}, /the sites share 10\.1\.0\.254 .*gwswitch filter/],
    [
      'several gateways',
      {},
      /several gateways at site y: name one \(ry, ry2\)/,
      (text) =>
        text.replace(
          'mac: "02:00:00:00:0b:01" }',
          'mac: "02:00:00:00:0b:01" }\n      - { name: ry2, site: y, ip: 10.0.0.3, mac: "02:00:00:00:0b:03" }',
        ),
    ],
  ])('says what is wrong: %s', (_name, over, message, change) => {
    expect(() => request(over, inventory(change))).toThrow(message)
  })

  it('needs an inventory, and an interface on one of its segments', () => {
    expect(() => serveSiteRequest(order(), undefined, [LEG])).toThrow(/^no inventory/)
    const elsewhere = ethernetInterface({
      name: 'seg-a',
      mac: '02:00:00:00:00:77',
      addresses: [{ip: '192.0.2.1', prefixLength: 24}],
    })
    expect(() => serveSiteRequest(order(), inventory(), [elsewhere])).toThrow(/no address on a segment .* --segment/)
  })
})
