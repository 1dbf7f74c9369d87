// Short messages to one peer and back, by UDP or by a unix socket: the ways to an agent.
import {createSocket} from 'node:dgram'
import {Failure} from '../../errors.ts'
import type {Ipv4} from '../../wire/address.ts'
import {type Ipv6, isVersion6} from '../../wire/ipv6-address.ts'
import {connectUnix, onLines} from './unix-socket.ts'

/** Sending promises nothing; what comes back comes from the peer's address, which proves nothing either. */
export interface MessagePeer {
  send(message: string): void
  onMessage(listener: (message: Uint8Array) => void): void
  /** Told when the system says that nobody takes messages there; they may be taken later. */
  onUnreachable(listener: (why: string) => void): void
  close(): void
}

/** Longest line that is read from a unix socket. */
const LINE_LIMIT = 65_536

/** A UDP socket of its own for one peer. @throws Failure `runtime` if there is no way to `address`. */
export async function openUdpPeer(address: Ipv4 | Ipv6, port: number): Promise<MessagePeer> {
  const socket = createSocket(isVersion6(address) ? 'udp6' : 'udp4')
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  socket.once('error', reject)
  socket.connect(port, address, () => resolve())
  try {
    await promise
  } catch (error) {
    throw new Failure('runtime', `no way to ${address}: ${(error as NodeJS.ErrnoException).code}`)
  }
  socket.off('error', reject)
  let unreachable: (why: string) => void = () => {}
  const tell = (error: NodeJS.ErrnoException): void =>
    unreachable(
      error.code === 'ECONNREFUSED'
        ? `nothing listens on UDP port ${port} of ${address}`
        : `${address} is out of reach: ${error.code}`,
    )
  socket.on('error', tell)
  return {
    send: (message) => socket.send(message, (error) => error && tell(error)),
    onMessage: (listener) => void socket.on('message', listener),
    onUnreachable(listener) {
      unreachable = listener
    },
    close: () => void socket.close(),
  }
}

/** One message a line. @throws Failure `silent` if nobody listens at `path`, `privilege` if it is not ours to open. */
export async function openUnixPeer(path: string): Promise<MessagePeer> {
  const socket = await connectUnix(path, 'gwswitch agent')
  let unreachable: (why: string) => void = () => {}
  const listeners: ((message: Uint8Array) => void)[] = []
  const take = (line: Uint8Array): void => {
    for (const listener of listeners) listener(line)
  }
  onLines(socket, take, LINE_LIMIT)
  socket.on('error', () => {})
  socket.on('close', () => unreachable(`${path}: the agent went away`))
  return {
    send: (message) => void (socket.writable && socket.write(`${message}\n`)),
    onMessage: (listener) => void listeners.push(listener),
    onUnreachable(listener) {
      unreachable = listener
    },
    close: () => void socket.destroy(),
  }
}
