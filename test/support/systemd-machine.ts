// A machine with a real systemd in it, for units that are to run under one: systemd-machine.sh, seen from a test.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {type CommandResult, tryCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {noNamespaces} from './namespaces.ts'
import {until} from './until.ts'

const repository = join(import.meta.dirname, '../..')
const script = join(import.meta.dirname, 'systemd-machine.sh')
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Why there can be none here; undefined if there can. */
export const noSystemd: string | undefined =
  noNamespaces ??
  (existsSync('/lib/systemd/systemd') ? undefined : 'there is no systemd (Debian: systemd)') ??
  ['overlay', 'cgroup2']
    .filter((name) => !new RegExp(`\\t${name}$`, 'm').test(readFileSync('/proc/filesystems', 'utf8')))
    .map((name) => `the kernel has no ${name}`)[0]

export interface SystemdMachine {
  /** A file of it, seen from here. */
  path(name: string): string
  /** Runs a program in it; codes other than 0 are results. */
  try(...argv: readonly string[]): Promise<CommandResult>
  /** Its standard output. Throws, with what the journal has at last, if it fails. */
  run(...argv: readonly string[]): Promise<string>
  gwswitch(...args: readonly string[]): Promise<string>
  /** A property of a unit (systemctl show). */
  property(unit: string, name: string): Promise<string>
  /** What the journal has of a unit. */
  journal(unit: string): Promise<string>
}

/** Boots it in a network namespace, and ends it after `fn`. */
export async function withSystemd<T>(namespace: string, fn: (machine: SystemdMachine) => Promise<T>): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-systemd-'))
  const [program = '', ...args] = namespaceCommand(namespace, [script, scratch, repository, process.execPath])
  const child = spawn(program, args, {stdio: ['ignore', 'ignore', 'pipe']})
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = once(child, 'exit')
  try {
    const machine = machineOf(await firstProcess(child.pid!, () => said))
    await until(async () => (await machine.try('systemctl', 'is-active', 'bare.target')).code === 0, 30_000, said)
    await machine.run('systemctl', 'start', 'systemd-journald')
    return await fn(machine)
  } finally {
    child.kill('SIGTERM')
    await ended
    rmSync(scratch, {recursive: true, force: true})
  }
}

/** The pid of systemd, a descendant. */
async function firstProcess(pid: number, said: () => string): Promise<number> {
  let found: number | undefined
  await until(
    async () => {
      found = descendants(pid).find((each) => textOf(`/proc/${each}/cmdline`).startsWith('/lib/systemd/systemd\0'))
      return found !== undefined
    },
    30_000,
    `systemd runs: ${said()}`,
  )
  return found!
}

const descendants = (pid: number): number[] =>
  textOf(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter(Boolean)
    .flatMap((child) => [Number(child), ...descendants(Number(child))])

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function machineOf(pid: number): SystemdMachine {
  const inside = (...argv: readonly string[]): Promise<CommandResult> =>
    tryCommand('nsenter', ['-t', `${pid}`, '-a', 'env', '-i', `PATH=${PATH}`, 'NO_COLOR=1', ...argv])
  const journal = async (unit: string): Promise<string> =>
    (await inside('journalctl', '--no-pager', '-o', 'cat', '-u', unit)).stdout
  const run = async (...argv: readonly string[]): Promise<string> => {
    const {code, stdout, stderr} = await inside(...argv)
    if (code === 0) return stdout
    const {stdout: last} = await inside('journalctl', '--no-pager', '-n', '20')
    throw new Error(`${argv.join(' ')}: ${code}: ${stderr}${last}`)
  }
  return {
    ...{try: inside, run, journal},
    path: (name) => join(`/proc/${pid}/root`, name),
    gwswitch: (...args) => run('/opt/node', '/opt/gwswitch/bin/run.js', ...args),
    property: async (unit, name) => (await run('systemctl', 'show', '-p', name, '--value', unit)).trim(),
  }
}
