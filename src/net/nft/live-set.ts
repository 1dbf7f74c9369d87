// Elements of a set of interface names that live for a while, renewed without nft(8): where the machine is so busy that a
// program takes seconds to start, they must not lapse.
import {readSync, writeSync} from 'node:fs'
import {libc} from '../libc.ts'
import {
  attribute,
  NETLINK_NETFILTER,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLMSG_ERROR,
  netlinkMessages,
  parseError,
  request,
} from '../netlink/netlink-message.ts'
import {netlinkSocket} from '../netlink/netlink-socket.ts'

/** linux/netfilter/nfnetlink.h and nf_tables.h. */
const BATCH_BEGIN = 0x10
const BATCH_END = 0x11
const NFTABLES = 10
const NEW_ELEMENTS = (NFTABLES << 8) | 12
const DELETE_ELEMENTS = (NFTABLES << 8) | 14
const NFPROTO_BRIDGE = 7
const NESTED = 0x8000
const LIST = {table: 1, set: 2, elements: 3 | NESTED} as const
const ELEMENT = 1 | NESTED
const KEY = 1 | NESTED
const VALUE = 1
const TIMEOUT = 4
const IFNAMSIZ = 16

/** A set of nft(8)'s bridge family, `type ifname; flags timeout`. */
export interface LiveSet {
  readonly table: string
  readonly set: string
}

/**
 * Has the set hold these names for `lifeMs` from now, and no others; in one transaction, for an element that is there
 * keeps its old timeout before Linux 6.12. Returns the errno; 0 if it is done, 2 (ENOENT) where there is no such set.
 */
export function renewElements({table, set}: LiveSet, names: readonly string[], lifeMs: number): number {
  const place = [attribute(LIST.table, text(table)), attribute(LIST.set, text(set))]
  const elements = Buffer.concat(names.map((name) => element(name, lifeMs)))
  const add = Buffer.concat([family(NFPROTO_BRIDGE), ...place, attribute(LIST.elements, elements)])
  const batch = [
    request(BATCH_BEGIN, 0, family(0, NFTABLES)),
    request(DELETE_ELEMENTS, NLM_F_ACK, Buffer.concat([family(NFPROTO_BRIDGE), ...place])),
    ...(names.length === 0 ? [] : [request(NEW_ELEMENTS, NLM_F_ACK | NLM_F_CREATE, add)]),
    request(BATCH_END, 0, family(0, NFTABLES)),
  ]
  const fd = netlinkSocket(NETLINK_NETFILTER, 0, 'nonblocking')
  try {
    writeSync(fd, Buffer.concat(batch))
    return firstError(fd)
  } finally {
    libc().close(fd)
  }
}

/** nfgenmsg: family, version, and a subsystem for the ends of a batch, big-endian. */
const family = (number: number, subsystem = 0): Buffer => Buffer.of(number, 0, subsystem >>> 8, subsystem & 0xff)

const text = (value: string): Buffer => Buffer.from(`${value}\0`)

function element(name: string, lifeMs: number): Buffer {
  const key = Buffer.alloc(IFNAMSIZ)
  key.write(name)
  const life = Buffer.alloc(8)
  life.writeBigUInt64BE(BigInt(lifeMs))
  return attribute(ELEMENT, Buffer.concat([attribute(KEY, attribute(VALUE, key)), attribute(TIMEOUT, life)]))
}

/** The kernel has answered by the time that the batch is written: a message for each, an error or none. */
function firstError(fd: number): number {
  const buffer = Buffer.alloc(1 << 15)
  for (;;) {
    let length: number
    try {
      length = readSync(fd, buffer)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
      throw error
    }
    for (const message of netlinkMessages(buffer.subarray(0, length))) {
      const errno = message.type === NLMSG_ERROR ? parseError(message).errno : 0
      if (errno !== 0) return errno
    }
  }
}
