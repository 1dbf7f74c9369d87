// The document of a run while it goes on: kept in a folder, so that one that was interrupted goes on where it was.
import {mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {LabRun} from '../../domain/evaluation/lab-run.ts'
import {Failure} from '../../errors.ts'

const FILE = 'lab-run.json'

/** Undefined if there is none. @throws Failure `usage` for a file that is none of ours. */
export function readKept(folder: string): LabRun | undefined {
  const file = join(folder, FILE)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Failure('runtime', `cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`)
  }
  try {
    const run = JSON.parse(text) as LabRun
    if (run.schema === 'gwswitch.lab-run/1') return run
  } catch {
    // Said below.
  }
  throw new Failure('usage', `${file} is no result of lab run: give another folder`)
}

/** Whole, or as it was. @throws Failure `runtime` if it cannot be written. */
export function writeKept(folder: string, run: LabRun): void {
  const file = join(folder, FILE)
  try {
    mkdirSync(folder, {recursive: true})
    writeFileSync(`${file}.new`, `${JSON.stringify(run, undefined, 2)}\n`)
    renameSync(`${file}.new`, file)
  } catch (error) {
    throw new Failure('runtime', `cannot write ${file}: ${(error as NodeJS.ErrnoException).code}`)
  }
}
