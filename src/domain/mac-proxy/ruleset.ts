// The rules that redirect one VM's packets from one gateway's MAC to another's, in the bridge, as nft(8) takes them.
import {isMac, type Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/** The table that is ours alone; every redirected VM has a chain in it. */
export const PROXY_TABLE = 'gwswitch_proxy'

/** A gateway, as whoever reads about a redirection knows it. */
export interface ProxiedGateway {
  readonly name: string
  readonly site: string
  readonly mac: Mac
}

/** JSON: it is kept on the disk. */
export interface Redirect {
  readonly vm: {readonly name: string; readonly mac: Mac}
  /** The VM's own port. */
  readonly port: string
  readonly prefix: string
  /** The gateways that it may send to: one family may use another than the other. The first is the one it was seen to use. */
  readonly from: readonly (ProxiedGateway & {readonly ip6: readonly Ipv6[]})[]
  readonly to: ProxiedGateway
  /** The new gateway is this very bridge. */
  readonly isBridge: boolean
  /** Redirect IPv6 too: the new gateway routes it. */
  readonly ipv6: boolean
}

/** The gateway that the VM itself was seen to use. */
export const usedBy = ({from}: Redirect): Mac => from[0]!.mac

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
export function redirectRuleset(redirect: Redirect): string {
  const {vm, port, prefix, from, to, isBridge, ipv6} = redirect
  const chain = `bridge ${PROXY_TABLE} ${chainOf(vm.mac)}`
  // What is redirected stands in the comment, for whoever finds the rule.
  // A frame was for another station when it came in; the bridge takes it for itself only if it is told so.
  const action = `counter ${isBridge ? 'meta pkttype set host ' : ''}ether daddr set ${to.mac} comment "${usedBy(redirect)} > ${to.mac}"`
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

/** A rule, as far as it says what is redirected. */
export interface ProxyRule {
  readonly chain: string
  readonly comment: string | undefined
  readonly counter: {readonly packets: number} | undefined
}

/** A redirection as the kernel has it. */
export interface StandingRedirect {
  readonly vm: Mac
  readonly from: Mac
  readonly to: Mac
  /** Packets redirected since it was loaded. */
  readonly packets: number
}

/** The redirections that a table's rules make, one a VM. */
export function redirectsIn(rules: readonly ProxyRule[] = []): readonly StandingRedirect[] {
  const chains = Map.groupBy(rules, ({chain}) => chain)
  return [...chains].flatMap(([chain, mine]) => {
    const vm = macOf(chain)
    const comment = mine.find((rule) => rule.comment !== undefined)?.comment
    const [from = '', to = ''] = comment?.split(' > ') ?? []
    if (vm === undefined || !isMac(from) || !isMac(to)) return []
    return {vm, from, to, packets: mine.reduce((sum, {counter}) => sum + (counter?.packets ?? 0), 0)}
  })
}

/** Whose a chain is; undefined for what is nobody's. */
export function macOf(chain: string): Mac | undefined {
  const digits = /^vm_([0-9a-f]{12})$/.exec(chain)?.[1]
  return digits?.match(/../g)?.join(':')
}
