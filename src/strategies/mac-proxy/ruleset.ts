// The rules that redirect one VM's packets from one gateway's MAC to another's, in the bridge, as nft(8) takes them.
import {isMac, type Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/** The table that is ours alone; every redirected VM has a chain in it. */
export const PROXY_TABLE = 'gwswitch_proxy'

export interface Redirect {
  readonly vm: {readonly name: string; readonly mac: Mac}
  /** The VM's own port. */
  readonly port: string
  readonly prefix: string
  /** The gateways that it may send to: one family may use another than the other. The first is the one it was seen to use. */
  readonly from: readonly {readonly mac: Mac; readonly ip6: readonly Ipv6[]}[]
  readonly to: {readonly mac: Mac}
  /** The new gateway is this very bridge. */
  readonly isBridge: boolean
  /** Redirect IPv6 too: the new gateway routes it. */
  readonly ipv6: boolean
}

export const chainOf = (mac: Mac): string => `vm_${mac.replaceAll(':', '')}`

/** What both directions begin with: everything that may be there already. Adding what is there changes nothing. */
const frame = (mac: Mac): string[] => [
  `add table bridge ${PROXY_TABLE}`,
  `add map bridge ${PROXY_TABLE} vms { type ether_addr : verdict; }`,
  `add chain bridge ${PROXY_TABLE} from_vms { type filter hook prerouting priority -310; policy accept; }`,
  `add chain bridge ${PROXY_TABLE} ${chainOf(mac)}`,
  `add element bridge ${PROXY_TABLE} vms { ${mac} : jump ${chainOf(mac)} }`,
]

/**
 * Only packets that leave the segment are redirected: what is for the old gateway itself still reaches it, ARP included.
 * One transaction; twice is as good as once.
 */
export function redirectRuleset({vm, port, prefix, from, to, isBridge, ipv6}: Redirect): string {
  const chain = `bridge ${PROXY_TABLE} ${chainOf(vm.mac)}`
  // A frame was for another station when it came in; the bridge takes it for itself only if it is told so.
  const action = `counter ${isBridge ? 'meta pkttype set host ' : ''}ether daddr set ${to.mac} comment "${commentOf(from[0]!.mac, to.mac)}"`
  const macs = from.map(({mac}) => mac)
  const any = macs.length === 1 ? macs[0] : `{ ${macs.join(', ')} }`
  const rule = (protocol: string, match: string): string =>
    `add rule ${chain} iifname "${port}" ether daddr ${any} meta protocol ${protocol} ${match} ${action}`
  const own = ['fe80::/10', 'ff00::/8', ...from.flatMap(({ip6}) => ip6.filter((ip) => !ip.startsWith('fe80:')))]
  return lines([
    ...frame(vm.mac),
    `flush chain bridge ${PROXY_TABLE} from_vms`,
    `add rule bridge ${PROXY_TABLE} from_vms ether saddr vmap @vms`,
    `flush chain ${chain}`,
    rule('ip', `ip daddr != ${prefix}`),
    ...(ipv6 ? [rule('ip6', `ip6 daddr != { ${own.join(', ')} }`)] : []),
  ])
}

/** Takes one VM's redirection away, whether it is there or not; others stay. */
export const releaseRuleset = (mac: Mac): string =>
  lines([
    ...frame(mac),
    `delete element bridge ${PROXY_TABLE} vms { ${mac} }`,
    `flush chain bridge ${PROXY_TABLE} ${chainOf(mac)}`,
    `delete chain bridge ${PROXY_TABLE} ${chainOf(mac)}`,
  ])

export const removeProxyTable = (): string => `delete table bridge ${PROXY_TABLE}\n`

const lines = (text: readonly string[]): string => `${text.join('\n')}\n`

/** Our rules carry in their comment what they redirect, so that a later run can put it back. */
const commentOf = (from: Mac, to: Mac): string => `${from} > ${to}`

/** The redirection of a VM that a table holds; undefined if there is none. */
export function redirectIn(
  rules: readonly {readonly chain: string; readonly comment: string | undefined}[] | undefined,
  vm: Mac,
): {readonly from: Mac; readonly to: Mac} | undefined {
  const comments = rules?.filter(({chain}) => chain === chainOf(vm)).map(({comment}) => comment) ?? []
  const [from, to] = comments.find((comment) => comment !== undefined)?.split(' > ') ?? []
  return from !== undefined && to !== undefined && isMac(from) && isMac(to) ? {from, to} : undefined
}
