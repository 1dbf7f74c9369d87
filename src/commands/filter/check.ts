import {BaseCommand} from '../../cli/base-command.ts'
import {filterFlags, filterOrder, hookFlag} from '../../cli/filter-flags.ts'
import type {FilterDocument} from '../../orders/filter/apply.ts'

const {force: _, ...flags} = filterFlags

export default class FilterCheck extends BaseCommand {
  static override summary = 'compare the filter on this host with what is meant, and show what it dropped'
  static override description =
    'Give the flags that were given to apply. What is meant is loaded in a scratch network namespace and compared with what the kernel holds here, instruction by instruction: a listing that was loaded again looks the same in nft and lets tagged ARP through.\n\n' +
    'Exit: 0 as meant, 10 different or missing.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> -i vx0',
    '<%= config.bin %> <%= command.id %> -i vx0 --json | jq .counters',
  ]
  static override flags = {...flags, hook: hookFlag}

  async run(): Promise<FilterDocument> {
    const {flags} = await this.parse(FilterCheck)
    const inventory = await this.neededInventory(flags.inventory)
    const [{runCheck}, {filterText}] = await Promise.all([
      import('../../orders/filter/run-filter.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const order = filterOrder({...flags, force: false})
    const document = await runCheck(
      {order, observeS: flags.observe, world: await this.world(), signal: this.interrupt.signal},
      inventory,
      flags.hook,
    )
    for (const line of filterText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
