// Which tables nf_tables has, asked of the kernel in microseconds: nft(8) takes as long as all else that a switch waits
// for, and most hosts have none.
import {readSync, writeSync} from 'node:fs'
import {libc} from '../libc.ts'
import {
  attributeMap,
  NETLINK_NETFILTER,
  type NetlinkMessage,
  NLM_F_DUMP,
  NLMSG_DONE,
  NLMSG_ERROR,
  netlinkMessages,
  request,
} from '../netlink/netlink-message.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
/** NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE (nfnetlink.h, nf_tables.h). */
const GET_TABLE = (10 << 8) | 1
const NFTA_TABLE_NAME = 1
/** Length of nfgenmsg. */
const NFGENMSG = 4
/** The families of nft(8) by their numbers (netfilter.h). */
const NFPROTO: Readonly<Record<string, number>> = {inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10}

/** Undefined where the kernel does not say: no right to ask, no nf_tables. nft(8) has the words for that. */
export function nftTableNames(family: string): string[] | undefined {
  const answers = dump(family)
  if (answers === undefined || answers.some(({type}) => type === NLMSG_ERROR)) return undefined
  return answers.flatMap(({type, body}) => {
    const name = type === NLMSG_DONE ? undefined : attributeMap(body, NFGENMSG).get(NFTA_TABLE_NAME)
    return name === undefined ? [] : [name.toString('utf8').replace(/\0$/, '')]
  })
}

/** All that the kernel answers, the end included. */
function dump(family: string): NetlinkMessage[] | undefined {
  const fd = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER)
  if (fd < 0) return undefined
  try {
    // nfgenmsg: family, version, res_id.
    writeSync(fd, request(GET_TABLE, NLM_F_DUMP, Buffer.of(NFPROTO[family] ?? 0, 0, 0, 0)))
    const messages: NetlinkMessage[] = []
    for (let over = false; !over; ) {
      const buffer = Buffer.alloc(1 << 15)
      const part = [...netlinkMessages(buffer.subarray(0, readSync(fd, buffer)))]
      messages.push(...part)
      over = part.length === 0 || part.some(({type}) => type === NLMSG_DONE || type === NLMSG_ERROR)
    }
    return messages
  } catch {
    return undefined
  } finally {
    libc().close(fd)
  }
}
