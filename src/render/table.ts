// Rows of cells as aligned columns.
import displayWidth from 'string-width'
import {fold} from './fold.ts'

export interface TableOptions {
  /** By column; `left` where nothing is said. */
  readonly align?: readonly ('left' | 'right')[]
  /** Text between columns; two spaces by default. */
  readonly gap?: string
  /** Text before every line. */
  readonly indent?: string
  /** Columns of the terminal: cells are folded where a row would be wider. Without it none is. */
  readonly width?: number | undefined
}

/** The table as lines without trailing blanks. Rows may be of different length; cells may carry colour. */
export function tableLines(rows: readonly (readonly string[])[], options: TableOptions = {}): string[] {
  const {align = [], gap = '  ', indent = '', width} = options
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const natural = Array.from({length: columns}, (_, i) => Math.max(...rows.map((row) => displayWidth(row[i] ?? ''))))
  const between = displayWidth(indent) + displayWidth(gap) * Math.max(0, columns - 1)
  const widths = width === undefined ? natural : narrowed(rows, natural, width - between)
  return rows.flatMap((row) => {
    const cells = row.map((cell, i) => (displayWidth(cell) > widths[i]! ? folded(cell, widths[i]!) : [cell]))
    const height = Math.max(1, ...cells.map((lines) => lines.length))
    return Array.from({length: height}, (_, line) =>
      `${indent}${cells.map((lines, i) => pad(lines[line] ?? '', widths[i]!, align[i])).join(gap)}`.trimEnd(),
    )
  })
}

/** Takes from the widest column, again and again, until all fit or no word can be parted from another. */
function narrowed(rows: readonly (readonly string[])[], natural: readonly number[], room: number): number[] {
  const widths = [...natural]
  const least = natural.map((_, i) =>
    Math.max(...rows.flatMap((row) => (row[i] ?? '').split(' ').map((word) => displayWidth(word)))),
  )
  for (let over = widths.reduce((sum, each) => sum + each, 0) - room; over > 0; over--) {
    const free = widths.map((each, i) => (each > least[i]! ? each : 0))
    const widest = Math.max(...free)
    if (widest === 0) break
    widths[free.indexOf(widest)]! -= 1
  }
  return widths
}

/** Sequences of colour (ECMA-48 SGR). */
const SGR = '(?:\u001b\\[[\\d;]*m)*'
const COLOURED = new RegExp(`^(${SGR})(.*?)(${SGR})$`, 's')

/** A cell over several lines, each with the cell's colour, lest it runs into the next column. */
function folded(cell: string, width: number): string[] {
  const [, begin = '', words = '', end = ''] = COLOURED.exec(cell) ?? []
  return fold(words, width).map((line) => `${begin}${line}${end}`)
}

/** Text filled up to `width` columns, to its right or its left. */
function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + space : space + text
}

/**
 * The same as one text, as benchmarks print it.
 * @internal
 */
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
