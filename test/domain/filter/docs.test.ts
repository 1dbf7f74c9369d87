import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {permitFilter} from '../../../src/domain/filter/intent.ts'
import {nftFilter} from '../../../src/domain/filter/nft-text.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {GROUP_DROP, ROUTER_DROP, TENANT_PASS} from '../../support/fhrp-frames.ts'
import {MUST_DROP, MUST_PASS} from '../../support/filter-frames.ts'
import {decided} from '../../support/filter-order.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/arp.md'), 'utf8')
const block = (language: string): string => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(page)![1]!

describe('docs/arp.md', () => {
  it('shows the rules that its inventory gives', () => {
    const all = decided(parseInventory(block('yaml'), 'gwswitch.yaml'))
    permitFilter(all, false)
    expect(block('nft')).toBe(all.intents.map((intent) => nftFilter(intent, 'bridge')).join(''))
  })

  it('counts the frames as the tests do', () => {
    const drop = [...MUST_DROP, ...ROUTER_DROP, ...GROUP_DROP]
    const leaks = drop.filter(({ebtablesLeak}) => ebtablesLeak !== undefined)
    expect(page).toContain(`Of ${drop.length} kinds of frames that must stay, sent in both directions`)
    expect(page).toContain(`hold all ${2 * drop.length}; ebtables lets ${2 * leaks.length} pass`)
    expect(page).toContain(`pass all ${MUST_PASS.length + TENANT_PASS.length} kinds that must cross`)
  })
})
