import {Args, Flags} from '@oclif/core'
import {auditFlag} from '../cli/agent-flags.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {decimal, dryRunFlag, pcapFlag, vlanFlag, whole} from '../cli/flags.ts'
import {asked, type JournalChoice, journalFlags, openedJournal} from '../cli/journal-flags.ts'
import type {ManyRequest} from '../cli/switch-many.ts'
import type {Inventory} from '../domain/inventory/site.ts'
import {usage} from '../errors.ts'
import type {Guard} from '../net/process/dead-man.ts'
import {say} from '../net/process/say.ts'
import type {World} from '../net/world.ts'
import type {JournalFile} from '../orders/journal/journal-file.ts'
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

/** What a switch is done with. */
interface Place {
  readonly guard: Guard
  readonly world: World
  /** Undefined where none is wanted. */
  journal(): Promise<JournalFile | undefined>
}

interface PlaceFlags extends JournalChoice {
  readonly pcap?: string | undefined
  readonly audit?: string | undefined
}

const seconds = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000)

/** More than one VM, or they are not named. */
const isMany = (names: readonly string[], {segment, all, from}: Omit<Selection, 'names' | 'to'>): boolean =>
  names.length > 1 || segment !== undefined || all === true || (names.length === 0 && from !== undefined)

/** Of many, what goes with many. */
const manyOrder = (order: Omit<ManyOrder, 'to'> & {readonly to: string | undefined}): ManyOrder => {
  const {to, arrivalMs} = order
  if (to === undefined) throw usage('give --to SITE: where the VMs are now')
  if (arrivalMs !== undefined) throw usage('--before-resume waits for one VM: name it alone')
  return {...order, to}
}

