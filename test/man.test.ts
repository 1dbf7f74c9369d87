import {spawnSync} from 'node:child_process'
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {manPages} from '../scripts/man.mjs'

const folder = join(import.meta.dirname, '../packaging/man')
const pages = [...manPages()]
const mandoc = (...args: readonly string[]) => spawnSync('mandoc', args, {encoding: 'utf8'})
const noMandoc = mandoc('-T', 'lint').error !== undefined

describe('the manual pages', () => {
  it('are those that are checked in, and no others', () => {
    const there = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')])
    expect(new Map(there as [string, string][]), 'run `npm run manifest`').toEqual(new Map(pages))
  })

  it.skipIf(noMandoc)('have nothing that mandoc warns of', () => {
    const {stdout, status} = mandoc('-T', 'lint', '-W', 'warning', ...pages.map(([name]) => join(folder, name)))
    expect(stdout).toBe('')
    expect(status).toBe(0)
  })

  it.skipIf(noMandoc)('show flags, values and examples as they are typed', () => {
    const {stdout} = mandoc('-T', 'ascii', '-O', 'width=200', join(folder, 'gwswitch-switch.1'))
    const plain = stdout.replaceAll(/.[\b]/g, '')
    for (const line of ['-i, --interface IF', '--announce, --no-announce', 'gwswitch switch db-03 --to y --dry-run'])
      expect(plain).toContain(line)
  })
})
