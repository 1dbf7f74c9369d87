// AF_PACKET sockets for a relay (packet(7)): frames cross user space in batches, with their offload state and their
// kernel receive times, and without one allocation a frame. A relay owns its process, so every call here may block it.

import {Failure} from '../../errors.ts'
import {koffi} from '../koffi.ts'
import {libc} from '../libc.ts'
import {type FrameQueue, VNET_HEADER} from './relay-queue.ts'
import {
  AF_PACKET,
  CONTROL,
  ETH_P_ALL,
  IOVEC,
  MMSGHDR,
  PACKET_ADD_MEMBERSHIP,
  PACKET_AUXDATA,
  PACKET_IGNORE_OUTGOING,
  PACKET_MR_PROMISC,
  SO_TIMESTAMPNS,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
} from './socket-constants.ts'

const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const PACKET_VNET_HDR = 15
const POLLIN = 1
const CLOCK_REALTIME = 0
const SCHED_RR = 2
const SCHED_RESET_ON_FORK = 0x4000_0000

const BATCH = 64
/** The longest GSO frame the kernel makes unless told otherwise (GSO_LEGACY_MAX_SIZE), with both headers. */
const SLOT = 65_536 + 64
const RECEIVE_BUFFER = 32 << 20
const TWO_32 = 2 ** 32

/** Where a frame goes, and after how many ms. One object may be given for all frames. */
export interface Sorted {
  readonly queue: FrameQueue
  readonly delayMs: number
}

/** Sorts the frame of `length` bytes at `memory[at]`; undefined loses it. */
export type SortFrame = (memory: Uint8Array, at: number, length: number) => Sorted | undefined

/** One end of the relayed wire. */
export interface RelaySocket {
  readonly fd: number
  readonly interfaceName: string
  /**
   * Takes one batch of queued frames; each is due as long after the kernel received it as `sort` says.
   * Returns how many, 0 if there was none, -1 if the interface is gone or down.
   */
  receive(sort: SortFrame): number
  /**
   * Sends what is due in `queue` at `nowMs`. Returns false if the kernel takes no more for now.
   * A frame it refuses (too long for the interface) is dropped and counted in `refused`.
   */
  send(queue: FrameQueue, nowMs: number): boolean
  /** Frames the kernel refused for good. */
  refused(): number
  exists(): boolean
}

/** @throws Failure `runtime` if there is no such interface, `privilege` without CAP_NET_RAW. */
export function openRelaySocket(interfaceName: string): RelaySocket {
  const index = libc().if_nametoindex(interfaceName)
  if (index === 0) throw new Failure('runtime', `relay: no interface ${interfaceName} in this namespace`)
  const fd = libc().socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new Failure('privilege', 'relay: an AF_PACKET socket needs CAP_NET_RAW')
  configure(fd, index)
  const incoming = receiver(fd)
  const outgoing = sender(fd)
  return {
    fd,
    interfaceName,
    receive: incoming,
    send: outgoing.send,
    refused: outgoing.refused,
    exists: () => libc().if_nametoindex(interfaceName) === index,
  }
}

function configure(fd: number, index: number): void {
  // Larger than rmem_max allows, so that nothing is lost while this process is off the CPU; needs CAP_NET_ADMIN.
  libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER), 4)
  libc().setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, int(RECEIVE_BUFFER), 4)
  must(fd, SOL_SOCKET, SO_TIMESTAMPNS, int(1), 'SO_TIMESTAMPNS')
  must(fd, SOL_PACKET, PACKET_AUXDATA, int(1), 'PACKET_AUXDATA')
  must(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1), 'PACKET_IGNORE_OUTGOING')
  must(fd, SOL_PACKET, PACKET_VNET_HDR, int(1), 'PACKET_VNET_HDR')
  const address = Buffer.alloc(20)
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16BE(ETH_P_ALL, 2)
  address.writeInt32LE(index, 4)
  if (libc().bind(fd, address, address.length) < 0) throw refusedCall('bind')
  const membership = Buffer.alloc(16)
  membership.writeInt32LE(index, 0)
  membership.writeUInt16LE(PACKET_MR_PROMISC, 4)
  must(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership, 'promiscuous mode')
}

