import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {FilterInstallDocument} from '../../orders/filter/install.ts'

export default class FilterInstall extends BaseCommand {
  static override summary = 'write systemd units that put the filters of this host back, and check them'
  static override description =
    'One applies what was applied here last (filter apply --recorded), after the network and nftables.service, and again when that restarts. One checks every minute: a failed gwswitch-filter-check.service says that something is missing, different or orphaned. Says how to enable them, and enables nothing.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    {description: 'See the units', command: '<%= config.bin %> <%= command.id %> --print'},
  ]
  static override flags = {
    directory: Flags.string({default: '/etc/systemd/system', helpValue: 'DIR', summary: 'where units lie'}),
    print: Flags.boolean({summary: 'show them, and write nothing'}),
  }

  async run(): Promise<FilterInstallDocument> {
    const {flags} = await this.parse(FilterInstall)
    const {installText, installUnits} = await import('../../orders/filter/install.ts')
    const command = [process.execPath, process.argv[1] ?? this.config.bin]
    const document = installUnits(command, flags.directory, flags.print)
    for (const line of installText(document)) this.log(line)
    return document
  }
}
