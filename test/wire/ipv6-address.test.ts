import {isIPv6} from 'node:net'
import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {
  ipv6Bytes,
  ipv6Text,
  isIpv6,
  isLinkLocal,
  isMulticastIpv6,
  linkLocalOf,
  multicastMac,
  readIpv6,
  solicitedNode,
} from '../../src/wire/ipv6-address.ts'

describe('IPv6 addresses', () => {
  it.each([
    // RFC 5952 sections 4 and 5
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::AbCd', '2001:db8::abcd'],
    ['0:0:0:0:0:ffff:c000:0201', '::ffff:192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['fe80::', 'fe80::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ])('%s is written %s', (text, canonical) => {
    expect(readIpv6(text)).toBe(canonical)
  })

  it.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '::1%eth0',
    '::/0',
    '1:2:3:4:5:6:7:8::',
    '::1.2.3',
    '1.2.3.4',
    '1.2.3.4::',
    ' ::1',
    '::1:',
  ])('%j is none', (text) => {
    expect(readIpv6(text)).toBeUndefined()
    expect(isIpv6(text)).toBe(false)
    expect(() => ipv6Bytes(text)).toThrow('is not an IPv6 address')
  })

  it('survives its bytes, and every text of it is the same address', () => {
    const address = fc.uint8Array({minLength: 16, maxLength: 16})
    fc.assert(
      fc.property(address, (bytes) => {
        const text = ipv6Text(bytes)
        expect(isIPv6(text)).toBe(true)
        expect(ipv6Bytes(text)).toEqual(bytes)
        expect(readIpv6(text)).toBe(text)
      }),
    )
    const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 0xabcd), {minLength: 8, maxLength: 8})
    fc.assert(
      fc.property(sparse, (groups) => {
        const long = groups.map((group) => group.toString(16).padStart(4, '0')).join(':')
        const text = readIpv6(long)!
        expect(new URL(`http://[${text}]/`).hostname, 'as another implementation writes it').toBe(
          text.startsWith('::ffff:') && text.includes('.') ? new URL(`http://[${long}]/`).hostname : `[${text}]`,
        )
      }),
    )
  })

  it('agrees with another reader on what is one', () => {
    const alphabet = fc.string({unit: fc.constantFrom(':', '::', '0', '1', 'f', 'abcd', '1.2.3.4', '.'), maxLength: 12})
    fc.assert(
      fc.property(alphabet, (text) => isIpv6(text) === isIPv6(text)),
      {numRuns: 2000},
    )
  })

  it('knows the groups and addresses that go with one', () => {
    expect(solicitedNode('2001:db8::1:abcd:ef01')).toBe('ff02::1:ffcd:ef01')
    expect(multicastMac('ff02::1:ffcd:ef01')).toBe('33:33:ff:cd:ef:01')
    expect(linkLocalOf('02:00:00:00:0a:01')).toBe('fe80::ff:fe00:a01')
    expect(['fe80::1', 'febf::1', 'fec0::1', 'fe8::1'].map(isLinkLocal)).toEqual([true, true, false, false])
    expect(['ff02::1', 'fe80::1', 'ff::1'].map(isMulticastIpv6)).toEqual([true, false, false])
  })
})
