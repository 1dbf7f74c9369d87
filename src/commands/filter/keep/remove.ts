import {Args} from '@oclif/core'
import {BaseCommand} from '../../../cli/base-command.ts'
import type {FilterKeepDocument} from '../../../orders/filter/filter-document.ts'

export default class FilterKeepRemove extends BaseCommand {
  static override summary = 'let the bridge answer for a VM no more: it is back, or inbound has moved'
  static override description =
    'Others that are kept stay so. Needs no inventory for a VM that is kept here. Hooks of several migrations may run at once.'
  static override examples = ['<%= config.bin %> <%= command.id %> db-03']
  static override args = {vm: Args.string({description: 'name or address', required: true})}

  async run(): Promise<FilterKeepDocument> {
    const {args, flags} = await this.parse(FilterKeepRemove)
    const inventory = await this.inventory(flags.inventory)
    const [{keepVm}, {systemFilterWorld}, {keepText}] = await Promise.all([
      import('../../../orders/filter/keep.ts'),
      import('../../../probe/filter/filter-world.ts'),
      import('../../../orders/filter/filter-text.ts'),
    ])
    const document = await keepVm('remove', args.vm, inventory, systemFilterWorld)
    for (const line of keepText(document)) this.log(line)
    return document
  }
}
