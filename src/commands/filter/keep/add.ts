import {Args} from '@oclif/core'
import {BaseCommand} from '../../../cli/base-command.ts'
import type {FilterKeepDocument} from '../../../orders/filter/filter-document.ts'

export default class FilterKeepAdd extends BaseCommand {
  static override summary = 'let the bridge answer ARP for a VM that has left, so that the gateway here still finds it'
  static override description =
    'Beside those that are kept already. The segment must have a filter here (filter apply). Hooks of several migrations may run at once.'
  static override examples = ['<%= config.bin %> <%= command.id %> db-03']
  static override args = {vm: Args.string({description: 'name or address', required: true})}

  async run(): Promise<FilterKeepDocument> {
    const {args, flags} = await this.parse(FilterKeepAdd)
    const inventory = await this.inventory(flags.inventory)
    const [{keepVm}, {systemFilterWorld}, {keepText}] = await Promise.all([
      import('../../../orders/filter/keep.ts'),
      import('../../../probe/filter/filter-world.ts'),
      import('../../../orders/filter/filter-text.ts'),
    ])
    const document = await keepVm('add', args.vm, inventory, systemFilterWorld)
    for (const line of keepText(document)) this.log(line)
    return document
  }
}
