// What the bridges here learn, as the kernel tells it (rtnetlink(7), RTNLGRP_NEIGH): once for a MAC and a port, however many
// frames come.
import {Failure} from '../../errors.ts'
import {errorName, libc} from '../libc.ts'
import {anyOf} from '../packet/bpf.ts'
import {filterProgram, SO_ATTACH_FILTER} from '../packet/filter-program.ts'
import {messageBatch} from '../packet/message-batch.ts'
import {watchReadable} from '../packet/readable.ts'
import {SOL_SOCKET} from '../packet/socket-constants.ts'
import {AF_BRIDGE, type LearnedFacts, parseLearned, RTM_NEWNEIGH} from './neighbour-message.ts'
import {netlinkMessages} from './netlink-message.ts'
import {netlinkSocket} from './netlink-socket.ts'

const NETLINK_ROUTE = 0
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const RTNLGRP_NEIGH = 3
const SO_RCVBUFFORCE = 33
/** Bytes: some thousands of messages. */
const RECEIVE_BUFFER = 4 << 20
/** Messages a system call, and calls before others have their turn. */
const BATCH = 64
const TURNS = 64

/** Of nlmsghdr its type, of ndmsg its family: neighbours of hosts, and what is forgotten, never wake this process. */
const LEARNED = anyOf([
  [
    {offset: 4, size: 2, value: ((RTM_NEWNEIGH & 0xff) << 8) | (RTM_NEWNEIGH >> 8)},
    {offset: 16, size: 1, value: AF_BRIDGE},
  ],
])

/**
 * Calls `onLearned` for every MAC that a bridge learns, or hears at another port than before; `onLost` when more was learned
 * than the socket could hold. @throws Failure `runtime` if there is no netlink here.
 */
export function watchFdb(onLearned: (learned: LearnedFacts) => void, onLost: () => void): {close(): Promise<void>} {
  const fd = netlinkSocket(NETLINK_ROUTE, 0, 'nonblocking')
  // Needs CAP_NET_ADMIN; without it the queue is as long as the system's.
  libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER), 4)
  set(fd, SOL_SOCKET, SO_ATTACH_FILTER, filterProgram(LEARNED))
  set(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int(RTNLGRP_NEIGH))
  const batch = messageBatch(BATCH, 512)
  const watch = watchReadable(fd, () => {
    for (let turn = 0; turn < TURNS; turn++) {
      batch.prepareReceive()
      const count = libc().recvmmsg(fd, batch.headers, batch.count, 0, null)
      if (count < 0) {
        if (errorName() !== 'EAGAIN') onLost()
        return
      }
      for (let i = 0; i < count; i++) {
        for (const {body} of netlinkMessages(batch.slot(i).data)) {
          const learned = parseLearned(body)
          if (learned) onLearned(learned)
        }
      }
      if (count < batch.count) return
    }
  })
  return {
    async close() {
      await watch.stop()
      libc().close(fd)
    },
  }
}

function set(fd: number, level: number, name: number, value: Uint8Array): void {
  if (libc().setsockopt(fd, level, name, value, value.length) === 0) return
  const error = errorName()
  libc().close(fd)
  throw new Failure('runtime', `netlink: setsockopt ${level}/${name}: ${error}`)
}

function int(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeInt32LE(value)
  return out
}
