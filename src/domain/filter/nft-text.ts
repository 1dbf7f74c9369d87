// The filter as nft(8) takes it. One atomic transaction: the old table goes as the new one comes.
import type {FilterIntent, KeptVm} from './intent.ts'
import {type FilterSet, filterRules, filterSets} from './rules.ts'

/**
 * Where the rules hook in. `bridge`: bridge family, by port name; ports may come and go, and must be bridge ports.
 * `netdev`: at the ports themselves, before the bridge and anything else sees a frame; the ports must exist, and a port
 * that is made anew has no filter. Its egress side needs Linux 5.16 with NETFILTER_EGRESS.
 */
export type NftHook = 'bridge' | 'netdev'
export const NFT_HOOKS: readonly NftHook[] = ['bridge', 'netdev']

/** The table that is ours alone. */
export const FILTER_TABLE = 'gwswitch'

/** Ports on which we turned neigh_suppress on, so that we alone turn it off again. */
export interface KeptState {
  readonly suppressed: readonly string[]
}

/** What `nft -f` loads. `kept` is written down in sets of the table, for whoever undoes it. */
export function nftFilter(intent: FilterIntent, hook: NftHook, {suppressed}: KeptState = {suppressed: []}): string {
  const sets = [...filterSets(intent), ...keptSets(intent.kept, suppressed)]
  const used = hook === 'bridge' ? sets : sets.filter(({name}) => name !== 'dci')
  const rules = filterRules(intent).map(({nft, comment}) => `${nft} counter drop comment "${comment}"`)
  return [
    `table ${hook} ${FILTER_TABLE}`,
    `delete table ${hook} ${FILTER_TABLE}`,
    `table ${hook} ${FILTER_TABLE} {`,
    ...used.map(setText),
    ...chain('gwlocal', rules),
    ...(hook === 'bridge' ? bridgeChains() : netdevChains(intent.ports)),
    '}',
    '',
  ].join('\n')
}

const setText = ({name, type, elements}: FilterSet): string =>
  `  set ${name} { ${type}; elements = { ${elements.join(', ')} } }`

const chain = (name: string, lines: readonly string[]): string[] => [
  `  chain ${name} {`,
  ...lines.map((line) => `    ${line}`),
  '  }',
]

/** Prerouting, not forward: the bridge must not even learn a gateway's MAC from the other site. */
const bridgeChains = (): string[] => [
  ...chain('from_dci', ['type filter hook prerouting priority -300; policy accept;', 'iifname @dci jump gwlocal']),
  ...chain('to_dci', ['type filter hook postrouting priority 300; policy accept;', 'oifname @dci jump gwlocal']),
]

function netdevChains(ports: readonly string[]): string[] {
  const devices = `devices = { ${ports.map((port) => `"${port}"`).join(', ')} }`
  return [
    ...chain('from_dci', [`type filter hook ingress ${devices} priority -300; policy accept;`, 'jump gwlocal']),
    ...chain('to_dci', [`type filter hook egress ${devices} priority 300; policy accept;`, 'jump gwlocal']),
  ]
}

function keptSets(kept: readonly KeptVm[], suppressed: readonly string[]): FilterSet[] {
  const sets = [
    {name: 'kept4', type: 'type ipv4_addr . ether_addr', elements: kept.map(({ip, mac}) => `${ip} . ${mac}`)},
    {
      name: 'kept6',
      type: 'type ipv6_addr . ether_addr',
      elements: kept.flatMap(({ip6, mac}) => ip6.map((ip) => `${ip} . ${mac}`)),
    },
    {name: 'suppressed', type: 'type ifname', elements: suppressed.map((port) => `"${port}"`)},
  ]
  return sets.filter(({elements}) => elements.length > 0)
}

/** What `nft -f` loads to remove the filter; harmless where there is none. */
export const nftRemove = (hook: NftHook): string =>
  `table ${hook} ${FILTER_TABLE}\ndelete table ${hook} ${FILTER_TABLE}\n`
