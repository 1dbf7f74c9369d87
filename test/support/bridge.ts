// A bridge between two hosts for tests: one on a local port, one behind the port that leads to the other site.
import {writeFileSync} from 'node:fs'
import {setTimeout as delay} from 'node:timers/promises'
import {removeNamespaceFiles} from '../../src/net/namespace-file.ts'
import {openPacketSocket, type ReceivedFrame} from '../../src/net/packet/packet-socket.ts'
import {watchReadable} from '../../src/net/packet/readable.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {inNamespace, namespaceCommand, namespaces} from '../../src/net/process/netns.ts'
import {type FilterWorld, systemFilterWorld} from '../../src/probe/filter/filter-world.ts'
import {withPrefix} from './namespaces.ts'

/** A host's end of the wire to the bridge. */
export interface BridgeHost {
  readonly namespace: string
  /** The bridge's port that leads to it. */
  readonly port: string
  send(frame: Uint8Array): void
  /** Everything that has come in, oldest first. */
  readonly received: readonly ReceivedFrame[]
  /** Waits until `frame` has come in, 5 s at most; false if it has not. */
  sees(frame: Uint8Array): Promise<boolean>
  run(...argv: readonly string[]): Promise<string>
}

export interface TestBridge {
  readonly namespace: string
  /** Behind port `loc`. */
  readonly local: BridgeHost
  /** Behind port `vx0`. */
  readonly far: BridgeHost
  /** Runs a program on the bridge node, with `input` on its standard input. */
  run(argv: readonly string[], input?: string): Promise<string>
}

export interface BridgeOptions {
  /** Addresses of the hosts, `10.1.0.254/24`; none for raw frames alone. */
  readonly local?: {readonly mac?: string; readonly addresses?: readonly string[]}
  readonly far?: {readonly mac?: string; readonly addresses?: readonly string[]}
  /** Forget where MACs are at once: every frame goes everywhere. */
  readonly flooding?: boolean
}

const NODES = ['br', 'loc', 'far'] as const

/** Builds it, calls `fn`, and removes it, also after a failure. IPv6 speaks only where a host has such an address. */
export async function withBridge<T>(options: BridgeOptions, fn: (bridge: TestBridge) => Promise<T>): Promise<T> {
  return withPrefix(remove, async (prefix) => {
    const namespace = `${prefix}-br`
    await batch(
      [],
      NODES.map((node) => `netns add ${prefix}-${node}`),
    )
    for (const node of NODES) silence(`${prefix}-${node}`, hasIpv6(options.local) || hasIpv6(options.far))
    const ageing = options.flooding ? ' ageing_time 0' : ''
    await batch(
      [],
      ['loc', 'far'].map((node) => wire(namespace, node, `${prefix}-${node}`)),
    )
    await batch(
      ['-n', namespace],
      [
        `link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0${ageing}`,
        ...['loc', 'vx0'].flatMap((port) => [`link set ${port} master br0`, `link set ${port} up`]),
        'link set br0 up',
      ],
    )
    const hosts = await Promise.all([
      host(`${prefix}-loc`, 'loc', options.local),
      host(`${prefix}-far`, 'far', options.far),
    ])
    await forwarding(namespace)
    try {
      return await fn({
        namespace,
        local: hosts[0]!.host,
        far: hosts[1]!.host,
        run: (argv, input) => {
          const [program = '', ...args] = namespaceCommand(namespace, argv)
          return runCommand(program, args, input === undefined ? {} : {input})
        },
      })
    } finally {
      for (const {close} of hosts) await close()
      // A record of filters outlives the namespace that it is about.
      inNamespace(namespace, removeNamespaceFiles)
    }
  })
}

const INDEX: Readonly<Record<string, number>> = {loc: 21, far: 22}
/** No index is there twice: the kernel would take an end for a device that stands on itself. */
const wire = (bridge: string, node: string, host: string): string =>
  `link add index ${INDEX[node]! + 10} name ${portName(node)} netns ${bridge} type veth peer index ${INDEX[node]} name eth0 netns ${host}`
