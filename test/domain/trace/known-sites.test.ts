import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {
  knownGatewayOfIp,
  knownGatewayOfMac,
  knownSites,
  otherSite,
  siteOfName,
  siteOfPrefix,
  statedDciRttMs,
} from '../../../src/domain/trace/known-sites.ts'
import {locateHops} from '../../../src/domain/trace/places.ts'
import {judge} from '../../../src/domain/trace/verdict.ts'
import {evidenceOf, KNOWN, RX, TROMBONE} from './evidence-maker.ts'

const inventory = parseInventory(
  `version: 1
sites:
  ams: {prefixes: [198.51.100.0/24, 203.0.0.0/16], dciRttMs: 20}
  fra: {prefixes: [203.0.113.0/24], dciRttMs: 18}
segments:
  a:
    prefix: 10.0.0.0/24
    gateways:
      - {name: rx, site: ams, ip: 10.0.0.1, mac: "02:00:00:00:0a:01"}
      - {name: ry, site: fra, ip: 10.0.0.2, mac: "02:00:00:00:0b:01"}
  b:
    prefix: 10.1.0.0/24
    gateways:
      - {name: bx, site: ams, ip: 10.1.0.254, mac: "02:00:00:00:0b:01"}
      - {name: by, site: fra, ip: 10.1.0.254, mac: "02:00:00:00:0b:02"}
`,
  'inv.yaml',
)
const known = knownSites(inventory, {ip: '10.0.0.10', siteRegex: '\\.([a-z]+)\\d+\\.'})

describe('what is known of places', () => {
  it('is plain JSON', () => expect(JSON.parse(JSON.stringify(known))).toStrictEqual(known))

  it('finds the segment by the host’s address, or takes it as told', () => {
    expect(known.segment).toBe('a')
    expect(knownSites(inventory, {ip: '192.0.2.1'}).segment).toBeNull()
    expect(knownSites(inventory, {ip: '10.0.0.10', segment: 'b'}).segment).toBe('b')
  })

  it('knows a MAC on the host’s segment only', () => {
    expect(knownGatewayOfMac(known, '02:00:00:00:0b:01')!.name).toBe('ry')
    expect(knownGatewayOfMac({...known, segment: 'b'}, '02:00:00:00:0b:01')!.name).toBe('bx')
    expect(knownGatewayOfMac(known, '02:00:00:00:0b:02')).toBeUndefined()
  })

  it('knows the gateway of an address unless two sites share it', () => {
    expect(knownGatewayOfIp(known, '10.0.0.2')!.name).toBe('ry')
    expect(knownGatewayOfIp(known, '10.1.0.254')).toBeUndefined()
  })

  it('knows sites by the longest prefix and by name', () => {
    expect(siteOfPrefix(known, '203.0.113.9')).toBe('fra')
    expect(siteOfPrefix(known, '203.0.114.9')).toBe('ams')
    expect(siteOfPrefix(known, '192.0.2.9')).toBeUndefined()
    expect(siteOfName(known, 'ae1.FRA2.example.net')).toBe('fra')
    expect(siteOfName(known, 'ae1.lon2.example.net')).toBeUndefined()
    expect(siteOfName({...known, siteRegex: null}, 'ae1.fra2.example.net')).toBeUndefined()
  })

  it.each([
    ['(', /does not parse/],
    ['fra|ams', /has no group/],
    ['(?:fra)', /has no group/],
  ])('refuses %s as a site regex', (siteRegex, message) => {
    expect(() => knownSites(inventory, {ip: '10.0.0.10', siteRegex})).toThrow(message)
  })

  it('knows the other site of two', () => {
    expect(otherSite(known, 'ams')).toBe('fra')
    expect(otherSite(known, 'lon')).toBeUndefined()
    expect(
      otherSite({...known, sites: [...known.sites, {name: 'lon', prefixes: [], dciRttMs: null}]}, 'ams'),
    ).toBeUndefined()
  })

  it('states the smaller DCI round trip of two sites, and none within one', () => {
    expect(statedDciRttMs(known, 'ams', 'fra')).toBe(18)
    expect(statedDciRttMs(known, null, null)).toBe(18)
    expect(statedDciRttMs(known, 'ams', 'ams')).toBeUndefined()
    expect(statedDciRttMs({...known, sites: []}, null, null)).toBeUndefined()
  })
})

describe('the place of a hop', () => {
  const withReply = (reply: object) => {
    const evidence = evidenceOf({...TROMBONE, known: {...KNOWN, siteRegex: '\\.([a-z]+)\\d+\\.'}})
    const hops = evidence.current.hops.map((hop) =>
      hop.ttl === 2 ? {...hop, replies: hop.replies.map((each) => ({...each, ...reply}))} : hop,
    )
    const changed = {...evidence, current: {...evidence.current, hops}}
    return locateHops(changed, judge(changed).places, 0)[1]!
  }
  const ifInfo = (address: string) => [{kind: 'interface', role: 'incoming', address}]

  it.each([
    ['nothing', {address: '192.0.2.1'}, null, null],
    ['its prefix', {address: '198.51.100.1'}, 'x', 'prefix'],
    ['an interface object', {address: '192.0.2.1', ifInfo: ifInfo('203.0.113.1')}, 'y', 'if-info'],
    ['its name', {address: '192.0.2.1', dnsName: 'ae1.x2.example.net'}, 'x', 'name'],
    ['two that agree', {address: '198.51.100.1', dnsName: 'ae1.x2.example.net'}, 'x', 'prefix'],
    ['two that differ', {address: '198.51.100.1', dnsName: 'ae1.y2.example.net'}, null, 'conflict'],
    ['never the MAC of the way back', {address: '192.0.2.1', returnMac: RX.mac}, null, null],
  ])('is told by %s', (_, reply, site, source) => {
    expect(withReply(reply)).toMatchObject({site, source})
  })
})
