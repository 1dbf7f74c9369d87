// The executable of the .deb (scripts/executable.mjs), of the sources as they are now: made once, and kept for all who run it.
import {createHash} from 'node:crypto'
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {buildId, root} from '../../scripts/bundle-parts.mjs'
import {tryCommand} from '../../src/net/process/command.ts'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
/** `node --build-sea` came with 25.5. */
export const cannotBuild = major < 25 || (major === 25 && minor < 5)

const KEPT = join(root, 'node_modules/.cache/gwswitch-executable')
/** What it is made by, and of, beside the sources. */
const RECIPE = ['scripts/executable.mjs', 'scripts/bundle-parts.mjs', 'oclif.manifest.json', 'package.json']
const KOFFI = join(root, `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`)

/** For sh(1), by one at a time: all who want it begin at once. */
const MAKE = `[ ! -e "$1" ] || exit 0
rm -rf "$1.new"; mkdir -p "$1.new/program"
"$2" "$0/scripts/executable.mjs" "$1.new/program/gwswitch" "$1.new/parts"
cp "$3" "$1.new/program/koffi.node"
mv "$1.new" "$1"`

/**
 * Its folder: `gwswitch`, and the binary that belongs beside it.
 * @throws Error where its making says anything.
 */
export async function executable(): Promise<string> {
  const sum = createHash('sha256').update(`${MAKE}${buildId()}${process.version}${process.arch}`)
  for (const name of RECIPE) sum.update(readFileSync(join(root, name)))
  const key = sum.digest('hex').slice(0, 16)
  const home = join(KEPT, key)
  if (!existsSync(home)) {
    mkdirSync(KEPT, {recursive: true})
    const make = [join(KEPT, 'lock'), 'sh', '-ec', MAKE, root, home, process.execPath, KOFFI]
    const {code, stderr} = await tryCommand('flock', make)
    if (code !== 0 || stderr !== '') {
      rmSync(home, {recursive: true, force: true})
      throw new Error(`the executable was not made: ${stderr}`)
    }
    for (const name of readdirSync(KEPT))
      if (name !== 'lock' && !name.startsWith(key)) rmSync(join(KEPT, name), {recursive: true, force: true})
  }
  return join(home, 'program')
}
