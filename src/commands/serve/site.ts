import {join, resolve} from 'node:path'
import {Args, Flags} from '@oclif/core'
import {auditFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag, pcapFlag, whole} from '../../cli/flags.ts'
import {journalFlags, journalPlace, openedJournal} from '../../cli/journal-flags.ts'
import {filesOf} from '../../domain/inventory/site.ts'
import type {EventSource} from '../../domain/movement/events.ts'
import {SITE_SOCKET} from '../../domain/movement/site-socket.ts'
import {Failure} from '../../errors.ts'
import type {Rights} from '../../net/process/confine.ts'
import {ownCommand, ownFiles} from '../../net/process/program.ts'
import {sayJson, sayLogged} from '../../net/process/say.ts'
import type {InstallDocument} from '../../orders/units/install.ts'
import type {ServeSiteDocument, SiteRequest} from '../../services/site/serve.ts'
import type {Source, SourcesStage} from '../../services/site/sources.ts'
import {loadStrategies} from '../../strategies/registry.ts'

/** Longer than any switch and its own rollback take. */
const GUARD_MS = 60_000

/** A path that was left out: oclif knows no flag with a value that may be. @internal */
export function withSocket(argv: readonly string[]): string[] {
  const at = argv.indexOf('--control')
  const isGiven = at < 0 || (argv[at + 1] !== undefined && !argv[at + 1]!.startsWith('-'))
  return isGiven ? [...argv] : argv.toSpliced(at + 1, 0, SITE_SOCKET)
}

/** For programs. */
const jsonLine = (message: string, fields: Record<string, unknown> = {}): void =>
  sayJson({at: new Date().toISOString(), ...fields, message})

