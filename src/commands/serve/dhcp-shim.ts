import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag, whole} from '../../cli/flags.ts'
import {say} from '../../net/process/say.ts'
import type {ShimDocument} from '../../services/dhcp-shim/order.ts'

export default class ServeDhcpShim extends BaseCommand {
  static override summary = "give the VMs here this site's gateway, whatever their DHCP server says"
  static override description =
    'Changes the replies of DHCP servers as they leave the bridge ports of this host: the router (option 3) and the default route of option 121 are those of SITE, and with --poll clients renew soon. ' +
    "Addresses and leases stay the server's. A VM that lands here has the gateway of SITE at its next renewal, with no command, nothing told to the server, nothing in the VM.\n\n" +
    'What it does not understand passes unchanged. It fails open: when it dies or hangs, DHCP is within 2 s as it was without it, by a timeout in the kernel (nft). ' +
    'With --key, and by its control socket, a VM that has landed here need not wait: "switch" has its client renew at once, or refuses its next renewal. ' +
    'Needs CAP_NET_ADMIN and CAP_NET_RAW. Logs to stderr, a line a reply; SIGHUP has it read the inventory again; SIGTERM and Ctrl-C stop it, and leave nothing.'
  static override examples = [
    {
      description: 'On a hypervisor of site y whose bridge leads elsewhere by vx0: clients renew every 30 s',
      command: '<%= config.bin %> <%= command.id %> y -i vx0 --poll 30',
    },
    {
      description: 'The same, for clients that can be made to renew at once; the key is the same at all sites',
      command: '<%= config.bin %> <%= command.id %> y -i vx0 --poll 30 --key /etc/gwswitch/shim.key',
    },
    {
      description: 'See for which VMs, and the rules that would be loaded',
      command: '<%= config.bin %> <%= command.id %> y -i vx0 --dry-run',
    },
  ]
  static override args = {site: Args.string({description: 'the site that this host is in', required: true})}
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      required: true,
      summary:
        'port by which the bridge leads to other hosts or sites; what leaves by it is left alone, what leaves by its other ports is changed. Repeat for several; a bridge that has none is named itself',
    }),
    poll: whole({
      helpValue: 'S',
      max: 0xffff_fffe,
      min: 1,
      summary: 'have clients renew after S seconds at the latest, within their lease (default: as the server says)',
    }),
    key: Flags.file({
      helpValue: 'FILE',
      summary:
        'secret that the shims of all sites share: clients that take a nonce (dhcpcd) get one made from it, so that a FORCERENEW can have them renew at once',
    }),
    control: Flags.string({
      helpValue: 'PATH',
      summary: 'unix socket that takes orders: forcerenew, nak, and questions (default: /run/gwswitch/dhcp-shim.sock)',
    }),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<ShimDocument> {
    const {args, flags} = await this.parse(ServeDhcpShim)
    const {planShim, shimRequest} = await import('../../services/dhcp-shim/order.ts')
    const order = {site: args.site, interfaceNames: flags.interface, pollS: flags.poll, keyFile: flags.key}
    const read = async () => shimRequest(order, await this.inventory(flags.inventory))
    const request = await read()
    if (flags['dry-run']) {
      const {document, ruleset} = planShim(request)
      for (const {name, mac, routers} of document.vms) this.log(`${name} (${mac}): router ${routers.join(', ')}`)
      for (const {segment, reason} of document.leftOut) this.log(`left out: segment ${segment} ${reason}`)
      this.log(`would load:\n${ruleset}`)
      return document
    }
    const {DEFAULT_SHIM_SOCKET} = await import('../../domain/dhcp/control.ts')
    const {serveShim} = await import('../../services/dhcp-shim/serve.ts')
    const {lineWriter} = await import('../../net/file/line-writer.ts')
    const writer = lineWriter(2)
    try {
      const document = await serveShim(request, {
        world: await this.world(),
        signal: this.interrupt.signal,
        control: flags.control ?? DEFAULT_SHIM_SOCKET,
        log: writer.write,
        onReload: (reload) =>
          this.onHangup(() => {
            read().then(reload, (error: Error) =>
              say(`gwswitch serve dhcp-shim: inventory not taken: ${error.message}`),
            )
          }),
      })
      const {changed, unchanged, failed} = document.replies
      this.log(`${changed} replies changed, ${unchanged} passed as they were, ${failed} not sent`)
      return document
    } finally {
      writer.flush()
    }
  }
}
