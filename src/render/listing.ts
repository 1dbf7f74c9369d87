// Rows of a result in the forms that other programs read. A column keeps its name and its meaning: scripts name it.
import {tableLines} from './table.ts'

type Cell = string | number | boolean | null | undefined

/** A name, in small letters with underscores, and what stands below it. The first column names the row. */
export type Columns<Row> = readonly (readonly [name: string, cell: (row: Row) => Cell])[]

export const LIST_FORMS = ['table', 'wide', 'json', 'csv', 'name'] as const
export type ListForm = (typeof LIST_FORMS)[number]
/** Those that are made here. */
export type PlainForm = Exclude<ListForm, 'table' | 'json'>

/**
 * `csv`: RFC 4180 with a header, lines ended by LF, nothing for what is not known; `name`: each name once; `wide`: a table of
 * every column.
 */
export function listingLines<Row>(rows: readonly Row[], columns: Columns<Row>, form: PlainForm): string[] {
  const cells = rows.map((row) => columns.map(([, cell]) => cell(row)))
  switch (form) {
    case 'name':
      return [...new Set(cells.map(([name]) => String(name)))]
    case 'csv':
      return [columns.map(([name]) => name), ...cells].map((row) => row.map(quoted).join(','))
    case 'wide': {
      const head = columns.map(([name]) => name.replaceAll('_', ' ').toUpperCase())
      return tableLines([head, ...cells.map((row) => row.map((cell) => String(cell ?? '-')))])
    }
  }
}

/** RFC 4180, section 2. */
function quoted(cell: Cell): string {
  const text = String(cell ?? '')
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
