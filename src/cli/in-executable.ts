// What oclif asks for in the executable, where our modules and our manifest are no files.

import {commands, manifest} from 'gwswitch:parts'
import {createRequire} from 'node:module'
import {dirname, join, relative} from 'node:path'

/** Where the executable lies, and what belongs to it: koffi's binary, units, plugins. A folder that is root's. */
export const home = (): string => dirname(process.execPath)

const nameOf = (path: string): string => relative(home(), path)

export const isOwn = (path: string): boolean => nameOf(path) in commands

/** One of ours, or of a plugin: a file that may be either kind of module, as require() loads it. */
export async function loadModule(path: string): Promise<unknown> {
  const own = commands[nameOf(path)]
  return own ? own() : createRequire(path)(path)
}

/** @throws as require.resolve does */
export const resolveModule = (path: string): string => createRequire(join(home(), 'gwswitch')).resolve(path)

export const ownJson = (path: string): object | undefined =>
  path === join(home(), 'oclif.manifest.json') ? manifest : undefined
