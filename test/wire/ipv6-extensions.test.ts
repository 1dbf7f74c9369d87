import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {WireError} from '../../src/wire/error.ts'
import {parseIpv6} from '../../src/wire/ipv6.ts'
import {upperLayer} from '../../src/wire/ipv6-extensions.ts'
import {captureFrames, payloadOf} from '../support/captures.ts'

const UDP = 17
const NOT_FRAGMENTED = {fragmentOffset: 0, moreFragments: false}
/** One header of each kind, that names `next` as what follows. */
const HEADERS: readonly {readonly kind: number; bytes(next: number): Uint8Array}[] = [
  ...[0, 43, 60, 135, 139, 140].map((kind) => ({
    kind,
    bytes: (next: number) => Uint8Array.of(next, 1, ...new Uint8Array(14)),
  })),
  {kind: 44, bytes: (next) => Uint8Array.of(next, 0, 0, 1, 0, 0, 0, 7)},
  {kind: 51, bytes: (next) => Uint8Array.of(next, 4, ...new Uint8Array(22))},
]

/** The headers one after the other, and the number of the first. */
function chain(headers: typeof HEADERS, last: number): {readonly first: number; readonly bytes: Uint8Array} {
  const parts = headers.map((header, i) => header.bytes(headers[i + 1]?.kind ?? last))
  return {first: headers[0]?.kind ?? last, bytes: Uint8Array.from(parts.flatMap((part) => [...part]))}
}

describe('upperLayer', () => {
  it('finds the protocol behind any extension headers in any order', () => {
    const some = fc.array(fc.constantFrom(...HEADERS), {maxLength: 6})
    fc.assert(
      fc.property(some, fc.uint8Array({maxLength: 20}), (headers, rest) => {
        const {first, bytes} = chain(headers, UDP)
        const found = upperLayer(first, Uint8Array.of(...bytes, ...rest))
        expect(found).toMatchObject({protocol: UDP, offset: bytes.length, fragmentOffset: 0})
      }),
    )
  })

  it('says where they end if they are cut', () => {
    const {first, bytes} = chain(HEADERS, UDP)
    for (let length = 0; length < bytes.length; length++) {
      expect(() => upperLayer(first, bytes.subarray(0, length))).toThrow(
        expect.objectContaining({layer: 'ipv6', reason: 'truncated', offset: length}),
      )
    }
  })

  it('tells a later fragment, and looks at nothing behind its header', () => {
    const fragment = Uint8Array.of(0, 0, 0x01, 0x38, 0, 0, 0, 7)
    expect(upperLayer(44, fragment)).toEqual({protocol: 0, offset: 8, fragmentOffset: 39, moreFragments: false})
    expect(upperLayer(44, Uint8Array.of(UDP, 0, 0, 1, 0, 0, 0, 7))).toMatchObject({
      fragmentOffset: 0,
      moreFragments: true,
    })
  })

  it.each([6, 17, 50, 58, 59, 255])('takes %i for what the packet is about', (protocol) => {
    expect(upperLayer(protocol, new Uint8Array(0))).toEqual({protocol, offset: 0, ...NOT_FRAGMENTED})
  })

  it('ends on anything, with a value or a WireError', () => {
    fc.assert(
      fc.property(fc.integer({min: 0, max: 255}), fc.uint8Array({maxLength: 80}), (first, bytes) => {
        try {
          expect(upperLayer(first, bytes).offset).toBeLessThanOrEqual(bytes.length)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
      }),
    )
  })

  it('finds nothing to skip in what stock probes send', () => {
    for (const {bytes} of captureFrames('traceroute6')) {
      const packet = payloadOf(bytes, 0x86dd)
      if (packet === undefined) continue
      const {nextHeader, payload} = parseIpv6(packet)
      expect([6, 17, 58]).toContain(upperLayer(nextHeader, payload).protocol)
    }
  })
})
