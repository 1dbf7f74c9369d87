// Whether dist/ is as new as what it is made of: asked before every task, and by tests that somebody runs without one.
import {existsSync, readdirSync, statSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const mark = join(root, 'dist/.built')
const SOURCES = ['src', 'tsconfig.json', 'package-lock.json', 'scripts/bundle.mjs']

function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

export const isBuilt = () =>
  existsSync(mark) && statSync(mark).mtimeMs >= Math.max(...SOURCES.map((name) => newest(join(root, name))))

/** To be called when dist/ is whole. */
export const markBuilt = () => writeFileSync(mark, '')
