import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {decimal, pcapFlag, whole} from '../cli/flags.ts'
import type {Inventory} from '../domain/inventory/inventory.ts'
import type {PassiveDocument} from '../domain/passive/passive-report.ts'
import type {TraceDocument} from '../domain/trace/report.ts'
import {usage} from '../errors.ts'
import type {World} from '../net/world.ts'
import type {InPlaceOrder} from '../orders/trace/in-place.ts'

/** Of the flags, those that listening heeds. */
interface ListenFlags {
  readonly inventory: string | undefined
  readonly interface: string | undefined
  readonly 'port-of': string | undefined
  readonly site: string | undefined
  readonly pcap: string | undefined
  readonly seconds: number
}

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
      description: 'Send nothing, and see what the traffic of a VM does at its port (30 s)',
      command: '<%= config.bin %> <%= command.id %> --passive 30 --port-of db-03 --site y',
    },
    {
      description: 'In a script',
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 --json | jq -r .egress.verdict',
    },
  ]
  static override strict = false
  static override args = {
    destination: Args.string({description: 'address or name to reach; several may be given'}),
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
    passive: whole({
      helpValue: 'SECONDS',
      min: 1,
      max: 86_400,
      summary: 'send nothing: listen, and tell the gateways and TCP round trips of the traffic that there is',
    }),
    'port-of': Flags.string({
      helpValue: 'VM',
      summary: "on the VM's hypervisor, at the VM's bridge port: inventory name or address, or IP=MAC",
    }),
    svg: Flags.string({helpValue: 'FILE', summary: 'draw hops, pairs and verdict, for a ticket'}),
    pcap: pcapFlag,
  }

  async run(): Promise<TraceDocument | PassiveDocument> {
    const {argv, flags} = await this.parse(Trace)
    if (flags.passive !== undefined) return this.listen(argv as string[], {...flags, seconds: flags.passive})
    if (argv.length === 0) throw usage('name a destination to trace, or listen with --passive SECONDS')
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
    const stage = {
      onProgress: (text: string) => this.meter(text),
      onWarning: (line: string) => this.caution(line),
      signal: this.interrupt.signal,
    }
    const world = await this.world(flags.pcap)
    const run = (inWorld: World, inOrder: typeof order): Promise<TraceDocument> =>
      runTraces(argv as string[], inOrder, inventory, {...stage, world: inWorld})
    const document = await (flags['port-of'] === undefined
      ? run(world, order)
      : this.inPlace({...order, portOf: flags['port-of']}, inventory, world, run))
    this.meter('')
    for (const line of traceText(document, {colour: this.colour, columns: process.stdout.columns})) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
  private async inPlace<O extends InPlaceOrder>(
    order: O,
    inventory: Inventory | undefined,
    world: World,
    run: (world: World, order: O) => Promise<TraceDocument>,
  ): Promise<TraceDocument> {
    const [{inVmsPlace}, {systemVantage}] = await Promise.all([
      import('../orders/trace/in-place.ts'),
      import('../net/vantage-world.ts'),
    ])
    return inVmsPlace(order, inventory, {world, vantage: systemVantage, signal: this.interrupt.signal}, run)
  }

  private async listen(peers: readonly string[], flags: ListenFlags): Promise<PassiveDocument> {
    const [{runPassive}, {systemVantage}, {passiveText}] = await Promise.all([
      import('../orders/trace/run-passive.ts'),
      import('../net/vantage-world.ts'),
      import('../render/passive-text.ts'),
    ])
    const order = {...flags, peers, interfaceName: flags.interface, portOf: flags['port-of'], site: flags.site}
    const document = await runPassive(order, await this.inventory(flags.inventory), {
      world: await this.world(flags.pcap),
      vantage: systemVantage,
      signal: this.interrupt.signal,
      onProgress: (text) => this.meter(text),
    })
    this.meter('')
    for (const line of passiveText(document, this.colour)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
