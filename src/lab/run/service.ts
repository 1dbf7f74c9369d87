// A program that runs in a node of the lab until it is ended.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {Failure} from '../../errors.ts'
import {namespaceCommand} from '../../net/process/netns.ts'
import {ownCommand} from '../../net/process/program.ts'
import {labEnvironment} from '../processes.ts'
import {namespaceOf} from '../topology.ts'

export interface Service {
  end(): Promise<void>
}

const READY_MS = 60_000
const END_MS = 5000

/** Resolves when it has said what matches. `own`: words of gwswitch. @throws Failure `runtime` if it does not. */
export async function startService(
  prefix: string,
  node: string,
  words: readonly string[],
  ready: RegExp,
  own = false,
  env: Readonly<Record<string, string>> = {},
): Promise<Service> {
  const [program = '', ...argv] = namespaceCommand(namespaceOf(prefix, node), own ? ownCommand(words) : words)
  const child = spawn(program, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {...process.env, ...labEnvironment(prefix), ...env},
  })
  await said(child, ready, words.slice(0, 2).join(' '))
  return {end: () => end(child)}
}

async function said(child: ChildProcess, ready: RegExp, what: string): Promise<void> {
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  let log = ''
  const failed = (why: string): void =>
    reject(new Failure('runtime', `lab run: ${what} ${why}: ${log.trim().split('\n').at(-1) ?? ''}`))
  const hear = (chunk: Buffer): void => {
    log += chunk
    if (ready.test(log)) resolve()
  }
  child.stdout?.on('data', hear)
  child.stderr?.on('data', hear)
  child.once('exit', () => failed('ended')).once('error', (error) => failed(error.message))
  const timer = setTimeout(() => failed('is not ready'), READY_MS)
  try {
    await promise
  } catch (error) {
    await end(child)
    throw error
  } finally {
    clearTimeout(timer)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS)
  await closed
  clearTimeout(late)
}
