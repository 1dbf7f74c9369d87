import {describe, expect, it} from 'vitest'
import type {AnnouncedGateway, AnnounceTo, Form} from '../../../src/strategies/arp/announcement.ts'
import {readClaim, readRouterClaim} from '../../../src/strategies/arp/claims.ts'
import {announcementFrame} from '../../../src/strategies/arp/frames.ts'

const B = '02:00:00:00:0b:01'
const gateway: AnnouncedGateway = {ip: 'fe80::1', mac: B, old: 'fe80::a', destination: '2001:db8:9::1'}
const vm = {ip: '2001:db8:1::10', mac: '02:00:00:00:00:10'}
const hex = (form: Form, to: AnnounceTo = {vm}) =>
  Buffer.from(announcementFrame(form, gateway, to, B).bytes).toString('hex')

describe('announcementFrame for IPv6', () => {
  it('asks by a unicast solicitation', () => {
    expect(hex('ask')).toBe(
      '020000000010020000000b0186dd6000000000203afffe80000000000000000000000000000120010db80001000000000000000000108700108d0000000020010db80001000000000000000000100101020000000b01',
    )
  })

  it('advertises with R=1 and O=1', () => {
    expect(hex('reply', {})).toBe(
      '333300000001020000000b0186dd6000000000203afffe800000000000000000000000000001ff0200000000000000000000000000018800cc9aa0000000fe8000000000000000000000000000010201020000000b01',
    )
  })

  it('sends to one VM, and to everybody only where it is told to', () => {
    for (const form of ['ask', 'reply', 'ra', 'withdraw', 'redirect'] as const) {
      expect(hex(form).slice(0, 12), form).toBe('020000000010')
      expect(hex(form, {vm, broadcast: true}).slice(0, 4), form).toBe(form === 'redirect' ? '0200' : '3333')
    }
  })

  it.each([
    ['request', {vm}, /no gratuitous request/],
    ['ask', {}, /asks for a VM/],
    ['redirect', {}, /one VM/],
  ] as const)('has no %s for %o', (form, to, message) => {
    expect(() => announcementFrame(form, gateway, to, B)).toThrow(message)
  })
})

describe('readClaim', () => {
  const old = '02:00:00:00:0a:01'
  const told = (form: Form, ip: string, to: AnnounceTo = {vm: ip.includes(':') ? vm : {...vm, ip: '10.0.0.10'}}) =>
    readClaim(announcementFrame(form, {ip, mac: old, old: 'fe80::1', destination: '2001:db8:9::1'}, to, old).bytes, ip)

  it.each<[Form, string, AnnounceTo | undefined, string]>([
    ['ask', '10.0.0.1', undefined, 'unicast request who-has 10.0.0.10 tell 10.0.0.1'],
    ['reply', '10.0.0.1', {}, 'broadcast gratuitous reply for 10.0.0.1'],
    ['request', '10.0.0.1', {}, 'broadcast gratuitous request for 10.0.0.1'],
    ['ask', 'fe80::1', undefined, 'unicast neighbour solicitation for 2001:db8:1::10 from fe80::1'],
    ['reply', 'fe80::1', {}, 'multicast neighbour advertisement (R O) of fe80::1'],
    ['ra', 'fe80::1', {}, 'multicast router advertisement of fe80::1'],
    ['redirect', 'fe80::9', undefined, 'unicast redirect to fe80::9'],
  ])('names %s of %s', (form, ip, to, text) => {
    expect(told(form, ip, to)).toMatchObject({mac: old, source: old, text})
  })

  it('names another router by its advertisement, and none that says that it routes no longer', () => {
    const said = (form: Form) =>
      readRouterClaim(announcementFrame(form, {ip: 'fe80::a', mac: old, old: 'fe80::a'}, {}, old).bytes)
    expect(said('ra')).toMatchObject({
      ...{router: 'fe80::a', mac: old, source: old, destination: '33:33:00:00:00:01'},
      text: 'multicast router advertisement of fe80::a, which routes for 1800 s',
    })
    expect([said('withdraw'), said('reply'), readRouterClaim(new Uint8Array(9))]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('sees no claim about another address, nor in anything else', () => {
    expect(
      readClaim(
        announcementFrame('ask', {ip: '10.0.0.1', mac: old}, {vm: {...vm, ip: '10.0.0.10'}}, old).bytes,
        '10.0.0.2',
      ),
    ).toBeUndefined()
    expect(readClaim(new Uint8Array(60), '10.0.0.1')).toBeUndefined()
    expect(readClaim(new Uint8Array(3), 'fe80::1')).toBeUndefined()
  })
})
