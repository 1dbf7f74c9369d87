import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, pcapFlag, vlanFlag, whole} from '../cli/flags.ts'
import type {Inventory} from '../domain/inventory/inventory.ts'
import {usage} from '../errors.ts'
import type {GarpManyDocument} from '../orders/garp/garp-many.ts'
import type {GarpOrder} from '../orders/garp/garp-order.ts'
import type {GarpDocument} from '../orders/garp/garp-report.ts'
import type {GarpStage} from '../orders/garp/run-garp.ts'
import type {SpeakDocument} from '../orders/garp/speak-report.ts'
import type {SpeakOrder} from '../orders/garp/speak-request.ts'

const seconds = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000)

function needed(gateway: string | undefined): string {
  if (gateway !== undefined) return gateway
  throw usage('which gateway is announced? Name it, or give its address (see gwswitch garp --help)')
}

export default class Garp extends BaseCommand {
  static override summary =
    'announce by ARP or Neighbour Discovery that a gateway IP is at a MAC, and prove that the VM follows'
  static override description =
    "With a VM named, one unicast frame (--form ask) moves its neighbour entry and nobody else's; an echo from the gateway IP then shows where it sends. " +
    "Without one, everybody on the segment is told. Run it at the gateway itself or on the VM's own port. " +
    'For an IPv6 gateway ask is a neighbour solicitation, reply an unsolicited advertisement (R=1 O=1); ra and redirect move a VM between gateways with addresses of their own.\n\n' +
    'With an inventory the gateway is asked too: one that does not answer is not announced to a VM, and whether it takes packets on is said with the verdict.\n\n' +
    "--announce speaks for a VM that has not spoken since it moved, in its name and through its own port: it asks the gateway as the VM would, and where the gateway's leg is on this host its neighbour entry is written and kept while the old site's host route stands. A VM that is not at the port is refused.\n\n" +
    'Exit: 0 moved (known; or sent, without a VM), 4 not moved, moved to a gateway that does not serve, or not held by --guard (the old site has not withdrawn the VM), 5 silent (no answer).'
  static override examples = [
    {
      description: "Move db-03 to this site's gateway, names from gwswitch.yaml",
      command: '<%= config.bin %> <%= command.id %> by --vm db-03 -i eth0',
    },
    {
      description: 'The same without an inventory',
      command: '<%= config.bin %> <%= command.id %> 10.1.0.254 --vm-ip 10.1.0.10 --vm-mac 02:00:00:00:01:10 -i eth0',
    },
    {
      description: 'Queue it in the tap of a VM that is about to resume here, and hold the VM for a minute',
      command:
        '<%= config.bin %> <%= command.id %> by --vm db-03 --mac 02:00:00:00:0b:02 -i vnet0 --before-resume 120 --guard 60',
    },
    {
      description: 'The same for the IPv6 gateway of by',
      command: '<%= config.bin %> <%= command.id %> by --ip6 --vm db-03 -i eth0',
    },
    {
      description: 'After an evacuation: every VM of the segment, in one batch',
      command: '<%= config.bin %> <%= command.id %> by --all -i eth0',
    },
    {
      description: 'Tell the fabric where db-03 is now, at its port on this hypervisor',
      command: '<%= config.bin %> <%= command.id %> --announce db-03 -i vnet0',
    },
    {
      description: 'See the frames, send none',
      command: '<%= config.bin %> <%= command.id %> 10.1.0.254 -i eth0 --dry-run',
    },
  ]
  static override args = {
    gateway: Args.string({
      description: 'gateway, by its name in the inventory or its address; with --announce by default the one here',
    }),
  }
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'IF',
      required: true,
      summary: "interface to send and listen on: the gateway's leg, or the VM's own port",
    }),
    mac: Flags.string({helpValue: 'MAC', summary: "MAC to announce (default: the interface's own)"}),
    vm: Flags.string({
      exclusive: ['vm-ip', 'vm-mac'],
      helpValue: 'VM',
      summary: 'the VM to move, by its name in the inventory',
    }),
    all: Flags.boolean({
      summary:
        "every VM of the gateway's segment that is not at another site, told by unicast and checked, in one batch",
    }),
    'other-sites': Flags.boolean({
      dependsOn: ['all'],
      summary: 'also the VMs that are at another site, by the forwarding table here or by the inventory',
    }),
    announce: Flags.string({
      exclusive: [
        ...['vm', 'all', 'vm-ip', 'vm-mac', 'ip6', 'form', 'old', 'destination', 'lifetime'],
        ...['guard', 'before-resume', 'vlan'],
      ],
      helpValue: 'VM',
      summary: 'speak for this VM at its port, so that routers know where it is now (name, or IP=MAC)',
    }),
    'vm-ip': Flags.string({dependsOn: ['vm-mac'], helpValue: 'IP', summary: 'the VM to move, without an inventory'}),
    'vm-mac': Flags.string({dependsOn: ['vm-ip'], helpValue: 'MAC', summary: 'its MAC'}),
    ip6: Flags.boolean({summary: 'take the IPv6 address of a gateway that is given by its name'}),
    form: Flags.option({
      options: ['ask', 'reply', 'request', 'both', 'ra', 'redirect'] as const,
      summary: 'form (default: ask with a VM, both gratuitous forms without); ra and redirect are of IPv6',
    })(),
    old: Flags.string({
      helpValue: 'GATEWAY',
      summary: 'the router that the VM shall leave (ra: its lifetime ends; redirect: it speaks)',
    }),
    destination: Flags.string({helpValue: 'IP6', summary: 'for which destination to redirect'}),
    lifetime: whole({
      helpValue: 'S',
      min: 1,
      max: 9000,
      summary: 'seconds that an advertised router stays one (ra; default 1800)',
    }),
    broadcast: Flags.boolean({
      summary: 'send to everybody although a VM is named (its bridge does not know yet where it is)',
    }),
    count: whole({
      helpValue: 'N',
      min: 1,
      max: 1000,
      summary: 'rounds at most (default 6: at 0/0.1/0.3/0.7/1.2/2.3 s)',
    }),
    interval: whole({
      helpValue: 'MS',
      min: 1,
      max: 3_600_000,
      summary: 'ms between rounds, instead of the default schedule',
    }),
    timeout: whole({default: 1000, helpValue: 'MS', min: 1, max: 60_000, summary: 'ms to listen after the last round'}),
    guard: whole({
      helpValue: 'S',
      max: 86_400,
      summary: 'hold the VM for S seconds once it has moved; names whoever moves it back',
    }),
    'before-resume': whole({
      helpValue: 'S',
      min: 1,
      max: 3600,
      summary:
        'the VM does not run here yet: queue the first frames in its tap, go on when it is heard, at most S seconds later',
    }),
    force: Flags.boolean({summary: 'tell the VM also about a gateway that does not answer'}),
    vlan: vlanFlag,
    'dry-run': dryRunFlag,
    pcap: pcapFlag,
  }

  async run(): Promise<GarpDocument | GarpManyDocument | SpeakDocument> {
    const {args, flags} = await this.parse(Garp)
    const common = {
      ...flags,
      interfaceName: flags.interface,
      vmIp: flags['vm-ip'],
      vmMac: flags['vm-mac'],
      vlanId: flags.vlan,
      intervalMs: flags.interval,
      listenMs: flags.timeout,
      routerLifetimeS: flags.lifetime,
      guardMs: seconds(flags.guard),
      arrivalMs: seconds(flags['before-resume']),
      otherSites: flags['other-sites'],
    }
    const stage = {
      world: await this.world(flags.pcap),
      signal: this.interrupt.signal,
      dryRun: flags['dry-run'],
    }
    const inventory = await this.inventory(flags.inventory)
    const {gateway} = args
    const [document, lines] =
      flags.announce !== undefined
        ? await this.speak({...common, gateway, announce: flags.announce}, inventory, stage)
        : flags.all
          ? await this.many({...common, gateway: needed(gateway)}, inventory, stage)
          : await this.one({...common, gateway: needed(gateway)}, inventory, stage)
    for (const warning of document.warnings) this.caution(warning)
    await this.prose(lines)
    process.exitCode = document.exitCode
    return document
  }

  private async one(
    order: GarpOrder,
    inventory: Inventory | undefined,
    stage: GarpStage,
  ): Promise<[GarpDocument, string[]]> {
    const {runGarp} = await import('../orders/garp/run-garp.ts')
    const {garpText} = await import('../orders/garp/garp-report.ts')
    const document = await runGarp(order, inventory, stage)
    return [document, garpText(document)]
  }

  private async speak(
    order: SpeakOrder,
    inventory: Inventory | undefined,
    stage: GarpStage,
  ): Promise<[SpeakDocument, string[]]> {
    const {runSpeak} = await import('../orders/garp/run-speak.ts')
    const {speakText} = await import('../orders/garp/speak-report.ts')
    const document = await runSpeak(order, inventory, stage)
    return [document, speakText(document)]
  }

  private async many(
    order: GarpOrder,
    inventory: Inventory | undefined,
    stage: GarpStage,
  ): Promise<[GarpManyDocument, string[]]> {
    const {garpManyText, runGarpMany} = await import('../orders/garp/garp-many.ts')
    const document = await runGarpMany(order, inventory, stage)
    return [document, garpManyText(document)]
  }
}
