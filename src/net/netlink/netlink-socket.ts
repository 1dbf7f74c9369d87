// A socket to the kernel's own services, netlink(7).
import {Failure} from '../../errors.ts'
import {errorName, libc} from '../libc.ts'

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000

/** Bound; by default reads do not wait where it listens to groups. @throws Failure `runtime` */
export function netlinkSocket(
  protocol: number,
  groups: number,
  reads: 'blocking' | 'nonblocking' = groups === 0 ? 'blocking' : 'nonblocking',
): number {
  const mode = reads === 'nonblocking' ? SOCK_NONBLOCK : 0
  const fd = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | mode, protocol)
  if (fd < 0) throw new Failure('runtime', `no netlink socket: ${errorName()}`)
  // sockaddr_nl: family, pad, port id (0: the kernel chooses), groups.
  const address = Buffer.alloc(12)
  address.writeUInt16LE(AF_NETLINK, 0)
  address.writeUInt32LE(groups, 8)
  if (libc().bind(fd, address, address.length) === 0) return fd
  const error = errorName()
  libc().close(fd)
  throw new Failure('runtime', `netlink: bind: ${error}`)
}
