import {describe, expect, it} from 'vitest'
import {netlinkMessages, parseError} from '../../../src/net/netlink/netlink-message.ts'
import {
  type DefaultRoute,
  inOwnTable,
  isNotifyPeers,
  parseDefaultRoute,
  replaceRoute,
  viaGateway,
} from '../../../src/net/netlink/route-message.ts'
import {addRule, parseRule} from '../../../src/net/netlink/rule-message.ts'

const attribute = (type: number, ...data: number[]): number[] => {
  const length = data.length + 4
  return [length, 0, type, 0, ...data, ...new Array<number>((4 - (length % 4)) % 4).fill(0)]
}
const U32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255]

/** As the kernel tells of: default via 10.0.0.1 dev 2 proto dhcp src 10.0.0.10 metric 100 mtu lock 1400. */
const DHCP = Buffer.from([
  ...[2, 0, 0, 0, 254, 16, 0, 1, 0x10, 0, 0, 0],
  ...attribute(15, ...U32(254)),
  ...attribute(6, ...U32(100)),
  ...attribute(8, ...attribute(1, ...U32(4)), ...attribute(2, ...U32(1400))),
  ...attribute(7, 10, 0, 0, 10),
  ...attribute(5, 10, 0, 0, 1),
  ...attribute(4, ...U32(2)),
])

describe('a default route', () => {
  it('is read with its key, and written back with all it had but the flags that only the kernel sets', () => {
    const route = parseDefaultRoute(DHCP)!
    expect(route).toMatchObject({
      family: 4,
      table: 254,
      protocol: 16,
      metric: 100,
      gateway: '10.0.0.1',
      interfaceIndex: 2,
      onlink: false,
      compound: false,
    })
    const [written] = netlinkMessages(replaceRoute(route, false))
    const expected = Buffer.from(DHCP)
    expected.writeUInt32LE(0, 8)
    expect(written!.body.equals(expected)).toBe(true)
  })

  it('goes through another gateway with everything else as it was', () => {
    const changed = parseDefaultRoute(Buffer.from(viaGateway(parseDefaultRoute(DHCP)!, '10.0.0.2').raw, 'base64'))!
    const {raw: _, ...rest} = changed
    const {raw: __, ...before} = parseDefaultRoute(DHCP)!
    expect(rest).toEqual({...before, gateway: '10.0.0.2'})
    // The MTU is still in it.
    expect(Buffer.from(changed.raw, 'base64').includes(Buffer.from(attribute(2, ...U32(1400))))).toBe(true)
  })

  it('keeps the rest of its life, if it has one', () => {
    const cacheinfo = [...U32(0), ...U32(0), ...U32(180_000), ...U32(0), ...U32(0), ...U32(0), ...U32(0)]
    const ra = Buffer.from([
      10,
      0,
      0,
      0,
      254,
      9,
      0,
      1,
      0,
      0,
      0,
      0,
      ...attribute(6, ...U32(1024)),
      ...attribute(5, 0xfd, ...new Array<number>(14).fill(0), 1),
      ...attribute(12, ...cacheinfo),
      ...attribute(4, ...U32(2)),
    ])
    const route = parseDefaultRoute(ra)!
    expect(route).toMatchObject({family: 6, gateway: 'fd00::1', protocol: 9})
    expect(Buffer.from(route.raw, 'base64').includes(Buffer.from(attribute(23, ...U32(1800))))).toBe(true)
  })

  it.each<[string, number[]]>([
    ['to a prefix', [2, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]],
    ['from a prefix', [2, 0, 24, 0, 254, 3, 0, 1, 0, 0, 0, 0]],
    ['that is a blackhole', [2, 0, 0, 0, 254, 3, 0, 6, 0, 0, 0, 0]],
    ['of another family', [7, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]],
    ['cut off', [2, 0, 0, 0]],
  ])('is none %s', (_name, bytes) => expect(parseDefaultRoute(Buffer.from(bytes))).toBeUndefined())

  it('of our own has what the one has that it lies over, but its table, protocol, metric and lifetime', () => {
    for (const table of [142, 1000]) {
      const own = inOwnTable(parseDefaultRoute(DHCP)!, table, '10.0.0.2')
      expect(own).toMatchObject({table, protocol: 142, metric: 0, gateway: '10.0.0.2', interfaceIndex: 2})
      const {raw: _, ...read} = parseDefaultRoute(Buffer.from(own.raw, 'base64')) as DefaultRoute
      const {raw: __, ...made} = own
      expect(read).toEqual(made)
      const bytes = Buffer.from(own.raw, 'base64')
      for (const kept of [attribute(2, ...U32(1400)), attribute(7, 10, 0, 0, 10)])
        expect(bytes.includes(Buffer.from(kept))).toBe(true)
      expect(bytes.includes(Buffer.from(attribute(6, ...U32(100))))).toBe(false)
    }
  })

  it('of our own is a plain one and has no lifetime, whatever it lies over', () => {
    const [gateway, oif] = [attribute(5, 0xfd, ...new Array<number>(14).fill(0), 1), attribute(4, ...U32(2))]
    const over = (...more: number[]): Buffer =>
      Buffer.from([10, 0, 0, 0, 254, 9, 0, 1, 0, 0, 0, 0, ...gateway, ...oif, ...more])
    const plain = inOwnTable(parseDefaultRoute(over())!, 142, 'fd00::2')
    const dressed = parseDefaultRoute(over(...attribute(23, ...U32(1800)), ...attribute(30, ...U32(7))))!
    expect(dressed.compound).toBe(true)
    expect(inOwnTable(dressed, 142, 'fd00::2')).toEqual(plain)
    expect(plain.compound).toBe(false)
  })
})

