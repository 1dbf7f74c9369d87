// `gwswitch serve site`: the one resident service of a site or hypervisor. Beacons and notes, movements that others see, the
// control socket: each is there or not, and all lead to one dispatcher. Runs until it is stopped.
import {DISPATCH_LIMITS} from '../../domain/movement/dispatch.ts'
import type {FuseLimits} from '../../domain/movement/fuse.ts'
import type {Failure} from '../../errors.ts'
import type {Audit} from '../../net/file/audit-log.ts'
import type {DeadMan} from '../../net/process/dead-man.ts'
import type {OnMessage, UdpListener, UdpListenOptions} from '../../net/stream/udp-listener.ts'
import type {World} from '../../net/world.ts'
import type {Journal} from '../../orders/journal/journal.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import type {Registered} from '../../strategies/registry.ts'
import {type Endpoint, endpointText} from '../../wire/endpoint.ts'
import {type ControlOptions, serveControl} from './control.ts'
import {HISTORY_LIMIT} from './control-line.ts'
import {type Dispatcher, dispatcher} from './dispatcher.ts'
import {filterSight} from './filter-sight.ts'
import {type ServiceFigures, siteMetrics} from './metrics.ts'
import type {NoteCounts} from './notes.ts'
import {type Notices, openNotices} from './notices.ts'
import {type MovementCount, siteOrders} from './orders.ts'
import {placeOf} from './place.ts'
import type {ServeSiteRequest} from './request.ts'
import type {Served} from './served.ts'
import type {Source} from './sources.ts'
import {type Standby, standby} from './standby.ts'
import {
  outcomeText,
  type SiteSwitch,
  type SwitchRecord,
  type SwitchStage,
  shortly,
  switchEvent,
  switchOne,
  type Wish,
} from './switch-one.ts'

export interface SiteRequest {
  readonly served: Served
  readonly dryRun: boolean
  /** Named for all that is done; default: chosen for each segment. */
  readonly interfaceName?: string | undefined
  /** Beacons and notes on one segment. */
  readonly notices?: ServeSiteRequest | undefined
  readonly control?: ControlOptions | undefined
  readonly fuse?: FuseLimits | undefined
}

export interface ServeSiteDocument {
  readonly schema: 'gwswitch.serve-site/1'
  readonly dryRun: boolean
  readonly site: string
  /** Of beacons and notes; null, empty or 0 without them. */
  readonly segment: string | null
  readonly interface: string | null
  readonly gateway: {readonly name: string; readonly ip: string; readonly ip6: string | null} | null
  readonly kid: string | null
  readonly listen: string | null
  readonly ask: readonly string[]
  readonly beacons: number
  readonly notes: NoteCounts
  /** Of the other parts; absent where none of them was wanted. */
  readonly service?: {
    readonly control: string | null
    readonly segments: readonly {readonly name: string; readonly gateway: string}[]
    readonly movements: readonly MovementCount[]
    readonly fuse: Dispatcher['fuse']
  }
  /** Of all switches, by their outcome. */
  readonly outcomes: Readonly<Partial<Record<SiteSwitch['outcome'], number>>>
  /** The newest ones, oldest first. */
  readonly switches: readonly SiteSwitch[]
  readonly seconds: number
  readonly exitCode: number
}

export interface ServeSiteStage extends Pick<SwitchStage, 'endFinished'> {
  readonly world: World
  /** Aborting it ends the service; switches under way are taken back. */
  readonly signal: AbortSignal
  readonly strategies: ReadonlyMap<string, Registered>
  /** A guard for one switch. */
  deadMan(): DeadMan
  listen(endpoint: Endpoint, onMessage: OnMessage, options: UdpListenOptions): UdpListener
  /** A line for people; `fields` say the same to programs. */
  log(line: string, fields?: Record<string, unknown>): void
  readonly sources?: readonly Source[]
  /** Absent: whether the filter stands is not looked at. */
  readonly filterHost?: FilterWorld
  readonly journal?: Journal | undefined
  /** Told of every switch; the file is for its guard. */
  readonly audit?: Audit
  readonly auditFile?: string | undefined
  /** Takes who is to be told when another inventory or key counts. */
  readonly onReload?: (reload: (next: SiteRequest) => void) => void
  /** Gets the metrics now and then, and at the end. */
  readonly onMetrics?: (text: string) => void
  /** Called once everything listens; `metrics` are those of the moment. */
  readonly onServing?: (metrics: () => string) => void
}

