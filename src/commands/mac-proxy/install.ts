import {BaseCommand} from '../../cli/base-command.ts'
import {installFlags} from '../../cli/install-flags.ts'
import type {InstallDocument} from '../../orders/units/install.ts'

export default class MacProxyInstall extends BaseCommand {
  static override summary = 'write systemd units that put the redirections of this host back, and check them'
  static override description =
    'One puts back what is recorded (mac-proxy apply), after the network and nftables.service, and again when that restarts. One checks every minute: a failed gwswitch-mac-proxy-check.service says that a redirection is missing, different or unrecorded. Says how to enable them, and enables nothing.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    {description: 'See the units', command: '<%= config.bin %> <%= command.id %> --print'},
  ]
  static override flags = installFlags

  async run(): Promise<InstallDocument> {
    const {flags} = await this.parse(MacProxyInstall)
    const [{installText, installUnits}, {MAC_PROXY}] = await Promise.all([
      import('../../orders/units/install.ts'),
      import('../../domain/units.ts'),
    ])
    const command = [process.execPath, process.argv[1] ?? this.config.bin]
    const document = installUnits(MAC_PROXY, command, {directory: flags.directory, dryRun: flags.print})
    for (const line of installText(document)) this.log(line)
    return document
  }
}
