// The published JSON Schemas are those of the types that the program is made of, and there is one of every document.
import {globSync, readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {schemaTexts} from '../scripts/schemas.mjs'
import {checkDocuments, complaints, publishedSchema} from './support/schemas.ts'

const root = join(import.meta.dirname, '..')
const folder = join(root, 'schemas')
const texts = schemaTexts()
const names = [...texts.keys()].map((file) => file.replace(/^(.*)\.(\d+)\.json$/, 'gwswitch.$1/$2'))

it('are those that are checked in', () => {
  for (const [file, text] of texts) expect(readFileSync(join(folder, file), 'utf8'), 'run `npm run schemas`').toBe(text)
})

it('are of what is printed, or of an earlier version of it', () => {
  const versions = new Map([...texts.keys()].map((file) => [file.split('.')[0], Number(file.split('.')[1])]))
  const strange = readdirSync(folder).filter((file) => {
    const [name, version] = file.split('.')
    return !texts.has(file) && !(Number(version) < (versions.get(name) ?? 0))
  })
  expect(strange, 'of no document: rm').toEqual([])
})

it('are of every document that the sources name', () => {
  const named = globSync('src/**/*.ts', {cwd: root}).flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/'(gwswitch\.[a-z0-9-]+\/\d+)'/g)].map(([, name]) => name!),
  )
  const missing = [...new Set(named)].filter((name) => !names.includes(name))
  expect(missing, 'give it a named interface or type whose `schema` is that literal, then `npm run schemas`').toEqual(
    [],
  )
})

it.each(names)('%s compiles, says its name and when it was made, and a document its exit code', (name) => {
  const {anyOf, ...one} = publishedSchema(name)
  for (const {properties, required} of anyOf ?? [one]) {
    expect(properties.schema).toEqual({const: name})
    expect(properties.at).toMatchObject({format: 'date-time'})
    expect(required).toEqual(expect.arrayContaining(['schema', 'at']))
  }
  expect(complaints({schema: name})[0]).toMatchObject({keyword: expect.any(String)})
})

it('notice a document that is not as it is published, also among lines of other text', () => {
  const at = '2026-01-02T03:04:05.678Z'
  const good = {schema: 'gwswitch.lab-down/1', at, prefix: 'gw', removed: true, exitCode: 0}
  const tell = (document: object): void => checkDocuments(`some words\n${JSON.stringify(document)}\n`)
  tell(good)
  for (const bad of [
    {...good, removed: 1},
    {...good, more: 1},
    {...good, at: 'today'},
    {...good, schema: 'gwswitch.x/1'},
  ])
    expect(() => tell(bad)).toThrow(/not as its schema says/)
})
