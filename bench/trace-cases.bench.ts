// What `trace` says, and how long it takes, in every situation that is written down: those of the tests, and those of
// scenarios/ beside this file, where chance decides, 30 times each. A verdict that is wrong fails the run. Needs root.
// `--only PART` runs the files with that in their name.
import {globSync, readFileSync} from 'node:fs'
import {basename, join} from 'node:path'
import {quantile} from '../src/domain/trace/statistics.ts'
import {runScenario, type ScenarioRun} from '../src/lab/scenario.ts'
import {parseScenario} from '../src/lab/scenario-file.ts'
import {table} from '../src/render/table.ts'

const QUICK_RUNS = 3
const isQuick = process.argv.includes('--quick')
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? ''
const interrupt = new AbortController()
process.once('SIGINT', () => interrupt.abort())
process.argv[1] = join(import.meta.dirname, '../bin/run.js')

const files = ['../test/lab/scenarios/*.yaml', 'scenarios/*.yaml']
  .flatMap((pattern) => globSync(join(import.meta.dirname, pattern)).sort())
  .filter((file) => basename(file).includes(only))
const all: ScenarioRun[] = []
const rows: string[][] = []
for (const file of files) {
  const scenario = parseScenario(readFileSync(file, 'utf8'), file)
  const runs = await runScenario(
    {...scenario, runs: isQuick ? Math.min(scenario.runs, QUICK_RUNS) : scenario.runs},
    {prefix: 'gwbench', signal: interrupt.signal, onRun: () => {}},
  )
  all.push(...runs)
  rows.push(rowOf(basename(file, '.yaml'), runs))
  process.stderr.write(`${rows.at(-1)!.join('  ')}\n`)
  if (interrupt.signal.aborted) break
}
rows.push(rowOf('all', all, ''))
console.log(
  table([['situation', 'runs', 'wrong', 'open', 's p50', 'p90', 'packets p50', 'said'], ...rows], {
    align: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
  }),
)
process.exitCode = all.some(({wrong}) => wrong.length > 0) ? 1 : 0

function rowOf(name: string, runs: readonly ScenarioRun[], said = reasonsOf(runs)): string[] {
  const seconds = runs.flatMap(({durationMs}) => (durationMs === null ? [] : [durationMs / 1000]))
  const packets = runs.flatMap(({packetsSent}) => packetsSent ?? [])
  const count = (test: (run: ScenarioRun) => boolean): string => `${runs.filter(test).length}`
  return [
    ...[name, `${runs.length}`, count(({wrong}) => wrong.length > 0), count(({exitCode}) => exitCode === 11)],
    ...[quantile(seconds, 0.5).toFixed(1), quantile(seconds, 0.9).toFixed(1), `${quantile(packets, 0.5)}`, said],
  ]
}

/** Its reasons, the commonest first. */
function reasonsOf(runs: readonly ScenarioRun[]): string {
  const counts = new Map<string, number>()
  for (const {reason} of runs) counts.set(reason ?? '-', (counts.get(reason ?? '-') ?? 0) + 1)
  const sorted = [...counts].sort(([, a], [, b]) => b - a)
  return sorted.map(([reason, n]) => (sorted.length === 1 ? reason : `${reason} ${n}`)).join(', ')
}
