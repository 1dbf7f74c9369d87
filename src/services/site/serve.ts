// `gwswitch serve site`: says where it is, hears who asks, and switches them, until it is stopped.
import type {Gateway, Vm} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import type {Audit, AuditEvent} from '../../net/file/audit-log.ts'
import {anyOf} from '../../net/packet/bpf.ts'
import type {DeadMan} from '../../net/process/dead-man.ts'
import type {OnMessage, UdpListener, UdpListenOptions} from '../../net/stream/udp-listener.ts'
import type {World} from '../../net/world.ts'
import type {Journal} from '../../orders/journal/journal.ts'
import {performSwitch, prepareSwitch} from '../../orders/switch/run-switch.ts'
import type {Registered} from '../../strategies/registry.ts'
import {type Endpoint, endpointText} from '../../wire/endpoint.ts'
import {beaconFrames, beaconOf} from './beacon.ts'
import {siteMetrics} from './metrics.ts'
import {type NoteCounts, noteReader} from './notes.ts'
import type {ServeSiteRequest} from './request.ts'
import {SWITCH_LIMITS, switchQueue} from './switch-queue.ts'

/** One switch that a note led to. */
export interface SiteSwitch {
  readonly vm: string
  readonly from: string
  readonly to: string
  readonly strategy: string | null
  /** `planned`: a dry run. `failed`: it could not be tried, or broke; `detail` says why. */
  readonly outcome: 'switched' | 'rolled_back' | 'failed' | 'planned'
  readonly detail: string
  /** Milliseconds from the beginning of the switch to its end. */
  readonly ms: number
}

export interface ServeSiteDocument {
  readonly schema: 'gwswitch.serve-site/1'
  readonly dryRun: boolean
  readonly site: string
  readonly segment: string
  readonly interface: string
  readonly gateway: {readonly name: string; readonly ip: string; readonly ip6: string | null}
  readonly kid: string
  readonly listen: string
  readonly ask: readonly string[]
  readonly beacons: number
  readonly notes: NoteCounts
  /** The newest ones, oldest first. */
  readonly switches: readonly SiteSwitch[]
  readonly seconds: number
  readonly exitCode: number
}

export interface ServeSiteStage {
  readonly world: World
  /** Aborting it ends the service; switches under way are taken back. */
  readonly signal: AbortSignal
  readonly strategies: ReadonlyMap<string, Registered>
  /** A guard for one switch. */
  deadMan(): DeadMan
  listen(endpoint: Endpoint, onMessage: OnMessage, options: UdpListenOptions): UdpListener
  log(line: string): void
  /** Told of every switch. */
  readonly audit?: Audit
  /** Where switches are written down before they are begun. */
  readonly journal?: Journal | undefined
  /** Takes who is to be told when another inventory or key counts. */
  readonly onReload?: (reload: (next: ServeSiteRequest) => void) => void
  /** Gets the metrics now and then, and at the end. */
  readonly onMetrics?: (text: string) => void
}

const SWITCHES_KEPT = 100
const METRICS_EVERY_MS = 15_000

/**
 * Serves until the signal is aborted, or the interface fails.
 * @throws Failure `privilege` without CAP_NET_RAW and `runtime` if a socket cannot be opened, before anything is sent;
 * `runtime` if the interface goes away.
 */
export async function serveSite(first: ServeSiteRequest, stage: ServeSiteStage): Promise<ServeSiteDocument> {
  let request = first
  const {world, log} = stage
  const startedNs = world.now()
  const steadyMs = (): number => performance.now()
  const switches: SiteSwitch[] = []
  const outcomes: Partial<Record<SiteSwitch['outcome'], number>> = {}
  const ending = new AbortController()
  const end = AbortSignal.any([stage.signal, ending.signal])
  let broken: Failure | undefined
  await using open = new AsyncDisposableStack()

  const queue = switchQueue<Gateway>(SWITCH_LIMITS, steadyMs, async (vm, from) => {
    const done = await switchOne(vm, from, request, {...stage, signal: end})
    log(outcomeText(done))
    stage.audit?.(switchEvent(done))
    outcomes[done.outcome] = (outcomes[done.outcome] ?? 0) + 1
    switches.push(done)
    if (switches.length > SWITCHES_KEPT) switches.shift()
    return done.outcome === 'switched' || done.outcome === 'planned'
  })
  const notes = noteReader(request, {
    nowMs: () => Number(world.now() / 1_000_000n),
    steadyMs,
    offer: (vm: Vm, from) => queue.offer(vm.name, from),
    waitMs: ({name}) => queue.waitMs(name),
    log,
  })
  // Opened without beacons too: what a switch is verified by needs the same right, and it is missed now, not then.
  const link = request.dryRun ? undefined : open.use(await world.openLink(request.interfaceName, {filter: anyOf([])}))
  link?.onError((error) => {
    broken ??= error
    ending.abort(error)
  })
  const listener = stage.listen(request.listen, (bytes, {address}) => notes.receive(bytes, address), {
    hints: notes.hints,
    onError: (error) => log(`udp: ${error.message}`),
  })
  open.defer(() => listener.close())

  stage.onReload?.((next) => {
    const other = (['site', 'interfaceName'] as const).find((name) => next[name] !== request[name])
    if (other !== undefined || next.segment.name !== request.segment.name)
      return log(`configuration not taken: another ${other ?? 'segment'} is served when this is restarted`)
    request = {...next, listen: request.listen, ask: request.ask}
    notes.reload(request)
    listener.expect(notes.hints)
    log('configuration read again')
  })
  for (const line of startText(request, listener.endpoint)) log(line)
  let beacons = 0
  let toldMs = Number.NEGATIVE_INFINITY
  const tell = (): void => {
    const {site, segment} = request
    const figures = {site, segment: segment.name, beacons, notes: notes.counts, switches: outcomes}
    stage.onMetrics?.(siteMetrics(figures))
    toldMs = steadyMs()
  }
  try {
    for (let seq = 0; !end.aborted; ) {
      if (steadyMs() - toldMs >= METRICS_EVERY_MS) tell()
      if (link !== undefined && request.beacon) {
        const beacon = beaconOf(request, world.now(), seq)
        seq = beacon.seq
        // In turn with a tag and without, which agents before 0.2 want. What a full queue drops is said again soon.
        if (link.sendMany(beaconFrames(request, beacon, link.mac, beacons % 2 === 0)) > 0) beacons++
      }
      await world.sleep(request.intervalS * 1000, end).catch(() => {})
    }
  } finally {
    // Nobody is heard any more, and what is under way is taken back.
    await listener.close()
    ending.abort(stage.signal.reason)
    await queue.close()
    tell()
  }
  if (broken !== undefined && !stage.signal.aborted) throw broken
  const {to, gw6, segment} = request
  return {
    ...{schema: 'gwswitch.serve-site/1', dryRun: request.dryRun, site: request.site, segment: segment.name},
    ...{interface: request.interfaceName, gateway: {name: to.name, ip: to.ip, ip6: gw6 ?? null}, kid: request.key.kid},
    ...{listen: endpointText(listener.endpoint), ask: request.ask, beacons, notes: notes.counts, switches},
    ...{seconds: Number(world.now() - startedNs) / 1e9, exitCode: 0},
  }
}

