import {BaseCommand} from '../../cli/base-command.ts'
import {installFlags} from '../../cli/install-flags.ts'
import type {InstallDocument} from '../../orders/units/install.ts'

export default class FilterInstall extends BaseCommand {
  static override summary = 'write systemd units that put the filters of this host back, and check them'
  static override description =
    'One applies what was applied here last (filter apply --recorded), after the network and nftables.service, and again when that restarts. One checks every minute: a failed gwswitch-filter-check.service says that something is missing, different or orphaned. Says how to enable them, and enables nothing.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    {description: 'See the units', command: '<%= config.bin %> <%= command.id %> --print'},
  ]
  static override flags = installFlags

  async run(): Promise<InstallDocument> {
    const {flags} = await this.parse(FilterInstall)
    const [{installText, installUnits}, {FILTER}] = await Promise.all([
      import('../../orders/units/install.ts'),
      import('../../domain/units.ts'),
    ])
    const command = [process.execPath, process.argv[1] ?? this.config.bin]
    const document = installUnits(FILTER, command, {directory: flags.directory, dryRun: flags.print})
    for (const line of installText(document)) this.log(line)
    return document
  }
}
