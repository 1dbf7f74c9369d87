// From the command line to evidence and verdict, for one destination.
import {lookup} from 'node:dns/promises'
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {
  addressesOf,
  allGateways,
  findSegment,
  type Gateway,
  neededSite,
  segmentOfIp,
} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {NOTHING_KNOWN, type ProbeProtocol, type TraceEvidence} from '../../domain/trace/evidence.ts'
import {knownSites} from '../../domain/trace/known-sites.ts'
import {nextStep, type PlanOptions} from '../../domain/trace/plan.ts'
import {type Judgement, judge} from '../../domain/trace/verdict.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import type {NamedHop} from '../../probe/trace/candidates.ts'
import type {TraceRun} from '../../probe/trace/run.ts'
import {trace} from '../../probe/trace/trace.ts'
import type {TraceRequest} from '../../probe/trace/trace-request.ts'
import {type Ipv4, readMac} from '../../wire/address.ts'
import {type Ipv6, isLinkLocal, isMulticastIpv6, isVersion6, readIp} from '../../wire/ipv6-address.ts'

/** The command line, as typed. */
export interface TraceOrder {
  readonly interfaceName: string | undefined
  /** Address to probe from, and fwmark whose route is taken. */
  readonly source: string | undefined
  readonly mark: number | undefined
  /** Inventory names, or IP, or IP=MAC. Empty: the segment's other gateways, from the inventory. */
  readonly via: readonly string[]
  /** Name of the site this host is in, as told. */
  readonly site: string | undefined
  /** Protocols to try, in order, and the port of TCP and UDP. */
  readonly protocols: readonly ProbeProtocol[]
  readonly port: number
  /** Most pairs to send. */
  readonly pairs: number
  readonly flows: number
  readonly intervalMs: number | undefined
  readonly minPenaltyMs: number | undefined
  readonly failOnInbound: boolean
  /** Ask for hops whatever the verdict: somebody will look at them. */
  readonly hops: boolean
}

/** Evidence and what follows from it. */
export interface Traced {
  readonly evidence: TraceEvidence
  readonly judgement: Judgement
}

export type Target = TraceRequest['destination']

/** @throws Failure as `trace`. */
export async function runTrace(
  target: Target,
  order: TraceOrder,
  inventory: Inventory | undefined,
  run: TraceRun,
  onPair: (sent: number) => void,
  signal: AbortSignal,
): Promise<Traced> {
  const options = planOptions(order)
  const request: TraceRequest = {
    ...(await traceRequest(target, order, inventory, run.world)),
    next: (evidence, mayGoOn) => nextStep(evidence, options, mayGoOn),
    onPair,
  }
  const evidence = await trace(run, request, signal)
  return {evidence, judgement: judge(evidence, options)}
}

export const planOptions = ({minPenaltyMs, failOnInbound, protocols, hops}: TraceOrder): PlanOptions => ({
  ...{minPenaltyMs, failOnInbound, protocols, hops},
})

/** What is to be traced, and how: all but what follows from what is seen. @throws Failure `usage` for a `--via`. */
export async function traceRequest(
  target: Target,
  order: TraceOrder,
  inventory: Inventory | undefined,
  world: World,
): Promise<Omit<TraceRequest, 'next'>> {
  const key = {interfaceName: order.interfaceName, source: order.source, mark: order.mark}
  const route = await world.routeTo(target.ip, key)
  const place = placeOf(order.source ?? route?.source, route?.gateway, order, inventory)
  return {
    ...{destination: target, ...key, ...place},
    alternatives: order.via.length > 0 ? order.via.map((text) => namedHop(text, inventory)) : place.alternatives,
    alternativesNamed: order.via.length > 0,
    ...{protocols: order.protocols, port: order.port},
    ...{pairs: order.pairs, flows: order.flows, intervalMs: order.intervalMs},
  }
}

/** What the command line says wrong of itself, before anything is asked or sent. @throws Failure `usage` */
export function checkOrder(
  destinations: readonly string[],
  order: Omit<TraceOrder, 'hops'>,
  inventory: Inventory | undefined,
): void {
  if (destinations.length === 0)
    throw new Failure('usage', 'no destination: name one, or a file of them with --destinations')
  if (order.site !== undefined && inventory) neededSite(inventory, order.site)
  if (order.source !== undefined && readIp(order.source) !== order.source)
    throw new Failure('usage', `--source ${order.source} is not an address${hintOfForm(order.source)}`)
  for (const text of order.via) namedHop(text, inventory)
  for (const text of destinations) checkAddress(text)
}

