// Where the inventory file is looked for, and those that it includes.
import {globSync, readFileSync, statSync} from 'node:fs'
import {dirname, join, resolve} from 'node:path'
import {Failure} from '../../errors.ts'
import {refuseOpen} from './text-file.ts'

/** What the user said about the inventory: `-f FILE`, the value of GWSWITCH_INVENTORY, and where they stand. */
export interface InventoryPlace {
  readonly flag: string | undefined
  readonly env: string | undefined
  readonly cwd: string
}

/** A file as it was read. `path` is as the user would write it. */
export interface NamedText {
  readonly path: string
  readonly text: string
}

/** Read when nobody names a file and the working directory has none. */
const SYSTEM_INVENTORY = '/etc/gwswitch/gwswitch.yaml'

/**
 * Text and path of the inventory: `flag`, else `env`, else ./gwswitch.yaml, else `system`. Undefined if nobody named
 * one and neither default exists. Throws Failure('usage') for a file that was named, or exists, and cannot be read.
 */
export function readInventoryFile(
  {flag, env, cwd}: InventoryPlace,
  system: string = SYSTEM_INVENTORY,
): NamedText | undefined {
  const named = flag || env
  if (named) return read(named, cwd, flag ? '--inventory' : 'GWSWITCH_INVENTORY')
  return read('gwswitch.yaml', cwd) ?? read(system, cwd)
}

/**
 * The files that an inventory at `path` includes, in the order of the patterns, those of one glob by name, each once and
 * never itself. Globs may match nothing. `at` begins what is said of a pattern. @throws Failure `usage` for a file that
 * cannot be read, or that others may write.
 */
export function readIncluded(
  path: string,
  patterns: readonly {readonly pattern: string; readonly at: string}[],
  cwd: string,
): readonly NamedText[] {
  const folder = dirname(path)
  const taken = new Set([resolve(cwd, path)])
  const found: NamedText[] = []
  for (const {pattern, at} of patterns) {
    for (const name of matches(pattern, resolve(cwd, folder))) {
      const place = resolve(cwd, folder, name)
      if (taken.has(place)) continue
      taken.add(place)
      const shown = name.startsWith('/') ? name : join(folder, name)
      try {
        found.push(read(shown, cwd, 'include')!)
      } catch (error) {
        throw new Failure('usage', `${at}: ${error instanceof Error ? error.message : error}`)
      }
    }
  }
  return found
}

/** Files alone: a folder that a glob matches is none. What is no glob is taken as it is. */
const matches = (pattern: string, folder: string): readonly string[] =>
  /[*?[\]{}]/.test(pattern)
    ? globSync(pattern, {cwd: folder})
        .filter((name) => statSync(resolve(folder, name), {throwIfNoEntry: false})?.isFile())
        .sort()
    : [pattern]

function read(
  path: string,
  cwd: string,
  namedBy?: 'include' | '--inventory' | 'GWSWITCH_INVENTORY',
): NamedText | undefined {
  try {
    const text = readFileSync(resolve(cwd, path), 'utf8')
    refuseOpen(resolve(cwd, path), 'unchanged')
    return {text, path}
  } catch (error) {
    if (error instanceof Failure) throw error
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' && namedBy === undefined) return undefined
    const why = {ENOENT: 'no such file', EACCES: 'permission denied', EISDIR: 'is a directory'}[code ?? ''] ?? code
    throw new Failure(
      'usage',
      `${path}: ${why}${namedBy === undefined ? '' : ` (named by ${namedBy}; want ${namedBy === 'include' ? 'a file of VMs' : 'an inventory file'})`}`,
    )
  }
}
