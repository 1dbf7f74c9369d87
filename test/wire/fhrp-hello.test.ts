import {describe, expect, it} from 'vitest'
import {WireError} from '../../src/wire/error.ts'
import {parseHsrp, parseVrrp} from '../../src/wire/fhrp-hello.ts'
import {CARP, HSRP, VRRP2, VRRP3} from '../support/fhrp-hellos.ts'

const reasonOf = (read: () => unknown): string | undefined => {
  try {
    read()
    return undefined
  } catch (error) {
    return error instanceof WireError ? error.reason : 'no WireError'
  }
}

describe('hellos of redundancy protocols', () => {
  it.each([
    ['VRRP version 3', VRRP3],
    ['VRRP version 2', VRRP2],
  ])('%s: group, priority and addresses', (_, bytes) => {
    const read = parseVrrp(Uint8Array.from(bytes))
    expect(read).toEqual({protocol: 'VRRP', group: 51, priority: 150, addresses: ['10.1.0.254']})
  })

  it('HSRP: group, priority and the virtual address', () => {
    const read = parseHsrp(Uint8Array.from(HSRP))
    expect(read).toEqual({protocol: 'HSRP', group: 7, priority: 110, addresses: ['10.1.0.254']})
  })

  it.each([
    ['CARP is none of VRRP', () => parseVrrp(Uint8Array.from(CARP)), 'truncated'],
    [
      'nor is it with its 36 bytes filled up',
      () => parseVrrp(Uint8Array.from([...CARP, ...Array(20).fill(0)])),
      'malformed',
    ],
    ['another version', () => parseVrrp(Uint8Array.of(0x41, 1, 1, 0, 0, 0, 0, 0)), 'unsupported'],
    ['fewer addresses than it says', () => parseVrrp(Uint8Array.from(VRRP3.slice(0, 10))), 'truncated'],
    ['a resign of HSRP', () => parseHsrp(Uint8Array.from([0, 2, ...HSRP.slice(2)])), 'unsupported'],
    ['half a hello of HSRP', () => parseHsrp(Uint8Array.from(HSRP.slice(0, 12))), 'truncated'],
  ])('%s is refused', (_, read, reason) => expect(reasonOf(read)).toBe(reason))
})
