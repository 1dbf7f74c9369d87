// The filter for hosts that have ebtables(8) and no nft(8), as shell commands.
import {usage} from '../../errors.ts'
import type {FilterIntent} from './intent.ts'
import {filterRules} from './rules.ts'

/** What is lost beside nft, one line a piece. */
export const EBTABLES_LIMITS: readonly string[] = [
  'it cannot look into 802.1Q-tagged frames: tagged ARP, neighbour messages and hellos cross',
  "it cannot read the target of a neighbour message: it goes by addresses, so that an advertisement about the gateway from another address crosses, and a solicitation for an address that ends in the gateway's last 24 bits does not",
  'it cannot read the group of a redundancy hello: those of a virtual MAC are held back by that MAC, those that a standby router sends from its own cross',
  'a command a rule: between the first and the last the filter is half there',
]

/** Chains of our own in the nat table: its hooks run before the bridge learns a MAC, and last on the way out. */
const CHAIN = 'GWSWITCH'

const jumpsOf = (intents: readonly FilterIntent[]): string[] =>
  [...new Set(intents.flatMap(({ports}) => ports))]
    .sort()
    .flatMap((port) => [`PREROUTING -i ${port}`, `POSTROUTING -o ${port}`])

/**
 * Shell lines that set the filters up, again too. All ports share one chain.
 * @throws Failure `usage` for a segment whose frames are tagged.
 */
export function ebtablesFilter(intents: readonly FilterIntent[]): string[] {
  for (const {segment, vlan, ports, untagged} of intents) {
    if (typeof vlan === 'number' && untagged.length < ports.length)
      throw usage(`segment ${segment.segment}: ebtables cannot look behind the tag of VLAN ${vlan}; use nft or tc`)
  }
  return [
    `ebtables -t nat -N ${CHAIN} -P RETURN 2>/dev/null || ebtables -t nat -F ${CHAIN}`,
    ...intents
      .flatMap(filterRules)
      .flatMap(({comment, ebtables}) =>
        ebtables.length === 0
          ? []
          : [`# ${comment}`, ...ebtables.map((match) => `ebtables -t nat -A ${CHAIN} ${match} -j DROP`)],
      ),
    '# both directions of the inter-site ports',
    ...jumpsOf(intents).flatMap((jump) => [
      `ebtables -t nat -D ${jump} -j ${CHAIN} 2>/dev/null`,
      `ebtables -t nat -A ${jump} -j ${CHAIN}`,
    ]),
  ]
}

/** Shell lines that take them away. */
export const ebtablesRemove = (intents: readonly FilterIntent[]): string[] => [
  ...jumpsOf(intents).map((jump) => `ebtables -t nat -D ${jump} -j ${CHAIN}`),
  `ebtables -t nat -F ${CHAIN}`,
  `ebtables -t nat -X ${CHAIN}`,
]
