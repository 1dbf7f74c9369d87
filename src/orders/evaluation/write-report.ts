// A run as files: as it is, as text, as Markdown, as a page, as one figure.
import {join} from 'node:path'
import type {LabRun} from '../../domain/evaluation/lab-run.ts'
import {makeFolderOf, writeText} from '../../net/file/text-file.ts'
import {stamped} from '../document.ts'

/** Columns of table.txt. */
const TEXT_COLUMNS = 100

/** Numbers a line each, as JSON.stringify lays them out; a text has no line end of its own. */
const NUMBERS = /\[\n[\s\d.,e+-]*\]/g
const oneLine = (numbers: string): string => numbers.replaceAll(/\s+/g, ' ').replace('[ ', '[').replace(' ]', ']')

/**
 * Each file of a report by its name. The document is that of `lab run --json`, made when the run ended.
 * @internal
 */
export async function reportFiles(run: LabRun): Promise<ReadonlyMap<string, string>> {
  const [{runMarkdown, runText}, {runPage}, {runFigure}] = await Promise.all([
    import('../../render/evaluation/tables.ts'),
    import('../../render/evaluation/page.ts'),
    import('../../render/evaluation/figure.ts'),
  ])
  const document = stamped(run, run.exitCode, Date.parse(run.provenance.span[1]))
  return new Map([
    ['lab-run.json', `${JSON.stringify(document, undefined, 1).replaceAll(NUMBERS, oneLine)}\n`],
    ['table.txt', `${runText(run, TEXT_COLUMNS).join('\n')}\n`],
    ['table.md', `${runMarkdown(run).join('\n')}\n`],
    ['report.html', runPage(run)],
    ['figure.svg', runFigure(run)],
  ])
}

/** Writes the report of a run into a folder, which is made if it is not there. @throws Failure `privilege` or `runtime` */
export async function writeReport(dir: string, run: LabRun): Promise<readonly string[]> {
  const files = await reportFiles(run)
  const paths = [...files].map(([name, text]) => ({path: join(dir, name), text}))
  makeFolderOf(paths[0]!.path, 0o755)
  for (const {path, text} of paths) writeText(path, text)
  return paths.map(({path}) => path)
}
