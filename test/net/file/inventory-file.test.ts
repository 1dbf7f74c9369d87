import {chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {readIncluded, readInventoryFile} from '../../../src/net/file/inventory-file.ts'

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

describe('the files that an inventory includes', () => {
  const folder = directory('including', {'gwswitch.yaml': 'main', 'b.yaml': 'b', 'a.yaml': 'a', 'open.txt': 'open'})
  mkdirSync(join(folder, 'vms.yaml'))
  mkdirSync(join(folder, 'more'))
  writeFileSync(join(folder, 'more/c.yaml'), 'c')
  chmodSync(join(folder, 'open.txt'), 0o666)
  const included = (path: string, cwd: string, ...patterns: string[]) =>
    readIncluded(
      path,
      patterns.map((pattern, i) => ({pattern, at: `${path}:2:${i}: include[${i}]`})),
      cwd,
    )

  it.each([
    ['by name where a glob matches them, never itself, never a folder', ['*.yaml'], ['a.yaml a', 'b.yaml b']],
    [
      'in the order of the patterns, each once',
      ['more/c.yaml', 'b.yaml', '{a,b}.yaml'],
      ['more/c.yaml c', 'b.yaml b', 'a.yaml a'],
    ],
    ['of folders below', ['**/c.yaml'], ['more/c.yaml c']],
    ['by their whole path', [join(folder, 'a.yaml')], [`${join(folder, 'a.yaml')} a`]],
    ['and may be none, where a glob matches nothing', ['none/*.yaml'], []],
  ])('are read %s', (_, patterns, files) => {
    expect(included('gwswitch.yaml', folder, ...patterns).map(({path, text}) => `${path} ${text}`)).toEqual(files)
  })

  it('lie where the inventory lies, and are called as it is', () => {
    expect(included('including/gwswitch.yaml', root, 'more/*.yaml')).toEqual([
      {path: 'including/more/c.yaml', text: 'c'},
    ])
    const whole = join(folder, 'gwswitch.yaml')
    expect(included(whole, empty, 'a.yaml')).toEqual([{path: join(folder, 'a.yaml'), text: 'a'}])
  })

  it.each([
    ['a.yml', 'gwswitch.yaml:2:0: include[0]: a.yml: no such file (named by include; want a file of VMs)'],
    ['more', 'gwswitch.yaml:2:0: include[0]: more: is a directory (named by include; want a file of VMs)'],
    ['open.*', `gwswitch.yaml:2:0: include[0]: ${join(folder, 'open.txt')}: every user may write it (mode 0666)`],
  ])('%s: %s', (pattern, message) => {
    expect(() => included('gwswitch.yaml', folder, pattern)).toThrow(message)
  })
})
