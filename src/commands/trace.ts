import {Args} from '@oclif/core'
import {ListCommand} from '../cli/list-command.ts'
import {traceFlags} from '../cli/trace-flags.ts'
import {type Terminal, traceListening, traceOnce, traceWatch} from '../cli/trace-modes.ts'
import type {PassiveDocument} from '../domain/passive/passive-report.ts'
import type {TraceComparison} from '../domain/trace/before-after.ts'
import type {TraceDocument} from '../domain/trace/report.ts'
import {usage} from '../errors.ts'

export default class Trace extends ListCommand {
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
      command: '<%= config.bin %> <%= command.id %> 203.0.113.10 198.51.100.10 --watch',
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
  static override flags = traceFlags

  async run(): Promise<TraceDocument | TraceComparison | PassiveDocument | undefined> {
    const {argv, flags} = await this.parse(Trace)
    const {passive} = flags
    const isListed = this.form !== 'table' && this.form !== 'json'
    if (isListed && (flags.watch || passive !== undefined || flags.compare !== undefined))
      throw usage(`-o ${this.form} lists what one trace found: not with --watch, --passive or --compare`)
    const inventory = await this.inventory(flags.inventory)
    const named = argv as string[]
    const outcome = await (flags.watch
      ? traceWatch(named, flags, inventory, this.terminal)
      : passive === undefined
        ? traceOnce(named, flags, inventory, this.terminal)
        : traceListening(named, {...flags, passive}, inventory, this.terminal))
    process.exitCode = outcome.exitCode
    if (isListed) {
      const {TRACE_COLUMNS, traceRows} = await import('../render/trace-listing.ts')
      this.list(traceRows(outcome.document as TraceDocument), TRACE_COLUMNS, () => [])
    }
    return outcome.document
  }

  private get terminal(): Terminal {
    return {
      program: this.config.bin,
      json: this.jsonEnabled(),
      colour: this.colour,
      signal: this.interrupt.signal,
      world: (pcap) => this.world(pcap),
      log: (line) => {
        if (this.form === 'table' || this.form === 'json') this.log(line)
      },
      meter: (text) => this.meter(text),
      caution: (line) => this.caution(line),
    }
  }

  /** With --watch, its lines are out already. */
  override logJson(json: unknown): void {
    if (json !== undefined) super.logJson(json)
  }
}