export default class ServeSite extends BaseCommand {
  static override summary = 'the resident service of a site or hypervisor: switches the VMs that come to it'
  static override description =
    'With --control it takes orders by a unix socket, a line of words each, from hooks and whoever else sees a VM arrive: the VM is told with no program to start and nothing left to plan, and what is not proved is taken back. ' +
    'It serves every segment of the inventory that has a gateway at SITE, and stops switching where switches fail (--fuse).\n\n' +
    'With -i and a key it broadcasts a signed beacon on the segment, and listens for the notes of agents that find themselves moved (beacons: true in their agent.yaml). ' +
    'For a note that a known VM signed, that believes to be in this site and uses the gateway of another, it does what "gwswitch switch VM --to SITE" does: verified, or taken back. ' +
    'What it cannot act on it says in a line.\n\n' +
    "Run it at the site's gateway, or where the VMs' frames to it pass; with --control on hypervisors, too. Runs until SIGINT or SIGTERM, and then says what it did."
  static override examples = [
    {
      description: 'On a hypervisor of site y: take orders from its hooks',
      command: '<%= config.bin %> <%= command.id %> y --control',
    },
    {
      description: 'The same for members of a group, with a record of what was done',
      command:
        '<%= config.bin %> <%= command.id %> y --control /run/gwswitch/site.sock --control-group libvirt --audit /var/log/gwswitch/audit.jsonl',
    },
    {
      description: 'The same, hearing VMs arrive at its ports, without a hook',
      command: "<%= config.bin %> <%= command.id %> y --watch 'vnet*' --control",
    },
    {
      description: 'The unit of systemd that starts this, to look at',
      command: "<%= config.bin %> <%= command.id %> y --watch 'vnet*' --control --install --dry-run",
    },
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
    interface: Flags.string({
      char: 'i',
      helpValue: 'IF',
      summary: 'interface on the segment: beacons and notes go by it (default: there are none)',
    }),
    control: Flags.string({
      helpValue: 'PATH',
      summary: `unix socket that takes orders (without PATH: ${SITE_SOCKET})`,
    }),
    'control-group': Flags.string({
      dependsOn: ['control'],
      helpValue: 'GROUP',
      summary: 'whose members may give orders beside root (mode 0660; default: nobody, 0600)',
    }),
    watch: Flags.string({
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      summary:
        "hear VMs arrive and leave at this port, or pattern of ports ('vnet*'), also one that comes later; a bridge means its ports that lead to VMs. Repeat for several",
    }),
    events: Flags.string({
      helpValue: 'KIND',
      multiple: true,
      multipleNonGreedy: true,
      summary:
        'take the events of a platform, KIND or KIND=WHERE: libvirt, kubevirt, vcenter, incus, nova=FILE, qmp=SOCKET. Repeat for several',
    }),
    'events-host': Flags.string({
      dependsOn: ['events'],
      helpValue: 'HOST',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'only what they say of this host, as the platform names it (default: of all)',
    }),
    fuse: Flags.string({
      helpValue: 'K/N',
      summary:
        'switch nothing more after the switches of K of the last N VMs failed their proof, until "reset" comes by the socket (default: 3/10 with --control, --watch or --events; else never)',
    }),
    log: Flags.string({default: 'text', options: ['text', 'json'], summary: 'how lines are logged on stderr'}),
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
    ...journalFlags,
    audit: auditFlag(),
    metrics: Flags.string({
      helpValue: 'FILE',
      summary: "write metrics to this file every 15 s, for node_exporter's textfile collector",
    }),
    'metrics-listen': Flags.string({
      helpValue: 'PLACE',
      summary: 'answer who asks for /metrics at unix:PATH or a loopback address (127.0.0.1:9469)',
    }),
    install: Flags.boolean({
      default: false,
      summary: 'serve nothing: write the systemd unit that starts this (with --dry-run: show it)',
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

  private async sources(
    {
      watch,
      'events-host': hosts = [],
    }: {readonly watch?: string[] | undefined; readonly 'events-host'?: string[] | undefined},
    events: readonly EventSource[],
    stage: SourcesStage,
  ): Promise<Source[]> {
    if (watch === undefined && events.length === 0) return []
    const {eventsSource, portsSource} = await import('../../services/site/sources.ts')
    const ports = watch === undefined ? [] : [portsSource(watch, stage)]
    return [...ports, ...events.map((each) => eventsSource(each, hosts, stage))]
  }

  /** What a configuration needs of root's rights. */
  private async rightsOf(
    installed: readonly string[],
    events: readonly EventSource[],
    files: readonly (string | undefined)[],
  ): Promise<(wanted: SiteRequest) => Rights | undefined> {
    const [{siteRights}, {isRoots}, {namespaceFolder}] = await Promise.all([
      import('../../services/site/rights.ts'),
      import('../../net/process/confine.ts'),
      import('../../net/namespace-file.ts'),
    ])
    const given = (paths: readonly (string | undefined)[]): string[] =>
      paths.filter((path) => path !== undefined).map((path) => resolve(path))
    const places = events.map(({where}) => where).filter((where) => where?.startsWith('/'))
    const monitors = events.some(({kind}) => kind === 'qmp')
    return (wanted) =>
      siteRights(wanted, installed, {
        read: given([...filesOf(wanted.served.inventory), wanted.notices?.keyFile, ...ownFiles(), ...places]),
        ...{written: given(files), monitors, records: namespaceFolder(), isRoots},
      })
  }

  /** Gives up what it does not need, for good; returns what refuses a configuration that needs more. */
  private async confined(
    request: SiteRequest,
    rightsOf: (wanted: SiteRequest) => Rights | undefined,
  ): Promise<(next: SiteRequest) => SiteRequest> {
    const [{suffices}, {confineSelf}, {makeFolderOf}] = await Promise.all([
      import('../../services/site/rights.ts'),
      import('../../net/process/confine.ts'),
      import('../../net/file/text-file.ts'),
    ])
    const rights = rightsOf(request)
    if (rights === undefined || request.dryRun) return (next) => next
    // What is not there when they are given up cannot be written later.
    if (process.geteuid?.() === 0) {
      if (request.control) makeFolderOf(request.control.path, 0o755)
      for (const folder of rights.folders) makeFolderOf(join(folder, 'file'), 0o700)
    }
    if (!confineSelf(rights)) return (next) => next
    return (next) => {
      if (suffices(rights, rightsOf(next))) return next
      throw new Failure('usage', 'it needs rights that were given up: it is taken when this is restarted')
    }
  }

  /** The unit that starts what this command line says. */
  private async installed(request: SiteRequest, rights: Rights | undefined): Promise<InstallDocument> {
    const [{installSite, installText}, {siteUnitFor}] = await Promise.all([
      import('../../orders/units/install.ts'),
      import('../../orders/units/site-unit.ts'),
    ])
    const command = ownCommand()
    const unit = siteUnitFor(command, this.argv, rights, request.served.inventory.file)
    const document = installSite(unit, {directory: '/etc/systemd/system', dryRun: request.dryRun})
    for (const line of installText(document)) this.log(line)
    return document
  }

  async run(): Promise<ServeSiteDocument | InstallDocument> {
    this.argv = withSocket(this.argv)
    const {args, flags} = await this.parse(ServeSite)
    const {keepHeapSmall} = await import('../../net/process/small-heap.ts')
    keepHeapSmall()
    const [{siteRequest}, {serveSite}, {startGuard}, {openUdpListener}, {auditLog}, {replaceFile}, {groupId}] =
      await Promise.all([
        import('../../services/site/site-request.ts'),
        import('../../services/site/serve.ts'),
        import('../../net/process/dead-man.ts'),
        import('../../net/stream/udp-listener.ts'),
        import('../../net/file/audit-log.ts'),
        import('../../net/file/replace-file.ts'),
        import('../../net/process/group.ts'),
      ])
    const group = flags['control-group']
    const control =
      flags.control === undefined
        ? undefined
        : {path: resolve(flags.control), group: group === undefined ? undefined : await groupId(group)}
    const [{endFinished}, {systemFilterWorld}, {listenForMetrics, readMetricsPlace}, {serviceManager}] =
      await Promise.all([
        import('../../orders/journal/settle.ts'),
        import('../../probe/filter/filter-world.ts'),
        import('../../services/site/metrics-listen.ts'),
        import('../../net/process/sd-notify.ts'),
      ])
    const metricsAt = flags['metrics-listen'] === undefined ? undefined : readMetricsPlace(flags['metrics-listen'])
    const world = await this.world(flags.pcap)
    const order = {
      ...flags,
      ...{site: args.site, interfaceName: flags.interface, intervalS: flags.interval, dryRun: flags['dry-run']},
      ...{control, sources: flags.watch !== undefined || flags.events !== undefined},
    }
    const {readEventSource} = await import('../../domain/movement/events.ts')
    const events = (flags.events ?? []).map(readEventSource)
    const read = async () => siteRequest(order, await this.inventory(flags.inventory), await world.interfaces())
    const strategies = await loadStrategies(this.config)
    const request = await read()
    const log = flags.log === 'json' ? jsonLine : (line: string) => sayLogged(`gwswitch serve site: ${line}`)
    const journalFile = flags['no-journal'] ? undefined : await journalPlace(flags)
    const socket = typeof metricsAt === 'string' ? metricsAt : undefined
    const written = [flags.audit, flags.metrics, flags.pcap, journalFile, socket]
    const rightsOf = await this.rightsOf([...strategies.keys()], events, written)
    if (flags.install) return this.installed(request, rightsOf(request))
    const within = await this.confined(request, rightsOf)
    await using open = new AsyncDisposableStack()
    const manager = open.use(serviceManager(process.env, (why) => log(why)))
    const {signal} = this.interrupt
    signal.addEventListener('abort', manager.stopping, {once: true})
    let metrics = (): string => ''
    if (metricsAt !== undefined) {
      const page = await listenForMetrics(metricsAt, () => metrics())
      open.defer(() => page.close())
    }
    const journal = request.dryRun ? undefined : await openedJournal(flags, log)
    const guard = request.dryRun ? undefined : startGuard()
    const document = await serveSite(request, {
      onReload: (reload) =>
        this.onHangup(() => {
          read()
            .then(within)
            .then(reload, (error: Error) => log(`configuration not taken: ${error.message}`))
        }),
      onServing(now) {
        metrics = now
        manager.ready(`site ${request.served.site}`)
      },
      ...{world, signal, strategies, filterHost: systemFilterWorld},
      deadMan: () => guard!.deadMan(GUARD_MS),
      ...{listen: openUdpListener, journal},
      ...(journal && {endFinished: () => endFinished(journal)}),
      ...(flags.audit === undefined ? {} : {audit: auditLog(flags.audit, 'gwswitch-site', this.notWritten)}),
      ...(flags.metrics === undefined ? {} : {onMetrics: this.metricsTo(flags.metrics, replaceFile)}),
      ...{log, auditFile: flags.audit, sources: await this.sources(flags, events, {world, journal, log})},
    }).finally(() => {
      guard?.close()
      journal?.close()
    })
    const {valid, refused} = document.notes
    const notActedOn = Object.values(refused).reduce((sum, count) => sum + count, 0)
    const heard =
      document.kid === null ? [] : [`${document.beacons} beacons`, `${valid} notes, ${notActedOn} of them not acted on`]
    const count = Object.values(document.outcomes).reduce((sum, each) => sum + each, 0)
    const last = count > document.switches.length ? `, the last ${document.switches.length} of them` : ''
    this.log(`${[...heard, `${count} switches`].join(', ')}${last}`)
    for (const {vm, to, outcome} of document.switches) this.log(`  ${vm} to ${to}: ${outcome.replace('_', ' ')}`)
    return document
  }
}
