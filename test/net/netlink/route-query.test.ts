import {describe, expect, it} from 'vitest'
import {attribute, attributeMap, netlinkMessages, u32} from '../../../src/net/netlink/netlink-message.ts'
import {parseAnswer, parsePrefixRoute, routeQuery} from '../../../src/net/netlink/route-query.ts'
import {parseRule} from '../../../src/net/netlink/rule-message.ts'

const hex = (data: Buffer | undefined): string | undefined => data?.toString('hex')
const asked = (query: Parameters<typeof routeQuery>[0]) => {
  const [message] = netlinkMessages(routeQuery(query))
  return {header: message!.body.subarray(0, 12), found: attributeMap(message!.body, 12)}
}

describe('a question for a route', () => {
  it('says all that is known of the packet', () => {
    const {header, found} = asked({
      ...{family: 4, destination: '203.0.113.10', source: '10.0.0.10', mark: 0x80000, uid: 1000, tos: 4},
      ...{ipProtocol: 6, sourcePort: 1024, port: 443, outgoing: 2, incoming: 3},
    })
    // AF_INET, /32 to /32, TOS, and RTM_F_LOOKUP_TABLE.
    expect(hex(header)).toBe('022020040000000000100000')
    expect([1, 2, 16, 25, 27, 28, 29, 4, 3].map((type) => hex(found.get(type)))).toEqual([
      ...['cb00710a', '0a00000a', '00000800', 'e8030000', '06', '0400', '01bb', '02000000', '03000000'],
    ])
  })

  it('of IPv6 has no flag that the kernel refuses there', () => {
    const {header, found} = asked({family: 6, destination: '100::8', match: true})
    expect(hex(header)).toBe('0a8000000000000000200000')
    expect([...found.keys()]).toEqual([1])
  })
})

const answer = (type: number, ...parts: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([2, 32, 0, 0, 254, 0, 0, type, 0, 0, 0, 0]), ...parts])
const GATEWAY = attribute(5, Uint8Array.of(10, 0, 0, 1))
const HOP = Buffer.concat([Buffer.from([16, 0, 0, 0, 2, 0, 0, 0]), GATEWAY])

describe('an answer', () => {
  it('has the gateway, the interface, the table and the source', () => {
    const parts = [attribute(15, u32(1000)), GATEWAY, attribute(4, u32(2)), attribute(7, Uint8Array.of(10, 0, 0, 10))]
    expect(parseAnswer(answer(1, ...parts))).toEqual({
      ...{gateway: '10.0.0.1', interfaceIndex: 2, table: 1000, source: '10.0.0.10', length: 32},
      ...{redirected: false, expiresS: undefined},
    })
  })

  it('of several next hops has the first', () => {
    expect(parseAnswer(answer(1, attribute(9, HOP)))).toMatchObject({gateway: '10.0.0.1', interfaceIndex: 2})
  })

  it('knows an IPv6 next hop of an IPv4 route', () => {
    const via = attribute(18, Uint8Array.of(10, 0, 0xfe, 0x80, ...new Uint8Array(13), 0xa))
    expect(parseAnswer(answer(1, via, attribute(4, u32(2))))).toMatchObject({gateway: 'fe80::a', interfaceIndex: 2})
  })

  it('says that a redirect leads elsewhere, and for how long', () => {
    const cached = attribute(12, Buffer.concat([u32(0), u32(0), u32(29_950), Buffer.alloc(20)]))
    const redirected = answer(1, GATEWAY, attribute(4, u32(2)), cached)
    redirected.writeUInt32LE(0x40200, 8)
    expect(parseAnswer(redirected)).toMatchObject({redirected: true, expiresS: 299})
  })

  it.each<[string, number, boolean | undefined, boolean]>([
    ['none for what is unreachable', 7, undefined, false],
    ["none for this host's own", 2, undefined, false],
    ["one for this host's own where that is asked for", 2, true, true],
  ])('is %s', (_, type, own, found) => {
    const said = parseAnswer(answer(type, attribute(4, u32(1))), {...(own && {own})})
    expect(said?.interfaceIndex).toBe(found ? 1 : undefined)
  })
})

it('a route to a prefix is told with its gateways, a default route and one on-link are not', () => {
  const route = (length: number, ...parts: Buffer[]): Buffer =>
    Buffer.concat([Buffer.from([2, length, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]), ...parts])
  const to = attribute(1, Uint8Array.of(203, 0, 113, 0))
  const expected = {family: 4, table: 254, address: '203.0.113.0', length: 24, gateways: ['10.0.0.1']}
  expect(parsePrefixRoute(route(24, to, GATEWAY))).toEqual(expected)
  expect(parsePrefixRoute(route(24, to, attribute(9, HOP)))).toEqual(expected)
  expect(parsePrefixRoute(route(24, to))).toBeUndefined()
  expect(parsePrefixRoute(route(0, GATEWAY))).toBeUndefined()
})

it('a rule says which packets it is for', () => {
  const rule = Buffer.concat([
    Buffer.from([2, 0, 32, 0, 100, 0, 0, 1, 0, 0, 0, 0]),
    attribute(2, Uint8Array.of(10, 0, 0, 10)),
    attribute(3, Buffer.from('lo\0')),
    attribute(20, Buffer.concat([u32(1000), u32(1999)])),
    attribute(22, Uint8Array.of(6)),
    attribute(24, Uint8Array.of(0xbb, 1, 0xbc, 1)),
  ])
  expect(parseRule(rule)).toMatchObject({
    ...{table: 100, own: false, catchAll: false},
    selector: {
      ...{source: {address: '10.0.0.10', length: 32}, incoming: 'lo', users: {first: 1000, last: 1999}},
      ...{ipProtocol: 6, ports: {first: 443, last: 444}},
    },
  })
  expect(parseRule(Buffer.from([2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]))).toMatchObject({selector: {}, catchAll: true})
})