const METRICS_EVERY_MS = 15_000
const NO_NOTES: NoteCounts = {valid: 0, refused: {}, silent: {}}

/**
 * Serves until the signal is aborted, or the interface of its beacons fails.
 * @throws Failure `privilege` without CAP_NET_RAW and `runtime` if a socket cannot be opened, before anything is sent;
 * `runtime` if the interface goes away; of the control socket as `serveControl`.
 */
export async function serveSite(request: SiteRequest, stage: ServeSiteStage): Promise<ServeSiteDocument> {
  const {world, log} = stage
  const startedNs = world.now()
  const ending = new AbortController()
  const end = AbortSignal.any([stage.signal, ending.signal])
  let broken: Failure | undefined
  await using open = new AsyncDisposableStack()
  const service = await openService(request, {...stage, signal: end}, open)
  const notices = request.notices && (await openNotices(request.notices, {...stage, ...service.forNotes, onBroken}))
  if (notices) open.defer(() => notices.close())
  function onBroken(error: Failure): void {
    broken ??= error
    ending.abort(error)
  }

  stage.onReload?.((next) => {
    if (next.served.site !== request.served.site)
      return log('configuration not taken: another site is served when this is restarted')
    if (notices && !notices.reload(next.notices!)) return
    service.reload(next.served)
    log('configuration read again')
  })
  const metrics = (): string => siteMetrics(figuresOf(request, notices, service))
  const tell = (): void => stage.onMetrics?.(metrics())
  stage.onServing?.(metrics)
  let toldMs = Number.NEGATIVE_INFINITY
  try {
    while (!end.aborted) {
      if (performance.now() - toldMs >= METRICS_EVERY_MS) {
        tell()
        toldMs = performance.now()
      }
      notices?.tell()
      await world.sleep((notices?.request.intervalS ?? 1) * 1000, end).catch(() => {})
    }
  } finally {
    // Nobody is heard any more, and what is under way is taken back.
    await notices?.deafen()
    ending.abort(stage.signal.reason)
    await service.close()
    tell()
  }
  if (broken !== undefined && !stage.signal.aborted) throw broken
  return documentOf(request, notices, service, Number(world.now() - startedNs) / 1e9)
}

type Service = Awaited<ReturnType<typeof openService>>

