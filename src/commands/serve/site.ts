import {join, resolve} from 'node:path'
import {Args, Flags} from '@oclif/core'
import {auditFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag, pcapFlag, whole} from '../../cli/flags.ts'
import {Failure} from '../../errors.ts'
import {ownFiles} from '../../net/process/program.ts'
import {say} from '../../net/process/say.ts'
import type {ServeSiteRequest} from '../../services/site/request.ts'
import type {ServeSiteDocument} from '../../services/site/serve.ts'
import {loadStrategies} from '../../strategies/registry.ts'

/** Longer than any switch and its own rollback take. */
const GUARD_MS = 60_000

export default class ServeSite extends BaseCommand {
  static override summary = 'tell the VMs of a segment which site they are in, and switch those that ask'
  static override description =
    'Broadcasts a signed beacon on the segment, and listens for the notes of agents that find themselves moved (beacons: true in their agent.yaml). ' +
    'For a note that a known VM signed, that believes to be in this site and uses the gateway of another, it does what "gwswitch switch VM --to SITE" does: verified, or taken back. ' +
    'What it cannot act on it says in a line.\n\n' +
    "Run it at the site's gateway, or where the VMs' frames to it pass. Runs until SIGINT or SIGTERM, and then says what it did."
  static override examples = [
    {
      description: "At site y, on its router's leg in the segment",
      command: '<%= config.bin %> <%= command.id %> y -i eth1 --key /etc/gwswitch/site-y.key',
    },
    {
      description: 'See what would be said, and for each note what would be done',
      command: '<%= config.bin %> <%= command.id %> y -i eth1 --key /etc/gwswitch/site-y.key --dry-run',
    },
    {
      description: 'Answer notes only; agents find it by askOnMove',
      command:
        '<%= config.bin %> <%= command.id %> y -i eth1 --key /etc/gwswitch/site-y.key --no-beacon --listen 0.0.0.0:6743',
    },
  ]
  static override args = {
    site: Args.string({
      description: 'the site, or a gateway of it where it has several on the segment',
      required: true,
    }),
  }
  static override flags = {
    interface: Flags.string({char: 'i', helpValue: 'IF', required: true, summary: 'interface on the segment'}),
    segment: Flags.string({
      helpValue: 'NAME',
      summary: "segment of the inventory (default: the one that the interface's address or MAC is of)",
    }),
    key: Flags.string({helpValue: 'FILE', summary: "the site's private key (default: sites.SITE.agentKey)"}),
    kid: Flags.string({helpValue: 'ID', summary: "name under which agents know that key (default: the file's name)"}),
    interval: whole({default: 1, helpValue: 'S', max: 5, min: 1, summary: 'seconds between beacons'}),
    listen: Flags.string({
      helpValue: 'ADDRESS:PORT',
      summary:
        "UDP address for notes, which beacons then name (default: port 6743 of any, and the interface's address)",
    }),
    audit: auditFlag(),
    metrics: Flags.string({
      helpValue: 'FILE',
      summary: "write metrics to this file every 15 s, for node_exporter's textfile collector",
    }),
    beacon: Flags.boolean({allowNo: true, default: true, summary: 'broadcast beacons'}),
    'dry-run': dryRunFlag,
    pcap: pcapFlag,
  }

  private readonly notWritten = (error: Error): void => this.caution(`audit log not written: ${error.message}`)

  /** Says once what is wrong with the file, and goes on. */
  private metricsTo(file: string, replace: (path: string, text: string) => void): (text: string) => void {
    let failed = false
    return (text) => {
      try {
        replace(file, text)
        failed = false
      } catch (error) {
        if (!failed) this.caution(`metrics not written: ${(error as Error).message}`)
        failed = true
      }
    }
  }

  /** Gives up what it does not need, for good; returns what refuses a configuration that needs more. */
  private async confined(
    request: ServeSiteRequest,
    installed: readonly string[],
    {audit, metrics, pcap}: Record<'audit' | 'metrics' | 'pcap', string | undefined>,
  ): Promise<(next: ServeSiteRequest) => ServeSiteRequest> {
    const [{siteRights, suffices}, {confineSelf, isRoots}, {makeFolderOf}, {namespaceFolder}] = await Promise.all([
      import('../../services/site/rights.ts'),
      import('../../net/process/confine.ts'),
      import('../../net/file/text-file.ts'),
      import('../../net/namespace-file.ts'),
    ])
    const written = [audit, metrics, pcap].filter((file) => file !== undefined).map((file) => resolve(file))
    const rightsOf = (wanted: ServeSiteRequest) => {
      const read = [wanted.inventory.file, wanted.keyFile, ...ownFiles()].map((file) => resolve(file))
      return siteRights(wanted, installed, {read, written, records: namespaceFolder(), isRoots})
    }
    const rights = rightsOf(request)
    if (rights === undefined || request.dryRun) return (next) => next
    // What is not there when they are given up cannot be written later.
    if (process.geteuid?.() === 0) for (const folder of rights.folders) makeFolderOf(join(folder, 'file'), 0o700)
    if (!confineSelf(rights)) return (next) => next
    return (next) => {
      if (suffices(rights, rightsOf(next))) return next
      throw new Failure('usage', 'it needs rights that were given up: it is taken when this is restarted')
    }
  }

  async run(): Promise<ServeSiteDocument> {
    const {args, flags} = await this.parse(ServeSite)
    const [{serveSiteRequest}, {serveSite}, {startGuard}, {openUdpListener}, {auditLog}, {replaceFile}] =
      await Promise.all([
        import('../../services/site/request.ts'),
        import('../../services/site/serve.ts'),
        import('../../net/process/dead-man.ts'),
        import('../../net/stream/udp-listener.ts'),
        import('../../net/file/audit-log.ts'),
        import('../../net/file/replace-file.ts'),
      ])
    const world = await this.world(flags.pcap)
    const order = {
      ...flags,
      ...{site: args.site, interfaceName: flags.interface, intervalS: flags.interval, dryRun: flags['dry-run']},
    }
    const read = async () => serveSiteRequest(order, await this.inventory(flags.inventory), await world.interfaces())
    const strategies = await loadStrategies(this.config)
    const request = await read()
    const within = await this.confined(request, [...strategies.keys()], flags)
    const guard = request.dryRun ? undefined : startGuard()
    const document = await serveSite(request, {
      onReload: (reload) =>
        this.onHangup(() => {
          read()
            .then(within)
            .then(reload, (error: Error) => say(`gwswitch serve site: configuration not taken: ${error.message}`))
        }),
      world,
      signal: this.interrupt.signal,
      strategies,
      deadMan: () => guard!.deadMan(GUARD_MS),
      listen: openUdpListener,
      ...(flags.audit === undefined ? {} : {audit: auditLog(flags.audit, 'gwswitch-site', this.notWritten)}),
      ...(flags.metrics === undefined ? {} : {onMetrics: this.metricsTo(flags.metrics, replaceFile)}),
      log: (line) => say(`gwswitch serve site: ${line}`),
    }).finally(() => guard?.close())
    const {valid, refused} = document.notes
    const notActedOn = Object.values(refused).reduce((sum, count) => sum + count, 0)
    this.log(
      `${document.beacons} beacons, ${valid} notes, ${notActedOn} of them not acted on, ${document.switches.length} switches`,
    )
    for (const {vm, to, outcome} of document.switches) this.log(`  ${vm} to ${to}: ${outcome.replace('_', ' ')}`)
    return document
  }
}
