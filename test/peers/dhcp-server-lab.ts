// Our DHCP server, started as an operator starts it, and what is asked of it in tests.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import type {ControlAnswers, ControlRequest, ExchangeEvent} from '../../src/domain/dhcp/control.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {connectJson, type JsonPeer} from '../../src/net/stream/json-lines.ts'
import {until} from './dhcp-lab.ts'

const CLI = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

export interface RunningServer {
  readonly pid: number
  /** What it logged so far. */
  log(): string
  ask<K extends ControlRequest['do']>(request: Extract<ControlRequest, {do: K}>): Promise<ControlAnswers[K]>
  /** Events from now on, as they come. */
  watch(): Promise<ExchangeEvent[]>
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<{readonly code: number | null; readonly stdout: string; readonly stderr: string}>
}

export interface ServerPlace {
  readonly interfaceName: string
  /** A directory that nobody may look into: the server becomes nobody. */
  readonly dir: string
  readonly store?: string
  /** Words before the program. */
  readonly under?: readonly string[]
}

/** Starts `gwswitch serve dhcp` and waits until it serves; with `ready: false`, until it has ended. */
export async function startServer(
  namespace: string,
  {interfaceName, dir, store = `${dir}/leases/leases.db`, under = []}: ServerPlace,
  args: readonly string[],
): Promise<RunningServer> {
  const control = `${dir}/control.sock`
  const own = ['-i', interfaceName, '--store', store, '--control', control]
  const [program = '', ...rest] = namespaceCommand(namespace, [
    ...under,
    process.execPath,
    CLI,
    'serve',
    'dhcp',
    ...own,
    ...args,
  ])
  const child = spawn(program, rest, {stdio: ['ignore', 'pipe', 'pipe']})
  const output = {stdout: '', stderr: ''}
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk))
  const peers: JsonPeer[] = []
  const connect = async (): Promise<JsonPeer> => {
    const peer = await connectJson(control, 'gwswitch serve dhcp')
    peers.push(peer)
    return peer
  }
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null
  await until(
    () => output.stderr.includes('event=ready') || ended(),
    () => output.stderr,
  )
  return {
    pid: child.pid!,
    log: () => output.stderr,
    async ask<K extends ControlRequest['do']>(request: Extract<ControlRequest, {do: K}>) {
      const peer = await connect()
      const answer = (await peer.ask(request)) as {ok: boolean}
      peer.close()
      if (!answer.ok) throw new Error(JSON.stringify(answer))
      return answer as unknown as ControlAnswers[K]
    },
    async watch() {
      const events: ExchangeEvent[] = []
      const peer = await connect()
      peer.onEvent((event) => events.push(event as ExchangeEvent))
      await peer.ask({do: 'watch'})
      return events
    },
    async end(signal) {
      for (const peer of peers) peer.close()
      if (!ended()) {
        child.kill(signal)
        await closed(child)
      }
      return {code: child.exitCode, ...output}
    },
  }
}

async function closed(child: ChildProcess): Promise<void> {
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await once(child, 'close')
  clearTimeout(late)
}

/** A field of `/proc/PID/task/TID/status` for every thread, the main one first. */
export function threadStatus(pid: number, tids: readonly string[], field: string): string[] {
  return tids.map(
    (tid) => new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8'))![1]!,
  )
}
