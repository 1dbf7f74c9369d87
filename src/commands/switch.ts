import {Args, Flags} from '@oclif/core'
import {auditFlag} from '../cli/agent-flags.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {decimal, dryRunFlag, pcapFlag, vlanFlag, whole} from '../cli/flags.ts'
import type {ManyRequest} from '../cli/switch-many.ts'
import type {Inventory} from '../domain/inventory/site.ts'
import {usage} from '../errors.ts'
import type {DeadMan, Guard} from '../net/process/dead-man.ts'
import {say} from '../net/process/say.ts'
import type {SwitchManyDocument} from '../orders/switch/many-rows.ts'
import type {ManyOrder} from '../orders/switch/run-many.ts'
import type {SwitchDocument, SwitchOrder} from '../orders/switch/run-switch.ts'
import type {Selection} from '../orders/switch/select-vms.ts'
import {loadStrategies} from '../strategies/registry.ts'
import {isIpv4} from '../wire/address.ts'

/** Longer than any switch and its own rollback take, a strategy that waits for renewals included. */
const GUARD_MS = 60_000

const STEPS = {
  look: 'looking how things stand',
  execute: 'telling',
  verify: 'asking the network whether it worked',
  hold: 'verified; holding it there',
  rollback: 'taking it back',
} as const

const seconds = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000)

/** More than one VM, or they are not named. */
const isMany = (names: readonly string[], {segment, all, from}: Omit<Selection, 'names' | 'to'>): boolean =>
  names.length > 1 || segment !== undefined || all === true || (names.length === 0 && from !== undefined)

interface Flagged {
  readonly pcap?: string | undefined
  readonly audit?: string | undefined
  readonly 'accept-unverified': boolean
}

export default class Switch extends BaseCommand {
  static override strict = false
  static override summary = 'move a VM to the gateway of the site it is in now, prove it, or take it back'
  static override description =
    'Looks, acts, and asks the network whether the VM is served; what it cannot prove it takes back, to what it saw before. ' +
    'Several VMs, or all of a segment or a site, are switched at once, each as it would be alone; who cannot be switched is listed first. ' +
    'Needs an inventory (gwswitch.yaml).\n\nExit: 0 switched and verified (or it was so already), 3 the VM is as it was, 5 the VM is silent and nothing was done, 7 how the VM is now is not known. Of many, the worst: 7, a signal, 1, 6, 4, 3, 5, 2 (refused before anything was sent), 0.'
  static override examples = [
    {description: 'Move db-03 to the gateway of site y', command: '<%= config.bin %> <%= command.id %> db-03 --to y'},
    {description: 'See what would be done', command: '<%= config.bin %> <%= command.id %> db-03 --to y --dry-run'},
    {
      description: 'Keep a record of what was ordered, and what came of it',
      command: '<%= config.bin %> <%= command.id %> db-03 --to y --audit /var/log/gwswitch/audit.jsonl',
    },
    {
      description: 'All VMs that have moved from site x to site y; first, who they are',
      command: '<%= config.bin %> <%= command.id %> --from x --to y --dry-run',
    },
    {
      description: 'All VMs of a segment, at most 20 begun a second',
      command: '<%= config.bin %> <%= command.id %> --segment tenant-b --to y --rate 20',
    },
    {
      description: "On a hypervisor, through the VM's own port",
      command: '<%= config.bin %> <%= command.id %> db-03 --to y --strategy arp -i vnet0',
    },
  ]
  static override args = {
    vm: Args.string({
      description: 'the VM, by its name in the inventory or its address (asked for on a terminal); or several',
    }),
  }
  static override flags = {
    to: Flags.string({
      helpValue: 'SITE',
      summary: 'the site it is in now, or a gateway of it (asked for on a terminal)',
    }),
    from: Flags.string({
      helpValue: 'SITE|GATEWAY',
      summary:
        'what it leaves (default: the gateway that it is seen to use); without VMs: all that have moved from there',
    }),
    segment: Flags.string({helpValue: 'NAME', summary: 'all VMs of a segment'}),
    all: Flags.boolean({summary: 'all VMs of the inventory'}),
    rate: decimal({above: 0, helpValue: 'N', summary: 'of many VMs, begin at most N a second'}),
    concurrency: whole({
      default: 128,
      helpValue: 'N',
      max: 4096,
      min: 1,
      summary: 'of many VMs, have at most N under way at a time',
    }),
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
    'verify-to': Flags.string({
      helpValue: 'DESTINATION',
      summary: 'the address beyond the gateway that proves it (default: what the inventory knows near a site)',
    }),
    announce: Flags.boolean({
      allowNo: true,
      default: true,
      summary: 'make the VM known in its name to whoever routes to it (arp, mac-proxy; what garp --announce does)',
    }),
    'accept-unverified': Flags.boolean({
      summary: 'leave the VM on the new gateway where nothing speaks against it and it cannot be proved from here',
    }),
    'other-site': Flags.boolean({
      summary: 'go on although the VM is seen at another site than its new gateway (default: it is left alone)',
    }),
    'dry-run': dryRunFlag,
    audit: auditFlag(),
    pcap: pcapFlag,
  }

