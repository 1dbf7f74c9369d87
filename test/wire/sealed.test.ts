import {describe, expect, it} from 'vitest'
import {parseSealed, serializeSealed} from '../../src/wire/sealed.ts'

const SECRET = Uint8Array.of(1, 2, 3)
const VALUE = {ask: 'a', mac: '02:00:00:00:00:10'}
const SEALED = serializeSealed(VALUE, SECRET)

describe('a sealed word', () => {
  it('reads as what it was for who has the secret', () => {
    expect(parseSealed(SEALED, SECRET)).toEqual(VALUE)
  })

  it.each<[string, Uint8Array, Uint8Array, string]>([
    ['with another secret', SEALED, Uint8Array.of(1, 2, 4), 'malformed'],
    ['changed in a bit', SEALED.map((byte, i) => (i === 3 ? byte ^ 1 : byte)), SECRET, 'malformed'],
    ['changed in its seal', SEALED.map((byte, i) => (i === SEALED.length - 1 ? byte ^ 1 : byte)), SECRET, 'malformed'],
    ['cut', SEALED.subarray(0, -1), SECRET, 'malformed'],
    ['shorter than a seal', SEALED.subarray(0, 32), SECRET, 'truncated'],
  ])('is none %s', (_, bytes, secret, reason) => {
    expect(() => parseSealed(bytes, secret)).toThrow(expect.objectContaining({layer: 'sealed', reason}))
  })
})
