import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {
  hardwareText,
  ipv4Text,
  ipv4Value,
  isGroupMac,
  isIpv4,
  isMac,
  macText,
  prefixContains,
  prefixOf,
  prefixText,
  readMac,
  readPrefix,
  writeHardwareAddress,
  writeMac,
} from '../../src/wire/address.ts'
import {arbitrary} from '../support/codec-harness.ts'

const outOfRange = expect.objectContaining({reason: 'out-of-range'})

describe('ipv4 addresses', () => {
  it('go from text to number and back', () => {
    fc.assert(
      fc.property(arbitrary.u32, (value) => {
        expect(ipv4Value(ipv4Text(value))).toBe(value)
        expect(isIpv4(ipv4Text(value))).toBe(true)
      }),
    )
    expect(ipv4Text(0xc0a8_0001)).toBe('192.168.0.1')
    expect(ipv4Text(0)).toBe('0.0.0.0')
  })

  it.each([
    ...['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.', '.1.2.3', '1..2.3', '256.0.0.1', '1.2.3.1000'],
    ...['01.2.3.4', '1.2.3.04', '1.2.3.4 ', ' 1.2.3.4', '1,2,3,4', '0x1.2.3.4', '::1', '1.2.3.-4', '00.0.0.0'],
  ])('are not %j', (text) => {
    expect(isIpv4(text)).toBe(false)
    expect(() => ipv4Value(text)).toThrow(outOfRange)
  })
})

describe('mac addresses', () => {
  it('go from bytes to text and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({minLength: 6, maxLength: 6}), (bytes) => {
        const view = new DataView(bytes.buffer)
        const text = macText(view.getUint16(0), view.getUint32(2))
        expect(text).toBe(Buffer.from(bytes).toString('hex').match(/../g)!.join(':'))
        expect(isMac(text)).toBe(true)
        const out = new Uint8Array(6)
        writeMac(text, out, 0)
        expect(out).toEqual(bytes)
      }),
    )
  })

  it.each(['', '02:00:00:00:0a', '02:00:00:00:0a:0g', '02-00-00-00-0a-01', '02:00:00:00:0a:011', '0200.0000.0a01'])(
    'are not %j on the wire',
    (text) => {
      expect(() => writeMac(text, new Uint8Array(6), 0)).toThrow(outOfRange)
    },
  )

  it.each([
    ['02:00:00:00:0A:01', '02:00:00:00:0a:01'],
    ['02-00-00-00-0a-01', '02:00:00:00:0a:01'],
    ['0200.0000.0a01', '02:00:00:00:0a:01'],
    ['0200:0000:0a01', undefined],
    ['02:00:00:00:0a', undefined],
    ['router', undefined],
  ])('are read as people write them: %s', (text, mac) => {
    expect(readMac(text)).toBe(mac)
  })

  it('know groups', () => {
    expect(['ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '02:00:00:00:00:01'].map(isGroupMac)).toEqual([true, true, false])
  })
})

describe('hardware addresses', () => {
  it('of any length up to 16 go from bytes to text and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 16}), (bytes) => {
        const out = new Uint8Array(20).fill(0xa5)
        writeHardwareAddress(hardwareText(bytes, 0, bytes.length), out, 2)
        expect(out.slice(2, 2 + bytes.length)).toEqual(bytes)
        expect(out.slice(2 + bytes.length, 18)).toEqual(new Uint8Array(16 - bytes.length))
        expect([out[0], out[1], out[18], out[19]]).toEqual([0xa5, 0xa5, 0xa5, 0xa5])
      }),
    )
  })
})

describe('prefixes', () => {
  it('are read and written', () => {
    expect(readPrefix('10.0.0.0/24')).toEqual({address: '10.0.0.0', length: 24})
    expect(prefixText({address: '0.0.0.0', length: 0})).toBe('0.0.0.0/0')
    for (const text of [
      '10.0.0.1/24',
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/24/1',
      '/24',
      '10.0.0.0/024',
    ]) {
      expect(readPrefix(text)).toBeUndefined()
    }
  })

  it('contain their addresses and no others', () => {
    const prefix = {address: '10.0.0.0', length: 25}
    expect(prefixContains(prefix, '10.0.0.127')).toBe(true)
    expect(prefixContains(prefix, '10.0.0.128')).toBe(false)
    expect(prefixContains({address: '0.0.0.0', length: 0}, '255.255.255.255')).toBe(true)
    expect(prefixContains({address: '10.0.0.1', length: 32}, '10.0.0.2')).toBe(false)
    fc.assert(
      fc.property(arbitrary.ipv4, fc.nat(32), (address, length) => {
        const own = prefixOf(address, length)
        expect(prefixContains(own, address)).toBe(true)
        expect(readPrefix(prefixText(own))).toEqual(own)
      }),
    )
  })
})
