import {spawn} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import {linesOf} from '../../../src/net/process/lines-of.ts'
import {eventually} from '../../support/until.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-lines-'))
afterAll(() => rmSync(scratch, {recursive: true}))

const sh = (script: string, signal = new AbortController().signal) => {
  const lines: string[] = []
  return {lines, why: linesOf(['sh', '-c', script], (line) => lines.push(line), signal)}
}

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

it.each([
  ['its last words', 'echo a; echo b; echo first >&2; echo why >&2; exit 3', ['a', 'b'], 'sh ended: why'],
  ['its code', 'echo "$LC_ALL"; exit 3', ['C'], 'sh ended: code 3'],
  ['the signal', 'kill -9 $$', [], 'sh ended: by SIGKILL'],
  [
    'a line without an end',
    "head -c 5000000 /dev/zero | tr '\\0' x; sleep 60",
    [],
    'sh ended: it wrote a line without an end',
  ],
])('a program that ends is told with %s', async (_name, script, lines, why) => {
  const run = sh(script)
  expect(await run.why).toBe(why)
  expect(run.lines).toEqual(lines)
})

it('a program that is not there is told by its name', async () => {
  expect(await linesOf(['gwswitch-nothing'], () => {}, new AbortController().signal)).toMatch(
    /^gwswitch-nothing ended: setpriv: failed to execute gwswitch-nothing: No such file or directory$/,
  )
})

it('is ended with all that it started, also where it would not', async () => {
  const ending = new AbortController()
  const {lines, why} = sh("trap '' TERM; sleep 600 & echo $!; echo $$; wait; while :; do sleep 1; done", ending.signal)
  await eventually(async () => expect(lines).toHaveLength(2))
  ending.abort()
  await why
  await eventually(async () => expect(lines.map(Number).filter(isThere)).toEqual([]))
})

it('ends when we are killed', async () => {
  const file = join(scratch, 'pid')
  const module = JSON.stringify(join(import.meta.dirname, '../../../src/net/process/lines-of.ts'))
  const program = `import {linesOf} from ${module}
    await linesOf(['sh', '-c', 'echo $$ > ${file}; exec sleep 600'], () => {}, new AbortController().signal)`
  const us = spawn(process.execPath, ['--input-type=module', '-e', program], {stdio: 'ignore'})
  let pid = 0
  await eventually(async () => {
    pid = Number(readFileSync(file, 'utf8'))
    expect(pid).toBeGreaterThan(0)
  })
  us.kill('SIGKILL')
  await eventually(async () => expect(isThere(pid)).toBe(false))
})
