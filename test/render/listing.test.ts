import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {FILTER_COLUMNS, SHOWN_FILTER_COLUMNS} from '../../src/orders/filter/filter-text.ts'
import {HISTORY_COLUMNS} from '../../src/orders/history/history-text.ts'
import {HOOK_COLUMNS} from '../../src/orders/hook/hook-lines.ts'
import {FINDING_COLUMNS} from '../../src/orders/inventory/check-text.ts'
import {PROXY_COLUMNS} from '../../src/orders/mac-proxy/proxy-text.ts'
import {DOCTOR_COLUMNS} from '../../src/render/doctor-text.ts'
import {type Columns, listingLines, type PlainForm} from '../../src/render/listing.ts'
import {STRATEGY_COLUMNS} from '../../src/render/strategies-text.ts'
import {TRACE_COLUMNS} from '../../src/render/trace-listing.ts'
import {WHO_COLUMNS} from '../../src/render/who-text.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/output.md'), 'utf8')

interface Row {
  readonly vm: string
  readonly says: string | null
  readonly packets: number
}

const COLUMNS: Columns<Row> = [
  ['vm', ({vm}) => vm],
  ['it_says', ({says}) => says],
  ['packets', ({packets}) => packets],
]
const ROWS: readonly Row[] = [
  {vm: 'db-03', says: 'plain', packets: 0},
  {vm: 'db-03', says: 'a "b", c', packets: 1},
  {vm: 'web-07', says: null, packets: 12},
  {vm: 'x', says: 'two\nlines', packets: 3},
]

describe('a listing', () => {
  it.each<[PlainForm, readonly string[]]>([
    ['name', ['db-03', 'web-07', 'x']],
    ['csv', ['vm,it_says,packets', 'db-03,plain,0', 'db-03,"a ""b"", c",1', 'web-07,,12', 'x,"two\nlines",3']],
  ])('as %s', (form, lines) => {
    expect(listingLines(ROWS, COLUMNS, form)).toEqual(lines)
  })

  it('as wide has every column under its name, and a dash for what is not known', () => {
    expect(listingLines(ROWS.slice(1, 3), COLUMNS, 'wide')).toEqual([
      'VM      IT SAYS   PACKETS',
      'db-03   a "b", c  1',
      'web-07  -         12',
    ])
  })

  it('has the header alone where there is no row', () => {
    expect(listingLines([], COLUMNS, 'csv')).toEqual(['vm,it_says,packets'])
    expect(listingLines([], COLUMNS, 'name')).toEqual([])
  })

  // Scripts name them: a change is a breaking one.
  it.each<[string, Columns<never>]>([
    ['who', WHO_COLUMNS],
    ['history', HISTORY_COLUMNS],
    ['mac-proxy list', PROXY_COLUMNS],
    ['strategies', STRATEGY_COLUMNS],
    ['trace', TRACE_COLUMNS],
    ['filter show', SHOWN_FILTER_COLUMNS],
    ['filter check', FILTER_COLUMNS],
    ['hook status', HOOK_COLUMNS],
    ['doctor', DOCTOR_COLUMNS],
    ['inventory check', FINDING_COLUMNS],
  ])('of %s has the columns that docs/output.md names', (command, columns) => {
    const row = new RegExp(`^\\| \`${command}\` \\| (.*) \\|$`, 'm').exec(page)?.[1]
    expect(columns.map(([name]) => `\`${name}\``).join(' ')).toBe(row)
  })
})
