// How gwswitch starts itself again, and its own programs that run as processes of their own. It is one of three: its
// sources, what is built of them (dist/), or one executable that carries Node in it.
import {basename, dirname, join} from 'node:path'

/** Set where the executable is built. */
declare const GWSWITCH_EXECUTABLE: boolean | undefined

/** Whether this is the executable. */
export const isExecutable = typeof GWSWITCH_EXECUTABLE !== 'undefined' && GWSWITCH_EXECUTABLE

/** In the executable, the first argument that names a program. */
export const PROGRAM_PREFIX = 'program:'

/** The words that start this gwswitch, absolute where it is installed. */
export const ownCommand = (args: readonly string[] = []): string[] => [process.execPath, ...ownScript(), ...args]

/** The files that whoever starts it again must be able to read. */
export const ownFiles = (): string[] => (isExecutable ? [process.execPath] : ownScript())

/** The words that start this process again, with the options of Node that it was started with. */
export const ownCommandAgain = (): string[] => [
  process.execPath,
  ...(isExecutable ? [] : process.execArgv),
  ...ownScript(),
  ...process.argv.slice(2),
]

const ownScript = (): string[] => (isExecutable ? [] : [process.argv[1]!])

/** The words that start a program by its module, `lab/relay-main`, with options of Node. */
export function programCommand(
  module: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): [string, ...string[]] {
  if (!isExecutable) return [process.execPath, ...nodeOptions, programPath(module), ...args]
  const options = nodeOptions.length === 0 ? [] : [`--node-options=${nodeOptions.join(' ')}`]
  return [process.execPath, ...options, PROGRAM_PREFIX + module, ...args]
}

/** The files that whoever starts a program must be able to read. */
export const programFiles = (module: string): string[] =>
  isExecutable ? [process.execPath] : [process.execPath, programPath(module)]

/** Whether programs are run from their sources. */
export const isSource = (): boolean => !isExecutable && programPath('main').endsWith('.ts')

/** Found from here upwards: a bundler may have put this code anywhere below dist/. */
function codeFolder(): string {
  let folder = import.meta.dirname
  while (basename(folder) !== 'src' && basename(folder) !== 'dist') {
    if (dirname(folder) === folder) throw new Error(`${import.meta.dirname} lies neither in src nor in dist`)
    folder = dirname(folder)
  }
  return folder
}

function programPath(module: string): string {
  const folder = codeFolder()
  return join(folder, `${module}.${basename(folder) === 'src' ? 'ts' : 'js'}`)
}

/** Where bin/, dist/ and package.json are; of the executable there is none. */
export const packageFolder = (): string => dirname(codeFolder())
