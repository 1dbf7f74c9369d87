// What is made of the run that is checked in, docs/evaluation/lab-run.json: its report, its figure, its table in pages, and
// what `gwswitch strategies` says of switch time and interruption.
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {LabRun} from '../../src/domain/evaluation/lab-run.ts'
import {type Measured, measuredBy} from '../../src/domain/evaluation/measured.ts'
import {readRun} from '../../src/orders/evaluation/run-shape.ts'
import {reportFiles} from '../../src/orders/evaluation/write-report.ts'
import {headline, mainMarkdown} from '../../src/render/evaluation/tables.ts'
import {root} from './reference.ts'

const FOLDER = 'docs/evaluation'
const RUN = join(root, FOLDER, 'lab-run.json')
/** Pages that show the table and the figure, and how their links reach the folder. */
const PAGES: readonly (readonly [path: string, folder: string])[] = [
  ['README.md', FOLDER],
  [`${FOLDER}/README.md`, '.'],
]

/** Each file that is made of the run, by its path in the repository. */
export const checkedIn = (): Promise<ReadonlyMap<string, string>> =>
  evaluationFiles(existsSync(RUN) ? readRun(RUN) : undefined)

/** The same of a run that is given. */
export async function evaluationFiles(run: LabRun | undefined): Promise<ReadonlyMap<string, string>> {
  const report = run === undefined ? [] : [...(await reportFiles(run))]
  return new Map([
    ...report.map(([name, text]) => [`${FOLDER}/${name}`, text] as const),
    ...PAGES.map(([path, folder]) => {
      const block = run === undefined ? [] : shown(run, folder)
      return [path, withBlock(readFileSync(join(root, path), 'utf8'), block)] as const
    }),
    ['src/strategies/measured.ts', measuredSource(run === undefined ? {} : measuredBy(run, FOLDER))],
  ])
}

function shown(run: LabRun, folder: string): readonly string[] {
  return [
    ...headline(run).flatMap((line) => [`${line}.`, '']),
    ...mainMarkdown(run),
    '',
    `![For each way: when the first packet came to the new gateway, and by how much the gap differs from that of a migration with nothing done](${folder}/figure.svg)`,
    '',
    `[The report](${folder}/report.html) has all tables, what the run says to each claim of the paper, and charts of every migration; [its tables](${folder}/table.md) are there as text too, and [its data](${folder}/lab-run.json) are by [a schema](${folder === '.' ? '../..' : '.'}/schemas/lab-run.1.json).`,
  ]
}

const [BEGIN, END] = [
  '<!-- evaluation: made by "npm run docs -- evaluation" from docs/evaluation/lab-run.json -->',
  '<!-- /evaluation -->',
]

/** The page with `lines` between its two marks. */
export function withBlock(page: string, lines: readonly string[]): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`a page needs both marks, ${BEGIN} and ${END}`)
  const block = lines.length === 0 ? '' : `\n${lines.join('\n')}\n\n`
  return `${page.slice(0, from + BEGIN.length)}\n${block}${page.slice(to)}`
}

const measuredSource = (measured: Readonly<Record<string, Measured>>): string => `\
// What the run in docs/evaluation/lab-run.json says of our strategies. Made by "npm run docs -- evaluation"; a test compares them.
// biome-ignore-all format: made by a script
import type {Measured} from '../domain/evaluation/measured.ts'

export const MEASURED: Readonly<Record<string, Measured>> = ${JSON.stringify(measured, undefined, 2)}
`
