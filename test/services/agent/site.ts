// A VM between two gateways, in namespaces, and the agent in it as a process of its own.
//
//   vm -- sw (bridge) -- r1 (old) --\
//                     \- r2 (new) --- far: what lies beyond, and the controller
import {type ChildProcess, spawn} from 'node:child_process'
import {createSocket, type Socket} from 'node:dgram'
import {once} from 'node:events'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {type AgentMemory, EMPTY_MEMORY} from '../../../src/domain/agent/memory.ts'
import {runCommand, tryCommand} from '../../../src/net/process/command.ts'
import {inNamespace, namespaces} from '../../../src/net/process/netns.ts'
import {
  AGENT_PORT,
  type AgentAnswer,
  type AgentCommand,
  newPrivateKey,
  openAnswer,
  privateKeyText,
  publicKeyText,
  signCommand,
} from '../../../src/wire/agent-message.ts'
import {withPrefix} from '../../support/namespaces.ts'
import {startTraffic, type Traffic} from './start-traffic.ts'

export const VM_MAC = '02:00:00:00:00:10'
export const FAR4 = '203.0.113.10'
export const FAR6 = 'fd00:f::10'
export const OLD4 = '10.0.0.1'
export const NEW4 = '10.0.0.2'
export const OLD6 = 'fd00::1'
export const NEW6 = 'fd00::2'
export const VM4 = '10.0.0.10'
/** For routers that are to be known by such. */
export const LINK_LOCAL = {old: 'fe80::1', fresh: 'fe80::2'}

export interface SiteOptions {
  /** The gateways translate addresses and drop packets of sessions that they did not see begin. */
  readonly nat?: boolean
  /** Address and default routes of the VM; without, it has none. */
  readonly plain?: boolean
  /** Keys of agent.yaml over the usual ones. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface Site {
  readonly prefix: string
  readonly directory: string
  readonly configFile: string
  /** Private keys, of site y's controller and of the agent. */
  readonly keys: {readonly site: ReturnType<typeof newPrivateKey>; readonly agent: ReturnType<typeof newPrivateKey>}
  ns(node: string): string
  /** Calls `fn` in a node's network namespace. */
  inside<R>(node: string, fn: () => R): R
  /** Runs a program in a node; its standard output. */
  run(node: string, ...argv: readonly string[]): Promise<string>
  /** The gateway that the VM's kernel would use now for `to`. */
  gateway(to?: string): Promise<string | undefined>
  /** Rules and default routes of the VM, to compare. */
  routing(): Promise<string>
  start(options?: AgentProcessOptions): Promise<AgentProcess>
  command(over: Partial<AgentCommand>): AgentCommand
  sign(command: AgentCommand): string
  /** Sends from `far` to the agent, again every 200 ms, until an answer satisfies `until`. */
  ask(over: Partial<AgentCommand>, until?: (answer: AgentAnswer) => boolean, timeoutMs?: number): Promise<AgentAnswer>
  /** Every answer that came to the controller's socket. */
  readonly answers: AgentAnswer[]
  /** Sends bytes as they are. */
  send(bytes: Uint8Array | string): void
  memory(): AgentMemory
  /** Starts a program in a node; it is ended with the site. */
  spawn(node: string, ...argv: readonly string[]): {readonly child: ChildProcess; readonly log: () => string}
  /** Starts traffic from the VM, or another node, to `far` (see traffic.ts), without datagrams if `quiet`; ended with the site. */
  traffic(to?: string, from?: string, quiet?: boolean): Promise<Traffic>
}

export interface AgentProcessOptions {
  /** Words of another program than agent-process.ts; the configuration's path is put behind them. */
  readonly program?: readonly string[]
  /** Run in the mount namespace of this process, which is in the VM. */
  readonly inside?: number
  readonly env?: Readonly<Record<string, string>>
}

export interface AgentProcess {
  readonly child: ChildProcess
  /** What it wrote. */
  readonly log: () => string
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
  kill(signal: NodeJS.Signals): Promise<void>
}

const LINKS: Readonly<Record<string, readonly string[]>> = {
  r1: ['10.0.0.1/24', 'fd00::1/64'],
  r2: ['10.0.0.2/24', 'fd00::2/64'],
}