describe('a rule', () => {
  it('of our own comes back as such, with its mark or without', () => {
    for (const rule of [
      {family: 4, priority: 6697, table: 141, mark: {value: 0x670000, mask: 0xff0000}},
      {family: 6, priority: 1, table: 254, mark: {value: 0x670000, mask: 0xff0000, not: true}, suppressPrefixLength: 0},
      {family: 6, priority: 6699, table: 1000},
    ] as const) {
      const [message] = netlinkMessages(addRule(rule))
      expect(parseRule(message!.body)).toEqual({...rule, selector: {}, own: true, catchAll: rule.table === 1000})
    }
  })

  it.each<[string, number[], number[], boolean]>([
    ['for everything', [], [], true],
    ['for everything, from a kernel that always tells what it ignores', [], attribute(14, ...U32(0xffffffff)), true],
    ['from a prefix', [0, 24], attribute(2, 10, 0, 0, 0), false],
    ['to a prefix', [24], attribute(1, 10, 0, 0, 0), false],
    ['for a type of service', [0, 0, 16], [], false],
    ['for a mark', [], attribute(10, ...U32(51820)), false],
    ['for an interface', [], attribute(3, 101, 116, 104, 48, 0), false],
    ['for what nobody knows yet', [], attribute(99, ...U32(1)), false],
    ['for all but something', [0, 0, 0, 254, 0, 0, 1, 2], [], false],
    ['that looks at no default route', [], attribute(14, ...U32(0)), false],
    ['that rejects', [0, 0, 0, 254, 0, 0, 7], [], false],
  ])('of somebody else, %s', (_name, header, attributes, catchAll) => {
    const start = [...header, ...[0, 0, 0, 254, 0, 0, 1].slice(header.length), 0, 0, 0, 0].slice(0, 11)
    const body = Buffer.from([
      2,
      ...start,
      ...attribute(6, ...U32(32765)),
      ...attribute(15, ...U32(254)),
      ...attributes,
    ])
    expect(parseRule(body)).toMatchObject({family: 4, priority: 32765, table: 254, own: false, catchAll})
  })

  it('of another family is none', () => {
    expect(parseRule(Buffer.from([128, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]))).toBeUndefined()
    expect(parseRule(Buffer.from([2]))).toBeUndefined()
  })
})

it('an announcement of the interface is told from other news of it', () => {
  const link = (...attributes: number[]): Buffer => Buffer.from([...new Array<number>(16).fill(0), ...attributes])
  expect(isNotifyPeers(link(...attribute(3, 101, 116, 104, 48, 0), ...attribute(44, ...U32(4))))).toBe(true)
  expect(isNotifyPeers(link(...attribute(44, ...U32(5))))).toBe(false)
  expect(isNotifyPeers(link(...attribute(3, 101, 116, 104, 48, 0)))).toBe(false)
})

it('an error has the number and the words of the kernel', () => {
  const words = Buffer.from('Nexthop has invalid gateway\0')
  const body = Buffer.from([...U32(-101), ...new Array<number>(16).fill(0), ...attribute(1, ...words)])
  expect(parseError({type: 2, flags: 0, sequence: 1, body})).toEqual({errno: 101, text: 'Nexthop has invalid gateway'})
})
