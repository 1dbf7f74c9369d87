// Datagrams to one peer from a port of their own.
import {createSocket} from 'node:dgram'
import {Failure} from '../../errors.ts'
import type {Ipv4} from '../../wire/address.ts'

/** A connected UDP socket: only its peer is heard, and an ICMP "port unreachable" of the peer is told. */
export interface DatagramPeer {
  /** The local port, which the kernel chose. */
  readonly port: number
  send(payload: Uint8Array): Promise<void>
  /** Calls `listener` when the peer has no listener at that port. */
  onRefused(listener: () => void): void
  close(): void
}

/** @throws Failure `runtime` if there is no way to `ip`. */
export async function openDatagram(ip: Ipv4, port: number): Promise<DatagramPeer> {
  const socket = createSocket('udp4')
  const listeners: (() => void)[] = []
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  socket.once('error', reject)
  socket.connect(port, ip, () => resolve())
  try {
    await promise
  } catch (error) {
    throw new Failure('runtime', `no way to ${ip}: ${(error as NodeJS.ErrnoException).code}`)
  }
  socket.off('error', reject)
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') for (const listener of listeners) listener()
  })
  return {
    port: socket.address().port,
    send: (payload) =>
      new Promise((done, failed) => {
        socket.send(payload, (error: NodeJS.ErrnoException | null) => {
          // The answer to an earlier datagram may surface here.
          if (error?.code === 'ECONNREFUSED') for (const listener of listeners) listener()
          else if (error) return failed(new Failure('runtime', `sending to ${ip} failed: ${error.code}`))
          done()
        })
      }),
    onRefused: (listener) => void listeners.push(listener),
    close: () => void socket.close(),
  }
}
