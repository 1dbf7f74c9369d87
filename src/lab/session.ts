// A TCP session and a UDP stream between a VM and a user, measured all the while: what an application would notice.
import type {ChildProcess} from 'node:child_process'
import {createInterface, type Interface} from 'node:readline'
import {Failure} from '../errors.ts'
import {type LabScript, spawnScript} from './processes.ts'
import type {FlowReport} from './session-record.ts'
import {USERS} from './topology.ts'
import {labVm} from './vms.ts'

export type {FlowReport} from './session-record.ts'

/** What the client process is told, one JSON object a line. */
export type SessionOrder = {readonly do: 'mark'; readonly phase: string} | {readonly do: 'report' | 'finish'}

export interface TcpReport extends FlowReport {
  /** Every byte came back once and in order. */
  readonly contiguous: boolean
  /** Byte offset of the first wrong one; undefined if there was none. */
  readonly brokenAt?: number | undefined
  /** Connections after the first. */
  readonly reconnects: number
}

export interface UdpReport extends FlowReport {
  readonly duplicated: number
}

export interface SessionReport {
  readonly intervalMs: number
  readonly tcp: TcpReport
  readonly udp: UdpReport
}

/** A session that runs until it is stopped, or until this process ends. */
export interface Session {
  /** Starts a new phase, reported on its own. Resolves when the client has noted it. */
  mark(phase: string): Promise<void>
  /** How it stands now. Records under way count as sent, not as echoed. */
  report(): Promise<SessionReport>
  /** Stops sending, waits for what is under way, ends both processes, and reports. */
  stop(): Promise<SessionReport>
  [Symbol.asyncDispose](): Promise<void>
}

const ANSWER_MS = 10_000

/**
 * Starts an echo server at a user and a client in a VM, and resolves once they are connected. The first phase is called
 * `start`. @throws Failure `usage` for an unknown VM or user, `runtime` if they do not connect.
 */
export async function startSession(
  prefix: string,
  vmName: string,
  userName: string,
  {intervalMs = 10}: {readonly intervalMs?: number} = {},
): Promise<Session> {
  const vm = labVm(vmName)
  const user = USERS.find(({name}) => name === userName)
  if (!user) {
    throw new Failure('usage', `lab: there is no user ${userName}: want ${USERS.map(({name}) => name).join(' or ')}`)
  }
  const server = startProcess(prefix, user.name, 'session-server', [user.ip])
  let client: SessionProcess | undefined
  try {
    const {tcpPort, udpPort} = (await server.answer()) as {tcpPort: number; udpPort: number}
    const args = [user.ip, tcpPort, udpPort, intervalMs].map(String)
    client = startProcess(prefix, vm.name, 'session-client', args)
    await client.answer()
    return sessionOf(server, client)
  } catch (error) {
    await Promise.all([server.end(), client?.end()])
    throw error
  }
}

function sessionOf(server: SessionProcess, client: SessionProcess): Session {
  let last: Promise<unknown> = Promise.resolve()
  // One at a time: an answer does not say which order it is for.
  const ask = (order: SessionOrder): Promise<unknown> => {
    const next = last.then(() => {
      client.tell(order)
      return client.answer()
    })
    last = next.catch(() => {})
    return next
  }
  const end = async (): Promise<void> => void (await Promise.all([client.end(), server.end()]))
  return {
    mark: async (phase) => void (await ask({do: 'mark', phase})),
    report: async () => (await ask({do: 'report'})) as SessionReport,
    async stop() {
      try {
        return (await ask({do: 'finish'})) as SessionReport
      } finally {
        await end()
      }
    },
    [Symbol.asyncDispose]: end,
  }
}

/** A child that speaks one JSON object a line and ends when its input does. */
export interface SessionProcess {
  tell(order: SessionOrder): void
  /** Its next line. @throws Failure `runtime` if it ends or stays silent. */
  answer(): Promise<unknown>
  end(): Promise<void>
}

export function startProcess(prefix: string, node: string, script: LabScript, args: readonly string[]): SessionProcess {
  // Its own group: a Ctrl-C at the terminal is for whoever runs the session, who closes its input.
  const child = spawnScript(prefix, node, script, args, {stdio: ['pipe', 'pipe', 'pipe'], detached: true})
  const stderr: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin?.on('error', () => {})
  const lines = createInterface({input: child.stdout!})
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()))
  const what = `lab: ${script} at ${node}`
  return {
    tell: (order) => void child.stdin?.write(`${JSON.stringify(order)}\n`),
    answer: () => nextLine(child, lines, what, stderr),
    async end() {
      child.stdin?.end()
      const late = setTimeout(() => child.kill('SIGKILL'), 1000)
      await ended
      clearTimeout(late)
      lines.close()
    },
  }
}

async function nextLine(
  child: ChildProcess,
  lines: Interface,
  what: string,
  stderr: readonly Buffer[],
): Promise<unknown> {
  const {promise, resolve, reject} = Promise.withResolvers<unknown>()
  const gone = (): void => {
    const why = Buffer.concat([...stderr])
      .toString()
      .trim()
      .split('\n')
      .at(-1)
    reject(new Failure('runtime', `${what} ended${why ? `: ${why}` : ''}`))
  }
  const timer = setTimeout(() => reject(new Failure('runtime', `${what} does not answer`)), ANSWER_MS)
  const take = (line: string): void => resolve(JSON.parse(line))
  lines.once('line', take)
  child.once('close', gone)
  if (child.exitCode !== null || child.signalCode !== null) gone()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    lines.off('line', take)
    child.off('close', gone)
  }
}
