import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {filterFlags, filterOrder, hookFlag} from '../../cli/filter-flags.ts'
import {dryRunFlag} from '../../cli/flags.ts'
import type {FilterDocument} from '../../orders/filter/filter-document.ts'

export default class FilterApply extends BaseCommand {
  static override summary = 'keep a shared gateway IP local to this site, at its inter-site ports'
  static override description =
    'Loads a table for each segment, all or nothing, beside those of other segments and ports, and checks that the kernel holds what is meant. Applying again changes only what differs. ' +
    'What is meant is written down first: what was begun and killed, or what another tool flushed, is put right by applying again, and undone by remove. ' +
    'Refuses what is known to cut inbound traffic, with the cure. Run it on the bridge node of every site. Needs nft and root.'
  static override examples = [
    {description: 'On the bridge node of each site', command: '<%= config.bin %> <%= command.id %> -i vx0'},
    {
      description: 'One segment more, beside those that are filtered already',
      command: '<%= config.bin %> <%= command.id %> -i vx0 --segment tenant-c',
    },
    {
      description: "Routers without an address of their own, inbound still at this site's",
      command: '<%= config.bin %> <%= command.id %> -i vx0 --keep-inbound db-03',
    },
    {description: 'See what would be loaded', command: '<%= config.bin %> <%= command.id %> -i vx0 --dry-run'},
    {description: 'After a boot or a flush', command: '<%= config.bin %> <%= command.id %> --recorded'},
  ]
  static override flags = {
    ...filterFlags,
    hook: hookFlag,
    recorded: Flags.boolean({
      exclusive: ['interface', 'keep-inbound', 'inbound-moves', 'gateway-macs', 'observe', 'force'],
      summary: 'put back what was applied here; needs no inventory',
    }),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<FilterDocument> {
    const {flags} = await this.parse(FilterApply)
    const {recorded, 'dry-run': dryRun, hook} = flags
    const inventory = recorded ? undefined : await this.neededInventory(flags.inventory)
    const [{runApply}, {filterText}] = await Promise.all([
      import('../../orders/filter/run-filter.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const call = {
      ...{order: filterOrder(flags), hook, observeS: flags.observe},
      ...{world: await this.world(), signal: this.interrupt.signal},
    }
    const document = await runApply(call, inventory, {dryRun, recorded})
    for (const line of document.overridden) this.caution(line)
    for (const line of filterText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
