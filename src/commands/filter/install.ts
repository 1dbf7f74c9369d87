import {InstallCommand} from '../../cli/install-command.ts'

export default class FilterInstall extends InstallCommand {
  static override summary = 'write systemd units that put the filters of this host back, and check them'
  static override description =
    'One applies what was applied here last (filter apply --recorded), after the network and nftables.service, and again when that restarts. One checks every minute: a failed gwswitch-filter-check.service says that something is missing, different or orphaned. Says how to enable them, and enables nothing.'

  protected recorded = async () => (await import('../../domain/units.ts')).FILTER
}