/** The form in which the kernel writes the address, if that is another. */
function hintOfForm(text: string): string {
  const ip = readIp(text)
  return ip === undefined ? '' : ` in its usual form: want ${ip}`
}

function checkAddress(text: string): void {
  const ip = readIp(text)
  if (ip === undefined) {
    if (/^[\d.]+$/.test(text)) throw new Failure('usage', `${text} is not an IPv4 address`)
    if (text.includes(':')) throw new Failure('usage', `${text} is not an IPv6 address`)
  } else if (!isRoutedTo(ip))
    throw new Failure('usage', `${text} is no address of one host somewhere else: want one that is routed to`)
}

function isRoutedTo(ip: Ipv4 | Ipv6): boolean {
  if (isVersion6(ip)) return !isMulticastIpv6(ip) && !isLinkLocal(ip) && ip !== '::' && ip !== '::1'
  const first = Number(ip.split('.')[0])
  return first !== 0 && first !== 127 && first < 224
}

/** A name's IPv4 address, if it has one. @throws Failure `runtime` for a name that has no address. */
export async function resolveDestination(text: string): Promise<Target> {
  const ip = readIp(text)
  if (ip !== undefined) return {ip, name: null}
  const found = await lookup(text, {all: true}).catch(() => [])
  const address = found.find(({family}) => family === 4) ?? found[0]
  const known = address && readIp(address.address)
  if (known === undefined) throw new Failure('runtime', `the name ${text} has no address here`)
  return {ip: known, name: text}
}

/** What the inventory knows of the host at `source`, or else of the segment that its gateway is on. */
function placeOf(
  source: Ipv4 | undefined,
  gateway: Ipv4 | undefined,
  order: TraceOrder,
  inventory: Inventory | undefined,
): Pick<TraceRequest, 'host' | 'known' | 'gateways' | 'alternatives'> {
  const told = order.site === undefined ? null : {name: order.site, source: 'flag' as const}
  if (!inventory || source === undefined) {
    return {host: {name: null, site: told}, known: NOTHING_KNOWN, gateways: [], alternatives: []}
  }
  const vm = inventory.vms.find((each) => addressesOf(each).includes(source))
  const segment =
    (vm && findSegment(inventory, vm.segment)) ??
    segmentOfIp(inventory, source) ??
    (gateway === undefined ? undefined : segmentOfIp(inventory, gateway))
  const gateways = (segment?.gateways ?? []).map((each) => ({...each, ip: addressLike(source, each)}))
  return {
    host: {
      name: vm?.name ?? null,
      site: told ?? (vm?.site === undefined ? null : {name: vm.site, source: 'inventory'}),
    },
    known: knownSites(inventory, {ip: source, segment: segment?.name}),
    gateways,
    alternatives: gateways.map(({name, ip, mac}) => ({name, ip, mac, macSource: 'inventory'})),
  }
}

/** A gateway's address of the same family as `ip`, if the inventory has one: what is sent goes by its MAC. */
const addressLike = (ip: Ipv4 | Ipv6, gateway: Gateway): Ipv4 | Ipv6 =>
  isVersion6(ip) ? (gateway.ip6?.[0] ?? gateway.ip) : gateway.ip

/** `by`, `10.0.0.2` or `10.1.0.254=02:00:00:00:0b:02`. */
function namedHop(text: string, inventory: Inventory | undefined): NamedHop {
  const gateways = inventory ? allGateways(inventory) : []
  const named = gateways.find(({name}) => name === text)
  if (named) return {name: named.name, ip: named.ip, mac: named.mac, macSource: 'inventory'}
  const [ipText = '', macText, more] = text.split('=')
  const ip = readIp(ipText)
  const mac = macText === undefined ? undefined : readMac(macText)
  if (ip === undefined || more !== undefined || (macText !== undefined && !mac)) {
    throw new Failure(
      'usage',
      `--via ${text} is no gateway of the inventory, no address and no IP=MAC${hint(
        text,
        gateways.map(({name}) => name),
      )}`,
    )
  }
  const owner = gateways.find((gateway) =>
    mac === undefined ? gateway.ip === ip || gateway.ip6?.includes(ip) : gateway.mac === mac,
  )
  return {name: owner?.name ?? null, ip, mac, macSource: 'flag'}
}
