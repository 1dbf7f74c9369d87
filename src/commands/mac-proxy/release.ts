import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag} from '../../cli/flags.ts'
import type {ProxyReleaseDocument} from '../../orders/mac-proxy/document.ts'

export default class MacProxyRelease extends BaseCommand {
  static override summary = "take a VM's redirection away: what it sends goes to the gateway that it is for"
  static override description =
    'Of this host, and for good: it is not put back after a boot. Harmless where there is none. Nothing is asked of the network: to go back to a gateway with proof, use "switch --strategy mac-proxy --to" it. Needs nft and root.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> db-03',
    {description: 'Without an inventory', command: '<%= config.bin %> <%= command.id %> 02:00:00:00:01:10'},
    {description: 'Every VM of this host', command: '<%= config.bin %> <%= command.id %> --all --dry-run'},
  ]
  static override args = {vm: Args.string({description: 'name, address or MAC'})}
  static override flags = {
    all: Flags.boolean({default: false, summary: 'every redirection on this host'}),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<ProxyReleaseDocument> {
    const {args, flags} = await this.parse(MacProxyRelease)
    const inventory = await this.inventory(flags.inventory)
    const [{releaseRedirects}, {systemProxyWorld}, {proxyReleaseText}] = await Promise.all([
      import('../../orders/mac-proxy/release.ts'),
      import('../../strategies/mac-proxy/proxy-world.ts'),
      import('../../orders/mac-proxy/proxy-text.ts'),
    ])
    const order = {vm: args.vm, all: flags.all, dryRun: flags['dry-run']}
    const document = await releaseRedirects(order, inventory, systemProxyWorld)
    for (const line of proxyReleaseText(document)) this.log(line)
    return document
  }
}
