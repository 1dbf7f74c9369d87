import {globSync, readFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {describe, expect, it} from 'vitest'

const root = join(import.meta.dirname, '..')
const src = join(root, 'src')

/** The floors, ground floor first; CONTRIBUTING draws them. Each stands on those before it, but for what NEVER says. */
const FLOORS = [
  'errors.ts',
  'wire',
  'domain',
  'render',
  'net',
  'probe',
  'strategies',
  'orders',
  'services',
  'lab',
  'cli',
  'commands',
  'hooks',
  'testing',
] as const
/** Whatever acts does not know how it is shown, and judgements do not touch the operating system. */
const NEVER: Partial<Record<(typeof FLOORS)[number], readonly string[]>> = {
  render: ['net'],
  net: ['domain', 'render'],
  probe: ['render'],
  strategies: ['render'],
  services: ['render'],
}
/** Files at the top: what a program or a plugin begins with. */
const ENTRANCES = ['main.ts', 'executable.ts', 'executable-parts.d.ts', 'index.ts', 'testing.ts']

/** What the pure floors may import from outside. */
const OUTSIDE: Record<string, readonly string[]> = {
  wire: ['node:crypto', 'binary-parser/dist/binary_parser.js'],
  domain: ['node:crypto', 'zod', 'yaml', '@xmldom/xmldom'],
  render: ['node:util', 'string-width', 'd3-scale', 'd3-shape'],
}

/** What touches the operating system. */
const SYSTEM = ['node:fs', 'node:fs/promises', 'node:child_process', 'node:net', 'node:dgram', 'node:sqlite']

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

/** Every circle of imports, as the files on it; type imports count, since a reader follows them too. */
function circles(): string[][] {
  const imports = new Map<string, string[]>()
  for (const {file, specifier, target} of all)
    if (target !== undefined) imports.set(file, [...(imports.get(file) ?? []), join(dirname(file), specifier)])
  const done = new Set<string>()
  const found: string[][] = []
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file])
    if (path.includes(file) || done.has(file)) return
    for (const next of imports.get(file) ?? []) walk(next, [...path, file])
    done.add(file)
  }
  for (const file of imports.keys()) walk(file, [])
  return found
}

describe('the floors', () => {
  it.each(FLOORS.map((floor, i) => [floor, i] as const))('%s stands only on the floors below it', (floor, i) => {
    const below = FLOORS.slice(0, i).filter((each) => !NEVER[floor]?.includes(each))
    const wrong = all.filter(
      ({file, target}) =>
        file.split('/')[0] === floor &&
        target !== undefined &&
        target !== floor &&
        !(below as readonly string[]).includes(target),
    )
    expect(wrong.map(({file, specifier}) => `${file} → ${specifier}`)).toEqual([])
  })

  it('has no circle of imports', () => {
    expect(circles().map((circle) => circle.join(' → '))).toEqual([])
  })

  it('touches the operating system in net/, lab/ and programs of their own alone', () => {
    const touching = all.filter(({specifier}) => SYSTEM.includes(specifier)).map(({file}) => file)
    expect(touching.filter((file) => !/^(?:net|lab)\/|-main\.ts$/.test(file))).toEqual([])
  })

  it.each(Object.entries(OUTSIDE))('%s is pure', (floor, allowed) => {
    const wrong = all.filter(
      ({file, specifier, target}) =>
        file.startsWith(`${floor}/`) && target === undefined && !allowed.includes(specifier),
    )
    expect(wrong.map(({file, specifier}) => `${file} → ${specifier}`)).toEqual([])
  })

  it('has one importer of binary-parser, of amqplib and of d3, one of koffi a purpose, and inquirer only where it is asked', () => {
    const importers = (name: string): string[] =>
      [...new Set(all.filter(({specifier}) => specifier.startsWith(name)).map(({file}) => file))].sort()
    expect(importers('binary-parser')).toEqual(['wire/table.ts'])
    for (const file of importers('koffi')) expect(file).toMatch(/^net\//)
    for (const file of importers('inquirer')) expect(file).toBe('cli/prompt.ts')
    // Loaded where notifications of Nova are wanted, and nowhere else.
    expect(importers('amqplib')).toEqual(['net/stream/amqp.ts'])
    expect(importers('d3-')).toEqual([
      'render/evaluation/figure.ts',
      'render/evaluation/strips.ts',
      'render/trace-svg.ts',
    ])
    for (const file of importers('@oclif/'))
      expect(file).toMatch(/^(?:cli|commands|hooks)\/|^(?:main|executable|executable-parts\.d)\.ts$/)
  })
})

describe('the files', () => {
  const files = globSync('**/*.ts', {cwd: src})
  it('load what draws only where something is drawn', () => {
    const atOnce = /^(?:import|export) [^(\n]*from '[^']*(?:trace-svg|render\/evaluation\/\w+)\.ts'/m
    expect(files.filter((file) => atOnce.test(readFileSync(join(src, file), 'utf8')))).toEqual([])
    const drawing = /\/(?:trace-svg|evaluation\/(?:page|figure|strips))\.ts$/
    const importing = all.filter(({file, specifier}) => drawing.test(specifier) && !file.startsWith('render/'))
    const drawers = ['orders/evaluation/write-report.ts', 'orders/trace/run-traces.ts']
    expect([...new Set(importing.map(({file}) => file))].sort()).toEqual(drawers)
  })
  it('are none of them over 400 lines', () => {
    const long = files.filter((file) => readFileSync(join(src, file), 'utf8').split('\n').length > 400)
    expect(long).toEqual([])
  })
  it('end every import of our own with .ts, which is what runs', () => {
    expect(all.filter(({target, specifier}) => target !== undefined && !specifier.endsWith('.ts'))).toEqual([])
  })
  it('print and log in one place, where what others say is made harmless', () => {
    const printing = /process\.(?:stdout|stderr)\.write|console\.\w+\(|super\.log\(|writeSync\(\s*[12]\b|ux\.\w+\(/
    const found = files.filter((file) => printing.test(readFileSync(join(src, file), 'utf8')))
    expect(found.toSorted()).toEqual(['cli/base-command.ts', 'net/process/say.ts'])
    expect(readFileSync(join(src, 'cli/base-command.ts'), 'utf8').match(new RegExp(printing, 'g'))).toHaveLength(1)
    expect(readFileSync(join(src, 'cli/base-command.ts'), 'utf8')).toContain('super.log(shown(line))')
    // Lines of a busy service leave by a descriptor.
    const writers = files.filter((file) => /\blineWriter\(/.test(readFileSync(join(src, file), 'utf8')))
    expect(writers.toSorted()).toEqual([
      ...['commands/serve/dhcp-shim.ts', 'commands/serve/dhcp.ts', 'net/file/line-writer.ts'],
      'services/dhcp/serve-main.ts',
    ])
    // And a question to a person goes by inquirer.
    expect(readFileSync(join(src, 'cli/prompt.ts'), 'utf8').match(/message: [`']/g)).toBeNull()
  })
  it('are where the top level says', () => {
    const top = new Set(files.map((file) => file.split('/')[0]!))
    const known = new Set<string>([...FLOORS, ...ENTRANCES])
    expect([...top].filter((name) => !known.has(name))).toEqual([])
  })
})
