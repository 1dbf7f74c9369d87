import {describe, expect, it} from 'vitest'
import {
  addRule,
  type DefaultRoute,
  isNotifyPeers,
  netlinkMessages,
  ownRoute,
  parseDefaultRoute,
  parseError,
  parseOwnRule,
  replaceRoute,
  viaGateway,
} from '../../../src/net/route-message.ts'

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

  it('of our own comes back, for both families and a table above 255', () => {
    for (const route of [ownRoute(4, 142, '10.0.0.2', 2, false), ownRoute(6, 1000, 'fd00::2', 3, true)]) {
      const {raw: _, ...read} = parseDefaultRoute(Buffer.from(route.raw, 'base64')) as DefaultRoute
      const {raw: __, ...made} = route
      expect(read).toEqual(made)
    }
  })
})

it('a rule of our own comes back, and nobody else is read', () => {
  const rule = {family: 4, priority: 6697, table: 141, mark: {value: 0x670000, mask: 0xff0000}} as const
  const [message] = netlinkMessages(addRule(rule))
  expect(parseOwnRule(message!.body)).toEqual(rule)
  const aside = {family: 6, priority: 6699, table: 254, suppressPrefixLength: 0} as const
  expect(parseOwnRule([...netlinkMessages(addRule(aside))][0]!.body)).toEqual(aside)
  const foreign = Buffer.from(message!.body)
  foreign[foreign.indexOf(Buffer.from([5, 0, 21, 0])) + 4] = 3
  expect(parseOwnRule(foreign)).toBeUndefined()
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
