import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag} from '../../cli/flags.ts'
import type {FilterRemoveDocument} from '../../orders/filter/apply.ts'

export default class FilterRemove extends BaseCommand {
  static override summary = 'take the filter away, and with it what --keep-inbound set up'
  static override description =
    'Needs no inventory; harmless where there is no filter. Without it, announcements of one site reach the other again.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> -i vx0 --dry-run',
  ]
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'the ports it is on; refused if it is on others too',
    }),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<FilterRemoveDocument> {
    const {flags} = await this.parse(FilterRemove)
    const [{removeFilter}, {systemFilterWorld}, {removeText}] = await Promise.all([
      import('../../orders/filter/apply.ts'),
      import('../../probe/filter/filter-world.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const document = await removeFilter(systemFilterWorld, flags.interface ?? [], flags['dry-run'])
    for (const line of removeText(document)) this.log(line)
    return document
  }
}
