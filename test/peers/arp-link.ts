// Links of this process into network namespaces that a test made.

import type {InterfaceFacts} from '../../src/net/ip.ts'
import type {Link, LinkOptions, ReceivedFrame} from '../../src/net/packet/link.ts'
import {openPacketSocket} from '../../src/net/packet/packet-socket.ts'
import {watchReadable} from '../../src/net/packet/readable.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {inNamespace} from '../../src/net/process/netns.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import type {World} from '../../src/net/world.ts'

interface RawInterface {
  ifname: string
  ifindex: number
  address: string
  mtu: number
  flags: string[]
  link_type: string
  addr_info: {family: string; local: string; prefixlen: number}[]
}

async function interfacesIn(namespace: string): Promise<InterfaceFacts[]> {
  const raw = JSON.parse(await runCommand('ip', ['-n', namespace, '-json', 'address', 'show'])) as RawInterface[]
  return raw.map(({ifname, ifindex, address, mtu, flags, link_type, addr_info}) => ({
    name: ifname,
    index: ifindex,
    mac: address,
    mtu,
    up: flags.includes('UP'),
    carrier: flags.includes('LOWER_UP'),
    ethernet: link_type === 'ether',
    addresses: addr_info
      .filter(({family}) => family === 'inet')
      .map(({local, prefixlen}) => ({ip: local, prefixLength: prefixlen})),
  }))
}

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

/** The world as a process inside the namespace sees it, as far as frames and interfaces go. */
export const worldIn = (namespace: string): World => ({
  ...systemWorld(() => {}),
  openLink: (name, options) => linkIn(namespace, name, options),
  interfaces: () => interfacesIn(namespace),
})
