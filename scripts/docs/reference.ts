// The reference pages: made of the tables that the program itself goes by, so that they cannot say anything else.
import {globSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {codesPage} from './reference-codes.ts'
import {commandsPage, type Manifest} from './reference-commands.ts'
import {inventoryPage} from './reference-inventory.ts'
import {jsonPage} from './reference-json.ts'

export const root = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const texts = (pattern: string): ReadonlyMap<string, string> =>
  new Map(
    globSync(pattern, {cwd: root})
      .sort()
      .map((path) => [path, read(path)]),
  )

const manifest = (): Manifest => JSON.parse(read('oclif.manifest.json'))

/** Each generated page by its path in the repository. */
export function referencePages(): ReadonlyMap<string, string> {
  const {commands} = manifest()
  const topics = JSON.parse(read('package.json')).oclif.topics
  const json = {sources: texts('src/**/*.ts'), schemas: texts('schemas/*.json'), pages: texts('docs/*.md'), commands}
  return new Map([
    ['docs/reference/commands.md', commandsPage(commands, topics)],
    ['docs/reference/codes.md', codesPage()],
    ['docs/reference/inventory-keys.md', inventoryPage()],
    ['docs/reference/json.md', jsonPage(json)],
  ])
}
