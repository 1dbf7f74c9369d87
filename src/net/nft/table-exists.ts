// Whether nf_tables has a table, asked of the kernel in microseconds: nft(8) takes as long as all else that a switch waits
// for, and most hosts have none.
import {readSync, writeSync} from 'node:fs'
import {constants} from 'node:os'
import {libc} from '../libc.ts'
import {attribute, NLMSG_ERROR, netlinkMessages, parseError, request} from '../netlink/netlink-message.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const NETLINK_NETFILTER = 12
/** NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE (nfnetlink.h, nf_tables.h). */
const GET_TABLE = (10 << 8) | 1
const NFTA_TABLE_NAME = 1
/** The families of nft(8) by their numbers (netfilter.h). */
const NFPROTO: Readonly<Record<string, number>> = {inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10}

/** Undefined where the kernel does not say: no right to ask, no nf_tables. nft(8) has the words for that. */
export function nftTableExists(family: string, name: string): boolean | undefined {
  const fd = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER)
  if (fd < 0) return undefined
  try {
    // nfgenmsg: family, version, res_id.
    const body = Buffer.concat([
      Buffer.of(NFPROTO[family] ?? 0, 0, 0, 0),
      attribute(NFTA_TABLE_NAME, Buffer.from(`${name}\0`)),
    ])
    writeSync(fd, request(GET_TABLE, 0, body))
    const buffer = Buffer.alloc(1 << 13)
    const [answer] = netlinkMessages(buffer.subarray(0, readSync(fd, buffer)))
    if (answer === undefined) return undefined
    if (answer.type !== NLMSG_ERROR) return true
    return parseError(answer).errno === constants.errno.ENOENT ? false : undefined
  } catch {
    return undefined
  } finally {
    libc().close(fd)
  }
}
