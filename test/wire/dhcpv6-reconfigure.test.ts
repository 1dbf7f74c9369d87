import {createHmac} from 'node:crypto'
import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {
  DHCPV6_OPTION_AUTH,
  DHCPV6_RECONFIGURE,
  DHCPV6_RENEW,
  DHCPV6_REPLY,
  dhcpv6Option,
  dhcpv6ReconfigureKey,
  parseDhcpv6,
  readDhcpv6ReconfigureKey,
  serializeDhcpv6,
  serializeDhcpv6Reconfigure,
  verifyDhcpv6Reconfigure,
} from '../../src/wire/dhcpv6-reconfigure.ts'
import {WireError} from '../../src/wire/error.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const key = hex('49f5494a9392438406bc35804a6f7342')
const order = {
  clientDuid: hex('00 01 00 01 32 97 fe 12 02 00 00 00 00 10'),
  serverDuid: hex('00 03 00 01 02 00 00 00 00 0a'),
  messageType: DHCPV6_RENEW,
  key,
  replay: 7n,
} as const

describe('a DHCPv6 Reconfigure', () => {
  it('is laid out as RFC 8415 sections 18.3.11, 20.3 and 20.4 say, its digest over all of it', () => {
    const message = serializeDhcpv6Reconfigure(order)
    const unsigned = hex(
      '0a 000000' +
        '0002 000a 0003000102000000000a' +
        '0001 000e 000100013297fe12020000000010' +
        '0013 0001 05' +
        '000b 001c 03 01 00 0000000000000007 02 00000000000000000000000000000000',
    )
    expect(message.subarray(0, -16)).toEqual(unsigned.subarray(0, -16))
    expect([...message.subarray(-16)]).toEqual([...createHmac('md5', key).update(unsigned).digest()])
    expect(verifyDhcpv6Reconfigure(message, key)).toBe(true)
    expect(verifyDhcpv6Reconfigure(message, new Uint8Array(16))).toBe(false)
    expect(parseDhcpv6(message)).toMatchObject({type: DHCPV6_RECONFIGURE, transactionId: 0})
  })

  it('is not verified once any byte is another', () => {
    const message = serializeDhcpv6Reconfigure(order)
    for (let at = 0; at < message.length; at++) {
      const changed = message.slice()
      changed[at]! ^= 1
      let verified: boolean
      try {
        verified = verifyDhcpv6Reconfigure(changed, key)
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
        verified = false
      }
      expect(verified, `byte ${at}`).toBe(false)
    }
  })

  it('takes its key from a Reply alone that gives one', () => {
    const reply = (data: Uint8Array) => ({
      type: DHCPV6_REPLY,
      transactionId: 1,
      options: [{code: DHCPV6_OPTION_AUTH, data}],
    })
    expect(readDhcpv6ReconfigureKey(reply(dhcpv6ReconfigureKey(1n, key)))).toEqual(key)
    const digest = dhcpv6Option(parseDhcpv6(serializeDhcpv6Reconfigure(order)), DHCPV6_OPTION_AUTH)!
    expect(readDhcpv6ReconfigureKey(reply(digest))).toBeUndefined()
    expect(readDhcpv6ReconfigureKey(reply(digest.subarray(0, 20)))).toBeUndefined()
    expect(readDhcpv6ReconfigureKey({type: DHCPV6_REPLY, transactionId: 1, options: []})).toBeUndefined()
  })

  it.each([{key: new Uint8Array(15)}, {replay: -1n}, {replay: 1n << 64n}])('refuses what has no bytes: %#', (over) => {
    expect(() => serializeDhcpv6Reconfigure({...order, ...over})).toThrow(WireError)
  })
})

describe('DHCPv6 messages', () => {
  const option = fc.record({code: fc.integer({min: 0, max: 0xffff}), data: fc.uint8Array({maxLength: 300})})
  const message = fc.record({
    type: fc.integer({min: 0, max: 255}).filter((type) => type !== 12 && type !== 13),
    transactionId: fc.integer({min: 0, max: 0xff_ffff}),
    options: fc.array(option, {maxLength: 8}),
  })
  it('survive a round trip, options in their order', () => {
    fc.assert(
      fc.property(message, (value) => {
        expect(parseDhcpv6(serializeDhcpv6(value))).toEqual(value)
      }),
    )
  })
  it('that are anything else end in a WireError, and share no memory', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 120}), (bytes) => {
        try {
          const parsed = parseDhcpv6(bytes)
          const before = JSON.stringify(parsed)
          bytes.fill(0xff)
          expect(JSON.stringify(parsed)).toBe(before)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
      }),
      {numRuns: 2000},
    )
  })
  it.each([
    [hex('07'), 'truncated'],
    [hex('07 000001 0001'), 'truncated'],
    [hex('07 000001 0001 0002 00'), 'truncated'],
    [hex('0c 000001'), 'unsupported'],
  ] as const)('%#: are refused with a reason', (bytes, reason) => {
    expect(() => parseDhcpv6(bytes)).toThrow(expect.objectContaining({reason}))
  })
})
