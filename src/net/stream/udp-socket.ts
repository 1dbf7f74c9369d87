// UDP sockets by the system calls (udp(7), ip(7), ipv6(7)): many datagrams a call, each with the address that it was sent
// to, answers that leave from there, and a filter in the kernel. Node's own tell and do none of that.
import {type Ipv4, ipv4Text, writeIpv4} from '../../wire/address.ts'
import {type Ipv6, ipv6Bytes, ipv6Text, isMulticastIpv6, isVersion6} from '../../wire/ipv6-address.ts'
import {addressOf, errorName, libc} from '../libc.ts'
import type {Instruction} from '../packet/bpf.ts'
import {filterProgram, SO_ATTACH_FILTER} from '../packet/filter-program.ts'
import {controlMessages, type MessageBatch, messageBatch} from '../packet/message-batch.ts'
import {IOVEC, MMSGHDR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOL_SOCKET} from '../packet/socket-constants.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM = 2
const SO_RCVBUF = 8
const SO_RCVBUFFORCE = 33
const IPPROTO_IP = 0
const IP_PKTINFO = 8
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const IPV6_RECVPKTINFO = 49
const IPV6_PKTINFO = 50

/** Datagrams a system call. */
const BATCH = 32
/** Behind the longest message that anybody wants, so that one that is longer shows. */
const SLOT = 2304
/** Some hundreds of messages: what comes while another program has the processor. */
const RECEIVE_BUFFER = 1 << 20

/** The other end of a datagram, and ours: an answer leaves from the address that was asked. */
export interface Peer {
  readonly address: Ipv4 | Ipv6
  readonly port: number
  /** Index of the interface, for a link-local address. */
  readonly scope?: number
  /** The address that the datagram was sent to; undefined for one that was sent to many. */
  readonly local?: Ipv4 | Ipv6 | undefined
}

export interface Datagram extends Peer {
  /** Cut after {@link SLOT} bytes; valid until the listener returns. */
  readonly bytes: Uint8Array
}

/** What the kernel refused, by the name of its errno. */
export class UdpError extends Error {
  readonly code: string
  constructor(code: string, call: string) {
    super(`${call} failed with ${code}`)
    this.code = code
  }
}

export interface UdpSocket {
  readonly fd: number
  readonly address: Ipv4 | Ipv6
  readonly port: number
  /** At most {@link BATCH} of those that wait. @throws UdpError */
  receive(): Datagram[]
  /** In place of the filter that there is. @throws UdpError */
  filter(program: readonly Instruction[]): void
  /** Where there is no way, nothing is sent. */
  send(payload: Uint8Array, to: Peer): void
  close(): void
}

/** `::` takes IPv4 too, whatever net.ipv6.bindv6only says. @throws UdpError */
export function openUdpSocket(address: Ipv4 | Ipv6, port: number, filter: readonly Instruction[]): UdpSocket {
  const family = isVersion6(address) ? AF_INET6 : AF_INET
  const fd = libc().socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new UdpError(errorName(), 'socket')
  try {
    configure(fd, family, filter)
    const name = socketAddress(family, {address, port})
    if (libc().bind(fd, name, name.length) < 0) throw new UdpError(errorName(), 'bind')
    const incoming = messageBatch(BATCH, SLOT)
    const outgoing = outgoingMessage()
    return {
      ...{fd, ...ownName(fd)},
      receive: () => receive(fd, incoming),
      filter: (program) => attach(fd, program),
      send: (payload, to) => outgoing.send(fd, family, payload, to),
      close: () => void libc().close(fd),
    }
  } catch (error) {
    libc().close(fd)
    throw error
  }
}

function configure(fd: number, family: number, filter: readonly Instruction[]): void {
  attach(fd, filter)
  // The forced one needs CAP_NET_ADMIN and is not held to net.core.rmem_max.
  if (libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER), 4) < 0)
    set(fd, SOL_SOCKET, SO_RCVBUF, int(RECEIVE_BUFFER))
  if (family === AF_INET) set(fd, IPPROTO_IP, IP_PKTINFO, int(1))
  else {
    set(fd, IPPROTO_IPV6, IPV6_V6ONLY, int(0))
    set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, int(1))
  }
}

function attach(fd: number, filter: readonly Instruction[]): void {
  set(fd, SOL_SOCKET, SO_ATTACH_FILTER, filterProgram(filter))
}

function set(fd: number, level: number, name: number, value: Uint8Array): void {
  if (libc().setsockopt(fd, level, name, value, value.length) < 0)
    throw new UdpError(errorName(), `setsockopt ${level}/${name}`)
}

function int(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeInt32LE(value)
  return out
}

/** IPv4 in a socket of IPv6 (RFC 4291 section 2.5.5.2). */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex')

