// Short messages to one peer and back, by UDP or by a unix socket: the ways to an agent.
import {createSocket} from 'node:dgram'
import {createConnection} from 'node:net'
import {Failure} from '../../errors.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

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
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
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
  const socket = createConnection(path)
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  socket.once('connect', resolve)
  socket.once('error', reject)
  try {
    await promise
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM')
      throw new Failure('privilege', `${path}: is not ours to open: run as root`)
    const why = code === 'ENOENT' ? 'no such socket' : code === 'ECONNREFUSED' ? 'nobody listens' : code
    throw new Failure('silent', `${path}: ${why} (is gwswitch agent running?)`)
  }
  socket.off('error', reject)
  let unreachable: (why: string) => void = () => {}
  let pending = Buffer.alloc(0)
  const listeners: ((message: Uint8Array) => void)[] = []
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
      const line = Buffer.from(pending.subarray(0, end))
      pending = pending.subarray(end + 1)
      for (const listener of listeners) listener(line)
    }
    if (pending.length > LINE_LIMIT) socket.destroy()
  })
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
