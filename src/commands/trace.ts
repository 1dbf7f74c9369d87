import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {decimal, pcapFlag, whole} from '../cli/flags.ts'
import type {TraceDocument} from '../domain/trace/report.ts'

export default class Trace extends BaseCommand {
  static override summary = 'find out whether traffic to a destination leaves through the wrong site'
  static override description =
    'Run it on the VM, or on a host of its segment and site. Sends pairs of probes, one through the gateway in use and one through another, ' +
    'picked by destination MAC: no route is changed. The paired difference says what the detour costs; what is sent through the other one alone says whether it would work; the source MAC of the replies says where they came back in.\n\n' +
    'Exit: 0 no trombone, 10 trombone, 12 an exit is unusable, 11 inconclusive; of several destinations the first of these that occurs, in the order 10, 12, 1 (one could not be traced), 11, 0.'
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
      description: 'Many destinations, on one schedule',
      command: '<%= config.bin %> <%= command.id %> --destinations users.txt --rate 100',
    },
    {
      description: 'In a script',
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 --json | jq -r .results[].egress.verdict',
    },
  ]
  static override strict = false
  static override args = {
    destination: Args.string({description: 'address or name to reach; several may be given'}),
  }
  static override flags = {
    interface: Flags.string({char: 'i', helpValue: 'IF', summary: "interface to probe from (default: the route's)"}),
    source: Flags.string({helpValue: 'IP', summary: 'address of this host to probe from (default: the route’s)'}),
    mark: whole({helpValue: 'FWMARK', max: 0xffff_ffff, summary: 'trace what packets with this fwmark do (ip rule)'}),
    destinations: Flags.string({helpValue: 'FILE', summary: 'file with more destinations, one a line'}),
    via: Flags.string({
      helpValue: 'GATEWAY',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'gateway to compare with: inventory name, IP, or IP=MAC (default: all others of the segment)',
    }),
    site: Flags.string({helpValue: 'SITE', summary: 'the site this host is in (default: measured)'}),
    proto: Flags.option({
      default: 'auto',
      options: ['auto', 'icmp', 'tcp'] as const,
      summary: 'what the probes are; auto: echoes, and TCP SYN where those are not answered',
    })(),
    port: whole({
      helpValue: 'PORT',
      min: 1,
      max: 65_535,
      summary: 'destination port of TCP probes (default: one that nobody uses)',
    }),
    rate: whole({
      default: 25,
      helpValue: 'N',
      min: 1,
      max: 1000,
      summary: 'most packets a second, over all destinations and gateways',
    }),
    pairs: whole({
      default: 60,
      helpValue: 'N',
      min: 9,
      max: 10_000,
      summary: 'most pairs to send; it ends as soon as it knows, after 9 where all is calm',
    }),
    flows: whole({default: 4, helpValue: 'N', min: 1, max: 64, summary: 'flows to spread the pairs over'}),
    interval: whole({helpValue: 'MS', min: 20, max: 60_000, summary: 'mean ms between pairs (default: 75, then 200)'}),
    timeout: whole({default: 1000, helpValue: 'MS', min: 10, max: 10_000, summary: 'ms an answer may take'}),
    'min-penalty': decimal({
      above: 0,
      helpValue: 'MS',
      summary: 'smallest penalty that counts (default: half the DCI round trip)',
    }),
    'fail-on': Flags.option({options: ['inbound'] as const, summary: 'let an inbound trombone count as one'})(),
    svg: Flags.string({helpValue: 'FILE', summary: 'draw hops, pairs and verdicts, for a ticket'}),
    pcap: pcapFlag,
  }

  async run(): Promise<TraceDocument> {
    const {argv, flags} = await this.parse(Trace)
    const [{runTraces}, {askedBy, tracesOrder}, {traceText}, {outcomeLine, summaryLines}] = await Promise.all([
      import('../orders/trace/run-traces.ts'),
      import('../orders/trace/order.ts'),
      import('../render/trace-text.ts'),
      import('../render/trace-summary.ts'),
    ])
    const inventory = await this.inventory(flags.inventory)
    const text = {colour: this.colour, columns: process.stdout.columns, asked: askedBy(this.config.bin, flags)}
    const document = await runTraces(argv as string[], tracesOrder(flags), inventory, {
      world: await this.world(flags.pcap),
      onProgress: (line) => this.meter(line),
      onDecided: (outcome, of) => {
        this.meter('')
        if (of > 1) this.log(outcomeLine(outcome, text))
      },
      onWarning: (line) => this.caution(line),
      signal: this.interrupt.signal,
    })
    this.meter('')
    const several = document.results.length + document.failures.length > 1
    for (const line of several ? summaryLines(document, text) : traceText(document, text)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
