// The agent while it runs: sockets in front, the receiver behind them, the kernel's notifications at its side.
import {chmodSync, mkdirSync, rmSync} from 'node:fs'
import {connect, createServer, type Server, type Socket as Stream} from 'node:net'
import {dirname} from 'node:path'
import {createInterface} from 'node:readline'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {Failure} from '../../errors.ts'
import {openUdpListener, type UdpListener} from '../../net/stream/udp-listener.ts'
import {BEACON_TYP} from '../../wire/agent-beacon.ts'
import {claimedTyp} from '../../wire/agent-jws.ts'
import {AGENT_MESSAGE_LIMIT, type SigningKey} from '../../wire/agent-message.ts'
import {type Endpoint, endpointText} from '../../wire/endpoint.ts'
import type {AgentKernel} from './kernel.ts'
import {PROBE_MARK, PROBE_TABLE} from './overlay-rules.ts'
import {makeReceiver, type Receiver, type ReceiverCounts} from './receiver.ts'
import {type AgentStore, openStore} from './store.ts'
import {makeWhereabouts, type SiteStatus, type Whereabouts} from './whereabouts.ts'

/** ms in which several notifications count as one. */
const SETTLE_MS = 50
/** At most one look a second, however often others change their routes. */
const LOOK_EVERY_MS = 1000
/** What one asks the agent's unix socket for its {@link SiteStatus}: no message, which is signed, looks like it. */
const STATUS_LINE = 'status'
const STATUS_MS = 1000

export interface Agent {
  /** Addresses that it listens on. */
  readonly listening: readonly string[]
  readonly counts: ReceiverCounts
  /** Takes a message as if it had come by a socket. */
  receive: Receiver['receive']
  /** Takes a beacon as if it had come by UDP. */
  hear: Whereabouts['hear']
  /** What it knows of where it is. */
  where: Whereabouts['status']
  /** Whether no switch is under way and no session drains. */
  readonly idle: boolean
  stop(): Promise<void>
}

export interface AgentOptions {
  readonly config: AgentConfig
  readonly key: SigningKey
  readonly kernel: AgentKernel
  /** Listen on UDP too; `agent --once` does not. */
  readonly network: boolean
}

/**
 * Finishes what an agent before it left undone, then listens.
 * @throws Failure `privilege` without CAP_NET_ADMIN and CAP_NET_RAW, `runtime` if a socket or the state cannot be
 * opened, or another agent runs on this state.
 */
export async function startAgent({config, key, kernel, network}: AgentOptions): Promise<Agent> {
  const server = config.socket === undefined ? undefined : await ownSocket(config.socket)
  const store = openStoreOr(config.state, kernel, () => server?.close())
  const listeners: UdpListener[] = []
  const whereabouts = makeWhereabouts({
    ...{config, kernel, key},
    memory: () => store.memory,
    send: (note, to) => fitting(listeners, to.address)?.send(note, to),
  })
  const receiver = makeReceiver({
    ...{config, kernel, store, key},
    onSwitch: whereabouts.switched,
    onSwitchFailed: whereabouts.switchFailed,
  })
  const {switcher} = receiver
  const streams = new Set<Stream>()
  const timers = new Set<NodeJS.Timeout>()
  const later = (ms: number, run: () => void): NodeJS.Timeout => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      run()
    }, ms)
    timers.add(timer)
    return timer
  }
  const close = async (): Promise<void> => {
    whereabouts.stop()
    for (const timer of timers) clearTimeout(timer)
    for (const listener of listeners) listener.close()
    for (const stream of streams) stream.destroy()
    server?.close()
    await watch?.close()
  }
  let watch: {close(): Promise<void>} | undefined
  const reassert = paced(SETTLE_MS, LOOK_EVERY_MS, later, put)
  let recovering = false
  try {
    await mayAct(kernel)
    recovering = true
    const {last} = store.memory
    // What comes to its end now says so itself.
    if (last?.phase === 'done' && last.state !== 'confirmed') whereabouts.switchFailed()
    await switcher.recover()
    const onError = (error: Error): void => kernel.log(`udp: ${error.message}`)
    if (network)
      for (const endpoint of config.listen) listeners.push(await openUdpListener(endpoint, onMessage, onError))
    watch = kernel.watchRoutes({onLost: reassert, onNotifyPeers: whereabouts.moved})
    server?.on('connection', (stream) => serve(stream, {receiver, whereabouts}, streams))
  } catch (error) {
    // What it began to finish would keep a process alive that hears nobody.
    if (recovering) await switcher.stop().catch((why: Error) => kernel.log(`not undone: ${why.message}`))
    await close()
    throw error
  }

  function put(): void {
    try {
      switcher.reassert()
    } catch (error) {
      // An owner that starts again takes the address away for a moment.
      kernel.log(`rules not put back yet: ${(error as Error).message}`)
      reassert()
    }
  }

  function onMessage(bytes: Uint8Array, from: Endpoint, listener: UdpListener): void {
    if (claimedTyp(bytes) === BEACON_TYP) whereabouts.hear(bytes)
    else void receiver.receive(bytes, (token) => listener.send(token, from))
  }

  return {
    listening: [...listeners.map(({endpoint}) => endpointText(endpoint)), ...(config.socket ? [config.socket] : [])],
    counts: receiver.counts,
    receive: receiver.receive,
    hear: whereabouts.hear,
    where: whereabouts.status,
    get idle() {
      return switcher.idle
    },
    async stop() {
      // What is undone now, because the agent stops, is no reason to ask.
      whereabouts.stop()
      await switcher.stop()
      await close()
    },
  }
}

