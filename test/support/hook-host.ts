// A hypervisor as far as hooks see it: a network of its own, folders of its own over the machine's, the platform's programs, and none of those
// that a host may lack.

import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {type CommandResult, tryCommand} from '../../src/net/process/command.ts'
import {until} from './until.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')

export interface HookHost extends AsyncDisposable {
  /** Runs a program there, under the platform's own name and environment. */
  inside(argv: readonly string[], env?: Readonly<Record<string, string>>): Promise<CommandResult>
  hook(...words: readonly string[]): Promise<CommandResult>
  /** Until what hooks started has ended. */
  settled(): Promise<void>
  /** What hooks wrote to the system's log. */
  notes(): string[]
}

export interface HookHostFacts {
  /** Shell of programs that the platform brings. */
  readonly programs?: Readonly<Record<string, string>>
  /** Files, by their absolute paths there; what begins as a script is executable. */
  readonly files?: Readonly<Record<string, string>>
  /** Programs that this host lacks. */
  readonly lacks?: readonly string[]
  /** Shell, run there first. */
  readonly setup?: string
}

/** `folder` is the test's own. */
export async function hookHost(folder: string, facts: HookHostFacts = {}): Promise<HookHost> {
  const {programs = {}, files = {}, lacks = [], setup = ''} = facts
  mkdirSync(join(folder, 'bin'), {recursive: true})
  const log = lacks.includes('logger') ? {} : {logger: `echo "$*" >>${folder}/notes`}
  const scripts = {...log, ...programs}
  for (const [name, text] of Object.entries(scripts))
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}\n`, {mode: 0o755})
  for (const [i, text] of Object.values(files).entries())
    writeFileSync(join(folder, `file${i}`), text, {mode: text.startsWith('#!') ? 0o755 : 0o644})
  const laid = Object.keys(files).map((path, i) => `mkdir -p "$(dirname ${path})"; cp -p ${folder}/file${i} ${path}`)
  const missing = lacks.map(
    (name) => `p=$(readlink -f /usr/bin/${name}) && [ -e "$p" ] && mount --bind ${folder}/none $p`,
  )
  writeFileSync(join(folder, 'none'), '', {mode: 0o644})
  const script = `set -e
mount --make-rprivate /
mkdir -p ${folder}/layers
mount -t tmpfs none ${folder}/layers
mount -t tmpfs none /run
mount -t sysfs none /sys
for at in /etc /usr /var; do
  mkdir -p ${folder}/layers$at/up ${folder}/layers$at/work
  mount -t overlay none -o lowerdir=$at,upperdir=${folder}/layers$at/up,workdir=${folder}/layers$at/work $at
done
${laid.join('\n')}
set +e
${missing.join('\n')}
${setup}
echo ready
exec cat
`
  const child = spawn('unshare', ['-m', '-n', 'sh', '-c', script], {stdio: ['pipe', 'pipe', 'inherit']})
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => Promise.reject(new Error('no host')))])
  const inside: HookHost['inside'] = (argv, env = {}) => {
    const set = Object.entries({PATH: `${folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin`, ...env}).map((pair) =>
      pair.join('='),
    )
    return tryCommand('nsenter', ['-t', String(child.pid), '-m', '-n', 'env', '-i', ...set, ...argv])
  }
  const settled = (): Promise<void> =>
    until(async () => processesWith(child.pid!) === 1, 30_000, 'what the hook started ends')
  return {
    ...{inside, settled},
    hook: (...words) => inside([process.execPath, bin, 'hook', ...words], {NODE_ENV: 'production', HOME: folder}),
    notes: () => {
      try {
        return readFileSync(join(folder, 'notes'), 'utf8').trim().split('\n')
      } catch {
        return []
      }
    },
    async [Symbol.asyncDispose]() {
      await settled()
      child.stdin.end()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

/** How many processes see the files that one sees. */
function processesWith(pid: number): number {
  const mounts = (of: string): string | undefined => {
    try {
      return readlinkSync(`/proc/${of}/ns/mnt`)
    } catch {
      return undefined
    }
  }
  const mine = mounts(String(pid))
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && mounts(name) === mine).length
}