  async run(): Promise<SwitchDocument | SwitchManyDocument> {
    const {argv, flags} = await this.parse(Switch)
    const names = argv as string[]
    const inventory = await this.neededInventory(flags.inventory)
    const {canAsk, completeSwitch} = await import('../cli/prompt.ts')
    const verifyTo = flags['verify-to']
    if (verifyTo !== undefined && !isIpv4(verifyTo)) throw usage(`--verify-to ${verifyTo} is not an IPv4 address`)
    const options = {
      ...flags,
      strategies: flags.strategy ?? [],
      interfaceName: flags.interface,
      vlanId: flags.vlan,
      guardMs: seconds(flags.guard),
      arrivalMs: seconds(flags['before-resume']),
      verifyTo,
      acceptUnverified: flags['accept-unverified'],
      otherSite: flags['other-site'],
    }
    const many = isMany(names, flags)
    if (many && options.to === undefined) throw usage('give --to SITE: where the VMs are now')
    if (many && options.arrivalMs !== undefined) throw usage('--before-resume waits for one VM: name it alone')
    const order = many
      ? {...options, names, to: options.to!}
      : {...options, ...(await completeSwitch({vm: names[0], to: flags.to}, inventory, canAsk(this.jsonEnabled())))}
    // Another Node, which takes as long to start as all the looking up: it starts beside that.
    const guard = flags['dry-run'] ? undefined : await this.guard()
    try {
      if ('names' in order) return await this.switchedMany(order, inventory, guard, flags)
      const deadMan = guard?.deadMan(GUARD_MS + (order.arrivalMs ?? 0))
      const document = await this.switched(order, inventory, deadMan, flags)
      const {switchText} = await import('../orders/switch/switch-text.ts')
      for (const line of switchText(document)) this.log(line)
      // What kept it from being begun is an error like any other command's.
      if (document.end === 'not-begun' && document.error && !this.jsonEnabled())
        say(`gwswitch: ${document.error.message}`)
      process.exitCode = document.exitCode
      return document
    } finally {
      // What could not be put back keeps its guard.
      guard?.close()
    }
  }

  private async guard(): Promise<Guard> {
    const {startGuard} = await import('../net/process/dead-man.ts')
    return startGuard()
  }

  private async switchedMany(
    order: ManyOrder,
    inventory: Inventory,
    guard: Guard | undefined,
    flags: Flagged & Pick<ManyRequest, 'concurrency' | 'rate'>,
  ): Promise<SwitchManyDocument> {
    const {switchMany} = await import('../cli/switch-many.ts')
    const {audit, concurrency, rate} = flags
    const [world, installed] = await Promise.all([this.world(flags.pcap), loadStrategies(this.config)])
    const perform = {acceptUnverified: flags['accept-unverified'], audit, hold: order.guardMs !== undefined}
    const document = await switchMany(
      {order, inventory, installed, world, concurrency, rate, guard, guardMs: GUARD_MS, perform},
      {
        ...{json: this.jsonEnabled(), signal: this.interrupt.signal, stopCode: () => this.stopCode},
        log: (line) => this.log(line),
        meter: (text) => this.meter(text),
        audit: async (events) => (audit === undefined ? undefined : this.audit(audit, events)),
      },
    )
    process.exitCode = document.exitCode
    return document
  }

  private async switched(
    order: SwitchOrder,
    inventory: Inventory,
    deadMan: DeadMan | undefined,
    flags: Flagged,
  ): Promise<SwitchDocument> {
    const {performSwitch, plannedSwitch, prepareSwitch} = await import('../orders/switch/run-switch.ts')
    const world = await this.world(flags.pcap)
    const prepared = await prepareSwitch(order, inventory, await loadStrategies(this.config), world)
    if (deadMan === undefined) return plannedSwitch(prepared)
    const {audit} = flags
    const {endedEvent, orderedEvent} = await import('../orders/switch/switch-audit.ts')
    if (audit !== undefined) await this.audit(audit, [orderedEvent(prepared)])
    try {
      const document = await performSwitch(prepared, world, {
        ...{deadMan, signal: this.interrupt.signal, acceptUnverified: flags['accept-unverified'], audit},
        hold: order.guardMs !== undefined,
        stopped: () => this.stopCode,
        onStep: (step) => this.meter(STEPS[step]),
        onEvent: ({atMs, text}) => this.meter(`${atMs.toFixed(0)} ms: ${text}`),
      })
      if (audit !== undefined) await this.audit(audit, [endedEvent(document)])
      return document
    } finally {
      this.meter('')
    }
  }
}
