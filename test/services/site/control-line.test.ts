import {describe, expect, it} from 'vitest'
import {type ControlOrder, readControlLine} from '../../../src/services/site/control-line.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('a line of the control socket', () => {
  it.each<[string, ControlOrder]>([
    ['switch db-03', {kind: 'switch', who: 'db-03', to: undefined}],
    ['switch db-03 by', {kind: 'switch', who: 'db-03', to: 'by'}],
    ['expect 02:00:00:00:01:10', {kind: 'expect', who: '02:00:00:00:01:10', forMs: 600_000}],
    ['expect db-03 30', {kind: 'expect', who: 'db-03', forMs: 30_000}],
    ['arrived db-03', {kind: 'arrived', who: 'db-03', port: undefined}],
    ['  arrived\tdb-03   vnet0 \r', {kind: 'arrived', who: 'db-03', port: 'vnet0'}],
    ['left db-03', {kind: 'left', who: 'db-03'}],
    ['cancelled db-03', {kind: 'cancelled', who: 'db-03'}],
    ['status', {kind: 'status'}],
    ['history', {kind: 'history', last: 20}],
    ['history 3', {kind: 'history', last: 3}],
    ['reset', {kind: 'reset'}],
  ])('%j is understood', (line, order) => {
    expect(readControlLine(bytes(line))).toEqual(order)
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', bytes(''), /^the line is empty \(want: switch VM \[SITE\|GATEWAY\], expect /],
    ['blanks', bytes(' \t\r'), /^the line is empty/],
    ['a slip', bytes('arived db-03'), /^no such order: "arived".*did you mean/],
    ['a word of every object', bytes('constructor db-03'), /^no such order: "constructor"/],
    ['no VM', bytes('arrived'), /^no VM is named \(want: arrived VM\|MAC \[PORT\]\)$/],
    ['a word too many', bytes('left db-03 vnet0'), /^too many words: "vnet0" \(want: left VM\|MAC\)$/],
    ['more for status', bytes('status db-03'), /^too many words/],
    ['no number', bytes('expect db-03 soon'), /^"soon" is not a whole number from 1 to 86400/],
    ['a number that is too large', bytes('history 101'), /^"101" is not a whole number from 1 to 100/],
    ['bytes that are no text', Uint8Array.of(0x61, 0xff, 0xfe), /^the line is no UTF-8 text$/],
    ['control characters', bytes('arrived db-03\u0000'), /^the line has control characters$/],
    ['an escape sequence', bytes('arrived \u001b[31mdb-03'), /^the line has control characters$/],
    ['a word without an end', bytes('x'.repeat(4000)), /^no such order: "x{64}…"/],
  ])('%s is refused with what would be right', (_name, line, message) => {
    expect(() => readControlLine(line)).toThrow(message)
  })
})
