import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {decimal} from '../cli/flags.ts'
import {EVENT_KINDS} from '../domain/movement/events.ts'

export default class Watch extends BaseCommand {
  static override summary = 'say which VMs come to the ports of this host and leave them, and what would be done'
  static override description =
    'Listens for what announces a VM (RARP, gratuitous ARP), to what the bridges learn, and for ports that go. Of an arrival it says what a switch would do. It sends nothing and switches nothing. ' +
    'Without an inventory it tells of MACs that announce themselves.\n\nExit: 0, also after Ctrl-C.'
  static override examples = [
    {
      description: 'On a hypervisor of site y: who comes to its VM ports, those that appear later too',
      command: "<%= config.bin %> <%= command.id %> y -i 'vnet*'",
    },
    {
      description: 'For a minute, as JSON lines, at every VM port of every bridge',
      command: '<%= config.bin %> <%= command.id %> y --for 60 --json',
    },
    {
      description: 'What libvirt says, read as arrivals and departures',
      command: 'virsh event --all --loop --timestamp | <%= config.bin %> <%= command.id %> y --from libvirt',
    },
  ]
  static override args = {
    site: Args.string({
      description: 'the site of this host (default: that of a gateway on this machine)',
      // Standard input is for events.
      ignoreStdin: true,
    }),
  }
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      exclusive: ['from'],
      summary:
        "a VM's port, a pattern like 'tap*i*', or a bridge; repeat for several (default: VM ports of all bridges)",
    }),
    for: decimal({above: 0, helpValue: 'S', max: 2_000_000, summary: 'end after S seconds'}),
    from: Flags.option({
      options: EVENT_KINDS,
      summary: 'read events of a platform on standard input, in place of ports',
    })({helpValue: 'KIND'}),
    tell: Flags.string({
      helpValue: 'SOCKET',
      summary: 'pass each movement on to gwswitch serve site, by its control socket, which switches',
    }),
  }

  async run(): Promise<undefined> {
    const {args, flags} = await this.parse(Watch)
    const inventory = await this.inventory(flags.inventory)
    const [{watchAtTerminal}, {loadStrategies}] = await Promise.all([
      import('../cli/watch-terminal.ts'),
      import('../strategies/registry.ts'),
    ])
    const command = {site: args.site, ports: flags.interface ?? [], forS: flags.for, from: flags.from, tell: flags.tell}
    const {exitCode} = await watchAtTerminal(command, inventory, {
      ...{world: await this.world(), signal: this.interrupt.signal},
      strategies: await loadStrategies(this.config),
      ...{json: this.jsonEnabled(), colour: this.colour},
      caution: (line) => this.caution(line),
    })
    process.exitCode = exitCode
    return undefined
  }

  /** Every event was a line of its own. */
  override logJson(json: unknown): void {
    if (json !== undefined) super.logJson(json)
  }
}
