// Where the inventory file is looked for.
import {readFileSync} from 'node:fs'
import {resolve} from 'node:path'
import {Failure} from '../../errors.ts'
import {refuseOpen} from './text-file.ts'

/** What the user said about the inventory: `-f FILE`, the value of GWSWITCH_INVENTORY, and where they stand. */
export interface InventoryPlace {
  readonly flag: string | undefined
  readonly env: string | undefined
  readonly cwd: string
}

/** Read when nobody names a file and the working directory has none. */
const SYSTEM_INVENTORY = '/etc/gwswitch/gwswitch.yaml'

/**
 * Text and path of the inventory: `flag`, else `env`, else ./gwswitch.yaml, else `system`. Undefined if nobody named
 * one and neither default exists. Throws Failure('usage') for a file that was named, or exists, and cannot be read.
 * The path is as the user would write it.
 */
export function readInventoryFile(
  {flag, env, cwd}: InventoryPlace,
  system: string = SYSTEM_INVENTORY,
): {readonly text: string; readonly path: string} | undefined {
  const named = flag || env
  if (named) return read(named, cwd, flag ? '--inventory' : 'GWSWITCH_INVENTORY')
  return read('gwswitch.yaml', cwd) ?? read(system, cwd)
}

function read(path: string, cwd: string, namedBy?: string): {text: string; path: string} | undefined {
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
      `${path}: ${why}${namedBy === undefined ? '' : ` (named by ${namedBy}; want an inventory file)`}`,
    )
  }
}
