// Where gwswitch's own programs lie, which run as processes of their own: in the sources, and in what is built of them.
import {basename, dirname, join} from 'node:path'

/**
 * The path of a program by its module, `lab/relay-main`. Found from here upwards: a bundler may have put this code
 * anywhere below dist/.
 */
export function programPath(module: string): string {
  let folder = import.meta.dirname
  while (basename(folder) !== 'src' && basename(folder) !== 'dist') {
    if (dirname(folder) === folder) throw new Error(`${import.meta.dirname} lies neither in src nor in dist`)
    folder = dirname(folder)
  }
  return join(folder, `${module}.${basename(folder) === 'src' ? 'ts' : 'js'}`)
}
