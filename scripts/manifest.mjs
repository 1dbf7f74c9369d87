// Writes oclif.manifest.json from src/, as `oclif manifest` would from dist/. A test compares the two.
import {readFileSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {Config} from '@oclif/core'
import {sourceOf} from './source-config.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** The manifest as text. Its relative paths name dist/, which is what the installed CLI loads. */
export async function manifestText() {
  const pjson = sourceOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
  const config = await Config.load({root, pjson, ignoreManifest: true})
  const {version, commands} = config.plugins.get(config.pjson.name).manifest
  const text = JSON.stringify(
    {commands: Object.fromEntries(Object.entries(commands).sort(([a], [b]) => (a < b ? -1 : 1))), version},
    undefined,
    2,
  )
  return `${text.replaceAll('"src"', '"dist"').replace(/("(?:[\w-]+))\.ts"/g, '$1.js"')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(root, 'oclif.manifest.json'), await manifestText())
}
