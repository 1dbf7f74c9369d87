// In a process of its own: there is no way back.
import {spawnSync} from 'node:child_process'
import {existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, it} from 'vitest'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-confine-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

it('a process that writes below one folder only writes nowhere else, nor do those that it starts', ({skip}) => {
  const file = join(import.meta.dirname, '../../../src/net/process/confine.ts')
  const code = `
    import {writeOnlyBelow} from ${JSON.stringify(file)}
    import {mkdirSync, renameSync, writeFileSync} from 'node:fs'
    import {spawnSync} from 'node:child_process'
    mkdirSync('own')
    writeFileSync('theirs', 'old')
    const inForce = writeOnlyBelow(['own'])
    const tried = (what) => { try { what(); return 'done' } catch (error) { return error.code } }
    console.log(JSON.stringify({
      inForce,
      own: tried(() => { writeFileSync('own/a', ''); renameSync('own/a', 'own/b') }),
      made: tried(() => writeFileSync('other', '')),
      changed: tried(() => writeFileSync('theirs', 'new')),
      moved: tried(() => renameSync('own/b', 'b')),
      started: spawnSync('sh', ['-c', 'echo x > theirs']).status,
      nothing: spawnSync('sh', ['-c', 'echo x > /dev/null']).status,
    }))`
  const {stdout, stderr} = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    cwd: scratch,
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  const {inForce, ...done} = JSON.parse(stdout) as Record<string, unknown>
  if (!inForce) skip('this kernel has no Landlock')
  expect(done).toMatchObject({own: 'done', made: 'EACCES', changed: 'EACCES', nothing: 0})
  expect(done.moved).not.toBe('done')
  expect(done.started).not.toBe(0)
  expect(existsSync(join(scratch, 'other'))).toBe(false)
})