export async function withSite<T>(options: SiteOptions, fn: (site: Site) => Promise<T>): Promise<T> {
  return withPrefix(remove, async (prefix) => {
    const directory = mkdtempSync(join(tmpdir(), 'gwswitch-agent-'))
    const children: ChildProcess[] = []
    let controller: Socket | undefined
    let traffics = 0
    try {
      await build(prefix, options)
      const keys = {site: newPrivateKey(), agent: newPrivateKey()}
      writeFileSync(join(directory, 'agent.key'), privateKeyText(keys.agent), {mode: 0o600})
      const configFile = join(directory, 'agent.yaml')
      const config = {
        version: 1,
        vm: 'web-07',
        key: join(directory, 'agent.key'),
        trusted: {
          'site-y': {key: publicKeyText(keys.site), gateways: [OLD4, NEW4, OLD6, NEW6, ...Object.values(LINK_LOCAL)]},
        },
        probes: [FAR4, FAR6],
        windows: {probeMs: 1500},
        socket: join(directory, 'agent.sock'),
        state: join(directory, 'state'),
        ...options.config,
      }
      writeFileSync(configFile, JSON.stringify(config))
      const ns = (node: string): string => `${prefix}-${node}`
      const run: Site['run'] = (node, ...argv) => runCommand('ip', ['netns', 'exec', ns(node), ...argv])
      await settled(ns)
      const answers: AgentAnswer[] = []
      const socket = inNamespace(ns('far'), () => createSocket({type: 'udp4', lookup: literally}).bind(0, FAR4))
      controller = socket
      socket.on('message', (bytes) => {
        const opened = openAnswer(bytes, () => keys.agent)
        if (opened.ok) answers.push(opened.message)
      })
      let seq = 1000
      const sign = (command: AgentCommand): string => signCommand(command, {kid: 'site-y', privateKey: keys.site})
      const command: Site['command'] = (over) => {
        const now = Math.floor(Date.now() / 1000)
        seq++
        const nonce = Buffer.from(`nonce-${seq}`.padEnd(12, '.')).toString('base64url')
        return {v: 1, op: 'switch', vm: 'web-07', run: `run-${seq}`, seq, iat: now, exp: now + 60, nonce, ...over}
      }
      const site: Site = {
        ...{prefix, directory, configFile, keys, ns, run, answers, command, sign},
        inside: (node, fn) => inNamespace(ns(node), fn),
        async gateway(to = FAR4) {
          const family = to.includes(':') ? '-6' : '-4'
          const {stdout} = await tryCommand('ip', ['-n', ns('vm'), '-json', family, 'route', 'get', to])
          return (JSON.parse(stdout || '[]') as {gateway?: string}[])[0]?.gateway
        },
        async routing() {
          const show = (...argv: string[]): Promise<string> => runCommand('ip', ['-n', ns('vm'), ...argv])
          const parts = await Promise.all([
            show('-4', 'rule'),
            show('-6', 'rule'),
            show('-4', 'route', 'show', 'table', 'all'),
            show('-6', 'route', 'show', 'default', 'table', 'all'),
          ])
          return parts.join('').replace(/ +$/gm, '')
        },
        async start({inside, program = [process.execPath, AGENT], env = {}} = {}) {
          const enter =
            inside === undefined ? ['ip', 'netns', 'exec', ns('vm')] : ['nsenter', '-t', String(inside), '-m', '-n']
          const agent = startProcess([...enter, ...program, configFile], env)
          children.push(agent.child)
          await Promise.race([listening(agent), agent.ended])
          return agent
        },
        async ask(over, until = ({state}) => state !== 'received' && state !== 'applied', timeoutMs = 15_000) {
          const asked = command(over)
          const token = sign(asked)
          const deadline = performance.now() + timeoutMs
          for (let round = 0; performance.now() < deadline; round++) {
            if (round % 10 === 0) socket.send(token, AGENT_PORT, VM4)
            await delay(20)
            const found = answers.find((answer) => answer.seq === asked.seq && until(answer))
            if (found) return found
          }
          throw new Error(`no such answer to seq ${asked.seq}; the last were ${JSON.stringify(answers.slice(-4))}`)
        },
        send: (bytes) => socket.send(bytes, AGENT_PORT, VM4),
        spawn(node, ...argv) {
          const child = spawn('ip', ['netns', 'exec', ns(node), ...argv], {stdio: ['ignore', 'pipe', 'pipe']})
          children.push(child)
          return {child, log: textOf(child)}
        },
        traffic: (to = FAR4, from = 'vm', quiet = false) =>
          startTraffic(ns, {from, to, first: traffics++ === 0, quiet}, children),
        memory: () => readMemory(join(directory, 'state/agent-state.json')),
      }
      return await fn(site)
    } finally {
      controller?.close()
      for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      rmSync(directory, {recursive: true, force: true})
    }
  })
}

/** A fresh veth may drop what it is given for up to a second, until the kernel has noticed that its other end is up. */
async function settled(ns: (node: string) => string): Promise<void> {
  for (const router of ['r1', 'r2']) {
    for (const to of [FAR4, FAR6]) {
      const ping = ['netns', 'exec', ns(router), 'ping', '-c1', '-W1', to]
      for (let tries = 0; tries < 10 && (await tryCommand('ip', ping)).code !== 0; tries++) await delay(50)
    }
  }
}

/** Node binds when the name is looked up; that must be now, while the thread is in the namespace. */
const literally = (
  host: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
): void => done(null, host, 4)

async function listening(agent: AgentProcess): Promise<void> {
  for (let i = 0; i < 1000 && !agent.log().includes('listens on'); i++) await delay(20)
  if (!agent.log().includes('listens on')) throw new Error(`the agent did not start: ${agent.log()}`)
}

