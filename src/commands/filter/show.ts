import {Flags} from '@oclif/core'
import {filterFlags, filterOrder} from '../../cli/filter-flags.ts'
import {ListCommand} from '../../cli/list-command.ts'
import type {FilterShowDocument} from '../../orders/filter/run-filter.ts'

const {force: _, ...flags} = filterFlags

export default class FilterShow extends ListCommand {
  static override summary = 'print the rules that keep a shared gateway IP local to each site'
  static override description =
    "Generated from the inventory: ARP and neighbour discovery about shared gateway addresses, router advertisements, the gateways' own FHRP hellos and virtual MACs stay on their side of the inter-site port. " +
    'Comments say whose frames are meant and what of them is held back. Touches nothing. Load the text itself, never a listing of it.'
  static override examples = [
    {description: 'For nft, in one line', command: '<%= config.bin %> <%= command.id %> -i vx0 | nft -f -'},
    {description: 'A row a segment', command: '<%= config.bin %> <%= command.id %> -i vx0 -o wide'},
    {description: 'For a host without nft', command: '<%= config.bin %> <%= command.id %> -i vx0 --format tc'},
  ]
  static override flags = {
    ...flags,
    format: Flags.option({
      default: 'nft',
      options: ['nft', 'netdev', 'ebtables', 'tc'] as const,
      summary: 'nft for the bridge, nft for the ports themselves, or for hosts without nft',
    })(),
  }

  async run(): Promise<FilterShowDocument> {
    const {flags} = await this.parse(FilterShow)
    const inventory = await this.neededInventory(flags.inventory)
    const [{showFilter}, {SHOWN_FILTER_COLUMNS, shownFilters, showText}] = await Promise.all([
      import('../../orders/filter/run-filter.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const call = {
      ...{order: filterOrder({...flags, force: false}), hook: 'bridge' as const, observeS: flags.observe},
      ...{world: await this.world(), signal: this.interrupt.signal},
    }
    const document = await showFilter(call, inventory, flags.format)
    this.list(shownFilters(document), SHOWN_FILTER_COLUMNS, () => showText(document))
    return document
  }
}
