import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {createFile, replaceFile} from '../../../src/net/file/replace-file.ts'
import {readText} from '../../../src/net/file/text-file.ts'
import {runCommand} from '../../../src/net/process/command.ts'
import {writeDurably} from '../../../src/services/agent/kernel.ts'
import {noNamespaces} from '../../support/namespaces.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-replace-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))
const asRoot = process.geteuid?.() === 0
const NOBODY = 65534

/** A new directory, with a file in it if there is text for one. */
function folder(name: string, text?: string): {directory: string; file: string} {
  const directory = join(scratch, name)
  mkdirSync(directory, {mode: 0o700})
  const file = join(directory, 'file')
  if (text !== undefined) writeFileSync(file, text)
  return {directory, file}
}

it('a file is replaced with its mode, and a new one gets the usual', () => {
  const {directory, file} = folder('mode', 'old')
  chmodSync(file, 0o640)
  replaceFile(file, 'new')
  expect(readText(file)).toBe('new')
  expect(statSync(file).mode & 0o777).toBe(0o640)
  replaceFile(file, 'own', {mode: 0o600})
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const other = join(directory, 'other')
  replaceFile(other, 'x')
  expect(statSync(other).mode & 0o777).toBe(0o644 & ~process.umask())
  expect(readdirSync(directory).toSorted()).toEqual(['file', 'other'])
})

it('a file that is there is not created', () => {
  const {directory, file} = folder('create')
  createFile(file, 'first', 0o600)
  expect(() => createFile(file, 'second', 0o600)).toThrow(/file: cannot be written: EEXIST/)
  expect(readText(file)).toBe('first')
  expect(readdirSync(directory)).toEqual(['file'])
})

it('what cannot be read is not taken for nothing', () => {
  const {directory, file} = folder('read', 'secret')
  expect(readText(join(directory, 'none'))).toBeUndefined()
  expect(() => readText(directory)).toThrow(
    expect.objectContaining({kind: 'runtime', message: `${directory}: cannot be read: EISDIR`}),
  )
  expect(() => readText(join(file, 'below'))).toThrow(/ENOTDIR/)
})

describe.skipIf(!asRoot)('root', () => {
  it('leaves a replaced file with whose it was, and a new one of the state with whose the directory is', () => {
    const {directory, file} = folder('owner', 'old')
    chownSync(file, 1234, 4321)
    replaceFile(file, 'new')
    expect(statSync(file)).toMatchObject({uid: 1234, gid: 4321})
    chownSync(directory, NOBODY, NOBODY)
    const state = join(directory, 'agent-state.json')
    for (const text of ['first', 'second']) {
      writeDurably(state, text)
      expect(statSync(state)).toMatchObject({uid: NOBODY, gid: NOBODY, mode: 0o100600})
    }
    // Anything else that root makes is root's.
    replaceFile(join(directory, 'other'), 'x')
    expect(statSync(join(directory, 'other')).uid).toBe(0)
  })

  it('writes through no link that the owner of the directory has laid', () => {
    const {directory, file} = folder('link', 'old')
    chownSync(directory, NOBODY, NOBODY)
    const victim = join(scratch, 'victim')
    writeFileSync(victim, 'precious', {mode: 0o600})
    for (const name of [`${file}.new`, `${file}.${process.pid}.new`]) symlinkSync(victim, name)
    writeDurably(file, 'new')
    replaceFile(file, 'newer')
    expect(readFileSync(victim, 'utf8')).toBe('precious')
    expect(statSync(victim).uid).toBe(0)
    expect(readText(file)).toBe('newer')
  })
})

describe.skipIf(noNamespaces)('a disk with room for a part of it', () => {
  /** Runs the writer on a file system of two pages, of which the old file takes one. */
  async function onTinyDisk(writer: string) {
    const {directory} = folder(`tiny-${writer}`)
    const script = join(import.meta.dirname, 'write-on-full-disk.ts')
    const mounted = 'mount -t tmpfs -o size=8k gwswitch-test "$1" && exec "$2" "$3" "$4" "$1"'
    return JSON.parse(
      await runCommand('unshare', ['-m', 'sh', '-c', mounted, 'sh', directory, process.execPath, script, writer]),
    ) as unknown
  }

  it.each(['replaceFile', 'writeDurably', 'enroll'])('keeps the old file whole (%s)', async (writer) => {
    expect(await onTinyDisk(writer)).toEqual({
      ...{said: expect.stringMatching(/file: cannot be written: ENOSPC$/), kind: 'runtime'},
      ...{old: true, there: {file: 17}},
    })
  })

  it('keeps no part of a new key', async () => {
    expect(await onTinyDisk('keygen')).toEqual({
      ...{said: expect.stringMatching(/key: cannot be written: ENOSPC$/), kind: 'runtime'},
      ...{old: true, there: {file: 17, filler: 4096}},
    })
  })
})
