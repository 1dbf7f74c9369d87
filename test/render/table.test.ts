import displayWidth from 'string-width'
import {describe, expect, it} from 'vitest'
import {paintWith} from '../../src/render/paint.ts'
import {tableLines} from '../../src/render/table.ts'

const ROWS = [
  ['VM', 'USES', 'PROVED BY'],
  ['db-03', 'by 02:00:00:00:0b:02 (site y)', 'off-segment echo'],
]

describe('a table', () => {
  it('is as wide as its cells where nobody says how wide the terminal is, or where it fits', () => {
    const lines = [
      'VM     USES                           PROVED BY',
      'db-03  by 02:00:00:00:0b:02 (site y)  off-segment echo',
    ]
    expect(tableLines(ROWS)).toEqual(lines)
    expect(tableLines(ROWS, {width: 54})).toEqual(lines)
  })

  it('folds the widest cells between words where it does not fit', () => {
    expect(tableLines(ROWS, {width: 46})).toEqual([
      'VM     USES                   PROVED BY',
      'db-03  by 02:00:00:00:0b:02   off-segment echo',
      '       (site y)',
    ])
  })

  it('parts no word, whatever the terminal', () => {
    const lines = tableLines(ROWS, {width: 20})
    expect(lines.join('\n')).toContain('02:00:00:00:0b:02')
    expect(Math.max(...lines.map((line) => displayWidth(line)))).toBe(5 + 2 + 17 + 2 + 11)
  })

  it('keeps the colour of a cell in each of its lines, and out of the next column', () => {
    const {bad} = paintWith(true)
    const lines = tableLines([[bad('another site'), 'x']], {width: 10})
    expect(lines).toEqual([`${bad('another')}  x`, bad('site')])
  })
})
