// What a row has at hand during one migration.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {Failure} from '../../errors.ts'
import {tryCommand} from '../../net/process/command.ts'
import {namespaceCommand} from '../../net/process/netns.ts'
import {ownCommand} from '../../net/process/program.ts'
import {labEnvironment} from '../processes.ts'
import {labFiles} from '../state.ts'
import {type LabSite, namespaceOf} from '../topology.ts'
import type {RunRig} from './rig.ts'
import type {Stage} from './row.ts'

const READY_MS = 30_000
const END_MS = 5000

/** Its services end when it does. */
export function runStage(
  {prefix, vm, machine, gateways}: RunRig,
  from: LabSite,
  to: LabSite,
  folder: string,
  signal: AbortSignal,
): Stage & AsyncDisposable {
  const {inventory, journal} = labFiles(prefix)
  const env = {...labEnvironment(prefix), GWSWITCH_JOURNAL: journal}
  const services: ChildProcess[] = []
  const inNode = (node: string, argv: readonly string[]): string[] => namespaceCommand(namespaceOf(prefix, node), argv)
  const stage: Stage = {
    ...{prefix, vm, machine, gateways, from, to},
    file: (name) => join(folder, name),
    run(node, argv) {
      const [program = '', ...args] = inNode(node, argv)
      return tryCommand(program, args, {env, signal})
    },
    inventory: readFileSync(inventory, 'utf8'),
    async gwswitch(node, args, file = inventory) {
      return ended(await stage.run(node, ownCommand([...args, '-f', file, '--json'])))
    },
    async serve(node, args, ready) {
      const [program = '', ...argv] = inNode(node, ownCommand([...args, '-f', inventory]))
      const child = spawn(program, argv, {stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, ...env}})
      services.push(child)
      await said(child, ready, `gwswitch ${args.slice(0, 2).join(' ')}`)
    },
  }
  return {
    ...stage,
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map(end))
    },
  }
}

/** `switched (served), 0`. */
function ended({code, stdout, stderr}: Awaited<ReturnType<typeof tryCommand>>): string {
  try {
    const document = JSON.parse(stdout) as {end?: string; code?: string; error?: {message: string} | null}
    const why = document.error?.message ?? document.code
    return `${document.end ?? 'done'}${why === undefined ? '' : ` (${why})`}, exit ${code}`
  } catch {
    return `exit ${code}: ${stderr.trim().split('\n')[0] ?? ''}`
  }
}

async function said(child: ChildProcess, ready: RegExp, what: string): Promise<void> {
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  let log = ''
  const failed = (why: string): void =>
    reject(new Failure('runtime', `lab run: ${what} ${why}: ${log.trim().split('\n').at(-1) ?? ''}`))
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk
    if (ready.test(log)) resolve()
  })
  child.once('exit', () => failed('ended')).once('error', (error) => failed(error.message))
  const timer = setTimeout(() => failed('is not ready'), READY_MS)
  await promise.finally(() => clearTimeout(timer))
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS)
  await closed
  clearTimeout(late)
}
