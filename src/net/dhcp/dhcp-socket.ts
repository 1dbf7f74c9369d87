// The UDP socket of a DHCP server: port 67 of one interface, many datagrams a system call, with the address each was
// sent to. What goes to clients without an address leaves as raw frames elsewhere; what goes to relays leaves here.
import {Failure} from '../../errors.ts'
import {type Ipv4, ipv4Text, writeIpv4} from '../../wire/address.ts'
import {addressOf, errorName, libc} from '../libc.ts'
import {controlMessages, type MessageBatch, messageBatch} from '../packet/message-batch.ts'
import {watchReadable} from '../packet/readable.ts'

const AF_INET = 2
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_RCVBUF = 8
const SO_BINDTODEVICE = 25
const SO_RCVBUFFORCE = 33
const IPPROTO_IP = 0
const IP_PKTINFO = 8

/**
 * Datagrams a system call. What waits while a batch is stored comes with the next, so that the load sets the batch's
 * size, up to a quarter of what a relay's receive buffer takes as replies at once (some 270): what has queued up behind a
 * slow write must not come back as one burst. The first few go into memory of their own, as readying all of it costs more
 * than they do.
 */
const FIRST = 8
const MORE = 64 - FIRST
/** An Ethernet frame's worth, and more than any client sends. */
const SLOT = 2048
/** Two thousand datagrams. A longer queue would hold what its client has given up on: overload must drop, not delay. */
const RECEIVE_BUFFER = 2 << 20

export interface DhcpDatagram {
  /** Valid until the listener returns. */
  readonly payload: Uint8Array
  readonly source: Ipv4
  readonly sourcePort: number
  /** Where it was sent: 255.255.255.255 for broadcasts. */
  readonly destination: Ipv4
}

export interface OutgoingDatagram {
  readonly payload: Uint8Array
  readonly ip: Ipv4
  readonly port: number
}

export interface DhcpSocket {
  /** Sends what it can; returns how many the kernel did not take. */
  send(datagrams: readonly OutgoingDatagram[]): number
  close(): Promise<void>
}

/**
 * Opens UDP `port` on one interface and hands every batch that comes in to `receive`. Between two batches the event loop
 * runs, so that a flood does not shut out the rest of the process.
 * @throws Failure `privilege` without CAP_NET_BIND_SERVICE or CAP_NET_RAW, `runtime` if another server has the port.
 */
export function openDhcpSocket(
  interfaceName: string,
  port: number,
  receive: (batch: readonly DhcpDatagram[]) => void,
): DhcpSocket {
  const fd = libc().socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new Failure('runtime', `cannot open a UDP socket: ${errorName()}`)
  try {
    configure(fd, interfaceName, port)
  } catch (error) {
    libc().close(fd)
    throw error
  }
  const [first, more] = [messageBatch(FIRST, SLOT), messageBatch(MORE, SLOT)]
  const outgoing = sendBatch(256, SLOT)
  const watch = watchReadable(fd, () => {
    const batch = drain(fd, first)
    if (batch.length === FIRST) batch.push(...drain(fd, more))
    if (batch.length > 0) receive(batch)
  })
  let closing: Promise<void> | undefined
  return {
    send: (datagrams) => outgoing.send(fd, datagrams),
    close() {
      closing ??= watch.stop().then(() => void libc().close(fd))
      return closing
    },
  }
}

function drain(fd: number, memory: MessageBatch): DhcpDatagram[] {
  memory.prepareReceive()
  const count = libc().recvmmsg(fd, memory.headers, memory.count, 0, null)
  return Array.from({length: Math.max(0, count)}, (_, i) => datagram(memory.slot(i)))
}

