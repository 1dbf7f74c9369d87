// `gwswitch serve site --control` as a process in a namespace, and somebody who speaks to its socket.
import {type ChildProcess, spawn} from 'node:child_process'
import {randomUUID} from 'node:crypto'
import {once} from 'node:events'
import {dirname, join} from 'node:path'
import {text} from 'node:stream/consumers'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {connectUnix} from '../../src/net/stream/unix-socket.ts'
import type {SiteAnswer} from '../../src/services/site/control.ts'
import {until} from './until.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')

export interface SiteService {
  readonly child: ChildProcess
  readonly socket: string
  log(): string
  out(): string
  /** The answers to lines, of one connection that ends after them. */
  ask(...lines: readonly string[]): Promise<SiteAnswer[]>
  /** Resolves when a plan is ready, and its gateway was asked. */
  ready(plans?: number): Promise<void>
  end(signal?: NodeJS.Signals): Promise<void>
}

export interface SiteServiceOptions {
  readonly namespace: string
  readonly inventory: string
  readonly socket: string
  readonly args?: readonly string[]
  readonly under?: readonly string[]
  readonly site?: string
}

export async function startSiteService(options: SiteServiceOptions): Promise<SiteService> {
  const {namespace, inventory, socket, args = [], under = [], site = 'y'} = options
  const words = ['serve', 'site', site, '--control', socket, '-f', inventory, ...args]
  const [program, ...argv] = namespaceCommand(namespace, [...under, process.execPath, bin, ...words])
  // What one service has proved is not known to the next, unless the test says so (--journal).
  const journal = join(dirname(process.env.GWSWITCH_JOURNAL!), `${randomUUID()}.db`)
  const env = {...process.env, GWSWITCH_JOURNAL: journal}
  const child = spawn(program!, argv, {stdio: ['ignore', 'pipe', 'pipe'], env})
  const said = {log: '', out: ''}
  child.stderr.on('data', (chunk: Buffer) => {
    said.log += chunk
  })
  child.stdout.on('data', (chunk: Buffer) => {
    said.out += chunk
  })
  const closed = once(child, 'close')
  const self: SiteService = {
    ...{child, socket, log: () => said.log, out: () => said.out},
    ask: (...lines) => askSocket(socket, lines.map((line) => `${line}\n`).join('')),
    async ready(plans = 1) {
      const isReady = async (): Promise<boolean> => {
        const [status] = await self.ask('status')
        const {gateways} = status as unknown as {gateways: {state: string}[]}
        return (status!.plans as number) >= plans && gateways.some(({state}) => state === 'serves')
      }
      await until(isReady, 20_000, `it is ready: ${said.log}`)
    },
    async end(signal = 'SIGTERM') {
      child.kill(signal)
      await closed
    },
  }
  await until(async () => said.log.includes('orders by') || child.exitCode !== null, 30_000, 'it takes orders')
  if (child.exitCode !== null) throw new Error(`it ended: ${said.log}`)
  return self
}

/** What comes back for what is sent, until the other side ends it. */
export async function askSocket(path: string, sent: string | Uint8Array): Promise<SiteAnswer[]> {
  const socket = await connectUnix(path, 'the service')
  const answers = text(socket)
  socket.end(sent)
  return (await answers)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SiteAnswer)
}
