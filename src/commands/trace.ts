import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {decimal, pcapFlag, whole} from '../cli/flags.ts'
import type {TraceDocument} from '../domain/trace/report.ts'

export default class Trace extends BaseCommand {
  static override summary = 'find out whether traffic to a destination leaves through the wrong site'
  static override description =
    'Run it on the VM, or on a host of its segment and site. Sends ICMP echo pairs, one through the gateway in use and one through another, ' +
    'picked by destination MAC: no route is changed. The paired difference says what the detour costs; the source MAC of the replies says where they came back in.\n\n' +
    'Exit: 0 no trombone, 10 trombone, 12 an exit is unusable, 11 inconclusive; of several destinations the first of these that occurs, in the order 10, 12, 11, 0.'
  static override examples = [
    {description: 'With an inventory (gwswitch.yaml)', command: '<%= config.bin %> <%= command.id %> 203.0.113.10'},
    {
      description: 'Without one: compare with the gateway 10.0.0.2',
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 -i eth0 --via 10.0.0.2',
    },
    {
      description: 'A gateway IP that the sites share, told apart by MAC',
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 --via 10.1.0.254=02:00:00:00:0b:02',
    },
    {
      description: 'In a script',
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 --json | jq -r .egress.verdict',
    },
  ]
  static override strict = false
  static override args = {
    destination: Args.string({required: true, description: 'address or name to reach; several may be given'}),
  }
  static override flags = {
    interface: Flags.string({char: 'i', helpValue: 'IF', summary: "interface to probe from (default: the route's)"}),
    via: Flags.string({
      helpValue: 'GATEWAY',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'gateway to compare with: inventory name, IP, or IP=MAC (default: all others of the segment)',
    }),
    site: Flags.string({helpValue: 'SITE', summary: 'the site this host is in (default: measured)'}),
    proto: Flags.option({default: 'icmp', options: ['icmp'] as const, summary: 'what the probes are'})(),
    pairs: whole({
      default: 60,
      helpValue: 'N',
      min: 12,
      max: 10_000,
      summary: 'most pairs to send; it ends after 20 or 40 where those suffice',
    }),
    flows: whole({default: 4, helpValue: 'N', min: 1, max: 64, summary: 'flows to spread the pairs over'}),
    interval: whole({default: 200, helpValue: 'MS', min: 20, max: 60_000, summary: 'mean ms between pairs'}),
    timeout: whole({default: 1000, helpValue: 'MS', min: 10, max: 10_000, summary: 'ms an answer may take'}),
    'min-penalty': decimal({
      above: 0,
      helpValue: 'MS',
      summary: 'smallest penalty that counts (default: half the DCI round trip)',
    }),
    'fail-on': Flags.option({options: ['inbound'] as const, summary: 'let an inbound trombone count as one'})(),
    svg: Flags.string({helpValue: 'FILE', summary: 'draw hops, pairs and verdict, for a ticket'}),
    pcap: pcapFlag,
  }

  async run(): Promise<TraceDocument> {
    const {argv, flags} = await this.parse(Trace)
    const {runTraces} = await import('../orders/trace/run-traces.ts')
    const {traceText} = await import('../render/trace-text.ts')
    const inventory = await this.inventory(flags.inventory)
    const order = {
      ...flags,
      via: flags.via ?? [],
      interfaceName: flags.interface,
      intervalMs: flags.interval,
      timeoutMs: flags.timeout,
      minPenaltyMs: flags['min-penalty'],
      failOnInbound: flags['fail-on'] === 'inbound',
    }
    const document = await runTraces(argv as string[], order, inventory, {
      world: await this.world(flags.pcap),
      onProgress: (text) => this.meter(text),
      onWarning: (line) => this.caution(line),
      signal: this.interrupt.signal,
    })
    this.meter('')
    for (const line of traceText(document, {colour: this.colour, columns: process.stdout.columns})) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
