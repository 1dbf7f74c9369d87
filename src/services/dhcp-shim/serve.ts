// `gwswitch serve dhcp-shim`: replies of DHCP servers on their way to the VMs here, each with this site's gateway.
import type {ShimRules} from '../../domain/dhcp/shim.ts'
import {shimFrame} from '../../domain/dhcp/shim-frame.ts'
import {shimScope} from '../../domain/dhcp/shim-scope.ts'
import {type Inventory, neededInventory} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import {bridgeInterfaces} from '../../net/bridge-ports.ts'
import type {LoggedFrame} from '../../net/netlink/nflog-message.ts'
import {openNflog} from '../../net/netlink/nflog-socket.ts'
import {renewElements} from '../../net/nft/live-set.ts'
import {loadNft} from '../../net/nft/nft.ts'
import {type FrameSender, openFrameSender} from '../../net/packet/frame-sender.ts'
import type {World} from '../../net/world.ts'
import {isoTime} from '../dhcp/events.ts'
import {logLine} from '../dhcp/log.ts'
import {type VmPort, vmPorts} from './ports.ts'
import {ALIVE_MS, removal, SHIM_GROUP, SHIM_PORTS, shimRuleset} from './ruleset.ts'

/** The command line, as typed. */
export interface ShimOrder {
  readonly site: string
  /** Bridge ports that lead elsewhere. */
  readonly interfaceNames: readonly string[]
  readonly pollS?: number | undefined
}

export interface ShimRequest {
  readonly rules: ShimRules
  readonly elsewhere: readonly string[]
}

export interface ShimCounters {
  /** Replies that went on with another gateway or an earlier renewal. */
  changed: number
  /** Replies that went on as they were. */
  unchanged: number
  /** Replies that could not be sent on. */
  failed: number
  /** Times that replies came faster than they were taken, and some were lost. */
  overruns: number
}

export interface ShimDocument {
  readonly schema: 'gwswitch.serve-dhcp-shim/1'
  readonly dryRun: boolean
  readonly site: string
  readonly pollS: number | null
  /** What leaves by these is left alone. */
  readonly elsewhere: readonly string[]
  /** VM ports, as they were last. */
  readonly ports: readonly string[]
  readonly vms: readonly {readonly name: string; readonly mac: string; readonly routers: readonly string[]}[]
  readonly leftOut: readonly {readonly segment: string; readonly reason: string}[]
  readonly replies: ShimCounters
  readonly seconds: number
  readonly exitCode: number
}

export interface ShimStage {
  readonly world: Pick<World, 'now' | 'sleep'>
  /** Aborting it ends the service. */
  readonly signal: AbortSignal
  log(line: string): void
  /** Takes who is to be told when another inventory counts. */
  readonly onReload?: (reload: (next: ShimRequest) => void) => void
}

/** Four renewals in the time that a port stays alive. */
const RENEW_MS = 500

/** @throws Failure `usage` for what the inventory does not have. */
export function shimRequest(order: ShimOrder, inventory: Inventory | undefined): ShimRequest {
  const {site, interfaceNames, pollS} = order
  const scope = shimScope(neededInventory(inventory), site)
  return {rules: {...scope, ...(pollS !== undefined && {pollS})}, elsewhere: [...new Set(interfaceNames)]}
}

/** What would be done, and the rules that would be loaded. @throws Failure `usage` for an interface that is no bridge port. */
export function planShim(request: ShimRequest): {readonly document: ShimDocument; readonly ruleset: string} {
  const ports = portsNow(request)
  const ruleset = shimRuleset(
    request.rules.vms.keys(),
    ports.map(({name}) => name),
  )
  return {document: {...documentOf(request, ports, {...NONE}, 0), dryRun: true}, ruleset}
}

const NONE: ShimCounters = {changed: 0, unchanged: 0, failed: 0, overruns: 0}

/**
 * Serves until the signal is aborted.
 * @throws Failure `usage` for an interface that is no bridge port, `privilege` without CAP_NET_ADMIN and CAP_NET_RAW,
 * `runtime` if another shim runs here, or rules cannot be loaded any more. Whatever it throws, no rule is left.
 */
