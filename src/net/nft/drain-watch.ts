// Notices when somebody takes the drain's table away: a firewall that is loaded anew begins with "flush ruleset".
import {readSync} from 'node:fs'
import {libc} from '../libc.ts'
import {attributeMap, NETLINK_NETFILTER, netlinkMessages} from '../netlink/netlink-message.ts'
import {netlinkSocket} from '../netlink/netlink-socket.ts'
import {watchReadable} from '../packet/readable.ts'
import {DRAIN_TABLE_NAME} from './drain-nft.ts'

/** NFNLGRP_NFTABLES is the seventh group. */
const GROUP = 1 << 6
/** NFNL_SUBSYS_NFTABLES and NFT_MSG_DELTABLE (linux/netfilter/nf_tables.h); an nfgenmsg of four bytes comes before attributes. */
const DELTABLE = (10 << 8) | 2
const NFGENMSG = 4
const NFTA_TABLE_NAME = 1

/** Also called when we take it away ourselves. A kernel without nf_tables has no drain, and nothing to be told of. */
export function watchDrain(onGone: () => void): {close(): Promise<void>} {
  let fd: number
  try {
    fd = netlinkSocket(NETLINK_NETFILTER, GROUP)
  } catch {
    return {close: async () => {}}
  }
  const buffer = Buffer.alloc(1 << 16)
  const watch = watchReadable(fd, () => {
    let gone = false
    for (;;) {
      let length: number
      try {
        length = readSync(fd, buffer)
      } catch (error) {
        // ENOBUFS: more happened than the socket could hold.
        gone ||= (error as NodeJS.ErrnoException).code !== 'EAGAIN'
        break
      }
      for (const {type, body} of netlinkMessages(buffer.subarray(0, length))) {
        if (type !== DELTABLE) continue
        const name = attributeMap(body, NFGENMSG).get(NFTA_TABLE_NAME)?.toString('latin1').replace(/\0.*$/s, '')
        gone ||= name === DRAIN_TABLE_NAME
      }
    }
    if (gone) onGone()
  })
  return {
    async close() {
      await watch.stop()
      libc().close(fd)
    },
  }
}