const portName = (node: string): string => (node === 'loc' ? 'loc' : 'vx0')
const hasIpv6 = (host: BridgeOptions['local']): boolean =>
  host?.addresses?.some((address) => address.includes(':')) === true

function silence(namespace: string, speaksIpv6: boolean): void {
  const settings = [
    ...['all', 'default'].map((scope) => [`ipv6/conf/${scope}/disable_ipv6`, speaksIpv6 ? '0' : '1'] as const),
    ['ipv6/conf/default/accept_dad', '0'],
    ['ipv6/conf/default/router_solicitations', '0'],
    ['bridge/bridge-nf-call-iptables', '0'],
    ['bridge/bridge-nf-call-ip6tables', '0'],
    ['bridge/bridge-nf-call-arptables', '0'],
  ] as const
  inNamespace(namespace, () => {
    for (const [path, value] of settings) {
      try {
        writeFileSync(`/proc/sys/net/${path}`, value)
      } catch {
        // No IPv6, or no netfilter for bridges: nothing to silence.
      }
    }
  })
}

async function host(namespace: string, node: string, options: BridgeOptions['local'] = {}) {
  const {mac, addresses = []} = options
  await batch(
    ['-n', namespace],
    [
      'link set lo up',
      ...(mac === undefined ? [] : [`link set eth0 address ${mac}`]),
      ...addresses.map((address) => `address add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
      'link set eth0 up',
    ],
  )
  const socket = inNamespace(namespace, () => openPacketSocket({interfaceIndex: INDEX[node]!, promiscuous: true}))
  const received: ReceivedFrame[] = []
  const watch = watchReadable(socket.fd, () => void socket.drain((frame) => received.push(frame)))
  const isThere = (frame: Uint8Array): boolean => received.some(({bytes}) => Buffer.from(bytes).equals(frame))
  const it: BridgeHost = {
    namespace,
    port: portName(node),
    received,
    send: (frame) => void socket.send(frame),
    sees: (frame) => until(() => isThere(frame)),
    run: (...argv) => {
      const [program = '', ...args] = namespaceCommand(namespace, argv)
      return runCommand(program, args)
    },
  }
  return {
    host: it,
    close: async () => {
      await watch.stop()
      socket.close()
    },
  }
}

/** The filter's door to the machine, into a namespace: each of its calls starts its programs at once. */
export function filterHostIn(namespace: string): FilterWorld {
  const methods = Object.entries(systemFilterWorld) as [string, (...args: unknown[]) => unknown][]
  const inside = methods.map(([name, method]) => [
    name,
    (...args: unknown[]) => inNamespace(namespace, () => method(...args)),
  ])
  return Object.fromEntries(inside) as FilterWorld
}

/** Waits until `condition` holds, 5 s at most. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 5000): Promise<boolean> {
  const end = performance.now() + ms
  for (;;) {
    if (await condition()) return true
    if (performance.now() > end) return false
    await delay(10)
  }
}

/** New ports may take a second until they forward. */
async function forwarding(namespace: string): Promise<void> {
  const ready = await until(async () => {
    const ports = JSON.parse(await runCommand('ip', ['netns', 'exec', namespace, 'bridge', '-j', 'link', 'show'])) as {
      state?: string
    }[]
    return ports.length === 2 && ports.every(({state}) => state === 'forwarding')
  })
  if (!ready) throw new Error(`the bridge in ${namespace} does not forward`)
}

const batch = (args: readonly string[], lines: readonly string[]): Promise<string> =>
  runCommand('ip', [...args, '-batch', '-'], {input: `${lines.join('\n')}\n`})

async function remove(prefix: string): Promise<void> {
  const mine = namespaces().filter((name) => NODES.some((node) => name === `${prefix}-${node}`))
  if (mine.length > 0)
    await batch(
      ['-force'],
      mine.map((name) => `netns del ${name}`),
    )
}
