// The filter for hosts that have ebtables(8) and no nft(8), as shell commands.
import type {FilterIntent} from './intent.ts'
import {filterRules} from './rules.ts'

/** What is lost beside nft, one line a piece. */
export const EBTABLES_LIMITS: readonly string[] = [
  'it cannot look into 802.1Q-tagged frames: tagged ARP, neighbour messages and hellos cross',
  "it cannot read the target of a neighbour message: it goes by addresses, so that an advertisement about the gateway from another address crosses, and a solicitation for an address that ends in the gateway's last 24 bits does not",
  'a command a rule: between the first and the last the filter is half there',
]

/** Chains of our own in the nat table: its hooks run before the bridge learns a MAC, and last on the way out. */
const CHAIN = 'GWSWITCH'

/** Shell lines that set the filter up, again too. */
export function ebtablesFilter(intent: FilterIntent): string[] {
  const jumps = intent.ports.flatMap((port) => [`PREROUTING -i ${port}`, `POSTROUTING -o ${port}`])
  return [
    `ebtables -t nat -N ${CHAIN} -P RETURN 2>/dev/null || ebtables -t nat -F ${CHAIN}`,
    ...filterRules(intent).flatMap(({comment, ebtables}) =>
      ebtables.length === 0
        ? []
        : [`# ${comment}`, ...ebtables.map((match) => `ebtables -t nat -A ${CHAIN} ${match} -j DROP`)],
    ),
    '# both directions of the inter-site ports',
    ...jumps.flatMap((jump) => [
      `ebtables -t nat -D ${jump} -j ${CHAIN} 2>/dev/null`,
      `ebtables -t nat -A ${jump} -j ${CHAIN}`,
    ]),
  ]
}

/** Shell lines that take it away. */
export const ebtablesRemove = ({ports}: FilterIntent): string[] => [
  ...ports.flatMap((port) => [
    `ebtables -t nat -D PREROUTING -i ${port} -j ${CHAIN}`,
    `ebtables -t nat -D POSTROUTING -o ${port} -j ${CHAIN}`,
  ]),
  `ebtables -t nat -F ${CHAIN}`,
  `ebtables -t nat -X ${CHAIN}`,
]
