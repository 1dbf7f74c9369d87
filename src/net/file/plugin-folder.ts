// The folder that plugins are installed into: what `npm install --prefix FOLDER` makes of it. oclif's own installer brings all
// of npm and yarn along; npm is enough.
import {existsSync, readFileSync, statSync} from 'node:fs'
import {registerHooks} from 'node:module'
import {join} from 'node:path'
import {Failure, usage} from '../../errors.ts'

/** Read where GWSWITCH_PLUGINS names no other. */
const SYSTEM_PLUGINS = '/usr/lib/gwswitch/plugins'
/** Modes as of inode(7): write, for the group and for others. */
const OTHERS_WRITE = 0o022

/** Plugins by their names, in the folder that has them. */
export interface Plugins {
  readonly folder: string
  readonly names: readonly string[]
}

/**
 * The plugins that are installed. `named` is the value of GWSWITCH_PLUGINS. Undefined: none.
 * @throws Failure `usage` for a folder that was named and has none, or where others may put their own program; `runtime` for a
 * plugin that is not there whole: oclif would go on without it.
 */
export function installedPlugins(named: string | undefined, system = SYSTEM_PLUGINS): Plugins | undefined {
  const folder = named || system
  const text = packageText(folder)
  if (text === undefined) {
    if (!named) return undefined
    throw usage(`GWSWITCH_PLUGINS: ${folder} has no package.json (npm install --prefix ${folder} PLUGIN makes one)`)
  }
  for (const path of [folder, join(folder, 'package.json')]) refuseOthers(path)
  const names = dependenciesOf(text, join(folder, 'package.json'))
  const lost = names.find((name) => !existsSync(join(folder, 'node_modules', name, 'package.json')))
  if (lost !== undefined)
    throw new Failure(
      'runtime',
      `the plugin ${lost} is not in ${folder} (npm install --prefix ${folder} brings it back)`,
    )
  return names.length === 0 ? undefined : {folder, names}
}

function packageText(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'package.json'), 'utf8')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw usage(`${join(folder, 'package.json')}: cannot be read: ${code}`)
  }
}

/** What is there runs with our rights. */
function refuseOthers(path: string): void {
  const {uid, mode} = statSync(path)
  if (uid !== 0 && uid !== process.geteuid?.())
    throw usage(`${path}: belongs to another user: no plugin is loaded from it`)
  if ((mode & OTHERS_WRITE) !== 0)
    throw usage(`${path}: others may write it: no plugin is loaded from it (chmod go-w ${path})`)
}

function dependenciesOf(text: string, file: string): readonly string[] {
  try {
    return Object.keys(JSON.parse(text).dependencies ?? {})
  } catch {
    throw usage(`${file}: is no JSON`)
  }
}

/**
 * `gwswitch` and `gwswitch/testing` are this very program to whatever imports them from now on: a plugin needs no copy of it,
 * and speaks to no other version. `entry` is where index.js and testing.js are.
 */
export function provideSelf(entry: URL): void {
  const own = new Map(['index', 'testing'].map((name) => [name === 'index' ? 'gwswitch' : `gwswitch/${name}`, name]))
  registerHooks({
    resolve(specifier, context, next) {
      const name = own.get(specifier)
      return name === undefined
        ? next(specifier, context)
        : {url: new URL(`${name}.js`, entry).href, shortCircuit: true}
    },
  })
}