function configure(fd: number, interfaceName: string, port: number): void {
  const name = Buffer.alloc(64)
  name.write(interfaceName)
  set(fd, SOL_SOCKET, SO_BINDTODEVICE, name.subarray(0, interfaceName.length + 1), `SO_BINDTODEVICE ${interfaceName}`)
  set(fd, IPPROTO_IP, IP_PKTINFO, int(1), 'IP_PKTINFO')
  // The forced one needs CAP_NET_ADMIN and is not held to net.core.rmem_max.
  if (libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER), 4) < 0) {
    set(fd, SOL_SOCKET, SO_RCVBUF, int(RECEIVE_BUFFER), 'SO_RCVBUF')
  }
  const address = socketAddress('0.0.0.0', port)
  if (libc().bind(fd, address, address.length) === 0) return
  const error = errorName()
  if (error === 'EACCES' || error === 'EPERM') {
    throw new Failure('privilege', `UDP port ${port} needs CAP_NET_BIND_SERVICE: run as root`)
  }
  if (error === 'EADDRINUSE') {
    throw new Failure(
      'runtime',
      `UDP port ${port} is in use on ${interfaceName}: another DHCP server or relay runs here`,
    )
  }
  throw new Failure('runtime', `UDP port ${port}: bind failed with ${error}`)
}

function set(fd: number, level: number, name: number, value: Uint8Array, what: string): void {
  if (libc().setsockopt(fd, level, name, value, value.length) === 0) return
  const error = errorName()
  const kind = error === 'EPERM' ? 'privilege' : 'runtime'
  throw new Failure(kind, `DHCP socket: ${what} failed with ${error}${kind === 'privilege' ? ': run as root' : ''}`)
}

function int(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeInt32LE(value)
  return out
}

/** `struct sockaddr_in`. */
function socketAddress(ip: Ipv4, port: number): Buffer {
  const out = Buffer.alloc(16)
  out.writeUInt16LE(AF_INET, 0)
  out.writeUInt16BE(port, 2)
  writeIpv4(ip, out, 4)
  return out
}

function datagram({data, name, control}: {data: Buffer; name: Buffer; control: Buffer}): DhcpDatagram {
  let destination = '0.0.0.0'
  for (const message of controlMessages(control)) {
    // struct in_pktinfo: interface, the local address, the one in the header.
    if (message.level === IPPROTO_IP && message.type === IP_PKTINFO)
      destination = ipv4Text(message.data.readUInt32BE(8))
  }
  const source = name.length >= 8 ? ipv4Text(name.readUInt32BE(4)) : '0.0.0.0'
  return {payload: data, source, sourcePort: name.length >= 8 ? name.readUInt16BE(2) : 0, destination}
}

const MMSGHDR = 64
const IOVEC = 16
const NAME = 16

/** Memory for sendmmsg(2) to many addresses, laid out once. */
function sendBatch(count: number, slotSize: number) {
  const [iovecsAt, namesAt] = [MMSGHDR * count, (MMSGHDR + IOVEC) * count]
  const dataAt = namesAt + NAME * count
  const memory = Buffer.alloc(dataAt + slotSize * count)
  const base = addressOf(memory)
  for (let i = 0; i < count; i++) {
    memory.writeBigUInt64LE(base + BigInt(namesAt + i * NAME), i * MMSGHDR)
    memory.writeUInt32LE(NAME, i * MMSGHDR + 8)
    memory.writeBigUInt64LE(base + BigInt(iovecsAt + i * IOVEC), i * MMSGHDR + 16)
    memory.writeBigUInt64LE(1n, i * MMSGHDR + 24)
    memory.writeBigUInt64LE(base + BigInt(dataAt + i * slotSize), iovecsAt + i * IOVEC)
    memory.writeUInt16LE(AF_INET, namesAt + i * NAME)
  }
  const fill = (i: number, {payload, ip, port}: OutgoingDatagram): void => {
    memory.set(payload, dataAt + i * slotSize)
    memory.writeUInt32LE(payload.length, iovecsAt + i * IOVEC + 8)
    memory.writeUInt16BE(port, namesAt + i * NAME + 2)
    writeIpv4(ip, memory, namesAt + i * NAME + 4)
  }
  return {
    send(fd: number, datagrams: readonly OutgoingDatagram[]): number {
      let refused = 0
      for (let sent = 0; sent < datagrams.length; ) {
        const size = Math.min(count, datagrams.length - sent)
        for (let i = 0; i < size; i++) fill(i, datagrams[sent + i]!)
        const taken = libc().sendmmsg(fd, memory.subarray(0, MMSGHDR * size), size, 0)
        if (taken > 0) sent += taken
        else if (errorName() !== 'EINTR') {
          // The first one's fault (no route, a full queue): clients and relays ask again, the others must not wait.
          refused++
          sent++
        }
      }
      return refused
    },
  }
}
