import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {parseDhcp} from '../../src/wire/dhcp.ts'
import {dhcpOptions} from '../../src/wire/dhcp-options.ts'
import {parseDomainNames, serializeDomainNames} from '../../src/wire/domain-names.ts'
import {goldenOf, udpPayloadOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'

const golden = goldenOf(['dhcpcd'], (frame) => {
  const message = udpPayloadOf(frame, 67)
  return message && parseDhcp(message).options.find(({code}) => code === dhcpOptions.domainSearch.code)?.data
})

const label = fc
  .array(fc.oneof(fc.constantFrom(97, 98), fc.integer({min: 0, max: 255})), {minLength: 1, maxLength: 12})
  .map((codes) => String.fromCharCode(...codes.map((code) => (code === 46 ? 45 : code))))
const names = fc.array(
  fc
    .array(fc.oneof(fc.constantFrom('example', 'site', 'x'), label), {minLength: 1, maxLength: 6})
    .map((labels) => labels.join('.')),
  {maxLength: 6},
)

describeCodec<readonly string[]>({
  name: 'domain names',
  parse: parseDomainNames,
  serialize: serializeDomainNames,
  golden,
  arbitrary: names,
  // Cut in between two names, the list is one name shorter.
  minimum: 0,
})

/** The example of RFC 3397 2: eng.apple.com., marketing.apple.com. */
const RFC_3397 = Uint8Array.of(
  ...[3, 0x65, 0x6e, 0x67, 5, 0x61, 0x70, 0x70, 0x6c, 0x65, 3, 0x63, 0x6f, 0x6d, 0],
  ...[9, 0x6d, 0x61, 0x72, 0x6b, 0x65, 0x74, 0x69, 0x6e, 0x67, 0xc0, 4],
)

describe('domain names', () => {
  it('are compressed as in the example of RFC 3397', () => {
    expect(parseDomainNames(RFC_3397)).toEqual(['eng.apple.com', 'marketing.apple.com'])
    expect(serializeDomainNames(['eng.apple.com', 'marketing.apple.com'])).toEqual(RFC_3397)
  })

  it.each([
    ['without its end', [1, 0x61], 'truncated'],
    ['with a cut label', [3, 0x61, 0x62], 'truncated'],
    ['with a cut pointer', [1, 0x61, 0xc0], 'truncated'],
    ['that points at itself', [0xc0, 0], 'malformed'],
    ['that points forwards', [0xc0, 2, 1, 0x61, 0], 'malformed'],
    ['that goes round in a circle', [1, 0x61, 0xc0, 0], 'malformed'],
    ['with another label type', [0x41, 0x61, 0], 'malformed'],
    ['that is the root', [0], 'malformed'],
    ['with a dot in a label', [3, 0x61, 0x2e, 0x62, 0], 'malformed'],
    ['longer than 255 bytes', [...new Array(5).fill([60, ...new Array(60).fill(0x61)]).flat(), 0], 'malformed'],
  ])('are refused %s', (_what, bytes, reason) => {
    expect(() => parseDomainNames(Uint8Array.from(bytes))).toThrow(expect.objectContaining({reason}))
  })

  it.each(['', 'example.', '.example', 'a..b', 'x'.repeat(64), `${'x'.repeat(63)}.`.repeat(4), 'пример'])(
    'are not %j',
    (name) => {
      expect(() => serializeDomainNames([name])).toThrow(expect.objectContaining({reason: 'out-of-range'}))
    },
  )
})