/** Everything but beacons and notes, which come to the same dispatcher. */
async function openService(request: SiteRequest, stage: ServeSiteStage, open: AsyncDisposableStack) {
  const {world, log, signal, sources = []} = stage
  let {served} = request
  const switches: SwitchRecord[] = []
  const outcomes: Partial<Record<SiteSwitch['outcome'], number>> = {}
  const isResident = request.control !== undefined || sources.length > 0
  const ready: Standby | undefined = isResident
    ? standby(served, {...stage, interfaceName: request.interfaceName})
    : undefined
  const filter =
    isResident && stage.filterHost ? filterSight(served.inventory, {...stage, host: stage.filterHost}) : undefined
  open.defer(() => filter?.close())

  async function run(wish: Wish, askFirst: boolean): Promise<SwitchRecord> {
    const {vm, to, from} = wish
    const gateway = served.gateways.get(vm.segment)
    const isOurs = ready !== undefined && to === gateway?.name && from === undefined
    if (isOurs && ready.take(vm) === undefined) await ready.lay(vm)
    const laid = isOurs ? ready.take(vm) : undefined
    if (laid)
      return switchOne(wish, served, {...laid, atOnce: laid.atOnce && !askFirst}, {...stage, dryRun: request.dryRun})
    const interfaceName =
      wish.interfaceName ??
      request.interfaceName ??
      (gateway && (await placeOf(served.inventory, vm, gateway, world).catch(() => undefined)))
    return switchOne({...wish, interfaceName}, served, undefined, {...stage, dryRun: request.dryRun})
  }
  const dispatch = dispatcher(
    {...DISPATCH_LIMITS, ...((isResident || request.fuse) && {fuse: request.fuse})},
    {
      ...{log, site: served.site, journal: stage.journal, run, stopped: () => signal.aborted},
      later: (ms, work) => void world.sleep(ms, signal).then(work, () => {}),
      nowMs: () => performance.now(),
      realMs: () => Number(world.now() / 1_000_000n),
      onEnded(done) {
        log(outcomeText(done), {event: 'switch', ...done})
        stage.audit?.(switchEvent(done))
        outcomes[done.outcome] = (outcomes[done.outcome] ?? 0) + 1
        switches.push(done)
        if (switches.length > HISTORY_LIMIT) switches.shift()
      },
    },
  )
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= dispatch.close().then(() => ready?.close())
    return closing
  }
  open.defer(close)
  const orders =
    ready &&
    siteOrders({
      ...{dispatcher: dispatch, standby: ready, log, served: () => served, history: () => switches},
      status: () => ({
        ...{site: served.site, dryRun: request.dryRun, fuse: dispatch.fuse, gateways: ready.gateways},
        ...(filter && {filter: filter.sight}),
        ...{running: dispatch.running, waiting: dispatch.waiting, switches: outcomes, plans: ready.plans},
        ...{vms: served.inventory.vms.length, memoryMb: Math.round(process.memoryUsage.rss() / 1e6)},
      }),
    })
  if (orders && request.control) {
    const {path} = request.control
    const server = await serveControl(request.control, orders.answer)
    open.defer(() => server.close())
    const segments = [...served.gateways].map(([segment, {name}]) => `${segment} (${name})`).join(', ')
    log(
      `site ${served.site}: orders by ${path}, for VMs of ${segments}${request.dryRun ? '; nothing will be switched' : ''}`,
    )
  }
  for (const line of isResident ? served.leftOut : []) log(line)
  for (const source of orders ? sources : []) {
    open.use(await source.open(served, orders!.moved))
    log(`listening to ${source.name}`)
  }
  return {
    ...{switches, outcomes, dispatch, ready, orders, filter},
    forNotes: {
      steadyMs: () => performance.now(),
      offer: (vm: Wish['vm'], from: {readonly name: string}) => {
        const {to, interfaceName} = request.notices!
        const asked = `note of ${vm.name}, which uses ${from.name}`
        return dispatch.offer({by: 'note', asked, vm, to: to.name, from: from.name, interfaceName}, 'asked')
      },
      waitMs: dispatch.waitMs,
    },
    reload(next: Served): void {
      served = next
      ready?.reload(next)
      filter?.reload(next.inventory)
      for (const source of sources) source.reload?.(next)
    },
    close,
  }
}

function figuresOf({served: {site}}: SiteRequest, notices: Notices | undefined, service: Service) {
  const figures: ServiceFigures | undefined = service.orders && {
    ...{movements: service.orders.counts, fuse: service.dispatch.fuse, gateways: service.ready!.gateways},
    filter: service.filter?.sight,
    ...{
      plans: service.ready!.plans,
      waiting: service.dispatch.waiting.length,
      running: service.dispatch.running.length,
    },
  }
  const {beacons = 0, notes = NO_NOTES, request} = notices ?? {}
  return {site, segment: request?.segment.name, beacons, notes, switches: service.outcomes, service: figures}
}

function documentOf(
  {served, dryRun, control}: SiteRequest,
  notices: Notices | undefined,
  {switches, outcomes, orders, dispatch}: Service,
  seconds: number,
): ServeSiteDocument {
  const {to, gw6, segment, interfaceName, key, ask = []} = notices?.request ?? {}
  const segments = [...served.gateways].map(([name, gateway]) => ({name, gateway: gateway.name}))
  return {
    ...{schema: 'gwswitch.serve-site/1', dryRun, site: served.site, segment: segment?.name ?? null},
    ...{interface: interfaceName ?? null, gateway: to ? {name: to.name, ip: to.ip, ip6: gw6 ?? null} : null},
    ...{kid: key?.kid ?? null, listen: notices ? endpointText(notices.endpoint) : null, ask},
    ...{beacons: notices?.beacons ?? 0, notes: notices?.notes ?? NO_NOTES},
    ...(orders && {service: {control: control?.path ?? null, segments, movements: orders.counts, fuse: dispatch.fuse}}),
    ...{outcomes, switches: switches.map(shortly), seconds, exitCode: 0},
  }
}
