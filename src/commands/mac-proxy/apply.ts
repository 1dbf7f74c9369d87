import {BaseCommand} from '../../cli/base-command.ts'
import type {ProxyListDocument} from '../../orders/mac-proxy/document.ts'

export default class MacProxyApply extends BaseCommand {
  static override summary = 'put back the redirections that are recorded here'
  static override description =
    'After a boot, or when another tool flushed the rules (nft flush ruleset). What is there as it should be keeps its counters. Needs no inventory; nft and root. ' +
    'A VM is redirected by "switch --strategy mac-proxy", which proves it first.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<ProxyListDocument> {
    const {flags} = await this.parse(MacProxyApply)
    const inventory = await this.inventory(flags.inventory)
    const [{applyRedirects}, {systemProxyWorld}, {proxyListText}] = await Promise.all([
      import('../../orders/mac-proxy/list.ts'),
      import('../../strategies/mac-proxy/proxy-world.ts'),
      import('../../orders/mac-proxy/proxy-text.ts'),
    ])
    const document = await applyRedirects(inventory, systemProxyWorld)
    for (const line of proxyListText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
