import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {decideFilter, permitFilter} from '../../../src/domain/filter/intent.ts'
import {nftFilter} from '../../../src/domain/filter/nft-text.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {MUST_DROP, MUST_PASS} from '../../support/filter-frames.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/arp.md'), 'utf8')
const block = (language: string): string => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(page)![1]!

describe('docs/arp.md', () => {
  it('shows the rules that its inventory gives', () => {
    const inventory = parseInventory(block('yaml'), 'gwswitch.yaml')
    const order = {ports: ['vx0'], segments: [], inboundMoves: false, gatewayMacs: false, keepInbound: [], force: false}
    const decided = decideFilter(order, inventory)
    permitFilter(decided, false)
    expect(block('nft')).toBe(nftFilter(decided.intent, 'bridge'))
  })

  it('counts the frames as the tests do', () => {
    const leaks = MUST_DROP.filter(({ebtablesLeak}) => ebtablesLeak !== undefined)
    expect(page).toContain(`Of ${MUST_DROP.length} kinds of frames that must stay, sent in both directions`)
    expect(page).toContain(`hold all ${2 * MUST_DROP.length}; ebtables lets ${2 * leaks.length} pass`)
    expect(page).toContain(`pass all ${MUST_PASS.length} kinds that must cross`)
  })
})
