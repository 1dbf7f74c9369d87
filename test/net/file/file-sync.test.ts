import {mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {fileSync} from '../../../src/net/file/file-sync.ts'

/** Whether this process has the file open. */
const isOpen = (path: string): boolean =>
  readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  })

it('begins as often as it is told, one at a time, and lets go of the file when the disk is done', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gwswitch-sync-'))
  const path = join(dir, 'log')
  writeFileSync(path, 'x')
  const sync = fileSync(path)
  for (let i = 0; i < 100; i++) sync.begin()
  expect(isOpen(path)).toBe(true)
  await sync.close()
  expect(isOpen(path)).toBe(false)
  rmSync(dir, {recursive: true})
})

it('does not mind what cannot be synced, and says what cannot be opened', async () => {
  const sync = fileSync('/dev/null')
  sync.begin()
  await sync.close()
  expect(() => fileSync('/nowhere/log')).toThrow('ENOENT')
})
