// `agent install`: what a service of the agent takes on this machine. What is there already stays as it is.
import {join} from 'node:path'
import {Failure} from '../../errors.ts'
import {createFile, replaceFile} from '../../net/file/replace-file.ts'
import {makeFolderOf, readNamed, readText} from '../../net/file/text-file.ts'
import {makeKey} from './enroll.ts'

export interface InstallOrder {
  /** Folder that stands for /. */
  readonly root: string
  /** The unit as it is packaged. */
  readonly unit: string
  /** Words that start gwswitch, by absolute paths. */
  readonly program: readonly string[]
  readonly vm: string
  readonly force: boolean
  readonly dryRun: boolean
}

export interface InstalledFile {
  readonly file: string
  /** `kept`: it was there, and is not touched. `differs`: so too, and it is not what would be written. */
  readonly state: 'written' | 'kept' | 'differs'
}

export interface InstallDocument {
  readonly schema: 'gwswitch.agent-install/1'
  readonly dryRun: boolean
  readonly vm: string
  readonly files: readonly InstalledFile[]
  /** Public half of the VM's key; null in a dry run without one. */
  readonly publicKey: string | null
  readonly warnings: readonly string[]
}

const UNIT = 'etc/systemd/system/gwswitch-agent.service'
const CONFIG = 'etc/gwswitch/agent.yaml'
const KEY = 'etc/gwswitch/agent.key'
const STATE = 'var/lib/gwswitch'
/** The unit hides them (ProtectHome=yes). */
const HIDDEN = /^\/(?:home|root|run\/user)\//

/** @throws Failure `usage` for a unit that is none of ours, `privilege` or `runtime` if something cannot be written. */
export function installAgent(order: InstallOrder): InstallDocument {
  const {root, program, vm, dryRun} = order
  const at = (path: string): string => join(root, path)
  const files = [
    put(at(UNIT), unitText(readNamed(order.unit, 'want the unit that gwswitch comes with'), program), order),
    put(at(CONFIG), exampleConfig(vm), {...order, force: false}),
  ]
  if (!dryRun) makeFolderOf(join(at(STATE), 'file'), 0o700)
  const key = dryRun ? undefined : makeKey(at(KEY), false)
  const hidden = program.filter((word) => HIDDEN.test(word))
  return {
    ...{schema: 'gwswitch.agent-install/1', dryRun, vm},
    files: [
      ...files,
      ...(key === undefined ? [] : [{file: key.file, state: key.created ? 'written' : 'kept'} as const]),
    ],
    publicKey: key?.publicKey ?? null,
    warnings: hidden.map(
      (word) => `${word}: the service does not see it there (ProtectHome): install gwswitch for all users`,
    ),
  }
}

function put(file: string, text: string, {force, dryRun}: Pick<InstallOrder, 'force' | 'dryRun'>): InstalledFile {
  const before = readText(file)
  if (before === text) return {file, state: 'kept'}
  if (before !== undefined && !force) return {file, state: file.endsWith('.yaml') ? 'kept' : 'differs'}
  if (!dryRun) {
    makeFolderOf(file, 0o755)
    if (before === undefined) createFile(file, text, 0o644)
    else replaceFile(file, text)
  }
  return {file, state: 'written'}
}

/** The packaged unit with the program as it is here. */
function unitText(packaged: string, program: readonly string[]): string {
  const words = program.map((word) => (/^[\w./+-]+$/.test(word) ? word : JSON.stringify(word))).join(' ')
  const text = packaged.replace(/^ExecStart=\S+/m, `ExecStart=${words}`)
  if (text.includes(`ExecStart=${words} agent `)) return text
  throw new Failure('usage', 'the unit that gwswitch comes with starts no agent')
}

const exampleConfig = (
  vm: string,
): string => `# Who this VM is, whom it obeys, and how far: docs/agent.md explains every key.
# "gwswitch agent enroll" adds a key that may give orders; "systemctl reload gwswitch-agent" makes the agent read this again.
version: 1
vm: ${JSON.stringify(vm)}
# Beyond the gateways; one of each family must answer an echo before traffic moves, and again afterwards.
# probes: [203.0.113.10]
`

/** Lines for people. */
export function installText({files, publicKey, dryRun}: InstallDocument): string[] {
  const words = {
    written: dryRun ? 'would write' : 'wrote',
    kept: 'kept',
    differs: 'kept, differs (--force replaces it)',
  }
  return [
    ...files.map(({file, state}) => `${words[state]} ${file}`),
    ...(publicKey === null ? [] : [`public half of this VM's key: ${publicKey}`]),
  ]
}
