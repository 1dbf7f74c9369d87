// `npm run mutate [-- PART OF A NAME...]`: changes one line of src/ at a time, in copies of this tree, and runs the tests
// that must notice. Ends with 1 if a change goes unnoticed, or if the line is no longer there to be changed.
import {spawn} from 'node:child_process'
import {cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {availableParallelism, tmpdir} from 'node:os'
import {join} from 'node:path'
import {MUTANTS, type Mutant} from './mutants.ts'

const root = join(import.meta.dirname, '../..')
/** Not copied: what nobody changes, and what is large. */
const LINKED = ['node_modules', 'tools', 'dist']
const OMITTED = ['.git', ...LINKED]
/** A mutant that lets a test wait for ever is noticed too. */
const DEADLINE_MS = 120_000

type Outcome =
  /** By the test of that name. */
  | {readonly kind: 'killed'; readonly by: string}
  | {readonly kind: 'SURVIVED'}
  /** The text to change is not there, or there more than once. */
  | {readonly kind: 'LOST'; readonly times: number}
  /** The tests did not run at all: that proves nothing. */
  | {readonly kind: 'BROKEN'; readonly why: string}

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-mutants-'))
process.once('exit', () => rmSync(folder, {recursive: true, force: true}))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const wanted = process.argv.slice(2)
const mutants = MUTANTS.filter(({name}) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
process.exitCode = (await report(mutants)) ? 0 : 1

async function report(all: readonly Mutant[]): Promise<boolean> {
  if (all.length === 0) console.error(`no such mutant; there are: ${MUTANTS.map(({name}) => name).join('; ')}`)
  const copies = Array.from({length: Math.min(2, availableParallelism(), all.length)}, (_, i) => copyOf(`copy-${i}`))
  const tests = [...new Set(all.flatMap((mutant) => mutant.tests))]
  const before = all.length === 0 ? undefined : await runTests(copies[0]!, tests)
  if (before && before.kind !== 'SURVIVED') {
    console.error(`the tests fail without any change: ${before.kind === 'killed' ? before.by : before.why}`)
    return false
  }
  const queue = [...all]
  const outcomes: Outcome[] = []
  const work = async (copy: string): Promise<void> => {
    for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
      const outcome = await tried(copy, mutant)
      outcomes.push(outcome)
      console.log(line(mutant, outcome))
    }
  }
  await Promise.all(copies.map(work))
  const killed = outcomes.filter(({kind}) => kind === 'killed').length
  console.log(`${killed} of ${all.length} killed`)
  return all.length > 0 && killed === all.length
}

function line({name, file}: Mutant, outcome: Outcome): string {
  const head = `${outcome.kind.padEnd(8)} ${name}`
  if (outcome.kind === 'killed') return `${head}  (${outcome.by})`
  if (outcome.kind === 'BROKEN') return `${head}: ${outcome.why}`
  return outcome.kind === 'LOST'
    ? `${head}: its text is ${outcome.times} times in ${file}, want once`
    : `${head} (${file})`
}

function copyOf(name: string): string {
  const copy = join(folder, name)
  for (const entry of readdirSync(root).filter((each) => !OMITTED.includes(each)))
    cpSync(join(root, entry), join(copy, entry), {recursive: true})
  for (const entry of LINKED) symlinkSync(join(root, entry), join(copy, entry))
  return copy
}

async function tried(copy: string, {file, text, becomes, tests}: Mutant): Promise<Outcome> {
  const path = join(copy, file)
  const whole = readFileSync(path, 'utf8')
  const times = whole.split(text).length - 1
  if (times !== 1) return {kind: 'LOST', times}
  writeFileSync(path, whole.split(text).join(becomes))
  try {
    return await runTests(copy, tests)
  } finally {
    writeFileSync(path, whole)
  }
}

interface VitestReport {
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly assertionResults: readonly {status: string; fullName: string}[]
    readonly message: string
  }[]
}

async function runTests(copy: string, tests: readonly string[]): Promise<Exclude<Outcome, {kind: 'LOST'}>> {
  const output = join(copy, 'report.json')
  rmSync(output, {force: true})
  const reporter = ['--reporter=json', `--outputFile=${output}`]
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    'test/mutants/vitest.config.ts',
    ...reporter,
    ...tests,
  ]
  const ended = await endOf(copy, args)
  if (ended === 'late') return {kind: 'killed', by: `no end within ${DEADLINE_MS / 1000} s`}
  let found: VitestReport
  try {
    found = JSON.parse(readFileSync(output, 'utf8')) as VitestReport
  } catch {
    return {kind: 'BROKEN', why: `vitest ended with code ${ended} and no report`}
  }
  const failed = found.testResults
    .flatMap(({assertionResults}) => assertionResults)
    .find(({status}) => status === 'failed')
  if (failed) return {kind: 'killed', by: failed.fullName}
  if (ended === 0) return {kind: 'SURVIVED'}
  const why = found.testResults.find(({message}) => message !== '')?.message.split('\n')[0]
  return {kind: 'BROKEN', why: why ?? `vitest ended with code ${ended}`}
}

function endOf(cwd: string, args: readonly string[]): Promise<number | null | 'late'> {
  return new Promise((resolve) => {
    // A group of its own: the tests run in processes that it starts.
    const child = spawn(process.execPath, args, {cwd, stdio: 'ignore', detached: true})
    const end = (): void => void process.kill(-child.pid!, 'SIGKILL')
    process.once('exit', end)
    const timer = setTimeout(() => {
      end()
      resolve('late')
    }, DEADLINE_MS)
    child.once('exit', (code) => {
      clearTimeout(timer)
      process.off('exit', end)
      resolve(code)
    })
  })
}
