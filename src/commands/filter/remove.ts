import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag} from '../../cli/flags.ts'
import type {FilterRemoveDocument} from '../../orders/filter/filter-document.ts'

export default class FilterRemove extends BaseCommand {
  static override summary = 'take filters away, and with them what --keep-inbound set up'
  static override description =
    'All of this host, or those of segments and ports. Needs no inventory; harmless where there is none. Without a filter, announcements of one site reach the other again.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --segment tenant-b',
    '<%= config.bin %> <%= command.id %> -i vx0 --dry-run',
  ]
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'those on these ports; refused for one that is on others too (default: all)',
    }),
    segment: Flags.string({
      helpValue: 'SEGMENT',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'those of these segments (default: all)',
    }),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<FilterRemoveDocument> {
    const {flags} = await this.parse(FilterRemove)
    const [{removeFilters}, {systemFilterWorld}, {removeText}] = await Promise.all([
      import('../../orders/filter/remove.ts'),
      import('../../probe/filter/filter-world.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const document = await removeFilters(
      {ports: flags.interface ?? [], segments: flags.segment ?? [], dryRun: flags['dry-run']},
      systemFilterWorld,
    )
    for (const line of removeText(document)) this.log(line)
    return document
  }
}