function must(fd: number, level: number, name: number, value: Buffer, what: string): void {
  if (libc().setsockopt(fd, level, name, value, value.length) < 0) throw refusedCall(what)
}

const refusedCall = (what: string): Failure =>
  new Failure('runtime', `relay: the kernel refused ${what} (errno ${koffi().errno()})`)

function int(value: number): Buffer {
  const out = Buffer.alloc(64)
  out.writeInt32LE(value)
  return out.subarray(0, 4)
}

/** Memory outside V8's heap, which never moves, and where it lies. Addresses are below 2^47, exact as numbers. */
function fixed(size: number): {memory: Buffer; address: number} {
  const memory = Buffer.from(new ArrayBuffer(size))
  return {memory, address: fixedAddress(memory)}
}

/** Where `memory` lies, which must not be on V8's heap (no array of this size is). */
export const fixedAddress = (memory: Uint8Array): number => Number(koffi().address(memory))

function writeAddress(memory: Buffer, address: number, offset: number): void {
  memory.writeUInt32LE(address % TWO_32, offset)
  memory.writeUInt32LE(Math.floor(address / TWO_32), offset + 4)
}

function receiver(fd: number): RelaySocket['receive'] {
  // One allocation, so that what only the kernel points to lives as long as the rest.
  const {memory, address} = fixed(BATCH * (MMSGHDR + IOVEC + CONTROL + SLOT))
  const vectorsAt = BATCH * MMSGHDR
  const controlsAt = vectorsAt + BATCH * IOVEC
  const slotsAt = controlsAt + BATCH * CONTROL
  for (let i = 0; i < BATCH; i++) {
    writeAddress(memory, address + slotsAt + i * SLOT, vectorsAt + i * IOVEC)
    writeAddress(memory, SLOT, vectorsAt + i * IOVEC + 8)
    writeAddress(memory, address + vectorsAt + i * IOVEC, i * MMSGHDR + 16)
    writeAddress(memory, 1, i * MMSGHDR + 24)
    writeAddress(memory, address + controlsAt + i * CONTROL, i * MMSGHDR + 32)
  }
  const realtime = fixed(64).memory
  const seen: Ancillary = {realtimeMs: 0, tagged: false, tpid: 0, tci: 0}

  return (sort) => {
    for (let i = 0; i < BATCH; i++) {
      memory.writeUInt32LE(CONTROL, i * MMSGHDR + 40)
      memory.writeUInt32LE(0, i * MMSGHDR + 48)
    }
    const count = libc().recvmmsg(fd, memory, BATCH, 0, null)
    if (count < 0) {
      const errno = koffi().errno()
      if (isBusy(errno)) return 0
      if (errno === koffi().os.errno.ENETDOWN || errno === koffi().os.errno.ENXIO) return -1
      throw refusedCall('recvmmsg')
    }
    // Timestamps are wall clock, which may be set at any time; only the frame's age is taken from it.
    libc().clock_gettime(CLOCK_REALTIME, realtime)
    const nowRealtime = timespecMs(realtime, 0)
    const now = performance.now()
    for (let i = 0; i < count; i++) {
      const length = memory.readUInt32LE(i * MMSGHDR + 56)
      readControl(memory, controlsAt + i * CONTROL, memory.readUInt32LE(i * MMSGHDR + 40), seen)
      const age = seen.realtimeMs === 0 ? 0 : Math.min(Math.max(nowRealtime - seen.realtimeMs, 0), 1000)
      const at = slotsAt + i * SLOT
      const sorted = sort(memory, at + VNET_HEADER, length - VNET_HEADER)
      if (sorted === undefined) continue
      const {queue} = sorted
      const dueMs = now - age + sorted.delayMs
      if (seen.tagged) queue.pushTagged(memory, at, length, dueMs, seen.tpid, seen.tci)
      else queue.push(memory, at, length, dueMs)
    }
    return count
  }
}

interface Ancillary {
  realtimeMs: number
  tagged: boolean
  tpid: number
  tci: number
}

