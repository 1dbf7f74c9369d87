// docs/reference/json.md: the documents that commands print with --json, from where the sources name them.
import type {Manifest} from './reference-commands.ts'
import {generated, table} from './table.ts'

type Texts = ReadonlyMap<string, string>

interface Given {
  readonly sources: Texts
  readonly schemas: Texts
  /** Pages of docs/, by path. */
  readonly pages: Texts
  readonly commands: Manifest['commands']
}

/** Every `gwswitch.trace/2` that stands in the sources. */
function namesIn(sources: Texts): readonly string[] {
  const all = [...sources.values()].flatMap((text) => [...text.matchAll(/'(gwswitch\.[a-z0-9-]+\/\d+)'/g)])
  return [...new Set(all.map(([, name]) => name!))].sort()
}

/** Whether a file speaks of the document, and not of one whose name begins with its name. */
const names = (text: string, name: string): boolean => new RegExp(`${name.replace('.', '\\.')}(?!\\d)`).test(text)

/** The command that a document is named after, or those of the topic. */
function printers(ids: readonly string[], document: string): readonly string[] {
  const exact = ids.filter((id) => id.replaceAll(' ', '-') === document)
  return exact.length > 0 ? exact : ids.filter((id) => id.replaceAll(' ', '-').startsWith(`${document}-`))
}

const link = (text: string, path: string): string => `[${text}](${path})`

export function jsonPage({sources, schemas, pages, commands}: Given): string {
  const ids = Object.keys(commands).map((id) => id.replaceAll(':', ' '))
  const rows = namesIn(sources).map((name) => {
    const printing = printers(ids, name.replace(/^gwswitch\.(.*)\/\d+$/, '$1'))
    const schema = [...schemas].find(([, text]) => names(text, name))?.[0]
    const page = [...pages].filter(([, text]) => names(text, name)).map(([path]) => path.replace('docs/', ''))
    return [
      `\`${name}\``,
      printing.map((id) => link(`\`${id}\``, `commands.md#gwswitch-${id.replaceAll(' ', '-')}`)).join(', '),
      schema === undefined ? '' : link(schema, `../../${schema}`),
      page.map((each) => link(each, `../${each}`)).join(', '),
    ]
  })
  return `${[
    generated('JSON documents', 'src/ and schemas/'),
    'With `--json` a command prints one document on stdout, and nothing else. Its `schema` names its form; the number counts up when a field goes or changes what it means ([what breaks](../../CONTRIBUTING.md#what-breaks)). A field that is not known is null, never left out.',
    table(['schema', 'named after', 'JSON Schema', 'read about it'], rows),
  ].join('\n\n')}\n`
}