/** What `gwswitch switch VM --to SITE` does. Never rejects. */
async function switchOne(
  vm: string,
  from: Gateway,
  request: ServeSiteRequest,
  {world, signal, strategies, deadMan, journal, log}: ServeSiteStage,
): Promise<SiteSwitch> {
  const {to, inventory, interfaceName, dryRun} = request
  const startedNs = world.now()
  let strategy: string | null = null
  const ended = (outcome: SiteSwitch['outcome'], detail: string): SiteSwitch => ({
    ...{vm, from: from.name, to: to.name, strategy, outcome, detail},
    ms: Math.round(Number(world.now() - startedNs) / 1e6),
  })
  try {
    const order = {vm, to: to.name, from: from.name, strategies: [], interfaceName}
    const prepared = await prepareSwitch(order, inventory, strategies, world)
    strategy = prepared.strategy.name
    if (dryRun) return ended('planned', prepared.describe.join('; '))
    const run = journal?.begin({by: 'note', asked: `a note of ${vm}, which uses ${from.name}`})
    const done = await performSwitch(prepared, world, {
      ...{signal, deadMan: deadMan()},
      ...(run && {journal: {run, onTrouble: (error) => log(error.message)}}),
    })
    const {error, rollbackError, evidence, rollback} = done
    const said = [error?.message, ...evidence, ...(rollback?.evidence ?? []), rollbackError?.message]
    const detail = said.filter((line) => line !== undefined).join('; ')
    if (done.verified) return ended('switched', detail)
    return ended(error === null && done.rolledBack ? 'rolled_back' : 'failed', detail)
  } catch (error) {
    if (error instanceof Failure) return ended('failed', error.message)
    return ended('failed', `internal error: ${(error as Error).stack?.split('\n').slice(0, 3).join(' ')}`)
  }
}

function outcomeText({vm, from, to, strategy, outcome, detail, ms}: SiteSwitch): string {
  const by = strategy === null ? '' : ` by ${strategy}`
  const took = outcome === 'planned' ? '' : ` after ${ms} ms`
  return `${vm} from ${from} to ${to}${by}: ${outcome.replace('_', ' ')}${took}: ${detail}`
}

function switchEvent(done: SiteSwitch): AuditEvent {
  const {vm, from, to, strategy, outcome, detail, ms} = done
  const priority = outcome === 'switched' || outcome === 'planned' ? 5 : 4
  const fields = {vm, from, to, strategy: strategy ?? undefined, outcome, detail, ms}
  return {event: 'switch', message: outcomeText(done), priority, fields}
}

function startText(request: ServeSiteRequest, endpoint: Endpoint): string[] {
  const {site, segment, interfaceName, to, gw6, key, intervalS, ask, beacon, dryRun, inventory} = request
  const gateways = [to.ip, ...(gw6 === undefined ? [] : [gw6])].join(' and ')
  const says = `site ${site} is on ${interfaceName} (${segment.name}), its gateway ${to.name} is ${gateways}, ask at ${ask.join(' or ')}`
  const beacons = dryRun
    ? `dry run: would say every ${intervalS} s, signed by ${key.kid}: ${says}`
    : `beacon every ${intervalS} s, signed by ${key.kid}: ${says}`
  const believed = inventory.vms.some((vm) => vm.segment === segment.name && vm.agent?.key !== undefined)
  return [
    beacon ? beacons : `no beacon: VMs of ${segment.name} ask here only where their askOnMove names this host`,
    `listening for notes on UDP ${endpointText(endpoint)}${dryRun ? '; nothing will be switched' : ''}`,
    ...(believed ? [] : [`no VM of ${segment.name} has an agent.key in ${inventory.file}: no note will be believed`]),
  ]
}
