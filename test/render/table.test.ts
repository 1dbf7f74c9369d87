import displayWidth from 'string-width'
import {describe, expect, it} from 'vitest'
import {foldHanging} from '../../src/render/fold.ts'
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

describe('a sentence of a result', () => {
  it('is folded at the width of the terminal, below where it began', () => {
    expect(foldHanging('ROLLED BACK web-07 is as it was, and nothing else is', 34)).toEqual([
      'ROLLED BACK web-07 is as it was,',
      '            and nothing else is',
    ])
    expect(foldHanging('  1. redirect what it sends to the gateway', 30)).toEqual([
      '  1. redirect what it sends to',
      '     the gateway',
    ])
    expect(foldHanging('            because it says so itself', 30)).toEqual([
      '            because it says so',
      '            itself',
    ])
  })

  it('stays as it is where it fits', () => {
    expect(foldHanging('SWITCHED    db-03', 17)).toEqual(['SWITCHED    db-03'])
  })
})
