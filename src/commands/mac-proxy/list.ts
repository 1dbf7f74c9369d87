import {ListCommand} from '../../cli/list-command.ts'
import type {ProxyListDocument} from '../../orders/mac-proxy/document.ts'

export default class MacProxyList extends ListCommand {
  static override summary = 'show which VMs the bridges here redirect, from which gateway to which'
  static override description =
    'What "switch --strategy mac-proxy" has done on this host, compared with what the kernel holds now, instruction by instruction. Changes nothing. Needs nft and root.\n\n' +
    'Exit: 0 as meant (or none), 10 one is missing, different, or in the kernel and in no record.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json | jq -r .redirects[].vm.mac',
  ]

  async run(): Promise<ProxyListDocument> {
    const {flags} = await this.parse(MacProxyList)
    const inventory = await this.inventory(flags.inventory)
    const [{listRedirects}, {systemProxyWorld}, {PROXY_COLUMNS, proxyListText}] = await Promise.all([
      import('../../orders/mac-proxy/list.ts'),
      import('../../strategies/mac-proxy/proxy-world.ts'),
      import('../../orders/mac-proxy/proxy-text.ts'),
    ])
    const document = await listRedirects(inventory, systemProxyWorld)
    this.list(document.redirects, PROXY_COLUMNS, () => proxyListText(document, process.stdout.columns))
    process.exitCode = document.exitCode
    return document
  }
}