const timespecMs = (memory: Buffer, at: number): number =>
  (memory.readUInt32LE(at) + memory.readUInt32LE(at + 4) * TWO_32) * 1000 + memory.readUInt32LE(at + 8) / 1e6

/** The receive time and the VLAN tag, which the kernel takes out of the frame (packet(7), PACKET_AUXDATA). */
function readControl(memory: Buffer, start: number, length: number, into: Ancillary): void {
  into.realtimeMs = 0
  into.tagged = false
  let at = start
  while (at + 16 <= start + length) {
    const size = memory.readUInt32LE(at)
    if (size < 16) return
    const level = memory.readInt32LE(at + 8)
    const type = memory.readInt32LE(at + 12)
    if (level === SOL_SOCKET && type === SO_TIMESTAMPNS) into.realtimeMs = timespecMs(memory, at + 16)
    else if (level === SOL_PACKET && type === PACKET_AUXDATA) {
      const status = memory.readUInt32LE(at + 16)
      if (status & TP_STATUS_VLAN_VALID) {
        into.tagged = true
        into.tci = memory.readUInt16LE(at + 32)
        into.tpid = status & TP_STATUS_VLAN_TPID_VALID ? memory.readUInt16LE(at + 34) : 0x8100
      }
    }
    at += (size + 7) & ~7
  }
}

function sender(fd: number): {send: RelaySocket['send']; refused(): number} {
  const headers = fixed(BATCH * MMSGHDR)
  const vectors = fixed(BATCH * IOVEC)
  for (let i = 0; i < BATCH; i++) {
    writeAddress(headers.memory, vectors.address + i * IOVEC, i * MMSGHDR + 16)
    writeAddress(headers.memory, 1, i * MMSGHDR + 24)
  }
  let refused = 0

  const send = (queue: FrameQueue, nowMs: number): boolean => {
    for (;;) {
      let count = 0
      while (count < BATCH && count < queue.length && queue.dueMs(count) <= nowMs) {
        writeAddress(vectors.memory, queue.address + queue.offset(count), count * IOVEC)
        vectors.memory.writeUInt32LE(queue.size(count), count * IOVEC + 8)
        count++
      }
      if (count === 0) return true
      const sent = libc().sendmmsg(fd, headers.memory, count, 0)
      if (sent > 0) queue.drop(sent)
      else if (isBusy(koffi().errno())) return false
      else {
        // The first of the batch is the one refused.
        queue.drop(1)
        refused++
      }
    }
  }
  return {send, refused: () => refused}
}

const isBusy = (errno: number): boolean =>
  ['EAGAIN', 'ENOBUFS', 'EINTR'].some((name) => koffi().os.errno[name] === errno)

/** Waits on several sockets at once (ppoll(2)). */
export interface Poller {
  /** Sleeps until a socket has something or `timeoutMs` is over; undefined sleeps until a socket has something. */
  wait(timeoutMs: number | undefined): void
  ready(i: number): boolean
}

export function poller(fds: readonly number[]): Poller {
  const {memory} = fixed(Math.max(64, fds.length * 8))
  fds.forEach((fd, i) => {
    memory.writeInt32LE(fd, i * 8)
    memory.writeInt16LE(POLLIN, i * 8 + 4)
  })
  const timeout = fixed(64).memory
  return {
    wait(timeoutMs) {
      if (timeoutMs === undefined) {
        libc().ppoll(memory, fds.length, null, null)
        return
      }
      const ns = Math.max(0, Math.round(timeoutMs * 1e6))
      timeout.writeUInt32LE(Math.floor(ns / 1e9), 0)
      timeout.writeUInt32LE(ns % 1e9, 8)
      libc().ppoll(memory, fds.length, timeout, null)
    },
    ready: (i) => memory.readInt16LE(i * 8 + 6) !== 0,
  }
}

/** Asks for real-time scheduling of this thread (sched(7), SCHED_RR); false if the system does not allow it. */
export function realTimePriority(): boolean {
  const param = Buffer.alloc(64)
  param.writeInt32LE(10)
  return libc().sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, param) === 0
}
