// Frames out of any interface by its index, from one socket that hears nothing.
import {Failure} from '../../errors.ts'
import {errorName, libc} from '../libc.ts'
import {needsNetRaw} from './privilege.ts'
import {AF_PACKET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW} from './socket-constants.ts'

/** sockaddr_ll (packet(7)): family, protocol, index, then what only a receiver is told. */
const SOCKADDR_LL = 20

export interface FrameSender {
  /** Undefined once it is sent; else the name of the error: `EMSGSIZE`, `ENETDOWN`. */
  send(interfaceIndex: number, frame: Uint8Array): string | undefined
  close(): void
}

/** @throws Failure `privilege` without CAP_NET_RAW. */
export function openFrameSender(): FrameSender {
  const fd = libc().socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) {
    const error = errorName()
    throw error === 'EPERM' ? needsNetRaw() : new Failure('runtime', `packet socket: ${error}`)
  }
  const address = Buffer.alloc(SOCKADDR_LL)
  address.writeUInt16LE(AF_PACKET, 0)
  return {
    send(interfaceIndex, frame) {
      address.writeInt32LE(interfaceIndex, 4)
      return Number(libc().sendto(fd, frame, frame.length, 0, address, address.length)) < 0 ? errorName() : undefined
    },
    close: () => void libc().close(fd),
  }
}
