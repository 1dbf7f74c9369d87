import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../base-command.ts'
import {dryRunFlag, pcapFlag, vlanFlag, whole} from '../flags.ts'
import type {GarpDocument} from '../strategies/arp/garp-report.ts'

export default class Garp extends BaseCommand {
  static override summary = 'announce by ARP that a gateway IP is at a MAC, and prove that the VM follows'
  static override description =
    'With a VM named, one unicast frame (--form ask) moves its neighbour entry and nobody else\'s; an echo from the gateway IP then shows where it sends. ' +
    'Without one, everybody on the segment is told. Run it at the gateway itself or on the VM\'s own port.\n\n' +
    'Exit: 0 moved (or sent, without a VM), 4 answered but not moved, 5 silent.'
  static override examples = [
    {description: 'Move db-03 to this site\'s gateway, names from gwswitch.yaml', command: '<%= config.bin %> <%= command.id %> by --vm db-03 -i eth0'},
    {description: 'The same without an inventory', command: '<%= config.bin %> <%= command.id %> 10.1.0.254 --vm-ip 10.1.0.10 --vm-mac 02:00:00:00:01:10 -i eth0'},
    {description: 'See the frames, send none', command: '<%= config.bin %> <%= command.id %> 10.1.0.254 -i eth0 --dry-run'},
  ]
  static override args = {
    gateway: Args.string({required: true, description: 'gateway, by its name in the inventory or its IPv4 address'}),
  }
  static override flags = {
    interface: Flags.string({char: 'i', helpValue: 'IF', required: true, summary: "interface to send and listen on: the gateway's leg, or the VM's own port"}),
    mac: Flags.string({helpValue: 'MAC', summary: "MAC to announce (default: the interface's own)"}),
    vm: Flags.string({exclusive: ['vm-ip', 'vm-mac'], helpValue: 'NAME', summary: 'the VM to move, by its name in the inventory'}),
    'vm-ip': Flags.string({dependsOn: ['vm-mac'], helpValue: 'IP', summary: 'the VM to move, without an inventory'}),
    'vm-mac': Flags.string({dependsOn: ['vm-ip'], helpValue: 'MAC', summary: 'its MAC'}),
    form: Flags.option({options: ['ask', 'reply', 'request', 'both'] as const, summary: 'ARP form (default: ask with a VM, both gratuitous forms without)'})(),
    broadcast: Flags.boolean({summary: 'send to everybody although a VM is named (its bridge does not know yet where it is)'}),
    count: whole({helpValue: 'N', min: 1, max: 1000, summary: 'rounds at most (default 6: at 0/0.1/0.3/0.7/1.2/2.3 s)'}),
    interval: whole({helpValue: 'MS', min: 1, max: 3_600_000, summary: 'ms between rounds, instead of the default schedule'}),
    timeout: whole({default: 1000, helpValue: 'MS', min: 1, max: 60_000, summary: 'ms to listen after the last round'}),
    vlan: vlanFlag,
    'dry-run': dryRunFlag,
    pcap: pcapFlag,
  }

  async run(): Promise<GarpDocument> {
    const {args, flags} = await this.parse(Garp)
    const {runGarp} = await import('../strategies/arp/run-garp.ts')
    const {garpText} = await import('../strategies/arp/garp-report.ts')
    const order = {...flags, gateway: args.gateway, interfaceName: flags.interface, vmIp: flags['vm-ip'], vmMac: flags['vm-mac'], vlanId: flags.vlan, intervalMs: flags.interval, listenMs: flags.timeout}
    const document = await runGarp(order, await this.inventory(flags.inventory), await this.world(), {
      dryRun: flags['dry-run'],
      pcap: flags.pcap,
      signal: this.interrupt.signal,
    })
    for (const warning of document.warnings) this.caution(warning)
    for (const line of garpText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