const AGENT = join(import.meta.dirname, 'agent-process.ts')

function startProcess(argv: readonly string[], env: Readonly<Record<string, string>>): AgentProcess {
  const [command = '', ...args] = argv
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1', ...env},
  })
  const text = textOf(child)
  const ended = once(child, 'exit').then(() => {})
  return {
    child,
    log: text,
    ended,
    async kill(signal) {
      child.kill(signal)
      await ended
    },
  }
}

/** What a child writes, as far as it has. */
function textOf(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return () => text
}

function readMemory(path: string): AgentMemory {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as AgentMemory
  } catch {
    return EMPTY_MEMORY
  }
}

async function remove(prefix: string): Promise<void> {
  for (const name of namespaces().filter((each) => each.startsWith(`${prefix}-`)))
    await tryCommand('ip', ['netns', 'del', name])
}

async function build(prefix: string, {nat = false, plain = true}: SiteOptions): Promise<void> {
  const ns = (node: string): string => `${prefix}-${node}`
  const batch = (node: string | undefined, lines: readonly string[]): Promise<string> =>
    runCommand('ip', [...(node === undefined ? [] : ['-n', ns(node)]), '-batch', '-'], {input: `${lines.join('\n')}\n`})
  const nodes = ['vm', 'sw', 'r1', 'r2', 'far']
  await batch(
    undefined,
    nodes.map((node) => `netns add ${ns(node)}`),
  )
  for (const node of nodes) {
    inNamespace(ns(node), () => {
      writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0')
      writeFileSync('/proc/sys/net/ipv6/conf/default/accept_ra', '0')
      if (node.startsWith('r') || node === 'far') {
        writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
        writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1')
      }
      writeFileSync('/proc/sys/net/ipv4/icmp_ratelimit', '0')
    })
  }
  await batch(undefined, [
    `link add eth0 address ${VM_MAC} netns ${ns('vm')} type veth peer name vm netns ${ns('sw')}`,
    ...['r1', 'r2'].flatMap((node, i) => [
      `link add eth0 address 02:00:00:00:0${i + 1}:01 netns ${ns(node)} type veth peer name ${node} netns ${ns('sw')}`,
      `link add core netns ${ns(node)} type veth peer name ${node} netns ${ns('far')}`,
    ]),
  ])
  await batch('sw', [
    'link add br0 type bridge mcast_snooping 0',
    'link set br0 up',
    ...['vm', 'r1', 'r2'].flatMap((port) => [`link set ${port} master br0`, `link set ${port} up`]),
  ])
  await batch('vm', ['link set lo up', 'link set eth0 up'])
  if (plain)
    await batch(
      'vm',
      [
        `address add ${VM4}/24 dev eth0`,
        'address add fd00::10/64 dev eth0',
        `route add default via ${OLD4} dev eth0`,
        `-6 route add default via ${OLD6} dev eth0`,
      ].map((line) => line.replace('-6 ', '')),
    )
  for (const [i, node] of ['r1', 'r2'].entries()) {
    await batch(node, [
      'link set lo up',
      ...LINKS[node]!.map((address) => `address add ${address} dev eth0`),
      `address add 172.16.${i + 1}.1/30 dev core`,
      `address add fd00:${i + 1}::1/64 dev core`,
      'link set eth0 up',
      'link set core up',
      `route add default via 172.16.${i + 1}.2`,
      `route add default via fd00:${i + 1}::2`,
    ])
    if (nat) await runCommand('ip', ['netns', 'exec', ns(node), 'nft', '-f', '-'], {input: NAT})
  }
  await batch('far', [
    'link set lo up',
    `address add ${FAR4}/32 dev lo`,
    `address add ${FAR6}/128 dev lo`,
    ...['r1', 'r2'].flatMap((node, i) => [
      `address add 172.16.${i + 1}.2/30 dev ${node}`,
      `address add fd00:${i + 1}::2/64 dev ${node}`,
      `link set ${node} up`,
    ]),
    // Answers come back by the old site: the stretched segment takes them from either.
    'route add 10.0.0.0/24 via 172.16.1.1',
    'route add fd00::/64 via fd00:1::1',
  ])
  mkdirSync('/run/netns', {recursive: true})
}

/** A gateway that translates, and forwards nothing of a session whose beginning it did not see. */
const NAT = `
table ip nat {
  chain post {
    type nat hook postrouting priority srcnat
    oifname "core" masquerade
  }
}
table ip6 nat {
  chain post {
    type nat hook postrouting priority srcnat
    oifname "core" masquerade
  }
}
table inet state {
  chain forward {
    type filter hook forward priority filter; policy drop
    ct state established,related accept
    tcp flags & (fin|syn|rst|ack) == syn ct state new accept
    meta l4proto != tcp ct state new accept
  }
}
`
