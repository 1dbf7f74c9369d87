import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, pcapFlag, vlanFlag, whole} from '../cli/flags.ts'
import type {LearnDocument} from '../orders/reconfigure/learn.ts'
import type {ReconfigureDocument} from '../orders/reconfigure/reconfigure-report.ts'

export default class SendReconfigure extends BaseCommand {
  static override summary = 'make a DHCP client renew its lease now, by FORCERENEW, and see whether it does'
  static override description =
    'Sends an authenticated FORCERENEW (RFC 3203, RFC 6704) that stock dhcpcd obeys, then watches for the REQUEST and the ACK. ' +
    "Transaction id and nonce come from the segment's DHCP server in the inventory, from what was seen on the wire, or from flags. " +
    'Other clients do not listen; the output says what to do for each.\n\n' +
    'Exit: 0 every client acted, 4 one refused or has no listener, 5 one stayed silent.'
  static override examples = [
    {
      description: 'Make web-07 renew, everything from gwswitch.yaml',
      command: '<%= config.bin %> <%= command.id %> web-07 -i eth0',
    },
    {
      description: 'Every client of a segment, 20 a second',
      command: '<%= config.bin %> <%= command.id %> --all --segment tenant-a --rate 20 -i eth0',
    },
    {
      description:
        'Take the link of web-07 down for a moment, where nothing else makes it ask; first see what that costs',
      command: '<%= config.bin %> <%= command.id %> web-07 --trigger carrier --domain web-07 -i eth0 --dry-run',
    },
    {
      description: 'Without an inventory',
      command:
        '<%= config.bin %> <%= command.id %> 10.0.0.10 --mac 02:00:00:00:00:10 --xid 6d1a2b3c --nonce-file nonce -i eth0',
    },
  ]
  static override args = {client: Args.string({description: 'VM by its name in the inventory, or IPv4 address'})}
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'IF',
      summary: "interface on the client's segment (default: the one on its subnet; without one, UDP)",
    }),
    learn: Flags.boolean({
      exclusive: ['all'],
      summary: 'send nothing: listen, and remember the transactions and nonces of clients',
    }),
    duration: whole({
      dependsOn: ['learn'],
      helpValue: 'S',
      min: 1,
      summary: 'seconds to listen (default: until stopped)',
    }),
    all: Flags.boolean({summary: 'every client of the segment'}),
    segment: Flags.string({helpValue: 'SEGMENT', summary: 'segment of the inventory, with --all'}),
    rate: whole({default: 50, helpValue: 'N', min: 1, max: 1000, summary: 'clients begun per second, with --all'}),
    trigger: Flags.option({
      default: 'forcerenew',
      exclusive: ['learn', 'ipv6'],
      options: ['forcerenew', 'carrier'] as const,
      summary:
        'carrier: take its link down for 1 s instead, for clients that renew on that; its sessions stall, see --dry-run (a last resort)',
    })(),
    qmp: Flags.string({
      helpValue: 'SOCKET',
      exclusive: ['domain'],
      summary: 'QMP socket of its QEMU, for --trigger carrier (default: vms.NAME.dhcp.carrier)',
    }),
    domain: Flags.string({helpValue: 'NAME', summary: 'its libvirt domain, for --trigger carrier'}),
    mac: Flags.string({helpValue: 'MAC', summary: 'MAC of the client'}),
    xid: Flags.string({helpValue: 'HEX', summary: "transaction id of the client's last REQUEST"}),
    'nonce-file': Flags.string({helpValue: 'FILE', summary: 'nonce in 32 hex digits, or lines of MAC and nonce'}),
    'server-id': Flags.string({helpValue: 'IP', summary: 'server identifier to put in'}),
    router: Flags.string({
      helpValue: 'IP',
      summary: 'router that the ACK must give; another one or none counts as refused',
    }),
    attempts: whole({default: 4, helpValue: 'N', min: 1, max: 10, summary: 'FORCERENEWs at most'}),
    timeout: whole({
      default: 1,
      helpValue: 'S',
      min: 1,
      max: 60,
      summary: 'seconds to wait after the first; doubled each time',
    }),
    ipv6: Flags.boolean({
      summary:
        'DHCPv6 Reconfigure instead, for DNS and other options (IPv6 default routes come from router advertisements, not from DHCPv6)',
    }),
    ask: Flags.option({
      dependsOn: ['ipv6'],
      options: ['renew', 'rebind', 'information'] as const,
      summary: 'what the DHCPv6 client shall send (default: renew)',
    })(),
    'client-duid': Flags.string({
      dependsOn: ['ipv6'],
      helpValue: 'HEX',
      summary: 'DUID of the DHCPv6 client (default: as seen by --learn)',
    }),
    'server-duid': Flags.string({
      dependsOn: ['ipv6'],
      helpValue: 'HEX',
      summary: 'DUID of its server (default: as seen by --learn)',
    }),
    unauthenticated: Flags.boolean({summary: 'send without a signature: isolated LANs only (CVE-2020-13529)'}),
    state: Flags.string({
      helpValue: 'FILE',
      summary: 'where transactions and replay values are kept (default: /var/lib/gwswitch/dhcp-clients.db)',
    }),
    vlan: vlanFlag,
    'dry-run': dryRunFlag,
    pcap: pcapFlag,
  }

  async run(): Promise<ReconfigureDocument | LearnDocument> {
    const {args, flags} = await this.parse(SendReconfigure)
    const order = {
      ...flags,
      client: args.client,
      interfaceName: flags.interface,
      vlanId: flags.vlan,
      timeoutMs: flags.timeout * 1000,
      durationS: flags.duration,
      nonceFile: flags['nonce-file'],
      serverId: flags['server-id'],
      clientDuid: flags['client-duid'],
      serverDuid: flags['server-duid'],
      ask: flags.ask ?? 'renew',
    } as const
    if (flags.learn) {
      const {learn, learnText} = await import('../orders/reconfigure/learn.ts')
      const document = await learn(order, await this.world(flags.pcap), this.interrupt.signal)
      this.page(learnText(document).join('\n'))
      return document
    }
    const progress = (done: number, all: number): void => this.meter(done < all ? `${done} of ${all} clients` : '')
    const stage = {
      world: await this.world(flags.pcap),
      signal: this.interrupt.signal,
      dryRun: flags['dry-run'],
      progress,
    }
    const inventory = await this.inventory(flags.inventory)
    const document = flags.ipv6
      ? await (await import('../orders/reconfigure/run-reconfigure6.ts')).runReconfigure6(order, inventory, stage)
      : await (await import('../orders/reconfigure/run-reconfigure.ts')).runReconfigure(order, inventory, stage)
    const {reconfigureText} = await import('../orders/reconfigure/reconfigure-report.ts')
    for (const warning of document.warnings) this.caution(warning)
    for (const line of reconfigureText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
