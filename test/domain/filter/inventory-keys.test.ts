import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'

const read = (x: string, y: string, vm = '') =>
  parseInventory(
    `version: 1
sites: {x: {}, y: {}}
segments:
  s:
    prefix: 10.1.0.0/24
    gateways:
      - { name: gx, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:02"${x} }
      - { name: gy, site: y, ip: 10.1.0.254, ${y} }
vms:
  db-03: { segment: s, ip: 10.1.0.10, mac: "02:00:00:00:01:10"${vm} }
`,
    'gwswitch.yaml',
  )
const Y = 'mac: "02:00:00:00:0b:02"'

describe("a gateway's other addresses", () => {
  it('are read in one form, and left out where nobody wrote them', () => {
    const {segments, vms} = read(
      ', ip6: ["FE80::0001", "2001:DB8::1"], ownIp: 10.1.0.252',
      Y,
      ', ip6: ["2001:db8:0::10"]',
    )
    expect(segments[0]!.gateways[0]).toMatchObject({ip6: ['fe80::1', '2001:db8::1'], ownIp: '10.1.0.252'})
    expect(segments[0]!.gateways[1]).not.toHaveProperty('ip6')
    expect(segments[0]!.gateways[1]).not.toHaveProperty('ownIp')
    expect(vms[0]!.ip6).toEqual(['2001:db8::10'])
  })

  it.each([
    [
      ', ip6: ["10.0.0.1"]',
      'gwswitch.yaml:7:78: segments.s.gateways[0].ip6[0]: "10.0.0.1" is not an IPv6 address (want fe80::1)',
    ],
    [', ip6: ["ff02::1"]', '"ff02::1" is no address of a station (want its own, fe80::1)'],
    [', ip6: ["fe80::1%eth0"]', 'is not an IPv6 address'],
    [', ownIp: 10.1.0.254', "10.1.0.254 is the address of gx and gy (want this router's own)"],
    [', ownIp: 10.2.0.1', '10.2.0.1 is outside 10.1.0.0/24 of segment s'],
  ])('%s is refused where it is wrong', (wrong, message) => {
    expect(() => read(wrong, Y)).toThrow(message)
  })

  it('may be the same MAC at all sites, but nobody else’s', () => {
    const {segments} = read('', 'mac: "02:00:00:00:0a:02"')
    expect(segments[0]!.gateways.map(({mac}) => mac)).toEqual(['02:00:00:00:0a:02', '02:00:00:00:0a:02'])
    expect(() => read('', 'mac: "02:00:00:00:01:10"')).toThrow("02:00:00:00:01:10 is already gy's on segment s")
    expect(() => read(', ownIp: 10.1.0.252', `${Y}, ownIp: 10.1.0.252`)).toThrow('is the address of gx and gy')
  })
})
