import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {readInventoryFile} from '../../../src/net/file/inventory-file.ts'

const root = mkdtempSync(join(tmpdir(), 'gwswitch-inventory-'))
const directory = (name: string, files: Readonly<Record<string, string>>): string => {
  const path = join(root, name)
  mkdirSync(path)
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
  return path
}
const here = directory('here', {'gwswitch.yaml': 'here', 'other.yaml': 'other', 'env.yaml': 'env'})
const empty = directory('empty', {})
const system = join(here, 'other.yaml')
const none = join(root, 'none.yaml')

afterAll(() => rmSync(root, {recursive: true}))

describe('the inventory file', () => {
  it('is the one named by flag, before the environment, before the working directory', () => {
    const named = {flag: 'other.yaml', env: 'env.yaml', cwd: here}
    expect(readInventoryFile(named, none)).toEqual({text: 'other', path: 'other.yaml'})
    expect(readInventoryFile({...named, flag: undefined}, none)).toEqual({text: 'env', path: 'env.yaml'})
    expect(readInventoryFile({flag: undefined, env: undefined, cwd: here}, none)).toEqual({
      text: 'here',
      path: 'gwswitch.yaml',
    })
  })

  it('is the system’s one where the working directory has none, or nothing', () => {
    expect(readInventoryFile({flag: undefined, env: undefined, cwd: empty}, system)).toEqual({
      text: 'other',
      path: system,
    })
    expect(readInventoryFile({flag: undefined, env: '', cwd: empty}, none)).toBeUndefined()
  })

  it('must exist where it was named', () => {
    const cwd = empty
    expect(() => readInventoryFile({flag: 'no.yaml', env: undefined, cwd}, system)).toThrow(
      'no.yaml: no such file (named by --inventory; want an inventory file)',
    )
    expect(() => readInventoryFile({flag: undefined, env: 'no.yaml', cwd}, system)).toThrow(
      'no.yaml: no such file (named by GWSWITCH_INVENTORY; want an inventory file)',
    )
    expect(() => readInventoryFile({flag: '.', env: undefined, cwd}, system)).toThrow('.: is a directory')
  })
})
