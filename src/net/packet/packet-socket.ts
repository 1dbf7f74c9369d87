// AF_PACKET sockets (packet(7)): whole Ethernet frames in and out of one interface.
import {Failure} from '../../errors.ts'
import {errorName, libc, realtimeNs} from '../libc.ts'
import type {Instruction} from './bpf.ts'
import {filterProgram, SO_ATTACH_FILTER} from './filter-program.ts'
import {controlMessages, type MessageBatch, messageBatch} from './message-batch.ts'
import {needsNetRaw} from './privilege.ts'
import {
  AF_PACKET,
  ETH_P_ALL,
  PACKET_ADD_MEMBERSHIP,
  PACKET_AUXDATA,
  PACKET_IGNORE_OUTGOING,
  PACKET_MR_PROMISC,
  PACKET_STATISTICS,
  SO_TIMESTAMPNS,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
} from './socket-constants.ts'

const SO_RCVBUF = 8
const SO_RCVBUFFORCE = 33
/** Bytes, with what the kernel needs for each frame: some thousand short ones. */
const RECEIVE_BUFFER = 4 << 20
const PACKET_TYPES = ['host', 'broadcast', 'multicast', 'other-host', 'outgoing'] as const

/** To whom the kernel says a frame was addressed (packet(7), `sll_pkttype`). */
export type PacketType = (typeof PACKET_TYPES)[number] | 'unknown'

/** One received frame; `bytes` belong to the receiver. */
export interface ReceivedFrame {
  readonly bytes: Uint8Array
  /** Kernel receive time, CLOCK_REALTIME in nanoseconds. */
  readonly timestampNs: bigint
  readonly packetType: PacketType
  /** Of the interface that it came in at; absent where links are in memory. */
  readonly interfaceIndex?: number
}

export interface PacketSocketOptions {
  /** 0: every interface, those that come later too. */
  readonly interfaceIndex: number
  /** Frames this program does not accept are never queued. Default: everything. */
  readonly filter?: readonly Instruction[]
  /** Receive frames for other stations too (a bridge port, a VM's tap). Default false. */
  readonly promiscuous?: boolean
  /** Do not show frames this host sends. Default true. */
  readonly ignoreOutgoing?: boolean
  /** Longest frame kept, bytes. Default 2048. */
  readonly snapLength?: number
}

export interface PacketSocket {
  readonly fd: number
  /** Hands every queued frame to `take`; returns the name of the error that ended it, if it was not "no more". */
  drain(take: (frame: ReceivedFrame) => void): string | undefined
  /** Sends one frame. Returns the time just before, on the clock of the receive timestamps. */
  send(frame: Uint8Array): bigint
  /** Sends frames in batches of one system call each; returns how many the kernel took. */
  sendMany(frames: readonly Uint8Array[]): number
  /** Frames that passed the filter and found the queue full, since the socket was opened; undefined if it cannot say. */
  dropped(): number | undefined
  close(): void
  /** The same, and nobody waits for it: the kernel lets all its processors look up before it gives such a socket up. */
  closeLater(): Promise<void>
}

/**
 * Opens with protocol 0 (which receives nothing), attaches the filter, and only then binds to all protocols: no frame
 * that the filter would refuse can slip in. All protocols, since a socket bound to one sees nothing on a bridge port.
 *
 * @throws Failure `privilege` without CAP_NET_RAW, `runtime` for anything else the kernel refuses.
 */
export function openPacketSocket(options: PacketSocketOptions): PacketSocket {
  const fd = libc().socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) {
    const error = errorName()
    throw error === 'EPERM' || error === 'EACCES' ? needsNetRaw() : failed('socket', error)
  }
  try {
    configure(fd, options)
  } catch (error) {
    libc().close(fd)
    throw error
  }
  const snapLength = options.snapLength ?? 2048
  let lost = 0
  return {
    fd,
    dropped() {
      const more = droppedSince(fd)
      if (more === undefined) return undefined
      lost += more
      return lost
    },
    drain: (take) => drain(fd, batchOf(32, snapLength), take),
    send: (frame) => sendOne(fd, frame),
    sendMany: (frames) => sendBatches(fd, batchOf(256, snapLength), frames),
    close: () => void libc().close(fd),
    closeLater: () => new Promise((resolve) => libc().closeLater(fd, () => resolve())),
  }
}

const batches = new Map<string, MessageBatch>()

/** One for all sockets: they take turns, and many VMs make many sockets. */
function batchOf(count: number, snapLength: number): MessageBatch {
  const key = `${count} ${snapLength}`
  const known = batches.get(key) ?? messageBatch(count, snapLength)
  batches.set(key, known)
  return known
}

