// Runs programs to their end. They get no terminal and their own process group, so that a Ctrl-C reaches gwswitch alone,
// which then decides what becomes of them.
import {spawn} from 'node:child_process'
import {Failure} from '../../errors.ts'

export interface CommandOptions {
  /** Written to standard input, which is closed afterwards. Default: nothing. */
  readonly input?: string
  /** Aborting kills the program and what it started (SIGKILL) and rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
}

export interface CommandResult {
  /** Exit code; null if a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Where the programs that gwswitch calls come from. */
const PACKAGES: Readonly<Record<string, string>> = {ip: 'iproute2', bridge: 'iproute2', tc: 'iproute2', nft: 'nftables'}

/**
 * Runs `command` and collects what it wrote. A code other than 0 is a result, not an error.
 * @throws Failure `runtime` if there is no such program.
 */
export function tryCommand(
  command: string,
  args: readonly string[],
  {input = '', signal, env}: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const child = spawn(command, args, {stdio: 'pipe', detached: true, env: {...process.env, ...env}})
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    // The group, since the program may have started others.
    const kill = (): void => killGroup(child.pid)
    signal?.addEventListener('abort', kill, {once: true})
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    // A program that ends before it read its input breaks the pipe; its exit code says what was wrong.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('error', (error: NodeJS.ErrnoException) => {
      signal?.removeEventListener('abort', kill)
      reject(error.code === 'ENOENT' ? notInstalled(command) : error)
    })
    child.on('close', (code) => {
      signal?.removeEventListener('abort', kill)
      if (signal?.aborted) reject(signal.reason)
      else resolve({code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString()})
    })
  })
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

/**
 * Runs `command`; returns its standard output.
 * @throws Failure `privilege` if the system did not permit it, `runtime` for any other code than 0, in one line.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await tryCommand(command, args, options)
  if (result.code === 0) return result.stdout
  throw commandFailure([command, ...args].join(' '), result)
}

/** The failure of a program that ended with `result`, told in one line. */
export function commandFailure(what: string, {code, stderr}: CommandResult): Failure {
  const why = firstLine(stderr) ?? (code === null ? 'it was killed' : `it ended with code ${code}`)
  const kind = /Operation not permitted|Permission denied/.test(stderr) ? 'privilege' : 'runtime'
  return new Failure(kind, `${what}: ${why}`)
}

const firstLine = (text: string): string | undefined => text.split('\n').find((line) => line.trim() !== '')

function notInstalled(command: string): Failure {
  const from = PACKAGES[command]
  return new Failure('runtime', `the program '${command}' was not found: install ${from ?? 'it'}`)
}
