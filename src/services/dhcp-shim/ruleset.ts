// The rules that hand the shim what servers say to VMs, in place of the VMs, as nft(8) takes them.

import {SHIM_PORT} from '../../domain/dhcp/shim-peers.ts'
import type {Mac} from '../../wire/address.ts'
import {DHCP_CLIENT_PORT, DHCP_SERVER_PORT} from '../../wire/dhcp.ts'

/** Of nft's bridge family: whoever it holds is shimmed, for as long as it holds them. */
export const SHIM_PORTS = {table: 'gwswitch_shim', set: 'ports'} as const
const TABLE = `bridge ${SHIM_PORTS.table}`
/** The group of `log` that the shim reads: its lock too, for a group has one reader. */
export const SHIM_GROUP = 0x6777
/** After this long without renewal a port is as it would be without the shim, by the kernel's own clock. */
export const ALIVE_MS = 2000

/** Another for copies of what VMs ask: a flood of those overruns their own socket. */
export const REQUEST_GROUP = SHIM_GROUP + 2

/** Less than it keeps up with on one core. A flood beyond passes as it is, and drowns no reply in a full queue. */
const LIMIT = 'limit rate 2000/second burst 1000 packets'
/** What is beyond is not seen: its clients get no nonce then. */
const REQUEST_LIMIT = 'limit rate 1000/second burst 500 packets'

/** What other shims say is a word now and then. */
const PEER_LIMIT = 'limit rate 200/second burst 200 packets'

/** `chaddr` in a DHCP message, from the UDP header on, in bits. */
const CHADDR = `@th,${(8 + 28) * 8},48`

/**
 * All of it, in place of what an earlier shim left, with `ports` alive. The last of all hooks: what comes here leaves by
 * the port, whatever other rules there are. One rule takes the frame and drops it, so that none is lost or sent twice. What
 * VMs ask goes its way, and a copy of it here. So does what other shims say by the ports `uplinks`, for there may be others
 * beyond; no VM sees it.
 */
export const shimRuleset = (vms: Iterable<Mac>, ports: readonly string[], uplinks: readonly string[]): string =>
  `table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
  set ${SHIM_PORTS.set} { type ifname; flags timeout;${elements(ports.map((name) => `"${name}" timeout ${ALIVE_MS}ms`))} }
  set vms { typeof ${CHADDR};${elements([...vms].map((mac) => `0x${mac.replaceAll(':', '')}`))} }
  chain from_vms {
    type filter hook prerouting priority 400; policy accept;
    meta protocol ip iifname @${SHIM_PORTS.set} udp sport ${DHCP_CLIENT_PORT} udp dport ${DHCP_SERVER_PORT} ${CHADDR} @vms ${REQUEST_LIMIT} log group ${REQUEST_GROUP} queue-threshold 1${peerRule(uplinks, `${PEER_LIMIT} log group ${REQUEST_GROUP} queue-threshold 1`)}
  }
  chain past_vms {
    type filter hook forward priority 400; policy accept;${peerRule(uplinks, `oifname @${SHIM_PORTS.set} drop`)}
  }
  chain to_vms {
    type filter hook postrouting priority 400; policy accept;
    meta protocol ip oifname @${SHIM_PORTS.set} udp sport ${DHCP_SERVER_PORT} udp dport ${DHCP_CLIENT_PORT} ${CHADDR} @vms ${LIMIT} log group ${SHIM_GROUP} queue-threshold 1 counter drop
  }
}
`

const peerRule = (uplinks: readonly string[], what: string): string =>
  uplinks.length === 0
    ? ''
    : `
    meta protocol ip iifname { ${uplinks.map((name) => `"${name}"`).join(', ')} } ip daddr 255.255.255.255 udp dport ${SHIM_PORT} ${what}`

const elements = (list: readonly string[]): string => (list.length === 0 ? '' : ` elements = { ${list.join(', ')} };`)

/** Harmless where there is none. */
export const removal = (): string => `table ${TABLE}\ndelete table ${TABLE}\n`