/** A socket that is listened on would keep the process alive that cannot start. */
function openStoreOr(directory: string, kernel: AgentKernel, close: () => void): AgentStore {
  try {
    return openStore(directory, kernel)
  } catch (error) {
    close()
    throw error
  }
}

/** What is missing is said at the start, not at the first switch. @throws Failure `privilege` */
async function mayAct(kernel: AgentKernel): Promise<void> {
  try {
    // Of a rule that is not there: whether one may is asked before it is looked for.
    kernel.deleteRule({family: 4, priority: 1, table: PROBE_TABLE, mark: PROBE_MARK})
  } catch (error) {
    if ((error as {code?: string}).code !== 'EPERM') throw error
    const how = 'run as root, or by packaging/gwswitch-agent.service (AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW)'
    throw new Failure('privilege', `changing routes needs CAP_NET_ADMIN: ${how}`)
  }
  await kernel.echoAny(['127.0.0.1'], {mark: PROBE_MARK.value, timeoutMs: 1})
}

/** One that can send there: `::` takes IPv4 too. */
const fitting = (listeners: readonly UdpListener[], address: string): UdpListener | undefined =>
  listeners.find(({endpoint}) => endpoint.address === '::') ??
  listeners.find(({endpoint}) => endpoint.address.includes(':') === address.includes(':'))

/** Runs `run` once for a burst of calls, and not more often than every `everyMs`. */
function paced(
  settleMs: number,
  everyMs: number,
  later: (ms: number, run: () => void) => unknown,
  run: () => void,
): () => void {
  let waiting = false
  let ranAt = Number.NEGATIVE_INFINITY
  return () => {
    if (waiting) return
    waiting = true
    later(Math.max(settleMs, ranAt + everyMs - performance.now()), () => {
      waiting = false
      ranAt = performance.now()
      run()
    })
  }
}

/** One message a line; answers come back a line each. */
function serve(
  stream: Stream,
  {receiver, whereabouts}: {readonly receiver: Receiver; readonly whereabouts: Whereabouts},
  streams: Set<Stream>,
): void {
  streams.add(stream)
  stream.on('close', () => streams.delete(stream))
  stream.on('error', () => stream.destroy())
  let pending = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
      const line = pending.subarray(0, end)
      pending = pending.subarray(end + 1)
      const reply = (text: string): void => void (stream.writable && stream.write(`${text}\n`))
      if (line.toString('latin1') === STATUS_LINE) reply(JSON.stringify(whereabouts.status()))
      else if (line.length > 0) void receiver.receive(line, reply)
    }
    if (pending.length > AGENT_MESSAGE_LIMIT) stream.destroy()
  })
}

/**
 * Listens on a unix socket, for root alone. It is the lock too: two agents on one VM would undo each other's work.
 * @throws Failure `privilege` where the place is not ours, else `runtime`.
 */
async function ownSocket(path: string): Promise<Server> {
  if (await reachable(path)) throw new Failure('runtime', `another agent runs already: ${path} answers`)
  try {
    mkdirSync(dirname(path), {recursive: true, mode: 0o755})
    rmSync(path, {force: true})
    const server = createServer()
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
    chmodSync(path, 0o600)
    return server
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    const what = `cannot listen on ${path}: ${code ?? error}`
    if (code !== 'EACCES' && code !== 'EPERM') throw new Failure('runtime', what)
    throw new Failure('privilege', `${what} (run as root, or by packaging/gwswitch-agent.service)`)
  }
}

/** What the agent that runs at `path` knows of where it is; undefined if none runs, or an older one that does not say. */
export const siteStatus = (path: string): Promise<SiteStatus | undefined> =>
  new Promise((resolve) => {
    const stream = connect(path)
    stream.setTimeout(STATUS_MS, () => stream.destroy())
    stream.on('error', () => stream.destroy())
    stream.on('close', () => resolve(undefined))
    createInterface({input: stream}).on('line', (line) => {
      resolve(statusIn(line))
      stream.destroy()
    })
    stream.write(`${STATUS_LINE}\n`)
  })

/** Undefined for what is no JSON: then it is no agent that answers there. */
function statusIn(line: string): SiteStatus | undefined {
  try {
    return JSON.parse(line) as SiteStatus
  } catch {
    return undefined
  }
}

export const reachable = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const stream = connect(path)
    stream.on('connect', () => {
      stream.destroy()
      resolve(true)
    })
    stream.on('error', () => resolve(false))
  })

/** Hands messages to the agent that runs already, and its answers to `onAnswer`, until `done` says that it was the last. */
export function forward(
  path: string,
  tokens: readonly string[],
  onAnswer: (token: string) => boolean,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = connect(path)
    const end = (): void => {
      stream.destroy()
      resolve()
    }
    signal.addEventListener('abort', end, {once: true})
    stream.on('error', (error) => reject(new Failure('runtime', `${path}: ${error.message}`)))
    stream.on('close', end)
    createInterface({input: stream}).on('line', (line) => onAnswer(line) && end())
    stream.write(tokens.map((token) => `${token}\n`).join(''))
  })
}
