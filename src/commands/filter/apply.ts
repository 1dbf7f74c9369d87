import {BaseCommand} from '../../cli/base-command.ts'
import {filterFlags, filterOrder, hookFlag} from '../../cli/filter-flags.ts'
import {dryRunFlag} from '../../cli/flags.ts'
import type {FilterDocument} from '../../orders/filter/apply.ts'

export default class FilterApply extends BaseCommand {
  static override summary = 'keep a shared gateway IP local to this site, at its inter-site ports'
  static override description =
    'Loads the rules into a table of their own, all or nothing, and checks that the kernel holds what is meant. Applying again changes only what differs. ' +
    'Refuses what is known to cut inbound traffic, with the cure. Run it on the bridge node of every site. Needs nft and root.'
  static override examples = [
    {description: 'On the bridge node of each site', command: '<%= config.bin %> <%= command.id %> -i vx0'},
    {
      description: "Routers without an address of their own, inbound still at this site's",
      command: '<%= config.bin %> <%= command.id %> -i vx0 --keep-inbound db-03',
    },
    {description: 'See what would be loaded', command: '<%= config.bin %> <%= command.id %> -i vx0 --dry-run'},
  ]
  static override flags = {...filterFlags, hook: hookFlag, 'dry-run': dryRunFlag}

  async run(): Promise<FilterDocument> {
    const {flags} = await this.parse(FilterApply)
    const inventory = await this.neededInventory(flags.inventory)
    const [{runApply}, {filterText}] = await Promise.all([
      import('../../orders/filter/run-filter.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const call = {
      order: filterOrder(flags),
      observeS: flags.observe,
      world: await this.world(),
      signal: this.interrupt.signal,
    }
    const document = await runApply(call, inventory, {hook: flags.hook, dryRun: flags['dry-run']})
    for (const line of document.overridden) this.caution(line)
    for (const line of filterText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