export async function serveShim(
  request: ShimRequest,
  {world, signal, log, onReload}: ShimStage,
): Promise<ShimDocument> {
  const startedNs = world.now()
  const {elsewhere} = request
  let {rules} = request
  let ports = portsNow(request)
  const counters = {...NONE}
  const names = (): string[] => ports.map(({name}) => name)
  const say = (fields: Readonly<Record<string, string | number | undefined>>): void =>
    log(logLine({at: isoTime(Number(world.now() / 1_000_000n)), ...fields}))
  const warn = (message: string): void => say({event: 'warning', message})
  const load = async (event: string): Promise<ShimRules> => {
    const loaded = rules
    await loadNft(shimRuleset(loaded.vms.keys(), names()))
    for (const {segment, reason} of loaded.leftOut) warn(`segment ${segment} ${reason}`)
    const {site, vms} = loaded
    say({event, site, ports: names().join(','), elsewhere: elsewhere.join(','), vms: vms.size})
    return loaded
  }

  await using open = new AsyncDisposableStack()
  const sender = openFrameSender()
  open.defer(() => sender.close())
  const onFrame = (frame: LoggedFrame): void => {
    const port = ports.find(({index}) => index === frame.outIndex)
    say({...pass(frame, port, rules, sender, counters), port: port?.name ?? `${frame.outIndex}`})
  }
  const nflog = openNflog(SHIM_GROUP, onFrame)
  open.defer(() => nflog.close())
  onReload?.((next) => {
    rules = next.rules
  })
  try {
    for (let loaded = await load('ready'); ; ) {
      await world.sleep(RENEW_MS, signal).catch(() => {})
      if (signal.aborted) break
      const before = names().join(',')
      ports = vmPorts(bridgeInterfaces(), elsewhere, rules.interSite).ports
      if (names().join(',') !== before) say({event: 'ports', ports: names().join(',')})
      if (loaded !== rules) loaded = await load('reloaded')
      else await renew(rules, names(), warn)
      if (nflog.overruns() > counters.overruns) warn('replies came faster than they were taken, and some are lost')
      counters.overruns = nflog.overruns()
    }
  } finally {
    // What was taken until the rule was gone still goes on.
    await loadNft(removal())
    nflog.drain()
  }
  return documentOf({rules, elsewhere}, ports, counters, Number(world.now() - startedNs) / 1e9)
}

function portsNow({elsewhere, rules}: ShimRequest): readonly VmPort[] {
  const {ports, missing} = vmPorts(bridgeInterfaces(), elsewhere, rules.interSite)
  if (missing.length === 0) return ports
  throw usage(`${missing.join(', ')}: neither a bridge here nor a port of one (see "bridge link")`)
}

/** Keeps the ports alive. Whoever loads a firewall anew takes the rules away: they are put back. */
async function renew(rules: ShimRules, names: readonly string[], warn: (message: string) => void): Promise<void> {
  const errno = renewElements(SHIM_PORTS, names, ALIVE_MS)
  if (errno === 0) return
  warn(`the rules were gone, and are loaded again (errno ${errno})`)
  await loadNft(shimRuleset(rules.vms.keys(), names))
}

/** Sends a reply on, changed or not. Returns what is said of it. */
function pass(
  {bytes, outIndex}: LoggedFrame,
  port: VmPort | undefined,
  rules: ShimRules,
  sender: FrameSender,
  counters: ShimCounters,
): Readonly<Record<string, string | undefined>> {
  const {frame, verdict} = shimFrame(bytes, port?.mtu ?? DEFAULT_MTU, rules)
  const of = {type: verdict.type, vm: verdict.vm?.name, ip: verdict.ip}
  const error = sender.send(outIndex, frame)
  if (error !== undefined) {
    counters.failed++
    return {event: 'failed', ...of, reason: error}
  }
  counters[verdict.kind]++
  const how = verdict.kind === 'changed' ? verdict.changes : {reason: verdict.reason}
  return {event: verdict.kind, ...of, ...how}
}

/** Of a port that came since they were looked at: as nearly all have it. */
const DEFAULT_MTU = 1500

const documentOf = (
  {rules, elsewhere}: ShimRequest,
  ports: readonly VmPort[],
  replies: ShimCounters,
  seconds: number,
): ShimDocument => ({
  ...{schema: 'gwswitch.serve-dhcp-shim/1', dryRun: false, site: rules.site, pollS: rules.pollS ?? null, elsewhere},
  ports: ports.map(({name}) => name),
  vms: [...rules.vms.values()].map(({name, mac, local}) => ({name, mac, routers: local})),
  leftOut: rules.leftOut,
  ...{replies, seconds, exitCode: 0},
})
