import {Args, Flags} from '@oclif/core'
import {decimal, pcapFlag, whole} from '../cli/flags.ts'
import {ListCommand} from '../cli/list-command.ts'
import type {WhoDocument} from '../domain/who.ts'
import {usage} from '../errors.ts'

/** Default of --every. */
const EVERY_S = 5

export default class Who extends ListCommand {
  static override summary = 'show which gateway each VM should use, and which it uses'
  static override description =
    "Sends each VM an echo that claims to come from off its segment, and one from the address that its gateways share: its answers go to the MACs it uses, which are told by name and site. Changes nothing in the VM. Run it on the VMs' own ports, or on their bridge. " +
    'Who does not answer is listened to. The gateways that are used as they should be are asked whether they take packets on.\n\n' +
    "Exit: 0 all as expected, 10 if any uses another site's gateway, 11 unknown (silent, a stranger's MAC, redirected elsewhere, no site given), 12 if a gateway in use does not serve."
  static override examples = [
    {
      description: 'Every VM of the inventory, through the bridge they share',
      command: '<%= config.bin %> <%= command.id %> -i br0 --site y',
    },
    {description: 'One VM, on its own port', command: '<%= config.bin %> <%= command.id %> db-03 -i vnet0 --site y'},
    {
      description: 'During an evacuation: who has moved, and who moves back?',
      command: '<%= config.bin %> <%= command.id %> --segment tenant-b -i br0 --site y --watch',
    },
  ]
  static override strict = false
  static override args = {vm: Args.string({description: 'VMs, by name or address (default: all of the inventory)'})}
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      required: true,
      summary: "a VM's own port, or the bridge; repeat for several",
    }),
    segment: Flags.string({
      helpValue: 'SEGMENT',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'the VMs of this segment; repeat for several (default: all that are found at these ports)',
    }),
    site: Flags.string({
      helpValue: 'SITE',
      summary: "the site of these ports (default: that of a gateway on this machine, else the VM's in the inventory)",
    }),
    source: Flags.string({
      default: '192.0.2.1',
      helpValue: 'IP',
      summary: 'address off the segment that IPv4 echoes come from, so that the answer takes the way out',
    }),
    timeout: whole({
      default: 1000,
      helpValue: 'MS',
      min: 10,
      max: 60_000,
      summary: 'ms to wait for answers after the last of three echoes',
    }),
    listen: whole({
      default: 2000,
      helpValue: 'MS',
      min: 0,
      max: 3_600_000,
      summary: 'ms to listen for the traffic of those that do not answer',
    }),
    vlan: whole({
      helpValue: 'ID',
      max: 4094,
      min: 1,
      summary: '802.1Q tag on these ports (default: by "vlan" of the inventory, and by what the ports are)',
    }),
    watch: Flags.boolean({
      summary: 'look again and again, until Ctrl-C: a table that says what changed; with --json a line for every look',
    }),
    every: decimal({
      above: 0,
      dependsOn: ['watch'],
      helpValue: 'S',
      summary: 'seconds between two looks (default: 5)',
    }),
    pcap: pcapFlag,
  }

  async run(): Promise<WhoDocument | undefined> {
    const {argv, flags} = await this.parse(Who)
    const inventory = await this.neededInventory(flags.inventory)
    const order = {
      ...flags,
      vms: argv as string[],
      segments: flags.segment ?? [],
      ports: flags.interface,
      vlanId: flags.vlan,
      listenMs: flags.timeout,
      passiveMs: flags.listen,
    }
    const stage = {world: await this.world(flags.pcap), signal: this.interrupt.signal}
    if (flags.watch) {
      if (this.form !== 'table' && this.form !== 'json') throw usage(`-o ${this.form} is of one look: not with --watch`)
      const {whoWatch} = await import('../cli/who-watch.ts')
      const terminal = {...stage, json: this.jsonEnabled(), colour: this.colour}
      process.exitCode = await whoWatch(order, inventory, (flags.every ?? EVERY_S) * 1000, terminal)
      return undefined
    }
    const [{runWho}, {WHO_COLUMNS, whoText}, {paintWith}] = await Promise.all([
      import('../orders/who/run-who.ts'),
      import('../render/who-text.ts'),
      import('../render/paint.ts'),
    ])
    const document = await runWho(order, inventory, stage)
    this.list(document.rows, WHO_COLUMNS, () => whoText(document, paintWith(this.colour), process.stdout.columns))
    process.exitCode = document.exitCode
    return document
  }

  /** With --watch, every look was a line of its own. */
  override logJson(json: unknown): void {
    if (json !== undefined) super.logJson(json)
  }
}