type ManyFlags = PlaceFlags & Pick<ManyRequest, 'concurrency' | 'rate'> & {readonly 'dry-run': boolean}

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
      description: 'Do what is left of a run that was cut short',
      command: '<%= config.bin %> <%= command.id %> --resume mkz1abcd',
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
      helpValue: 'SITE|GATEWAY',
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
      helpValue: 'STRATEGY',
      multiple: true,
      multipleNonGreedy: true,
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
    resume: Flags.string({
      helpValue: 'RUN',
      exclusive: ['to', 'from', 'segment', 'all', 'dry-run', 'no-journal'],
      summary: 'do what is left of a run of "gwswitch history", with its options',
    }),
    ...journalFlags,
    audit: auditFlag(),
    pcap: pcapFlag,
  }

  async run(): Promise<SwitchDocument | SwitchManyDocument> {
    const {argv, flags} = await this.parse(Switch)
    const names = argv as string[]
    if (flags.resume !== undefined || isMany(names, flags)) {
      const {keepHeapSmall} = await import('../net/process/small-heap.ts')
      keepHeapSmall()
    }
    const inventory = await this.neededInventory(flags.inventory)
    if (flags.resume !== undefined) {
      if (names.length > 0) throw usage('--resume RUN does what is left of a run: it takes no VM')
      return this.switchedMany(flags.resume, inventory, flags)
    }
    const {canAsk, completeSwitch} = await import('../cli/prompt.ts')
    const verifyTo = flags['verify-to']
    if (verifyTo !== undefined && !isIpv4(verifyTo)) throw usage(`--verify-to ${verifyTo} is not an IPv4 address`)
    const options = {
      ...{from: flags.from, segment: flags.segment, all: flags.all},
      strategies: flags.strategy ?? [],
      interfaceName: flags.interface,
      vlanId: flags.vlan,
      guardMs: seconds(flags.guard),
      arrivalMs: seconds(flags['before-resume']),
      verifyTo,
      announce: flags.announce,
      acceptUnverified: flags['accept-unverified'],
      otherSite: flags['other-site'],
    }
    if (isMany(names, flags)) return this.switchedMany(manyOrder({...options, names, to: flags.to}), inventory, flags)
    const choice = await completeSwitch({vm: names[0], to: flags.to}, inventory, canAsk(this.jsonEnabled()))
    const order: SwitchOrder = {...options, ...choice}
    if (flags['dry-run']) return this.shown(await this.planned(order, inventory, flags.pcap))
    return this.guarded(flags, async (place) => this.shown(await this.switched(order, inventory, place, flags)))
  }

  private async planned(order: SwitchOrder, inventory: Inventory, pcap: string | undefined): Promise<SwitchDocument> {
    const {plannedSwitch, prepareSwitch} = await import('../orders/switch/run-switch.ts')
    const world = await this.world(pcap)
    return plannedSwitch(await prepareSwitch(order, inventory, await loadStrategies(this.config), world))
  }

  /** Whoever switches has a guard, and a journal, which is read in while the rest is looked up. */
  private async guarded<T>(flags: PlaceFlags, work: (place: Place) => Promise<T>): Promise<T> {
    // Another Node, which takes as long to start as all the looking up: it starts beside that.
    const {startGuard} = await import('../net/process/dead-man.ts')
    const guard = startGuard()
    const opening = openedJournal(flags, (line) => this.caution(line))
    // Whoever needs it waits for it, and is told.
    opening.catch(() => {})
    try {
      return await work({guard, journal: () => opening, world: await this.world(flags.pcap)})
    } finally {
      // What could not be put back keeps its guard.
      guard.close()
      await opening.then(
        (journal) => journal?.close(),
        () => {},
      )
    }
  }

  /** `what`: an order, or the run of which the rest is to be done. */
  private async switchedMany(what: ManyOrder | string, inventory: Inventory, flags: ManyFlags) {
    const {switchMany} = await import('../cli/switch-many.ts')
    const {audit, concurrency, rate} = flags
    const switching = async (place: Pick<Place, 'world'> & Partial<Place>): Promise<SwitchManyDocument> => {
      const {guard, world, journal} = place
      const installed = await loadStrategies(this.config)
      const request = {...{what, inventory, installed, world, concurrency, rate, audit, guard}, guardMs: GUARD_MS}
      return switchMany(
        {...request, asked: asked(), journal: await journal?.()},
        {
          ...{json: this.jsonEnabled(), signal: this.interrupt.signal, stopCode: () => this.stopCode},
          log: (line) => this.log(line),
          meter: (text) => this.meter(text),
          caution: (line) => this.caution(line),
          audit: async (events) => (audit === undefined ? undefined : this.audit(audit, events)),
        },
      )
    }
    const document = flags['dry-run']
      ? await switching({world: await this.world(flags.pcap)})
      : await this.guarded(flags, switching)
    process.exitCode = document.exitCode
    return document
  }

  private async switched(
    order: SwitchOrder,
    inventory: Inventory,
    {guard, journal: opening, world}: Place,
    {audit}: {readonly audit?: string | undefined},
  ): Promise<SwitchDocument> {
    const {keptOptions, performSwitch, prepareSwitch} = await import('../orders/switch/run-switch.ts')
    const prepared = await prepareSwitch(order, inventory, await loadStrategies(this.config), world)
    const run = (await opening())?.begin({by: 'switch', asked: asked(), options: keptOptions(order)})
    const [n] = run?.plan([prepared]) ?? []
    const {endedEvent, orderedEvent} = await import('../orders/switch/switch-audit.ts')
    if (audit !== undefined) await this.audit(audit, [orderedEvent(prepared)])
    try {
      const document = await performSwitch(prepared, world, {
        ...{deadMan: guard.deadMan(GUARD_MS + (order.arrivalMs ?? 0)), signal: this.interrupt.signal, audit},
        ...{acceptUnverified: order.acceptUnverified, hold: order.guardMs !== undefined},
        ...(run && n !== undefined && {journal: {run, n, onTrouble: (error) => this.caution(error.message)}}),
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

  private async shown(document: SwitchDocument): Promise<SwitchDocument> {
    const {switchText} = await import('../orders/switch/switch-text.ts')
    await this.prose(switchText(document))
    // What kept it from being begun is an error like any other command's.
    if (document.end === 'not-begun' && document.error && !this.jsonEnabled())
      say(`gwswitch: ${document.error.message}`)
    process.exitCode = document.exitCode
    return document
  }
}
