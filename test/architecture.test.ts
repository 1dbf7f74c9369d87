import {globSync, readFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {describe, expect, it} from 'vitest'

const root = join(import.meta.dirname, '..')
const src = join(root, 'src')

/** What each floor may stand on, ground floor first; CONTRIBUTING draws it. */
const FLOORS: Record<string, readonly string[]> = {
  'errors.ts': [],
  wire: [],
  domain: ['wire', 'errors.ts'],
  render: ['domain', 'wire', 'errors.ts'],
  net: ['wire', 'errors.ts'],
  probe: ['net', 'render', 'domain', 'wire', 'errors.ts'],
  strategies: ['probe', 'net', 'render', 'domain', 'wire', 'errors.ts'],
  services: ['strategies', 'probe', 'net', 'render', 'domain', 'wire', 'errors.ts'],
  lab: ['services', 'strategies', 'probe', 'net', 'render', 'domain', 'wire', 'errors.ts'],
}
/** What the pure floors may import from outside. */
const OUTSIDE: Record<string, readonly string[]> = {
  wire: ['node:crypto', 'binary-parser/dist/binary_parser.js'],
  domain: ['node:crypto', 'zod', 'yaml'],
  render: [],
}

interface Import {
  readonly file: string
  readonly specifier: string
  /** First path component below src/, for our own files. */
  readonly target: string | undefined
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8')
  return [...text.matchAll(/(?:^import |^export .* from |^import .* from |^\} from |\bimport\()'([\w@./:-]+)'/gm)].map(
    ([, specifier]) => ({
      file,
      specifier: specifier!,
      target: specifier!.startsWith('.')
        ? relative(src, join(src, dirname(file), specifier!)).split('/')[0]!
        : undefined,
    }),
  )
}

const all = globSync('**/*.ts', {cwd: src}).flatMap(importsOf)

describe('the floors', () => {
  it.each(Object.entries(FLOORS))('%s stands only on the floors below it', (floor, below) => {
    const wrong = all.filter(
      ({file, target}) =>
        file.split('/')[0] === floor && target !== undefined && target !== floor && !below.includes(target),
    )
    expect(wrong.map(({file, specifier}) => `${file} → ${specifier}`)).toEqual([])
  })

  it.each(Object.entries(OUTSIDE))('%s is pure', (floor, allowed) => {
    const wrong = all.filter(
      ({file, specifier, target}) =>
        file.startsWith(`${floor}/`) && target === undefined && !allowed.includes(specifier),
    )
    expect(wrong.map(({file, specifier}) => `${file} → ${specifier}`)).toEqual([])
  })

  it('has one importer of binary-parser, one of koffi a purpose, and inquirer only where it is asked', () => {
    const importers = (name: string): string[] =>
      [...new Set(all.filter(({specifier}) => specifier.startsWith(name)).map(({file}) => file))].sort()
    expect(importers('binary-parser')).toEqual(['wire/table.ts'])
    for (const file of importers('koffi')) expect(file).toMatch(/^net\//)
    for (const file of importers('inquirer')) expect(file).toBe('prompt.ts')
    for (const file of importers('@oclif/'))
      expect(file).toMatch(/^(?:commands|hooks)\/|^(?:base-command|flags|[a-z]+-flags|main)\.ts$/)
  })
})

describe('the files', () => {
  const files = globSync('**/*.ts', {cwd: src})
  it('are none of them over 400 lines', () => {
    const long = files.filter((file) => readFileSync(join(src, file), 'utf8').split('\n').length > 400)
    expect(long).toEqual([])
  })
  it('end every import of our own with .ts, which is what runs', () => {
    expect(all.filter(({target, specifier}) => target !== undefined && !specifier.endsWith('.ts'))).toEqual([])
  })
  it('are where the top level says', () => {
    const top = new Set(files.map((file) => file.split('/')[0]!))
    const known = new Set([
      ...Object.keys(FLOORS),
      'commands',
      'hooks',
      'base-command.ts',
      'flags.ts',
      'main.ts',
      'index.ts',
      'prompt.ts',
    ])
    expect([...top].filter((name) => !known.has(name) && !/^[a-z]+-flags\.ts$/.test(name))).toEqual([])
  })
})
