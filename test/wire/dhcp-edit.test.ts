import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {DHCP_HEADER_LENGTH, DHCP_OFFSETS, parseDhcp, serializeDhcp} from '../../src/wire/dhcp.ts'
import {editDhcpOptions} from '../../src/wire/dhcp-edit.ts'
import {ifWellFormed} from '../../src/wire/error.ts'
import {anyDhcp} from '../support/wire-values.ts'

const HEADER = new Uint8Array(DHCP_HEADER_LENGTH)
HEADER.set([2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78])
HEADER.set([0x63, 0x82, 0x53, 0x63], DHCP_HEADER_LENGTH - 4)

/** A message with these bytes for its options field, and the fields that option 52 opens. */
function message(options: readonly number[], file: readonly number[] = [], sname: readonly number[] = []): Uint8Array {
  const out = Uint8Array.from([...HEADER, ...options])
  out.set(file, DHCP_OFFSETS.file)
  out.set(sname, DHCP_OFFSETS.sname)
  return out
}

const zeros = (count: number): number[] => new Array<number>(count).fill(0)
const edit = (bytes: Uint8Array, edits: Readonly<Record<number, readonly number[]>>) =>
  editDhcpOptions(bytes, new Map(Object.entries(edits).map(([code, data]) => [Number(code), Uint8Array.from(data)])))
const optionsOf = (bytes: Uint8Array): number[] => [...bytes.subarray(DHCP_HEADER_LENGTH)]

const A = [3, 4, 10, 0, 0, 1]
const B = [10, 0, 0, 2]

describe('editDhcpOptions', () => {
  it.each([
    [
      'in its place, all else as it was: pads, an order that is nobody else’s, what lies behind the end',
      [53, 1, 5, 0, 0, ...A, 0, 12, 1, 97, 255, 9, 8, 7],
      {3: B},
      [53, 1, 5, 0, 0, 3, 4, ...B, 0, 12, 1, 97, 255, 9, 8, 7],
    ],
    [
      'with less data: the message keeps its length',
      [...A, 12, 1, 97, 255],
      {3: [1]},
      [3, 1, 1, 12, 1, 97, 255, 0, 0, 0],
    ],
    [
      'with more data: zeros at the end give way',
      [...A, 255, ...zeros(5)],
      {3: [...B, ...B]},
      [3, 8, ...B, ...B, 255, 0],
    ],
    ['with more data and no zeros: the message grows', [...A, 255, 9], {3: [...B, ...B]}, [3, 8, ...B, ...B, 255, 9]],
    [
      'that is split in parts: one option, where the first part was',
      [3, 2, 10, 0, 12, 1, 97, 3, 2, 0, 1, 255],
      {3: B},
      [3, 4, ...B, 12, 1, 97, 255, 0, 0],
    ],
    [
      'that is not there: added at the end',
      [53, 1, 5, 255, ...zeros(6)],
      {58: [0, 0, 0, 9]},
      [53, 1, 5, 58, 4, 0, 0, 0, 9, 255],
    ],
    [
      'that is not there, in front of option 82, which the relay wants last',
      [53, 1, 5, 82, 2, 1, 0, 255],
      {58: [0, 0, 0, 9]},
      [53, 1, 5, 58, 4, 0, 0, 0, 9, 82, 2, 1, 0, 255],
    ],
    ['of no bytes', [...A, 255], {3: []}, [3, 0, 255, 0, 0, 0, 0]],
    ['none at all', [...A, 0, 255, 1], {}, [...A, 0, 255, 1]],
  ])('changes an option %s', (_, options, edits, expected) => {
    expect(optionsOf(edit(message(options), edits as Record<number, number[]>))).toEqual(expected)
  })

  it('splits data of more than 255 bytes, and makes one option of it again', () => {
    const data = Array.from({length: 300}, (_, i) => i & 0xff)
    const once = edit(message([...A, 255]), {3: data})
    expect(optionsOf(once)).toEqual([3, 255, ...data.slice(0, 255), 3, 45, ...data.slice(255), 255])
    expect(optionsOf(edit(once, {3: B})).slice(0, 7)).toEqual([3, 4, ...B, 255])
  })

  it('changes an option that lies in the file or the sname field there, and takes a part of one away', () => {
    const options = [52, 1, 3, 53, 1, 5, 255]
    const once = edit(message(options, [...A, 255], [12, 1, 97, 3, 2, 1, 2, 255]), {3: B})
    expect(optionsOf(once)).toEqual(options)
    expect([...once.subarray(DHCP_OFFSETS.file, DHCP_OFFSETS.file + 8)]).toEqual([3, 4, ...B, 255, 0])
    expect([...once.subarray(DHCP_OFFSETS.sname, DHCP_OFFSETS.sname + 8)]).toEqual([12, 1, 97, 255, 0, 0, 0, 0])
  })

  it('refuses what does not fit the field that it lies in', () => {
    const full = message([52, 1, 2, 255], [], [...A, 12, 54, ...zeros(54), 255])
    expect(() => edit(full, {3: [...B, ...B]})).toThrowError(/no room for the options in 64 bytes/)
    expect(parseDhcp(edit(full, {3: B})).options).toContainEqual({code: 3, data: Uint8Array.from(B), field: 'sname'})
  })

  it.each([
    ['no end option', [53, 1, 5]],
    ['a cut option', [53, 9, 5, 255]],
  ])('refuses %s', (_, options) => {
    expect(() => edit(message(options), {3: B})).toThrowError(/dhcp: /)
  })

  it('leaves whatever message nobody edits as it is, byte for byte, and says no less of one that it edits', () => {
    fc.assert(
      fc.property(anyDhcp, fc.uint8Array({maxLength: 600}), (value, data) => {
        const bytes = serializeDhcp(value, {maximum: 4000})
        expect(editDhcpOptions(bytes, new Map())).toEqual(bytes)
        const edited = ifWellFormed(() => editDhcpOptions(bytes, new Map([[3, data]])))
        if (edited === undefined) return
        const strip = (message: Uint8Array) => {
          const {options, ...header} = parseDhcp(message)
          return {...header, options: options.filter(({code}) => code !== 3)}
        }
        expect(strip(edited)).toEqual(strip(bytes))
        expect(parseDhcp(edited).options.find(({code}) => code === 3)?.data).toEqual(data)
      }),
    )
  })
})
