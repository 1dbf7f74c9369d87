import {Args, Flags} from '@oclif/core'
import {auditFlag} from '../cli/agent-flags.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, pcapFlag, vlanFlag, whole} from '../cli/flags.ts'
import {asked, type JournalChoice, journalFlags, openedJournal} from '../cli/journal-flags.ts'
import type {Inventory} from '../domain/inventory/site.ts'
import {usage} from '../errors.ts'
import type {Guard} from '../net/process/dead-man.ts'
import {say} from '../net/process/say.ts'
import type {World} from '../net/world.ts'
import type {JournalRun} from '../orders/journal/journal.ts'
import type {JournalFile} from '../orders/journal/journal-file.ts'
import type {ResumeDocument} from '../orders/journal/resume.ts'
import type {SwitchDocument, SwitchOrder} from '../orders/switch/run-switch.ts'
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
  /** The run that it is to be of; without it, one of its own. */
  begin?(): JournalRun
}

interface PlaceFlags extends JournalChoice {
  readonly pcap?: string | undefined
  readonly audit?: string | undefined
}

const seconds = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000)

export default class Switch extends BaseCommand {
  static override summary = 'move a VM to the gateway of the site it is in now, prove it, or take it back'
  static override description =
    'Looks, acts, and asks the network whether the VM is served; what it cannot prove it takes back, to what it saw before. ' +
    'Needs an inventory (gwswitch.yaml).\n\nExit: 0 switched and verified (or it was so already), 3 the VM is as it was, 5 the VM is silent and nothing was done, 7 how the VM is now is not known.'
  static override examples = [
    {description: 'Move db-03 to the gateway of site y', command: '<%= config.bin %> <%= command.id %> db-03 --to y'},
    {description: 'See what would be done', command: '<%= config.bin %> <%= command.id %> db-03 --to y --dry-run'},
    {
      description: 'Keep a record of what was ordered, and what came of it',
      command: '<%= config.bin %> <%= command.id %> db-03 --to y --audit /var/log/gwswitch/audit.jsonl',
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
    vm: Args.string({description: 'the VM, by its name in the inventory or its address (asked for on a terminal)'}),
  }
  static override flags = {
    to: Flags.string({
      helpValue: 'SITE|GATEWAY',
      summary: 'the site it is in now, or a gateway of it (asked for on a terminal)',
    }),
    from: Flags.string({helpValue: 'GATEWAY', summary: 'the gateway that it leaves (default: what it is seen to use)'}),
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
      exclusive: ['to', 'from', 'dry-run', 'no-journal'],
      summary: 'do what is left of a run of "gwswitch history", with its options',
    }),
    ...journalFlags,
    audit: auditFlag(),
    pcap: pcapFlag,
  }

  async run(): Promise<SwitchDocument | ResumeDocument> {
    const {args, flags} = await this.parse(Switch)
    const inventory = await this.neededInventory(flags.inventory)
    if (flags.resume !== undefined) {
      if (args.vm !== undefined) throw usage('--resume RUN does what is left of a run: it takes no VM')
      return this.resumed(flags.resume, inventory, flags)
    }
    const {canAsk, completeSwitch} = await import('../cli/prompt.ts')
    const verifyTo = flags['verify-to']
    if (verifyTo !== undefined && !isIpv4(verifyTo)) throw usage(`--verify-to ${verifyTo} is not an IPv4 address`)
    const choice = await completeSwitch({vm: args.vm, to: flags.to}, inventory, canAsk(this.jsonEnabled()))
    const order: SwitchOrder = {
      ...choice,
      from: flags.from,
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

  private async switched(
    order: SwitchOrder,
    inventory: Inventory,
    {guard, journal: opening, world, begin}: Place,
    {audit}: {readonly audit?: string | undefined},
  ): Promise<SwitchDocument> {
    const {keptOptions, performSwitch, prepareSwitch} = await import('../orders/switch/run-switch.ts')
    const prepared = await prepareSwitch(order, inventory, await loadStrategies(this.config), world)
    const run = begin?.() ?? (await opening())?.begin({by: 'switch', asked: asked(), options: keptOptions(order)})
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
    for (const line of switchText(document)) this.log(line)
    // What kept it from being begun is an error like any other command's.
    if (document.end === 'not-begun' && document.error && !this.jsonEnabled())
      say(`gwswitch: ${document.error.message}`)
    process.exitCode = document.exitCode
    return document
  }

  /** What is left of a run, one after the other. */
  private async resumed(id: string, inventory: Inventory, flags: PlaceFlags): Promise<ResumeDocument> {
    const [{resumable}, {resumeAll}] = await Promise.all([
      import('../orders/journal/choose.ts'),
      import('../orders/journal/resume.ts'),
    ])
    return this.guarded(flags, async (place) => {
      const journal = (await place.journal())!
      const left = resumable(journal, id)
      const document = await resumeAll(left, journal, {
        ...{asked: asked(), signal: this.interrupt.signal, onTrouble: (error) => this.caution(error.message)},
        switched: async (order, begin) => this.shown(await this.switched(order, inventory, {...place, begin}, flags)),
      })
      process.exitCode = document.exitCode
      return document
    })
  }
}
