// Links of this process into network namespaces that a test made.

import {
  type BridgePlace,
  bridgeOf,
  type InterfaceFacts,
  interfaces,
  type Neighbour,
  type Route,
} from '../../src/net/ip.ts'
import type {Link, LinkOptions, ReceivedFrame} from '../../src/net/packet/link.ts'
import {openPacketSocket} from '../../src/net/packet/packet-socket.ts'
import {watchReadable} from '../../src/net/packet/readable.ts'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {inNamespace} from '../../src/net/process/netns.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import type {World} from '../../src/net/world.ts'

// Neither waits for anything before it has asked.
const interfacesIn = (namespace: string): Promise<InterfaceFacts[]> => inNamespace(namespace, interfaces)
const bridgePlaceIn = (namespace: string, name: string): Promise<BridgePlace> =>
  inNamespace(namespace, () => bridgeOf(name))

/** Opens an interface of a namespace for raw frames, as `openLink` does for one of our own. */
export async function linkIn(namespace: string, interfaceName: string, options: LinkOptions = {}): Promise<Link> {
  const facts = (await interfacesIn(namespace)).find(({name}) => name === interfaceName)!
  const socket = inNamespace(namespace, () =>
    openPacketSocket({
      interfaceIndex: facts.index,
      ignoreOutgoing: !(options.outgoing ?? false),
      ...(options.filter && {filter: options.filter}),
      ...(options.promiscuous && {promiscuous: true}),
    }),
  )
  const listeners = new Set<(frame: ReceivedFrame) => void>()
  const watch = watchReadable(socket.fd, () => {
    socket.drain((frame) => {
      for (const listener of [...listeners]) listener(frame)
    })
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= watch.stop().then(() => socket.close())
    return closing
  }
  return {
    name: facts.name,
    mac: facts.mac,
    mtu: facts.mtu,
    send: (frame) => socket.send(frame),
    sendMany: (frames) => socket.sendMany(frames),
    onFrame(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    onError: () => () => {},
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What `ip -json` says of a namespace; undefined where it says that there is no such thing. */
async function ipIn<T>(namespace: string, ...args: string[]): Promise<T[] | undefined> {
  const {code, stdout} = await tryCommand('ip', ['-n', namespace, '-json', ...args])
  return code === 0 ? (JSON.parse(stdout.trim() || '[]') as T[]) : undefined
}

async function routeIn(namespace: string, destination: string): Promise<Route | undefined> {
  const [route] =
    (await ipIn<{gateway?: string; dev: string; prefsrc?: string}>(namespace, 'route', 'get', destination)) ?? []
  return (
    route && {
      gateway: route.gateway,
      interface: route.dev,
      source: route.prefsrc,
      redirected: false,
      expiresS: undefined,
    }
  )
}

/** As the kernel resolves it for a ping of its own. */
async function neighbourIn(namespace: string, ip: string, interfaceName: string): Promise<Neighbour | undefined> {
  await tryCommand('ip', ['netns', 'exec', namespace, 'ping', '-c1', '-W1', ip])
  const [entry] = (await ipIn<{lladdr?: string}>(namespace, 'neigh', 'show', ip, 'dev', interfaceName)) ?? []
  return entry && {ip, mac: entry.lladdr, state: 'REACHABLE'}
}

/** This process's own, but for what would set up a port outside the namespace. */
const {speaker: _, ...ownWorld} = systemWorld(() => {})

/** The world as a process inside the namespace sees it, as far as a switch looks at it. */
export const worldIn = (namespace: string): World => ({
  ...ownWorld,
  openLink: (name, options) => linkIn(namespace, name, options),
  interfaces: () => interfacesIn(namespace),
  routeTo: (destination) => routeIn(namespace, destination),
  bridgeOf: (name) => bridgePlaceIn(namespace, name),
  resolveNeighbour: (ip, name) => neighbourIn(namespace, ip, name),
  forwards: async (name) =>
    (
      await runCommand('ip', ['netns', 'exec', namespace, 'cat', `/proc/sys/net/ipv4/conf/${name}/forwarding`])
    ).trim() !== '0',
})
