import {BaseCommand} from '../../cli/base-command.ts'
import {filterFlags, filterOrder, hookFlag} from '../../cli/filter-flags.ts'
import type {FilterDocument} from '../../orders/filter/filter-document.ts'

const {force: _, ...flags} = filterFlags

export default class FilterCheck extends BaseCommand {
  static override summary = 'compare the filter on this host with what is meant, and show what it dropped'
  static override description =
    'With -i: give the flags that were given to apply. Without: all filters that were applied on this host, and those that the inventory has "ports" for. ' +
    'What is meant is loaded in a scratch network namespace and compared with what the kernel holds here, instruction by instruction: a listing that was loaded again looks the same in nft and lets tagged ARP through. ' +
    'What another tool flushed is missing; what stands without its filter (neighbour entries, places of MACs, neigh_suppress) is orphaned.\n\n' +
    'Exit: 0 as meant, 10 different, missing or orphaned.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> -i vx0 --segment tenant-b',
    '<%= config.bin %> <%= command.id %> --json | jq .counters',
  ]
  static override flags = {...flags, hook: hookFlag}

  async run(): Promise<FilterDocument> {
    const {flags} = await this.parse(FilterCheck)
    const inventory = await this.inventory(flags.inventory)
    const [{runCheck}, {filterText}] = await Promise.all([
      import('../../orders/filter/run-filter.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const call = {
      ...{order: filterOrder({...flags, force: false}), hook: flags.hook, observeS: flags.observe},
      ...{world: await this.world(), signal: this.interrupt.signal},
    }
    const document = await runCheck(call, inventory)
    for (const line of filterText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
