// A UDP socket that takes messages from anybody.
import {createSocket, type Socket} from 'node:dgram'
import {Failure} from '../../errors.ts'
import type {Endpoint} from '../../wire/endpoint.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'

export interface UdpListener {
  /** Where it listens: of a host without IPv6 not where it was told to. */
  readonly endpoint: Endpoint
  /** Sending promises nothing; where there is no way to `to`, nothing is sent. */
  send(message: string, to: Endpoint): void
  /** Safe twice. */
  close(): void
}

/** Where a message came from is no proof of who sent it. */
export type OnMessage = (bytes: Uint8Array, from: Endpoint, listener: UdpListener) => void

/**
 * `::` takes IPv4 too; a host without IPv6 listens on 0.0.0.0 instead.
 * @throws Failure `runtime` if the port is taken or the address is not here, `privilege` for a port that is not ours to take.
 */
export async function openUdpListener(
  endpoint: Endpoint,
  onMessage: OnMessage,
  onError: (error: Error) => void,
): Promise<UdpListener> {
  const socket = await bound(endpoint)
    .catch((error: NodeJS.ErrnoException) => {
      if (endpoint.address === '::' && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL'))
        return bound({...endpoint, address: '0.0.0.0'})
      throw error
    })
    .catch((error: NodeJS.ErrnoException) => {
      const where = `cannot listen on UDP ${endpoint.address} port ${endpoint.port}: ${error.code}`
      if (error.code === 'EACCES')
        throw new Failure('privilege', `${where} (ports below 1024 need CAP_NET_BIND_SERVICE)`)
      throw new Failure('runtime', where)
    })
  // ICMP errors for answers that nobody waited for.
  socket.on('error', onError)
  const {address, port, family} = socket.address()
  /** An IPv4 address as a dual-stack socket takes it; undefined for a family that this socket does not speak. */
  const reach = (to: string): string | undefined => {
    if (family === 'IPv6') return isVersion6(to) ? to : `::ffff:${to}`
    return isVersion6(to) ? undefined : to
  }
  let closed = false
  const listener: UdpListener = {
    endpoint: {address, port},
    send(message, to) {
      const target = reach(to.address)
      if (target !== undefined) socket.send(message, to.port, target, () => {})
    },
    close() {
      if (!closed) socket.close()
      closed = true
    },
  }
  socket.on('message', (bytes, from) => onMessage(bytes, {address: from.address, port: from.port}, listener))
  return listener
}

function bound({address, port}: Endpoint): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({type: isVersion6(address) ? 'udp6' : 'udp4', reuseAddr: false})
    socket.once('error', reject)
    socket.bind(port, address, () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}