function bytesOf(family: number, address: Ipv4 | Ipv6): Uint8Array {
  if (isVersion6(address)) return ipv6Bytes(address)
  const four = new Uint8Array(4)
  writeIpv4(address, four, 0)
  return family === AF_INET ? four : Buffer.concat([MAPPED, four])
}

function textOf(bytes: Buffer): Ipv4 | Ipv6 {
  if (bytes.length === 4) return ipv4Text(bytes.readUInt32BE(0))
  return bytes.compare(MAPPED, 0, 12, 0, 12) === 0 ? ipv4Text(bytes.readUInt32BE(12)) : ipv6Text(bytes)
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress(family: number, {address, port, scope = 0}: Peer): Buffer {
  const out = Buffer.alloc(family === AF_INET ? 16 : 28)
  out.writeUInt16LE(family, 0)
  out.writeUInt16BE(port, 2)
  out.set(bytesOf(family, address), family === AF_INET ? 4 : 8)
  if (family === AF_INET6) out.writeUInt32LE(scope, 24)
  return out
}

function peerOf(name: Buffer): Peer {
  const port = name.readUInt16BE(2)
  if (name.readUInt16LE(0) === AF_INET) return {address: textOf(name.subarray(4, 8)), port}
  return {address: textOf(name.subarray(8, 24)), port, scope: name.readUInt32LE(24)}
}

function ownName(fd: number): Peer {
  const name = Buffer.alloc(128)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(name.length)
  if (libc().getsockname(fd, name, length) < 0) throw new UdpError(errorName(), 'getsockname')
  const {address, port} = peerOf(name)
  return {address, port}
}

function receive(fd: number, memory: MessageBatch): Datagram[] {
  memory.prepareReceive()
  const count = libc().recvmmsg(fd, memory.headers, memory.count, 0, null)
  if (count >= 0) return Array.from({length: count}, (_, i) => datagramOf(memory.slot(i)))
  const error = errorName()
  if (error === 'EAGAIN' || error === 'EINTR') return []
  throw new UdpError(error, 'recvmmsg')
}

function datagramOf({data, name, control}: {data: Buffer; name: Buffer; control: Buffer}): Datagram {
  let local: Ipv4 | Ipv6 | undefined
  for (const {level, type, data: info} of controlMessages(control)) {
    // struct in_pktinfo: interface, the local address, the one in the header.
    if (level === IPPROTO_IP && type === IP_PKTINFO) local = textOf(info.subarray(4, 8))
    if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) local = textOf(info.subarray(0, 16))
  }
  return {...peerOf(name), local: local !== undefined && isMulticastIpv6(local) ? undefined : local, bytes: data}
}

/** `struct cmsghdr` and `in6_pktinfo`, which is longer than `in_pktinfo`. */
const CONTROL = 40

/** Memory for one message to send, laid out once. */
function outgoingMessage() {
  const [iovecAt, nameAt, controlAt, dataAt] = [MMSGHDR, MMSGHDR + IOVEC, 112, 112 + CONTROL]
  const memory = Buffer.alloc(dataAt + SLOT)
  const base = addressOf(memory)
  memory.writeBigUInt64LE(base + BigInt(nameAt), 0)
  memory.writeBigUInt64LE(base + BigInt(iovecAt), 16)
  memory.writeBigUInt64LE(1n, 24)
  memory.writeBigUInt64LE(base + BigInt(controlAt), 32)
  memory.writeBigUInt64LE(base + BigInt(dataAt), iovecAt)

  /** Writes the source to send from; returns the bytes of it. */
  function control(family: number, local: Ipv4 | Ipv6): number {
    const is4 = family === AF_INET
    const info = is4 ? 12 : 20
    memory.fill(0, controlAt, dataAt)
    memory.writeBigUInt64LE(BigInt(16 + info), controlAt)
    memory.writeInt32LE(is4 ? IPPROTO_IP : IPPROTO_IPV6, controlAt + 8)
    memory.writeInt32LE(is4 ? IP_PKTINFO : IPV6_PKTINFO, controlAt + 12)
    memory.set(bytesOf(family, local), controlAt + 16 + (is4 ? 4 : 0))
    return (16 + info + 7) & ~7
  }

  return {
    send(fd: number, family: number, payload: Uint8Array, to: Peer): void {
      if (family === AF_INET && isVersion6(to.address)) return
      const name = socketAddress(family, to)
      memory.set(name, nameAt)
      memory.writeUInt32LE(name.length, 8)
      memory.set(payload, dataAt)
      memory.writeBigUInt64LE(BigInt(payload.length), iovecAt + 8)
      const from = to.local === undefined ? 0 : control(family, to.local)
      // An address that is nobody's to send from, as that of a broadcast: the kernel chooses then.
      for (const length of from === 0 ? [0] : [from, 0]) {
        memory.writeBigUInt64LE(BigInt(length), 40)
        if (libc().sendmmsg(fd, memory.subarray(0, MMSGHDR), 1, 0) > 0) return
      }
    },
  }
}
