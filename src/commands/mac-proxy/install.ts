import {InstallCommand} from '../../cli/install-command.ts'

export default class MacProxyInstall extends InstallCommand {
  static override summary = 'write systemd units that put the redirections of this host back, and check them'
  static override description =
    'One puts back what is recorded (mac-proxy apply), after the network and nftables.service, and again when that restarts. One checks every minute: a failed gwswitch-mac-proxy-check.service says that a redirection is missing, different or unrecorded. Says how to enable them, and enables nothing.'

  protected recorded = async () => (await import('../../domain/units.ts')).MAC_PROXY
}
