// A run as text for a terminal, and as Markdown.
import {figuresOf, type RowFigures} from '../../domain/evaluation/figures.ts'
import type {LabRun} from '../../domain/evaluation/lab-run.ts'
import {statementOn, statementOnAll} from '../../domain/evaluation/statement.ts'
import {fold} from '../fold.ts'
import {tableLines} from '../table.ts'
import {type Column, DIRECTIONS, GAPS, IPV6, MAIN, SWITCH, WAYS} from './cells.ts'

const SECTIONS: readonly (readonly [title: string, columns: readonly Column[]])[] = [
  ['Switch time and sessions', SWITCH],
  ['Interruption, ms', GAPS],
  ['Round trips, and in the guest', WAYS],
  ['Gaps by direction, ms', DIRECTIONS],
  ['IPv6', IPV6],
]

/** What stands in no main table. */
const DETAILS: readonly Column[] = [...WAYS, ...DIRECTIONS, ...IPV6]

/** What the times of a run are and where it ran, in one line each. */
export function headline(run: LabRun): readonly string[] {
  const {provenance: at, delaysMs, repeat, vm, paceMs} = run
  const what = vm === 'qemu' ? 'Live migrations of a QEMU guest' : "Moves of a namespace's link"
  return [
    `${what}, ${repeat} a row; DCI ${delaysMs.dci} ms and WAN ${delaysMs.wan} ms one way, ping every ${paceMs} ms`,
    `gwswitch ${at.gwswitch}, ${minute(at.span[0])} to ${minute(at.span[1])} UTC, Linux ${at.kernel}, ${at.distribution}, ${at.cpus} CPUs, load ${at.load.join(' to ')}`,
  ]
}

/** ISO 8601 to the minute, as people write it. */
const minute = (at: string): string => at.slice(0, 16).replace('T', ' ')

/** Rows in order, each beside its control. */
export const withControls = (
  rows: readonly RowFigures[],
): readonly (readonly [row: RowFigures, control: RowFigures | undefined])[] =>
  rows.map((each) => [each, rows.find(({row}) => row.id === each.row.control)])

/** Rows that were asked for and did not run, a line each. */
export const leftLines = ({left}: LabRun): readonly string[] => left.map(({id, why}) => `${id} did not run: ${why}`)

/** All of it for a terminal of so many columns; as wide as it is without. */
export function runText(run: LabRun, width?: number): readonly string[] {
  const rows = figuresOf(run)
  const folded = (words: string, indent = ''): string[] =>
    width === undefined ? [`${indent}${words}`] : fold(words, width - indent.length).map((line) => `${indent}${line}`)
  return [
    ...headline(run).flatMap((line) => folded(line)),
    ...SECTIONS.flatMap(([title, columns]) => {
      const known = knownColumns(rows, columns)
      return known.length === 0 ? [] : ['', title, '', ...section(rows, known, width)]
    }),
    '',
    'Medians, [ranges]; to the control: shift [interval].',
    ...SECTIONS.flatMap(([, columns]) => knownColumns(rows, columns))
      .filter(({head}, i, all) => all.findIndex((other) => other.head === head) === i)
      .flatMap(({head, means}) => folded(`${head}: ${means}`, '  ')),
    '',
    'What the repetitions can tell apart',
    '',
    ...statementOnAll(rows).flatMap((line) => folded(line)),
    ...withControls(rows).flatMap(([row, control]) => [
      '',
      ...folded(`${row.row.id}: ${row.row.title}`),
      ...statementOn(row, control).flatMap((line) => folded(line, '  ')),
    ]),
    ...(run.left.length === 0 ? [] : ['', ...leftLines(run).flatMap((line) => folded(line))]),
  ]
}

const section = (rows: readonly RowFigures[], columns: readonly Column[], width: number | undefined): string[] =>
  tableLines(
    [
      ['ROW', ...columns.map(({head}) => head.toUpperCase())],
      ...rows.map((row) => [row.row.id, ...columns.map(({cell}) => cell(row))]),
    ],
    {width},
  )

/** Columns that have a number, or a word, in at least one row. */
export const knownColumns = (rows: readonly RowFigures[], columns: readonly Column[]): readonly Column[] =>
  columns.filter(({cell}) => rows.some((row) => !['–', 'control'].includes(cell(row))))

const bar = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')

function markdownTable(rows: readonly RowFigures[], columns: readonly Column[]): readonly string[] {
  const known = knownColumns(rows, columns)
  const line = (cells: readonly string[]): string => `| ${cells.map(bar).join(' | ')} |`
  return [
    line(['row', ...known.map(({head}) => head)]),
    line(['---', ...known.map(() => '---')]),
    ...rows.map((row) => line([row.row.title, ...known.map(({cell}) => cell(row))])),
  ]
}

/**
 * The main table alone, with a line that says what its numbers are.
 * @internal
 */
export function mainMarkdown(run: LabRun): readonly string[] {
  const rows = figuresOf(run)
  return [
    ...markdownTable(rows, MAIN),
    '',
    'Times in ms from RESUME: median [range]; *gap to control*: shift [interval].',
    ...leftLines(run).flatMap((line) => ['', bar(line)]),
  ]
}

/** All of it. */
export function runMarkdown(run: LabRun): readonly string[] {
  const rows = figuresOf(run)
  return [
    '# Every method on real migrations',
    '',
    ...headline(run).flatMap((line) => [bar(line), '']),
    ...mainMarkdown(run),
    '',
    ...[...MAIN, ...DETAILS].map(({head, means}) => `- **${head}**: ${means}`),
    '',
    '## Round trips, gaps by direction, IPv6',
    '',
    ...markdownTable(rows, DETAILS),
    '',
    '## What the repetitions can tell apart',
    '',
    ...statementOnAll(rows).map(bar),
    '',
    ...withControls(rows).map(
      ([row, control]) =>
        `- **${bar(row.row.title)}** (\`${row.row.id}\`): ${bar(statementOn(row, control).join(' '))}`,
    ),
  ]
}
