// Which pages the site has, and where: docs/ at its root, and the pages beside it in the repository.
import {globSync} from 'node:fs'
import {dirname, join, posix} from 'node:path'
import {root} from './reference.ts'

/** Pages beside docs/ that belong to it. */
const BESIDE: Readonly<Record<string, string>> = {
  'README.md': 'overview.html',
  'CONTRIBUTING.md': 'contributing.html',
  'CHANGELOG.md': 'changelog.html',
}

export const sitePages = (): readonly string[] => [
  ...Object.keys(BESIDE),
  ...globSync('docs/**/*.md', {cwd: root}).sort(),
]

/** `docs/trace.md` is `trace.html`, and `docs/README.md` the index. Undefined for what is no page. */
export function outputOf(path: string): string | undefined {
  if (path in BESIDE) return BESIDE[path]
  if (!path.startsWith('docs/') || !path.endsWith('.md')) return undefined
  return path
    .slice('docs/'.length)
    .replace(/(^|\/)README\.md$/, '$1index.md')
    .replace(/\.md$/, '.html')
}

/**
 * A link of a page as the site has it: relative, so that the site works below any path and from files. What is no page keeps
 * its place in the repository, below `files/`; `wanted` is told which those are.
 */
export function siteLink(from: string, target: string, wanted: (path: string) => void): string {
  if (/^[a-z]+:|^#/.test(target)) return target
  const [path = '', anchor] = target.split('#')
  const file = posix.join(dirname(from), path)
  let output = outputOf(file)
  if (output === undefined && file.startsWith('docs/') && !posix.extname(file)) output = `${file.slice(5)}/index.html`
  if (output === undefined) {
    wanted(file)
    output = join('files', file)
  }
  const relative = posix.relative(dirname(outputOf(from)!), output)
  return anchor === undefined ? relative : `${relative}#${anchor}`
}
