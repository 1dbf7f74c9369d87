// The agent while it runs: sockets in front, the receiver behind them, the kernel's notifications at its side.

import type {AgentConfig} from '../../domain/agent/config.ts'
import {isPending} from '../../domain/agent/memory.ts'
import {Failure} from '../../errors.ts'
import type {Audit} from '../../net/file/audit-log.ts'
import {openUdpListener, type Peer, type UdpListener} from '../../net/stream/udp-listener.ts'
import {listenUnix, onLines, type UnixServer, type UnixSocket} from '../../net/stream/unix-socket.ts'
import {BEACON_TYP} from '../../wire/agent-beacon.ts'
import {claimedTyp} from '../../wire/agent-jws.ts'
import {AGENT_MESSAGE_LIMIT, type SigningKey} from '../../wire/agent-message.ts'
import {endpointText} from '../../wire/endpoint.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import type {AgentKernel} from './kernel.ts'
import {openKeys} from './keys.ts'
import {agentMetrics} from './metrics.ts'
import {PROBE_MARK, PROBE_TABLE} from './overlay-rules.ts'
import {makeReceiver, type Receiver, type ReceptionCounts} from './receiver.ts'
import {readFacts} from './routes.ts'
import {RESET_LINE, STATUS_LINE} from './running-agent.ts'
import {type AgentStore, openStore} from './store.ts'
import type {AgentEnd} from './switcher.ts'
import {makeWhereabouts, type Whereabouts} from './whereabouts.ts'

/** ms in which several notifications count as one. */
const SETTLE_MS = 50
/** At most one look a second, however often others change their routes. */
const LOOK_EVERY_MS = 1000
/** And one in this time: what no notification tells of, as that one of two routers is silent, shows then. */
const LOOK_AT_LEAST_MS = 10_000

export interface Agent {
  /** Addresses that it listens on. */
  readonly listening: readonly string[]
  readonly counts: ReceptionCounts
  /** Takes a message as if it had come by a socket. */
  receive: Receiver['receive']
  /** Takes a beacon as if it had come by UDP. */
  hear: Whereabouts['hear']
  /** What it knows of where it is. */
  where: Whereabouts['status']
  /** Whether no switch is under way and no session drains. */
  readonly idle: boolean
  /** Whether nothing is tried, changed or undone just now. */
  readonly resting: boolean
  /** Returns whether it has left a switch to the agent that comes next. */
  stop(end?: AgentEnd): Promise<boolean>
}

export interface AgentOptions {
  readonly config: AgentConfig
  readonly key: SigningKey
  readonly kernel: AgentKernel
  /** Listen on UDP too; `agent --once` does not. */
  readonly network: boolean
  /** Told of all that is wanted of the agent, and what came of it. */
  readonly audit?: Audit
}

/**
 * Finishes what an agent before it left undone, then listens.
 * @throws Failure `privilege` without CAP_NET_ADMIN and CAP_NET_RAW, `runtime` if a socket or the state cannot be
 * opened, or another agent runs on this state.
 */
