import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {decimal, pcapFlag, whole} from '../cli/flags.ts'
import type {Inventory} from '../domain/inventory/inventory.ts'
import type {PassiveDocument} from '../domain/passive/passive-report.ts'
import type {TraceComparison} from '../domain/trace/before-after.ts'
import type {TraceDocument, TraceFailure, TraceReport} from '../domain/trace/report.ts'
import type {WatchLine, WatchState} from '../domain/trace/watch.ts'
import type {World} from '../net/world.ts'
import type {TraceFlags} from '../orders/trace/order.ts'
import type {PassiveOrder} from '../orders/trace/run-passive.ts'
import type {TracesOrder} from '../orders/trace/run-traces.ts'

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
      description: "On the VM's hypervisor, in its place: nothing of gwswitch is needed in the VM",
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 --port-of db-03',
    },
    {
      description: 'Send nothing: what does the traffic of a VM do, seen at its port for 30 s?',
      command: '<%= config.bin %> <%= command.id %> --passive 30 --port-of db-03 --site y',
    },
    {
      description: 'After a switch: has anything got worse?',
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 --compare before.json',
    },
    {
      description: 'During a migration: what changes, and when?',
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 --watch',
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
      options: ['auto', 'icmp', 'tcp', 'udp'] as const,
      summary: 'what the probes are; auto: echoes, TCP SYN where those are not answered, then UDP',
    })(),
    port: whole({
      helpValue: 'PORT',
      min: 1,
      max: 65_535,
      summary: 'destination port of TCP and UDP probes (default: one that nobody uses)',
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
    watch: Flags.boolean({
      exclusive: ['compare', 'passive', 'destinations', 'svg'],
      summary: 'trace one destination again and again, until Ctrl-C: a live view; JSON Lines with --json',
    }),
    compare: Flags.string({
      helpValue: 'FILE',
      summary: 'an earlier --json document: has it got worse since? (exit 10 if so)',
    }),
    passive: whole({
      exclusive: [
        'compare',
        'watch',
        'destinations',
        'via',
        'source',
        'mark',
        'port',
        'interval',
        'min-penalty',
        'fail-on',
        'svg',
      ],
      helpValue: 'SECONDS',
      min: 1,
      max: 86_400,
      summary: 'send nothing: listen, and tell the gateways and TCP round trips of the traffic that there is',
    }),
    'port-of': Flags.string({
      exclusive: ['source', 'mark'],
      helpValue: 'VM',
      summary: "on the VM's hypervisor, at its bridge port, in its place: inventory name or address, or IP=MAC",
    }),
    svg: Flags.string({helpValue: 'FILE', summary: 'draw hops, pairs and verdicts, for a ticket'}),
    pcap: pcapFlag,
  }

  async run(): Promise<TraceDocument | TraceComparison | PassiveDocument | undefined> {
    const {argv, flags} = await this.parse(Trace)
    const inventory = await this.inventory(flags.inventory)
    const named = argv as string[]
    if (flags.watch) return this.watch(named, flags, inventory)
    return flags.passive === undefined
      ? this.trace(named, flags, inventory)
      : this.listen({...passiveOrder(named, flags), seconds: flags.passive}, flags.pcap, inventory)
  }

  private async trace(
    named: readonly string[],
    flags: TraceFlags & {readonly pcap?: string | undefined; readonly compare?: string | undefined},
    inventory: Inventory | undefined,
  ): Promise<TraceDocument | TraceComparison> {
    const compare = flags.compare === undefined ? undefined : await this.comparing(flags.compare)
    const [{runTraces}, {askedBy, tracesOrder}, {traceText}, {outcomeLine, summaryLines}] = await Promise.all([
      import('../orders/trace/run-traces.ts'),
      import('../orders/trace/order.ts'),
      import('../render/trace-text.ts'),
      import('../render/trace-summary.ts'),
    ])
    const text = {colour: this.colour, columns: process.stdout.columns, asked: askedBy(this.config.bin, flags)}
    const stage = {
      world: await this.world(flags.pcap),
      onProgress: (line: string) => this.meter(line),
      onDecided: (outcome: TraceReport | TraceFailure, of: number) => {
        this.meter('')
        if (of > 1) this.log(outcomeLine(outcome, text))
      },
      onWarning: (line: string) => this.caution(line),
      signal: this.interrupt.signal,
    }
    const document = await this.whereAsked(flags, inventory, stage.world, tracesOrder(flags), (world, order) =>
      runTraces(named, order, inventory, {...stage, world}),
    )
    this.meter('')
    const several = document.results.length + document.failures.length > 1
    for (const line of several ? summaryLines(document, text) : traceText(document, text)) this.log(line)
    process.exitCode = document.exitCode
    return compare?.(document) ?? document
  }

  /** The earlier document is read before anything is sent. */
  private async comparing(file: string): Promise<(document: TraceDocument) => TraceComparison> {
    const [{readBefore}, {compareTraces}, {comparisonText}] = await Promise.all([
      import('../orders/trace/read-before.ts'),
      import('../domain/trace/before-after.ts'),
      import('../render/comparison-text.ts'),
    ])
    const before = readBefore(file)
    return (document) => {
      const comparison = compareTraces(file, before, document)
      for (const line of ['', ...comparisonText(comparison, this.colour)]) this.log(line)
      process.exitCode = comparison.exitCode
      return comparison
    }
  }

  /** One window after the other, on the whole terminal, or as a line each. */
  private async watch(
    named: readonly string[],
    flags: TraceFlags & {readonly pcap?: string | undefined},
    inventory: Inventory | undefined,
  ): Promise<undefined> {
    const [{runWatch}, {tracesOrder}, {watchLineText, watchScreen}, {openLiveScreen}] = await Promise.all([
      import('../orders/trace/run-watch.ts'),
      import('../orders/trace/order.ts'),
      import('../render/watch-screen.ts'),
      import('../cli/live-screen.ts'),
    ])
    const world = await this.world(flags.pcap)
    const began = performance.now()
    const screen = process.stdout.isTTY && !this.jsonEnabled() ? openLiveScreen(process.stdout) : undefined
    const show = (state: WatchState, line: WatchLine): void => {
      const {columns = 80, rows = 24} = process.stdout
      const size = {colour: this.colour, columns, rows, elapsedMs: performance.now() - began}
      if (screen) screen.draw(watchScreen(state, size))
      else process.stdout.write(`${this.jsonEnabled() ? JSON.stringify(line) : watchLineText(line, false)}\n`)
    }
    try {
      const {signal} = this.interrupt
      const state = await this.whereAsked(flags, inventory, world, tracesOrder(flags), (inWorld, order) =>
        runWatch(named, order, inventory, {world: inWorld, signal, onWindow: show}),
      )
      process.exitCode = state.exitCode
    } finally {
      screen?.close()
    }
    return undefined
  }

  /** With --watch, every window was a line of its own. */
  override logJson(json: unknown): void {
    if (json !== undefined) super.logJson(json)
  }

  /** Here, or in the place of a VM. */
  private async whereAsked<T>(
    flags: TraceFlags,
    inventory: Inventory | undefined,
    world: World,
    order: TracesOrder,
    run: (world: World, order: TracesOrder) => Promise<T>,
  ): Promise<T> {
    if (flags['port-of'] === undefined) return run(world, order)
    const inPlace = {...order, portOf: flags['port-of']}
    const [{inVmsPlace}, {systemVantage}] = await Promise.all([
      import('../orders/trace/in-place.ts'),
      import('../net/vantage-world.ts'),
    ])
    return inVmsPlace(inPlace, inventory, {world, vantage: systemVantage, signal: this.interrupt.signal}, run)
  }

  private async listen(
    order: PassiveOrder,
    pcap: string | undefined,
    inventory: Inventory | undefined,
  ): Promise<PassiveDocument> {
    const [{runPassive}, {systemVantage}, {passiveText}] = await Promise.all([
      import('../orders/trace/run-passive.ts'),
      import('../net/vantage-world.ts'),
      import('../render/passive-text.ts'),
    ])
    const document = await runPassive(order, inventory, {
      world: await this.world(pcap),
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

const passiveOrder = (peers: readonly string[], flags: TraceFlags): Omit<PassiveOrder, 'seconds'> => ({
  peers,
  interfaceName: flags.interface,
  portOf: flags['port-of'],
  site: flags.site,
})