function configure(fd: number, options: PacketSocketOptions): void {
  if (options.filter) set(fd, SOL_SOCKET, SO_ATTACH_FILTER, filterProgram(options.filter))
  set(fd, SOL_SOCKET, SO_TIMESTAMPNS, int(1))
  // Without CAP_NET_ADMIN it is as long as net.core.rmem_max permits, which was 200 KB until lately.
  if (libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER), 4) < 0)
    set(fd, SOL_SOCKET, SO_RCVBUF, int(RECEIVE_BUFFER))
  set(fd, SOL_PACKET, PACKET_AUXDATA, int(1))
  if (options.ignoreOutgoing ?? true) set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1))
  const address = Buffer.alloc(20)
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16BE(ETH_P_ALL, 2)
  address.writeInt32LE(options.interfaceIndex, 4)
  if (libc().bind(fd, address, address.length) < 0) throw failed('bind', errorName())
  if (options.promiscuous) {
    const membership = Buffer.alloc(16)
    membership.writeInt32LE(options.interfaceIndex, 0)
    membership.writeUInt16LE(PACKET_MR_PROMISC, 4)
    set(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
  }
}

/** `struct tpacket_stats`; reading it sets its counters back. */
function droppedSince(fd: number): number | undefined {
  const stats = Buffer.alloc(8)
  return libc().getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, stats, int(stats.length)) === 0
    ? stats.readUInt32LE(4)
    : undefined
}

function set(fd: number, level: number, name: number, value: Uint8Array): void {
  if (libc().setsockopt(fd, level, name, value, value.length) < 0)
    throw failed(`setsockopt ${level}/${name}`, errorName())
}

function int(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeInt32LE(value)
  return out
}

const failed = (call: string, error: string): Failure =>
  new Failure('runtime', error === 'ENETDOWN' ? 'the interface is down' : `packet socket: ${call} failed with ${error}`)

function drain(fd: number, batch: MessageBatch, take: (frame: ReceivedFrame) => void): string | undefined {
  for (;;) {
    batch.prepareReceive()
    const count = libc().recvmmsg(fd, batch.headers, batch.count, 0, null)
    if (count < 0) {
      const error = errorName()
      if (error === 'EINTR') continue
      return error === 'EAGAIN' ? undefined : error
    }
    // Copies, all of them before the first is taken: whoever takes it may use the same memory.
    const frames = Array.from({length: count}, (_, i) => frameOf(batch, i))
    for (const frame of frames) take(frame)
    if (count < batch.count) return undefined
  }
}

function frameOf(batch: MessageBatch, i: number): ReceivedFrame {
  const {data, name, control} = batch.slot(i)
  let timestampNs = 0n
  let tag: {tci: number; tpid: number} | undefined
  for (const message of controlMessages(control)) {
    if (message.level === SOL_SOCKET && message.type === SO_TIMESTAMPNS) {
      timestampNs = message.data.readBigInt64LE(0) * 1_000_000_000n + message.data.readBigInt64LE(8)
    } else if (message.level === SOL_PACKET && message.type === PACKET_AUXDATA) {
      const status = message.data.readUInt32LE(0)
      if (status & TP_STATUS_VLAN_VALID) {
        const tpid = status & TP_STATUS_VLAN_TPID_VALID ? message.data.readUInt16LE(18) : 0x8100
        tag = {tci: message.data.readUInt16LE(16), tpid}
      }
    }
  }
  // `struct sockaddr_ll`: sll_ifindex, sll_pkttype.
  const packetType = name.length > 10 ? (PACKET_TYPES[name[10]!] ?? 'unknown') : 'unknown'
  const interfaceIndex = name.length > 10 ? name.readInt32LE(4) : 0
  const bytes = tag ? retag(data, tag) : new Uint8Array(data)
  return {bytes, timestampNs: timestampNs || realtimeNs(), packetType, interfaceIndex}
}

/** Puts back the 802.1Q tag that the kernel moved into the ancillary data. */
function retag(data: Uint8Array, tag: {tci: number; tpid: number}): Uint8Array {
  const out = new Uint8Array(data.length + 4)
  out.set(data.subarray(0, 12))
  out.set([tag.tpid >>> 8, tag.tpid & 0xff, tag.tci >>> 8, tag.tci & 0xff], 12)
  out.set(data.subarray(12), 16)
  return out
}

function sendOne(fd: number, frame: Uint8Array): bigint {
  const at = realtimeNs()
  if (Number(libc().send(fd, frame, frame.length, 0)) < 0) throw failed('send', errorName())
  return at
}

function sendBatches(fd: number, batch: MessageBatch, frames: readonly Uint8Array[]): number {
  let sent = 0
  while (sent < frames.length) {
    const count = Math.min(batch.count, frames.length - sent)
    for (let i = 0; i < count; i++) batch.fill(i, frames[sent + i]!)
    const taken = libc().sendmmsg(fd, batch.headers, count, 0)
    if (taken < 0) {
      const error = errorName()
      // The device queue is full: what was taken so far is the answer, the caller decides when to go on.
      if (error === 'ENOBUFS' || error === 'EAGAIN') return sent
      throw failed('sendmmsg', error)
    }
    sent += taken
  }
  return sent
}
