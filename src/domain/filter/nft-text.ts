// The filter as nft(8) takes it: a table for each segment and set of ports. One transaction: old tables go as new ones come.
import type {FilterIntent} from './intent.ts'
import {type FilterSet, filterRules, filterSets} from './rules.ts'

/**
 * Where the rules hook in. `bridge`: bridge family, by port name; ports may come and go, and must be bridge ports.
 * `netdev`: at the ports themselves, before the bridge and anything else sees a frame; the ports must exist, and a port
 * that is made anew has no filter. Its egress side needs Linux 5.16 with NETFILTER_EGRESS.
 */
export type NftHook = 'bridge' | 'netdev'
export const NFT_HOOKS: readonly NftHook[] = ['bridge', 'netdev']

/** The one table of version 0.1.0, for all segments and ports together. */
export const OLD_TABLE = 'gwswitch'
const PREFIX = 'gwswitch/'
/** Room for the digest of a longer one in NFT_NAME_MAXLEN (256). */
const LONGEST = 200

export const isFilterTable = (name: string): boolean => name.startsWith(PREFIX)

/** The table of a segment on a set of ports: `gwswitch/tenant-b/vx0`. nft takes letters, digits, and `/ \ _ . -`. */
export function filterTable({segment, ports}: Pick<FilterIntent, 'ports' | 'segment'>): string {
  const name = `${PREFIX}${[segment.segment, ...ports].join('/')}`
  const plain = name.replaceAll(/[^\w./-]/g, '_').slice(0, LONGEST)
  // Loaded for such a name alone: a quarter of Node's own start.
  return plain === name ? name : `${plain}/${process.getBuiltinModule('node:crypto').hash('sha256', name).slice(0, 16)}`
}

/** What `nft -f` loads. */
export const nftFilter = (intent: FilterIntent, hook: NftHook): string =>
  `${nftRemove(hook, filterTable(intent))}${[
    `table ${hook} ${filterTable(intent)} {`,
    ...filterSets(intent).map(setText),
    ...chain(
      'gwlocal',
      filterRules(intent).map(({nft, comment}) => `${nft} counter drop comment "${comment}"`),
    ),
    ...(hook === 'bridge' ? bridgeChains(intent) : netdevChains(intent)),
    '}',
    '',
  ].join('\n')}`

const setText = ({name, type, elements}: FilterSet): string =>
  `  set ${name} { ${type}; elements = { ${elements.join(', ')} } }`

const chain = (name: string, lines: readonly string[]): string[] => [
  `  chain ${name} {`,
  ...lines.map((line) => `    ${line}`),
  '  }',
]

/** Prerouting, not forward: the bridge must not even learn a gateway's MAC from the other site. */
const bridgeChains = (intent: FilterIntent): string[] => [
  ...chain('from_dci', ['type filter hook prerouting priority -300; policy accept;', ...jumps(intent, 'iifname')]),
  ...chain('to_dci', ['type filter hook postrouting priority 300; policy accept;', ...jumps(intent, 'oifname')]),
]

function netdevChains(intent: FilterIntent): string[] {
  const devices = `devices = { ${intent.ports.map((port) => `"${port}"`).join(', ')} }`
  const declared = (hook: string, priority: number): string =>
    `type filter hook ${hook} ${devices} priority ${priority}; policy accept;`
  return [
    ...chain('from_dci', [declared('ingress', -300), ...jumps(intent, 'iifname')]),
    ...chain('to_dci', [declared('egress', 300), ...jumps(intent, 'oifname')]),
  ]
}

/** Whose frames meet the rules. A tag with VLAN 0 says a priority only (IEEE 802.1Q, "priority-tagged"). */
function jumps({ports, vlan, untagged, otherVlans}: FilterIntent, name: 'iifname' | 'oifname'): string[] {
  const ofOthers = otherVlans.length > 0 ? [`${name} @dci vlan id { ${otherVlans.join(', ')} } accept`] : []
  if (vlan === null) return [...ofOthers, `${name} @dci jump gwlocal`]
  return [
    ...(untagged.length < ports.length ? [`${name} @dci vlan id ${vlan} jump gwlocal`] : []),
    ...(untagged.length > 0
      ? [`${name} @untagged ether type != { 8021q, 8021ad } jump gwlocal`, `${name} @untagged vlan id 0 jump gwlocal`]
      : []),
  ]
}

/** What `nft -f` loads to remove a table; harmless where there is none. */
export const nftRemove = (hook: NftHook, table: string): string =>
  `table ${hook} ${table}\ndelete table ${hook} ${table}\n`
