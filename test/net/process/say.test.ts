// What a service writes to its log, by a process of its own: whose log it is, its standard error says.
import {spawnSync} from 'node:child_process'
import {closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, it} from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-say-'))
afterAll(() => rmSync(folder, {recursive: true}))
const module = join(import.meta.dirname, '../../../src/net/process/say.ts')

/** `stream`: what JOURNAL_STREAM is, of the file that standard error is. */
function logged(stream: (dev: number, ino: number) => string): string {
  const file = join(folder, 'log')
  const fd = openSync(file, 'w')
  const {dev, ino} = fstatSync(fd)
  const env = {...process.env, JOURNAL_STREAM: stream(dev, ino), TZ: 'Asia/Kolkata'}
  const program = `import {sayLogged} from ${JSON.stringify(module)}; sayLogged('gwswitch agent: ready')`
  spawnSync(process.execPath, ['--input-type=module', '-e', program], {env, stdio: ['ignore', 'ignore', fd]})
  closeSync(fd)
  return readFileSync(file, 'utf8')
}

it('a line of a log begins with the local time', () => {
  for (const stream of [() => '', (dev: number, ino: number) => `${dev}:${ino + 1}`])
    expect(logged(stream)).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30 gwswitch agent: ready\n$/)
})

it("but not in systemd's journal, which writes the time itself", () => {
  expect(logged((dev, ino) => `${dev}:${ino}`)).toBe('gwswitch agent: ready\n')
})