export async function startAgent({config, key, kernel, network, audit = () => {}}: AgentOptions): Promise<Agent> {
  // Whoever asks while what was left undone is finished is answered afterwards.
  const ready = Promise.withResolvers<Parameters<typeof serve>[1]>()
  const server =
    config.socket === undefined
      ? undefined
      : await ownSocket(config.socket, (socket) => void ready.promise.then((parts) => serve(socket, parts)))
  const closeServer = (): void => void server?.close()
  const store = orClose(() => openStore(config, kernel), closeServer)
  const keys = orClose(() => openKeys(config, kernel), closeServer)
  const listeners: UdpListener[] = []
  keys.onChange(() => {
    for (const listener of listeners) listener.expect(keys.hints)
  })
  const whereabouts = makeWhereabouts({
    ...{config, kernel, key, keys},
    memory: () => store.memory,
    send: (note, to) => fitting(listeners, to.address)?.send(note, to),
  })
  const receiver = makeReceiver({
    ...{config, kernel, store, key, keys, audit},
    onSwitch: whereabouts.switched,
    onSwitchFailed: whereabouts.switchFailed,
    onLost: whereabouts.gatewayLost,
  })
  const {switcher} = receiver
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
    await Promise.all(listeners.map((listener) => listener.close()))
    await server?.close()
    for (const watch of watches) await watch.close()
  }
  const startedAtMs = Date.now()
  const metrics = (): string =>
    agentMetrics({
      ...{vm: config.vm, counts: receiver.counts, beacons: whereabouts.status().counts, memory: store.memory},
      ...{validKeys: keys.trusted.filter(({kid}) => keys.problem(kid) === undefined).length, startedAtMs},
    })
  const watches: {close(): Promise<void>}[] = []
  const lookSoon = paced(SETTLE_MS, LOOK_EVERY_MS, later, look)
  let recovering = false
  try {
    await mayAct(kernel)
    recovering = true
    const {last} = store.memory
    // What comes to its end now says so itself.
    if (last?.phase === 'done' && last.state !== 'confirmed') whereabouts.switchFailed()
    await switcher.recover()
    lookForOwners(kernel, store)
    const onError = (error: Error): void => kernel.log(`udp: ${error.message}`)
    if (network)
      for (const endpoint of config.listen)
        listeners.push(openUdpListener(endpoint, onMessage, {hints: keys.hints, onError}))
    watches.push(kernel.watchRoutes({onChanged: lookSoon, onNotifyPeers: whereabouts.moved}))
    watches.push(kernel.watchDrain(lookSoon))
    if (network) lookAtLeast()
    ready.resolve({receiver, whereabouts, metrics})
  } catch (error) {
    // What it began to finish would keep a process alive that hears nobody.
    if (recovering) await switcher.stop().catch((why: Error) => kernel.log(`not undone: ${why.message}`))
    await close()
    throw error
  }

  function look(): void {
    try {
      if (switcher.follow()) lookSoon()
    } catch (error) {
      // An owner that starts again takes the address away for a moment.
      kernel.log(`rules not put back yet: ${(error as Error).message}`)
      lookSoon()
    }
  }

  function lookAtLeast(): void {
    later(LOOK_AT_LEAST_MS, () => {
      lookSoon()
      lookAtLeast()
    })
  }

  function onMessage(bytes: Uint8Array, from: Peer, listener: UdpListener): void {
    if (claimedTyp(bytes) === BEACON_TYP) whereabouts.hear(bytes, from.address)
    else void receiver.receive(bytes, (token) => listener.send(token, from), from.address)
  }

  return {
    listening: [...listeners.map(({endpoint}) => endpointText(endpoint)), ...(config.socket ? [config.socket] : [])],
    get counts() {
      return receiver.counts
    },
    receive: receiver.receive,
    hear: whereabouts.hear,
    where: whereabouts.status,
    get idle() {
      return switcher.idle
    },
    get resting() {
      return switcher.resting
    },
    async stop(end) {
      // What is undone now, because the agent stops, is no reason to ask.
      whereabouts.stop()
      await switcher.stop(end)
      await close()
      return isPending(store.memory.last)
    },
  }
}

/** The first look at who owns a route takes longest: not in the time of the first command. */
function lookForOwners(kernel: AgentKernel, {memory}: AgentStore): void {
  const {families, ownerOf} = readFacts(kernel, memory)
  for (const {routes} of Object.values(families)) for (const route of routes) ownerOf(route.interfaceIndex, route)
}

/** A socket that is listened on would keep the process alive that cannot start. */
function orClose<T>(open: () => T, close: () => void): T {
  try {
    return open()
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
  listeners.find(({endpoint}) => isVersion6(endpoint.address) === isVersion6(address))

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

interface Served {
  readonly receiver: Receiver
  readonly whereabouts: Whereabouts
  /** For Prometheus. */
  metrics(): string
}

/** What `curl --unix-socket` and whatever else scrapes by HTTP (RFC 9112) begins with; no message looks like it. */
const METRICS_REQUEST = /^GET \S*\/metrics HTTP\/1\.[01]\r?$/

/** One message a line; answers come back a line each. Metrics are asked for by HTTP. */
function serve(socket: UnixSocket, {receiver, whereabouts, metrics}: Served): void {
  const reply = (text: string): void => void (socket.writable && socket.write(`${text}\n`))
  const take = (line: Buffer): void => {
    const text = line.toString('latin1')
    if (!socket.writable || text === '' || text === '\r') return
    if (text === STATUS_LINE) reply(JSON.stringify(whereabouts.status()))
    else if (text === RESET_LINE)
      void receiver.switcher.reset().then((left) => reply(JSON.stringify({left: left ?? null})))
    else if (METRICS_REQUEST.test(text)) socket.end(httpAnswer(metrics()))
    else void receiver.receive(line, reply)
  }
  onLines(socket, take, AGENT_MESSAGE_LIMIT)
}

function httpAnswer(body: string): string {
  const head = ['HTTP/1.1 200 OK', 'Content-Type: text/plain; version=0.0.4; charset=utf-8', 'Connection: close']
  return `${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** For root alone. It is the lock too: two agents on one VM would undo each other's work. @throws Failure as listenUnix. */
const ownSocket = (path: string, open: (socket: UnixSocket) => void): Promise<UnixServer> => {
  const taken = new Failure('runtime', `another agent runs already: ${path} answers`)
  return listenUnix(path, {taken, remedy: 'run as root, or by packaging/gwswitch-agent.service'}, open)
}
