// From the command line to evidence and verdict, for one destination.
import {lookup} from 'node:dns/promises'
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {allGateways, neededSite, segmentOfIp} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {NOTHING_KNOWN, type TraceEvidence} from '../../domain/trace/evidence.ts'
import {knownSites} from '../../domain/trace/known-sites.ts'
import {type Judgement, judge, looks, nextLook} from '../../domain/trace/verdict.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import type {NamedHop} from '../../probe/trace/candidates.ts'
import {type TraceObserver, type TraceRequest, trace} from '../../probe/trace/trace.ts'
import {isIpv4, readMac} from '../../wire/address.ts'

/** The command line, as typed. */
export interface TraceOrder {
  readonly interfaceName: string | undefined
  /** Inventory names, or IP, or IP=MAC. Empty: the segment's other gateways, from the inventory. */
  readonly via: readonly string[]
  /** Name of the site this host is in, as told. */
  readonly site: string | undefined
  /** Most pairs to send. */
  readonly pairs: number
  readonly flows: number
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly minPenaltyMs: number | undefined
  readonly failOnInbound: boolean
}

/** Evidence and what follows from it. */
export interface Traced {
  readonly evidence: TraceEvidence
  readonly judgement: Judgement
}

export async function runTrace(
  destination: string,
  order: TraceOrder,
  inventory: Inventory | undefined,
  world: World,
  observer: TraceObserver,
  signal?: AbortSignal,
): Promise<Traced> {
  const target = await resolveDestination(destination)
  if (order.site !== undefined && inventory) neededSite(inventory, order.site)
  const source = (await world.routeTo(target.ip, order.interfaceName))?.source
  const place = placeOf(source, order, inventory)
  const options = {minPenaltyMs: order.minPenaltyMs, failOnInbound: order.failOnInbound}
  const request: TraceRequest = {
    destination: target,
    interfaceName: order.interfaceName,
    ...place,
    alternatives: order.via.length > 0 ? order.via.map((text) => namedHop(text, inventory)) : place.alternatives,
    alternativesNamed: order.via.length > 0,
    flows: order.flows,
    intervalMs: order.intervalMs,
    timeoutMs: order.timeoutMs,
    looks: looks(order.pairs),
    goOn: (evidence) => nextLook(judge(evidence, options), countable(evidence), order.pairs) !== undefined,
  }
  const evidence = await trace(world, request, observer, signal)
  return {evidence, judgement: judge(evidence, options)}
}

/** Pairs sent for each alternative, the warming one left out. */
function countable(evidence: TraceEvidence): number {
  const pairs = evidence.pairs.filter(({warmUp}) => !warmUp).length
  return Math.floor(pairs / Math.max(1, evidence.alternatives.length))
}

async function resolveDestination(text: string): Promise<TraceRequest['destination']> {
  if (isIpv4(text)) return {ip: text, name: null}
  if (/^[\d.]+$/.test(text)) throw new Failure('usage', `${text} is not an IPv4 address`)
  try {
    return {ip: (await lookup(text, {family: 4})).address, name: text}
  } catch {
    throw new Failure('runtime', `the name ${text} has no IPv4 address here`)
  }
}

/** What the inventory knows of the host at `source`. */
function placeOf(
  source: string | undefined,
  order: TraceOrder,
  inventory: Inventory | undefined,
): Pick<TraceRequest, 'host' | 'known' | 'gateways' | 'alternatives'> {
  const told = order.site === undefined ? null : {name: order.site, source: 'flag' as const}
  if (!inventory || source === undefined) {
    return {host: {name: null, site: told}, known: NOTHING_KNOWN, gateways: [], alternatives: []}
  }
  const vm = inventory.vms.find(({ip}) => ip === source)
  const segment = segmentOfIp(inventory, source)
  const gateways = segment?.gateways ?? []
  return {
    host: {
      name: vm?.name ?? null,
      site: told ?? (vm?.site === undefined ? null : {name: vm.site, source: 'inventory'}),
    },
    known: knownSites(inventory, {ip: source}),
    gateways,
    alternatives: gateways.map(({name, ip, mac}) => ({name, ip, mac, macSource: 'inventory'})),
  }
}

/** `by`, `10.0.0.2` or `10.1.0.254=02:00:00:00:0b:02`. */
function namedHop(text: string, inventory: Inventory | undefined): NamedHop {
  const gateways = inventory ? allGateways(inventory) : []
  const named = gateways.find(({name}) => name === text)
  if (named) return {name: named.name, ip: named.ip, mac: named.mac, macSource: 'inventory'}
  const [ip = '', macText, more] = text.split('=')
  const mac = macText === undefined ? undefined : readMac(macText)
  if (!isIpv4(ip) || more !== undefined || (macText !== undefined && !mac)) {
    throw new Failure(
      'usage',
      `--via ${text} is no gateway of the inventory, no IPv4 address and no IP=MAC${hint(
        text,
        gateways.map(({name}) => name),
      )}`,
    )
  }
  const owner = gateways.find((gateway) => (mac === undefined ? gateway.ip === ip : gateway.mac === mac))
  return {name: owner?.name ?? null, ip, mac, macSource: 'flag'}
}
