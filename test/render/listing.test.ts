import {describe, expect, it} from 'vitest'
import {HISTORY_COLUMNS} from '../../src/orders/history/history-text.ts'
import {PROXY_COLUMNS} from '../../src/orders/mac-proxy/proxy-text.ts'
import {type Columns, listingLines, type PlainForm} from '../../src/render/listing.ts'
import {TRACE_COLUMNS} from '../../src/render/trace-listing.ts'
import {WHO_COLUMNS} from '../../src/render/who-text.ts'

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
  it.each<[string, Columns<never>, string]>([
    ['who', WHO_COLUMNS, 'vm ip mac segment should_use should_use_mac uses uses_mac proved_by verdict code'],
    ['history', HISTORY_COLUMNS, 'switch at by user vm mac from to strategy standing end code exit_code'],
    ['mac-proxy list', PROXY_COLUMNS, 'vm mac port from from_mac to to_mac packets state'],
    [
      'trace',
      TRACE_COLUMNS,
      'destination ip egress egress_reason gateway gateway_mac alternative alternative_mac penalty_ms inbound inbound_reason',
    ],
  ])('of %s has the columns that docs/output.md names', (_command, columns, names) => {
    expect(columns.map(([name]) => name).join(' ')).toBe(names)
  })
})
