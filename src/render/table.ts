// Rows of cells as aligned columns.
import displayWidth from 'string-width'

export interface TableOptions {
  /** By column; `left` where nothing is said. */
  readonly align?: readonly ('left' | 'right')[]
  /** Text between columns; two spaces by default. */
  readonly gap?: string
  /** Text before every line. */
  readonly indent?: string
}

/** The table as lines without trailing blanks. Rows may be of different length; cells may carry colour. */
export function tableLines(rows: readonly (readonly string[])[], options: TableOptions = {}): string[] {
  const {align = [], gap = '  ', indent = ''} = options
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({length: columns}, (_, i) => Math.max(...rows.map((row) => displayWidth(row[i] ?? ''))))
  return rows.map((row) => {
    const cells = row.map((cell, i) => pad(cell, widths[i]!, align[i]))
    return `${indent}${cells.join(gap)}`.trimEnd()
  })
}

/** Text filled up to `width` columns, to its right or its left. */
function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + space : space + text
}

/** The same as one text. */
export const table = (rows: readonly (readonly string[])[], options?: TableOptions): string =>
  tableLines(rows, options).join('\n')

/** Blocks of lines next to each other, each as wide as its widest line. */
export function sideBySide(blocks: readonly (readonly string[])[], gap = '    '): string[] {
  const height = Math.max(0, ...blocks.map((block) => block.length))
  const widths = blocks.map((block) => Math.max(0, ...block.map((line) => displayWidth(line))))
  return Array.from({length: height}, (_, i) =>
    blocks
      .map((block, b) => pad(block[i] ?? '', widths[b]!))
      .join(gap)
      .trimEnd(),
  )
}
