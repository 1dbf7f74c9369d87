// Frames that nft(8) rules log to a group, as they come. A group has one reader, and loses it when its process ends.
import {readSync, writeSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {libc} from '../libc.ts'
import {watchReadable} from '../packet/readable.ts'
import {NETLINK_NETFILTER, type NetlinkMessage, NLMSG_ERROR, netlinkMessages, parseError} from './netlink-message.ts'
import {netlinkSocket} from './netlink-socket.ts'
import {bindGroup, type LoggedFrame, parseLogged} from './nflog-message.ts'

const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const RECEIVE_BUFFER = 4 << 20
const EPERM = 1

export interface NflogSocket {
  /** Takes what waits now. */
  drain(): void
  /** Times that frames came faster than they were taken, and some are lost. */
  overruns(): number
  close(): Promise<void>
}

/**
 * Hands every frame that is logged to `group` from now on to `onFrame`.
 * @throws Failure `privilege` without CAP_NET_ADMIN, `runtime` if another program has the group, or there are none.
 */
export function openNflog(group: number, onFrame: (frame: LoggedFrame) => void): NflogSocket {
  const fd = netlinkSocket(NETLINK_NETFILTER, 0, 'nonblocking')
  const buffer = Buffer.alloc(1 << 17)
  let overruns = 0
  const read = (): NetlinkMessage[] | undefined => {
    for (;;) {
      try {
        return [...netlinkMessages(buffer.subarray(0, readSync(fd, buffer)))]
      } catch (error) {
        const {code} = error as NodeJS.ErrnoException
        if (code === 'EAGAIN') return undefined
        if (code !== 'ENOBUFS') throw error
        overruns++
      }
    }
  }
  const take = (messages: readonly NetlinkMessage[]): void => {
    for (const message of messages) {
      const frame = ifWellFormed(() => parseLogged(message))
      if (frame !== undefined) onFrame(frame)
    }
  }
  const drain = (): void => {
    for (let messages = read(); messages !== undefined; messages = read()) take(messages)
  }
  const bind = (number: number): number => {
    writeSync(fd, bindGroup(number))
    for (let messages = read(); messages !== undefined; messages = read()) {
      take(messages)
      const answer = messages.find(({type}) => type === NLMSG_ERROR)
      if (answer !== undefined) return parseError(answer).errno
    }
    return 0
  }
  try {
    const room = Buffer.alloc(4)
    room.writeInt32LE(RECEIVE_BUFFER)
    libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, room, room.length)
    const errno = bind(group)
    if (errno !== 0) throw refused(group, errno, () => bind(group + 1) !== EPERM)
  } catch (error) {
    libc().close(fd)
    throw error
  }
  const watch = watchReadable(fd, drain)
  return {
    drain,
    overruns: () => overruns,
    async close() {
      await watch.stop()
      libc().close(fd)
    },
  }
}

/** The kernel says EPERM both to who may not, and where another has it. */
function refused(group: number, errno: number, mayOthers: () => boolean): Failure {
  if (errno !== EPERM)
    return new Failure('runtime', `the kernel hands out no logged packets (errno ${errno}): modprobe nfnetlink_log`)
  return mayOthers()
    ? new Failure('runtime', `another program reads the packets logged to group ${group}`)
    : new Failure('privilege', 'reading logged packets needs CAP_NET_ADMIN: run as root')
}
