// Runs the benchmarks: all, or those named. `npm run bench`, `npm run bench -- codecs`. Each prints a table of its own;
// flags (--quick) go to every one of them.
import {spawnSync} from 'node:child_process'
import {globSync} from 'node:fs'
import {basename, join} from 'node:path'
import scratchJournal from '../test/support/scratch-journal.ts'

const flags = process.argv.slice(2).filter((arg) => arg.startsWith('-'))
const names = process.argv.slice(2).filter((arg) => !arg.startsWith('-'))
const all = globSync('*.bench.ts', {cwd: import.meta.dirname}).sort()
const chosen = names.length === 0 ? all : all.filter((file) => names.includes(basename(file, '.bench.ts')))
const missing = names.filter((name) => !all.includes(`${name}.bench.ts`))
if (missing.length > 0) {
  console.error(
    `no benchmark ${missing.join(', ')}; there are: ${all.map((file) => basename(file, '.bench.ts')).join(', ')}`,
  )
  process.exit(2)
}

const withoutJournal = scratchJournal()
const failed = chosen.filter((file) => {
  console.log(`\n== ${basename(file, '.bench.ts')}`)
  return spawnSync(process.execPath, [join(import.meta.dirname, file), ...flags], {stdio: 'inherit'}).status !== 0
})
withoutJournal()
if (failed.length > 0) {
  console.error(`\nnot within budget, or failed: ${failed.join(', ')}`)
  process.exit(1)
}
