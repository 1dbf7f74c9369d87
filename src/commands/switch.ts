import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, pcapFlag, vlanFlag, whole} from '../cli/flags.ts'
import type {SwitchDocument} from '../orders/switch/run-switch.ts'
import {loadStrategies} from '../strategies/registry.ts'

/** Longer than any switch and its own rollback take. */
const GUARD_MS = 60_000

const seconds = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000)

export default class Switch extends BaseCommand {
  static override summary = 'move a VM to the gateway of the site it is in now, prove it, or take it back'
  static override description =
    'Plans, executes, and asks the network whether it worked; what it cannot prove it rolls back. ' +
    'Needs an inventory (gwswitch.yaml).\n\nExit: 0 switched and verified, 3 not verified and rolled back.'
  static override examples = [
    {description: 'Move db-03 to the gateway of site y', command: '<%= config.bin %> <%= command.id %> db-03 --to y'},
    {description: 'See what would be done', command: '<%= config.bin %> <%= command.id %> db-03 --to y --dry-run'},
    {
      description: "On a hypervisor, through the VM's own port",
      command: '<%= config.bin %> <%= command.id %> db-03 --to y --strategy arp -i vnet0',
    },
  ]
  static override args = {
    vm: Args.string({description: 'the VM, by its name in the inventory or its address (asked for on a terminal)'}),
  }
  static override flags = {
    to: Flags.string({
      helpValue: 'SITE',
      summary: 'the site it is in now, or a gateway of it (asked for on a terminal)',
    }),
    from: Flags.string({helpValue: 'GATEWAY', summary: 'the gateway it leaves, where several are possible'}),
    strategy: Flags.string({
      helpValue: 'NAME',
      multiple: true,
      summary: "how; repeat to give an order (default: the VM's own list, then all)",
    }),
    interface: Flags.string({
      char: 'i',
      helpValue: 'IF',
      summary: "interface to act through (default: the gateway's own leg)",
    }),
    vlan: vlanFlag,
    guard: whole({
      helpValue: 'S',
      max: 86_400,
      summary:
        'hold the VM on its new gateway for S seconds once verified, and name whoever moves it back (arp; 60 is a good choice)',
    }),
    'before-resume': whole({
      helpValue: 'S',
      max: 3600,
      min: 1,
      summary: 'the VM does not run here yet: queue the frames in its tap (-i) and wait at most S seconds for it (arp)',
    }),
    'dry-run': dryRunFlag,
    pcap: pcapFlag,
  }

  async run(): Promise<SwitchDocument> {
    const {args, flags} = await this.parse(Switch)
    const inventory = await this.neededInventory(flags.inventory)
    const {performSwitch, plannedSwitch, prepareSwitch} = await import('../orders/switch/run-switch.ts')
    const {switchText} = await import('../orders/switch/switch-text.ts')
    const world = await this.world()
    const {canAsk, completeSwitch} = await import('../cli/prompt.ts')
    const choice = await completeSwitch({vm: args.vm, to: flags.to}, inventory, canAsk(this.jsonEnabled()))
    const order = {
      ...flags,
      ...choice,
      strategies: flags.strategy ?? [],
      interfaceName: flags.interface,
      vlanId: flags.vlan,
      guardMs: seconds(flags.guard),
      arrivalMs: seconds(flags['before-resume']),
    }
    const prepared = await prepareSwitch(order, inventory, await loadStrategies(this.config), world)
    const perform = async (): Promise<SwitchDocument> => {
      const {startDeadMan} = await import('../net/process/dead-man.ts')
      return performSwitch(prepared, world, {
        pcap: flags.pcap,
        signal: this.interrupt.signal,
        deadMan: startDeadMan(GUARD_MS + (order.guardMs ?? 0) + (order.arrivalMs ?? 0)),
      })
    }
    const document = flags['dry-run'] ? plannedSwitch(prepared) : await perform()
    for (const line of switchText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
