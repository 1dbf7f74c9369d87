import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {pcapFlag, vlanFlag, whole} from '../cli/flags.ts'
import type {WhoDocument} from '../domain/who.ts'
import type {Redirected} from '../orders/mac-proxy/redirected.ts'

export default class Who extends BaseCommand {
  static override summary = 'show which gateway each VM should use, and which it uses'
  static override description =
    "Sends each VM an echo that claims to come from the gateway: its answer goes to the MAC it uses, which is told by name and site. Changes nothing in the VM. Run it on the VMs' own ports, or on their bridge. " +
    'Who does not answer is listened to. The gateways that are used as they should be are asked whether they take packets on.\n\n' +
    "Exit: 0 all as expected, 10 if any uses another site's gateway, 11 unknown (silent, a stranger's MAC, no site given), 12 if a gateway in use does not serve."
  static override examples = [
    {
      description: 'Every VM of the inventory, through the bridge they share',
      command: '<%= config.bin %> <%= command.id %> -i br0 --site y',
    },
    {description: 'One VM, on its own port', command: '<%= config.bin %> <%= command.id %> db-03 -i vnet0 --site y'},
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
    site: Flags.string({
      helpValue: 'SITE',
      summary: "the site of these ports (default: that of a gateway on this machine, else the VM's in the inventory)",
    }),
    source: Flags.string({
      default: '192.0.2.1',
      helpValue: 'IP',
      summary: 'address off the segment that echoes come from where every site has its own gateway address',
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
    vlan: vlanFlag,
    pcap: pcapFlag,
  }

  async run(): Promise<WhoDocument & {readonly redirected: readonly Redirected[]}> {
    const {argv, flags} = await this.parse(Who)
    const inventory = await this.neededInventory(flags.inventory)
    const [{runWho}, {whoText}, {paintWith}, {redirectedOf}] = await Promise.all([
      import('../orders/who/run-who.ts'),
      import('../render/who-text.ts'),
      import('../render/paint.ts'),
      import('../orders/mac-proxy/redirected.ts'),
    ])
    const order = {
      ...flags,
      vms: argv as string[],
      ports: flags.interface,
      vlanId: flags.vlan,
      listenMs: flags.timeout,
      passiveMs: flags.listen,
    }
    const world = await this.world(flags.pcap)
    const found = await runWho(order, inventory, {world, signal: this.interrupt.signal})
    const names = found.rows.map(({vm}) => vm)
    const document = {...found, redirected: await redirectedOf(names, inventory, world)}
    for (const {text} of document.redirected) this.caution(text)
    for (const line of whoText(document, paintWith(this.colour))) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
