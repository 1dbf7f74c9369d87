import {describe, expect, it} from 'vitest'
import {
  bytes,
  constant,
  hardwareAddress,
  hardwareLength,
  ipv4,
  list,
  mac,
  table,
  text,
  u8,
  u16,
  u32,
} from '../../src/wire/table.ts'

interface Everything {
  readonly one: number
  readonly two: number
  readonly four: number
  readonly ip: string
  readonly station: string
  readonly raw: Uint8Array
  readonly length: number
  readonly hardware: string
  readonly label: string
  readonly last: number
}

const everything = table<Everything>('everything', {
  one: u8,
  two: u16,
  four: u32,
  ip: ipv4,
  station: mac,
  raw: bytes(3),
  length: u8,
  hardware: hardwareAddress('length'),
  label: text(5),
  last: u16,
})

const VALUE: Everything = {
  one: 0xfe,
  two: 0x0102,
  four: 0xfedc_ba98,
  ip: '203.0.113.10',
  station: '02:00:00:00:0a:01',
  raw: Uint8Array.of(7, 8, 9),
  length: 2,
  hardware: '0a:0b',
  label: 'née',
  last: 0xffff,
}

const BYTES = Uint8Array.of(
  ...[0xfe, 0x01, 0x02, 0xfe, 0xdc, 0xba, 0x98, 203, 0, 113, 10, 2, 0, 0, 0, 0x0a, 1, 7, 8, 9],
  ...[2, 0x0a, 0x0b, ...new Uint8Array(14), 0x6e, 0xe9, 0x65, 0, 0, 0xff, 0xff],
)

describe('a table of fields', () => {
  it('reads and writes every kind of field, big-endian', () => {
    expect(everything.size).toBe(BYTES.length)
    expect(everything.parse(BYTES)).toEqual(VALUE)
    expect(everything.serialize(VALUE)).toEqual(BYTES)
  })

  it('says where each field starts', () => {
    const {one, two, four, ip, station, raw, length, hardware, label, last} = everything.offsets
    const offsets = [one, two, four, ip, station, raw, length, hardware, label, last]
    expect(offsets).toEqual([0, 1, 3, 7, 11, 17, 20, 21, 37, 42])
  })

  it('writes into dirty memory at an offset and leaves what is around it alone', () => {
    const out = new Uint8Array(BYTES.length + 10).fill(0xa5)
    everything.write(VALUE, out, 4)
    expect(out.slice(4, -6)).toEqual(BYTES)
    expect([...out.slice(0, 4), ...out.slice(-6)]).toEqual(new Array(10).fill(0xa5))
  })

  it('refuses less than all its bytes', () => {
    expect(() => everything.parse(BYTES.slice(0, -1))).toThrow(
      expect.objectContaining({layer: 'everything', reason: 'truncated', offset: BYTES.length - 1}),
    )
  })

  it('reads text up to a NUL, and to the end of the field without one', () => {
    const bytes = BYTES.slice()
    bytes.set([0x61, 0, 0x62, 0x63, 0x64], 37)
    expect(everything.parse(bytes).label).toBe('a')
    bytes.set([0x61, 0x62, 0x63, 0x64, 0x65], 37)
    expect(everything.parse(bytes).label).toBe('abcde')
  })

  it.each([
    ['one', 256],
    ['one', -1],
    ['one', 1.5],
    ['one', Number.NaN],
    ['two', 65_536],
    ['four', 2 ** 32],
    ['ip', '1.2.3'],
    ['station', '02:00'],
    ['raw', new Uint8Array(4)],
    ['hardware', '0a:0'],
    ['label', 'too long'],
    ['label', 'a\0b'],
    ['label', '€'],
  ])('has no bytes for %s = %s', (field, value) => {
    expect(() => everything.serialize({...VALUE, [field]: value})).toThrow(
      expect.objectContaining({reason: 'out-of-range'}),
    )
  })
})

describe('implied fields', () => {
  const header = table<{readonly hardware: string; readonly rest: readonly string[]}, 'magic' | 'version' | 'length'>(
    'implied',
    {
      magic: constant(u32, 0x6382_5363, 'this is something else'),
      version: constant(u8, 4),
      length: hardwareLength('hardware'),
      hardware: hardwareAddress('length'),
      rest: list(),
    },
  )
  const bytes = Uint8Array.of(0x63, 0x82, 0x53, 0x63, 4, 2, 0x0a, 0x0b, ...new Uint8Array(14))

  it('are not in the value, and follow from it on writing', () => {
    expect(header.parse(bytes)).toEqual({hardware: '0a:0b', rest: []})
    expect(header.serialize({hardware: '0a:0b', rest: ['not', 'here']})).toEqual(bytes)
    expect(header.size).toBe(bytes.length)
    expect(header.offsets).toEqual({magic: 0, version: 4, length: 5, hardware: 6, rest: 22})
  })

  it('give every result a list of its own', () => {
    expect(header.parse(bytes).rest).not.toBe(header.parse(bytes).rest)
  })

  it.each([
    ['a constant', 4, 5, 'unsupported', 'implied: version is 5, only 4 is spoken here'],
    ['a constant with words of its own', 0, 0, 'unsupported', 'implied: this is something else'],
    ['a length above 16', 5, 17, 'malformed', 'implied: length 17 is above 16'],
  ])('are refused: %s', (_what, offset, value, reason, message) => {
    const changed = bytes.slice()
    changed[offset] = value
    expect(() => header.parse(changed)).toThrow(expect.objectContaining({layer: 'implied', reason, offset, message}))
  })
})
