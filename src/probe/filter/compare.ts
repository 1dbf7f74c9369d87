// Two tables, as the kernel holds them: what is meant, and what is there.
import type {NftRule, NftTable} from '../../net/nft/nft-listing.ts'

/** What differs, one line a piece; empty if frames meet the same filter in both. */
export function compareTables(meant: NftTable, found: NftTable): string[] {
  return [
    ...listed('declared', meant.declarations, found.declarations),
    ...[...meant.sets].flatMap(([name, elements]) => compareSet(name, elements, found.sets.get(name) ?? [])),
    ...chainsOf(meant, found).flatMap((chain) => compareChain(chain, rulesOf(meant, chain), rulesOf(found, chain))),
  ]
}

function listed(what: string, meant: readonly string[], found: readonly string[]): string[] {
  return [
    ...meant.filter((text) => !found.includes(text)).map((text) => `missing: ${text}`),
    ...found.filter((text) => !meant.includes(text)).map((text) => `not meant, but ${what}: ${text}`),
  ]
}

function compareSet(name: string, meant: readonly string[], found: readonly string[]): string[] {
  const missing = meant.filter((element) => !found.includes(element)).length
  const more = found.filter((element) => !meant.includes(element)).length
  return [
    ...(missing > 0 ? [`set ${name}: ${missing} of ${meant.length} elements are missing`] : []),
    ...(more > 0 ? [`set ${name}: ${more} elements that are not meant`] : []),
  ]
}

const chainsOf = (...tables: readonly NftTable[]): string[] => [
  ...new Set(tables.flatMap(({rules}) => rules.map(({chain}) => chain))),
]
const rulesOf = ({rules}: NftTable, chain: string): NftRule[] => rules.filter((rule) => rule.chain === chain)
const nameOf = ({comment, code}: NftRule): string =>
  comment === undefined ? code.replaceAll('\n', ' ') : `"${comment}"`

/** Rules that are missing or of nobody's making; the order counts only where no rule differs. */
function compareChain(chain: string, meant: readonly NftRule[], found: readonly NftRule[]): string[] {
  const differences = [
    ...without(meant, found).map((rule) => {
      const twin = found.find(({comment}) => comment !== undefined && comment === rule.comment)
      return `chain ${chain}: rule ${nameOf(rule)} is ${twin ? `not what was meant${lostTest(rule, twin)}` : 'missing'}`
    }),
    ...without(found, meant)
      .filter(({comment}) => comment === undefined || !meant.some((rule) => rule.comment === comment))
      .map((rule) => `chain ${chain}: rule ${nameOf(rule)} is not meant`),
  ]
  const same = meant.length === found.length && meant.every(({code}, i) => code === found[i]!.code)
  if (differences.length > 0 || same) return differences
  return [`chain ${chain}: its rules are in another order, or there more than once`]
}

const without = (rules: readonly NftRule[], others: readonly NftRule[]): NftRule[] =>
  rules.filter(({code}) => !others.some((other) => other.code === code))

/** What a listing that was loaded again looks like. */
function lostTest(meant: NftRule, found: NftRule): string {
  const asks = ({code}: NftRule): boolean => code.includes('meta load protocol')
  return asks(meant) && !asks(found) ? ' (a listing was loaded again: 802.1Q-tagged frames pass it)' : ''
}
