// The rules that hand the shim what servers say to VMs, in place of the VMs, as nft(8) takes them.
import type {Mac} from '../../wire/address.ts'
import {DHCP_CLIENT_PORT, DHCP_SERVER_PORT} from '../../wire/dhcp.ts'

const TABLE = 'bridge gwswitch_shim'
/** The group of `log` that the shim reads: its lock too, for a group has one reader. */
export const SHIM_GROUP = 0x6777
/** After this long without renewal a port is as it would be without the shim, by the kernel's own clock. */
export const ALIVE_S = 2

/** `chaddr` in a DHCP message, from the UDP header on, in bits. */
const CHADDR = `@th,${(8 + 28) * 8},48`

/**
 * All of it, in place of what an earlier shim left, with `ports` alive. The last of all hooks: what comes here leaves by
 * the port, whatever other rules there are. One rule takes the frame and drops it, so that none is lost or sent twice.
 */
export const shimRuleset = (vms: Iterable<Mac>, ports: readonly string[]): string =>
  `table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
  set ports { type ifname; flags timeout; }
  set vms { typeof ${CHADDR}; elements = { ${[...vms].map((mac) => `0x${mac.replaceAll(':', '')}`).join(', ')} } }
  chain to_vms {
    type filter hook postrouting priority 400; policy accept;
    meta protocol ip oifname @ports udp sport ${DHCP_SERVER_PORT} udp dport ${DHCP_CLIENT_PORT} ${CHADDR} @vms log group ${SHIM_GROUP} queue-threshold 1 counter drop
  }
}
${renewal(ports)}`

/** Keeps these ports alive and no others. In one transaction, for an element that is there keeps its old timeout. */
export const renewal = (ports: readonly string[]): string =>
  `flush set ${TABLE} ports\n${
    ports.length === 0
      ? ''
      : `add element ${TABLE} ports { ${ports.map((name) => `"${name}" timeout ${ALIVE_S}s`).join(', ')} }\n`
  }`

/** Harmless where there is none. */
export const removal = (): string => `table ${TABLE}\ndelete table ${TABLE}\n`
