// What the pages for people say, held against what is there: links, anchors, examples, and the pages that are generated.
import {existsSync, globSync, readFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {describe, expect, it} from 'vitest'
import {anchorsOf, fencesOf, linksOf, slug} from '../../scripts/docs/markdown.ts'
import {referencePages, root} from '../../scripts/docs/reference.ts'
import {parseAgentConfig} from '../../src/domain/agent/config.ts'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {includedSchema} from '../../src/domain/inventory/inventory-schema.ts'
import {readYaml} from '../../src/domain/yaml-file.ts'
import {parseScenario} from '../../src/lab/scenario-file.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const PAGES = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], {
  cwd: root,
  exclude: (path) => path.includes('node_modules'),
}).sort()

describe('the reference', () => {
  it.each([...referencePages()])('%s says what the sources say', (path, text) => {
    expect(text, 'run `npm run docs -- reference`').toBe(existsSync(join(root, path)) ? read(path) : '')
  })
})

describe('links', () => {
  it.each(PAGES)('of %s lead somewhere', (page) => {
    const broken = linksOf(read(page)).filter(({target}) => {
      if (/^[a-z]+:/.test(target)) return false
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : relative(root, join(root, dirname(page), path))
      if (file.startsWith('..') || !existsSync(join(root, file))) return true
      return anchor !== undefined && !(file.endsWith('.md') && anchorsOf(read(file)).has(anchor))
    })
    expect(broken).toEqual([])
  })

  it('of docs/README.md lead to every page of docs/', () => {
    const linked = new Set(linksOf(read('docs/README.md')).map(({target}) => `docs/${target.split('#')[0]}`))
    const missing = PAGES.filter((page) => /^docs\/(?:reference\/)?[^/]+$/.test(page) && !linked.has(page))
    expect(missing, 'give it a row in docs/README.md').toEqual(['docs/README.md'])
  })

  it('are read off pages as GitHub reads them', () => {
    const page =
      '# A `b`: c, *d*\n\n## [x](y.md) z\n## x z\n\n[one](a.md#b) `[no](c.md)`\n```\n# no\n[no](d.md)\n```\n![two](e.svg)\n'
    expect([...anchorsOf(page)]).toEqual(['a-b-c-d', 'x-z', 'x-z-1'])
    expect(linksOf(page)).toEqual([
      {target: 'y.md', line: 3},
      {target: 'a.md#b', line: 6},
      {target: 'e.svg', line: 11},
    ])
    expect(slug('In the VM’s place: `--port-of VM`')).toBe('in-the-vms-place---port-of-vm')
  })
})

/** Which reader a YAML example is for, by its keys; the parts of an inventory stand alone where one key is explained. */
function readExample(text: string, name: string): void {
  const {value} = readYaml(text, name)
  const keys = Object.keys(value as object)
  if (keys.includes('trace') && keys.includes('expect')) parseScenario(text, name)
  else if (keys.includes('vm') && keys.includes('trusted')) parseAgentConfig(text, name)
  else if (keys.includes('version') && keys.includes('vms') && !keys.includes('include')) parseInventory(text, name)
  else {
    const whole = keys.includes('gateways') ? {segments: {any: {prefix: '10.1.0.0/24', ...(value as object)}}} : value
    const {version: _version, include: _include, ...sections} = whole as Record<string, unknown>
    // `yml`: keys of one place, without those that must be beside them.
    const schema = /\byml\b/.test(name) ? partial(sections) : sections
    const result = includedSchema.safeParse(schema)
    expect(result.error?.issues ?? [], name).toEqual([])
  }
}

/** With what a segment needs where an example leaves it out. */
const partial = (sections: Record<string, unknown>): unknown => ({
  ...sections,
  segments: Object.fromEntries(
    Object.entries((sections.segments ?? {}) as object).map(([name, keys]) => [name, {prefix: '10.1.0.0/24', ...keys}]),
  ),
})

const fences = PAGES.flatMap((page) =>
  fencesOf(read(page)).map((fence) => ({...fence, place: `${page}:${fence.line}`})),
)
const inLanguages = (...languages: string[]) =>
  fences
    .filter(({language}) => languages.includes(language))
    .map(({place, language, text}) => [place, language, text] as const)

describe('examples', () => {
  it.each(inLanguages('yaml', 'yml'))('%s is what the product reads', (place, language, text) => {
    readExample(text, `${place} ${language}`)
  })

  it.each([...inLanguages('json'), ['none', 'json', '{}'] as const])('%s is JSON', (_place, _language, text) => {
    expect(JSON.parse(text)).toBeDefined()
  })

  it('of an inventory with a key that is none are noticed', () => {
    expect(() => readExample('sites: {x: {prefxes: []}}', 'page yaml')).toThrow()
    expect(() => readExample('version: 1\nsites: {}\nvms: {a: {}}\n', 'page yaml')).toThrow(/segment/)
  })
})
