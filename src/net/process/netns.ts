// Network namespaces (ip-netns(8)): which there are, and doing things inside them.
import {type ChildProcess, type SpawnOptions, spawn} from 'node:child_process'
import {closeSync, openSync, readdirSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {errorName, libc} from '../libc.ts'
import {say} from './say.ts'

const NETNS_DIRECTORY = '/run/netns'
const CLONE_NEWNET = 0x4000_0000

/** Names of the namespaces that ip-netns(8) knows. */
export function namespaces(): string[] {
  try {
    return readdirSync(NETNS_DIRECTORY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/**
 * Calls `fn` with this thread inside the network namespace `name`, and returns to where it was, whatever `fn` does.
 * Sockets opened by `fn` stay in the namespace. `fn` must be synchronous: what runs later runs outside again.
 *
 * @throws Failure `runtime` if there is no such namespace, `privilege` without CAP_SYS_ADMIN.
 */
export function inNamespace<T>(name: string, fn: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    enter(openNamespace(name), `network namespace ${name}`)
    try {
      return fn()
    } finally {
      if (libc().setns(home, CLONE_NEWNET) !== 0) {
        // Anything done from here on would hit the wrong network.
        say('cannot return to the own network namespace')
        process.abort()
      }
    }
  } finally {
    closeSync(home)
  }
}

function openNamespace(name: string): number {
  try {
    return openSync(`${NETNS_DIRECTORY}/${name}`, 'r')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw new Failure('runtime', `there is no network namespace ${name}`)
    throw new Failure(code === 'EACCES' ? 'privilege' : 'runtime', `cannot open network namespace ${name}: ${code}`)
  }
}

function enter(fd: number, what: string): void {
  try {
    if (libc().setns(fd, CLONE_NEWNET) === 0) return
    const error = errorName()
    if (error !== 'EPERM') throw new Failure('runtime', `cannot enter ${what} (${error})`)
    throw new Failure('privilege', `entering ${what} needs CAP_SYS_ADMIN: run as root`)
  } finally {
    closeSync(fd)
  }
}

/** The command line that runs `argv` inside the namespace `name`, for a shell or for `spawn`. */
export const namespaceCommand = (name: string, argv: readonly string[]): string[] => [
  'ip',
  'netns',
  'exec',
  name,
  ...argv,
]

/** Starts `argv` inside the namespace `name`. The child's pid is that of the program: ip(8) becomes it. */
export function spawnIn(name: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const [command = '', ...args] = namespaceCommand(name, argv)
  return spawn(command, args, options)
}
