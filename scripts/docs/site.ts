// The site: docs/ as plain pages of HTML in out/site, by Eleventy, without scripts, fonts or anything from elsewhere.
import {cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {slug} from './markdown.ts'
import {root} from './reference.ts'
import {layout, STYLE} from './site-layout.ts'
import {outputOf, siteLink, sitePages} from './site-pages.ts'

export const SITE = join(root, 'out/site')
/** By its path: it is installed apart, and only where a site is made. */
const ELEVENTY = join(root, 'tools/docs/node_modules/@11ty/eleventy/src/Eleventy.js')

/** What is used of markdown-it (12 and later). */
interface Token {
  type: string
  content: string
  children: Token[] | null
  attrGet(name: string): string | null
  attrSet(name: string, value: string): void
}
interface MarkdownIt {
  core: {ruler: {push(name: string, rule: (state: {tokens: Token[]; env: {source: string}}) => void): void}}
}
/** What is used of Eleventy 3. */
interface EleventyConfig {
  addTemplate(path: string, text: string, data: Readonly<Record<string, unknown>>): void
  amendLibrary(name: 'md', change: (markdown: MarkdownIt) => void): void
  addTransform(name: string, transform: (this: unknown, html: string) => string): void
}

/** Text of a heading, as it is shown. */
const plain = (inline: Token): string => (inline.children ?? []).map(({content}) => content).join('')

/** Anchors as GitHub makes them, and links that lead where the site has the page. */
function repositoryMarkdown(markdown: MarkdownIt, wanted: (path: string) => void): void {
  markdown.core.ruler.push('repository', ({tokens, env}) => {
    const anchors = new Set<string>()
    for (const [i, token] of tokens.entries()) {
      if (token.type === 'heading_open') token.attrSet('id', unused(slug(plain(tokens[i + 1]!)), anchors))
      for (const child of token.children ?? [])
        for (const attribute of ['href', 'src']) {
          const target = child.attrGet(attribute)
          if (target !== null) child.attrSet(attribute, siteLink(env.source, target, wanted))
        }
    }
  })
}

function unused(name: string, taken: Set<string>): string {
  let unique = name
  for (let n = 1; taken.has(unique); n++) unique = `${name}-${n}`
  taken.add(unique)
  return unique
}

/** The decisions have no page of their own in the repository, whose folder is one. */
function decisionsIndex(): string {
  const files = globSync('docs/decisions/[0-9]*.md', {cwd: root}).sort()
  const rows = files.map((path) => {
    const title = readFileSync(join(root, path), 'utf8').split('\n')[0]!.replace(/^# /, '')
    return `- [${title}](${path.replace('docs/decisions/', '')})`
  })
  return `# Decisions\n\nWhat binds whoever works on gwswitch, a page each.\n\n${rows.join('\n')}\n`
}

/** Makes the site. @throws Error where Eleventy cannot. */
export async function makeSite(): Promise<void> {
  const {default: Eleventy} = (await import(ELEVENTY)) as {
    default: new (input: string, output: string, options: object) => {write(): Promise<unknown>}
  }
  rmSync(SITE, {recursive: true, force: true})
  mkdirSync(SITE, {recursive: true})
  const files = new Set<string>()
  const pages = new Map(sitePages().map((path) => [path, readFileSync(join(root, path), 'utf8')]))
  pages.set('docs/decisions/README.md', decisionsIndex())
  const empty = join(root, 'out/.site-input')
  mkdirSync(empty, {recursive: true})
  process.chdir(join(root, 'out'))
  const eleventy = new Eleventy('.site-input', 'site', {
    quietMode: true,
    configPath: false,
    config: (config: EleventyConfig) => {
      config.amendLibrary('md', (markdown) => repositoryMarkdown(markdown, (path) => files.add(path)))
      for (const [source, text] of pages) {
        const url = outputOf(source)!
        config.addTemplate(url.replace('.html', '.md'), text, {source, permalink: url, templateEngineOverride: 'md'})
      }
      config.addTransform('page', function (this: unknown, html) {
        // Eleventy leaves the index out of a folder's address.
        const {url} = (this as {page: {url: string}}).page
        return layout(
          html,
          url.replace(/^\//, '').replace(/(?:^|\/)$/, (slash) => `${slash}index.html`),
        )
      })
    },
  })
  await eleventy.write()
  for (const file of files)
    if (existsSync(join(root, file))) cpSync(join(root, file), join(SITE, 'files', file), {recursive: true})
  writeFileSync(join(SITE, 'style.css'), STYLE)
}
