import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {checksum, fold, pseudoHeaderSum, wordSum, writeChecksum} from '../../src/wire/checksum.ts'

describe('the Internet checksum', () => {
  it('is that of the example in RFC 1071 3', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
    expect(wordSum(bytes)).toBe(0x2_ddf0)
    expect(fold(wordSum(bytes))).toBe(0xddf2)
    expect(checksum(bytes)).toBe(0x220d)
  })

  it('of bytes with their own checksum is 0', () => {
    fc.assert(
      fc.property(fc.uint8Array({minLength: 2, maxLength: 300}), (bytes) => {
        bytes.fill(0, 0, 2)
        writeChecksum(checksum(bytes), bytes, 0)
        expect(checksum(bytes)).toBe(0)
      }),
    )
  })

  it('takes an odd byte as the high half of a word, and parts one by one', () => {
    expect(wordSum(Uint8Array.of(1, 2, 3))).toBe(0x0102 + 0x0300)
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 100}), fc.nat(50), (bytes, words) => {
        const middle = Math.min(words * 2, bytes.length - (bytes.length % 2))
        expect(wordSum(bytes, 0, middle) + wordSum(bytes, middle)).toBe(wordSum(bytes))
        expect(checksum(bytes, middle, bytes.length, wordSum(bytes, 0, middle))).toBe(checksum(bytes))
      }),
    )
  })

  it('stays right over more bytes than 32 bits can sum', () => {
    const bytes = new Uint8Array(262_144).fill(0xff)
    expect(checksum(bytes)).toBe(0)
    expect(fold(2 ** 40)).toBe(2 ** 8)
  })

  it('covers addresses, protocol and length of a pseudo header', () => {
    const ends = {source: '192.168.0.1', destination: '10.0.0.255'}
    expect(pseudoHeaderSum(ends, 17, 20)).toBe(0xc0a8 + 0x0001 + 0x0a00 + 0x00ff + 17 + 20)
  })
})
