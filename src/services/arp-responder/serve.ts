// `gwswitch serve arp` between its flags and its words: which gateways, on which ports, until it is stopped.
import {findVm, type Inventory, neededSite} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {usage} from '../../errors.ts'
import {bridgePorts} from '../../net/bridge-ports.ts'
import type {World} from '../../net/world.ts'
import {isGroupMac, type Mac, readMac, ZERO_MAC} from '../../wire/address.ts'
import {isMulticastIpv6, readIp} from '../../wire/ipv6-address.ts'
import type {LocalGateway} from './answers.ts'
import {type ResponderCounters, responderFilter, startResponder} from './responder.ts'

/** The command line, as typed. */
export interface ServeArpOrder {
  readonly interfaceNames: readonly string[]
  readonly site?: string | undefined
  /** `ADDRESS=MAC`, for want of an inventory. */
  readonly gateways: readonly string[]
  readonly vms: readonly string[]
  readonly hold: boolean
}

export interface ServeArpRequest {
  readonly interfaceNames: readonly string[]
  readonly gateways: readonly LocalGateway[]
  readonly vms: ReadonlySet<Mac> | undefined
  readonly hold: boolean
}

export interface ServeArpDocument {
  readonly schema: 'gwswitch.serve-arp/1'
  readonly gateways: readonly {readonly name: string | null; readonly ip: string; readonly mac: Mac}[]
  readonly ports: readonly ({readonly interface: string} & ResponderCounters)[]
  readonly seconds: number
  readonly exitCode: number
}

/** @throws Failure `usage` for what must not be answered. */
export function serveArpRequest(order: ServeArpOrder, inventory: Inventory | undefined): ServeArpRequest {
  const given = order.gateways.map(gatewayOf)
  const gateways = order.site === undefined ? given : [...given, ...gatewaysOfSite(order.site, inventory)]
  if (gateways.length === 0) throw usage('say what to answer: --site SITE with an inventory, or --gateway ADDRESS=MAC')
  const twice = gateways.find(({ip}, i) => gateways.findIndex((other) => other.ip === ip) !== i)
  if (twice) throw usage(`${twice.ip} is given two MACs: one site has one`)
  const vms = order.vms.length === 0 ? undefined : new Set(order.vms.map((name) => vmMac(name, inventory)))
  return {interfaceNames: [...new Set(order.interfaceNames)], gateways, vms, hold: order.hold}
}

function gatewayOf(text: string): LocalGateway {
  const [address = '', macText = ''] = text.split('=')
  const ip = readIp(address)
  const mac = readMac(macText)
  if (ip === undefined || mac === undefined)
    throw usage(`--gateway ${text}: want ADDRESS=MAC, 10.1.0.254=02:00:00:00:0b:02`)
  if (mac === ZERO_MAC || isGroupMac(mac)) throw usage(`--gateway ${text}: no station has the MAC ${mac}`)
  if (ip === '0.0.0.0' || ip === '::' || isMulticastIpv6(ip))
    throw usage(`--gateway ${text}: no station has the address ${ip}`)
  return {name: undefined, ip, mac}
}

/** Its gateways that other sites' gateways share an address with: of the others there is one, which answers itself. */
function gatewaysOfSite(name: string, inventory: Inventory | undefined): LocalGateway[] {
  if (!inventory) throw usage(`--site ${name} needs an inventory; without one give --gateway ADDRESS=MAC`)
  neededSite(inventory, name)
  const found = inventory.segments.flatMap(({gateways}) => {
    const others = gateways.filter(({site}) => site !== name).flatMap(({ip, ip6}) => [ip, ...(ip6 ?? [])])
    return gateways
      .filter(({site}) => site === name)
      .flatMap((gateway) =>
        [gateway.ip, ...(gateway.ip6 ?? [])].map((ip) => ({name: gateway.name, ip, mac: gateway.mac})),
      )
      .filter(({ip}) => others.includes(ip))
  })
  if (found.length === 0)
    throw usage(`${inventory.file}: site ${name} shares no gateway address with another: there is nothing to answer`)
  return found
}

function vmMac(name: string, inventory: Inventory | undefined): Mac {
  const mac = readMac(name)
  if (mac !== undefined) return mac
  const vm = inventory && findVm(inventory, name)
  if (!vm)
    throw usage(
      `--vm ${name} is neither a MAC nor a VM of the inventory${hint(name, inventory?.vms.map((each) => each.name) ?? [])}`,
    )
  return vm.mac
}

export interface ServeArpStage {
  readonly world: World
  /** Aborting it ends the service. */
  readonly signal: AbortSignal
  /** Called once every port is served. */
  ready(request: ServeArpRequest): void
  log(line: string): void
}

/**
 * Serves until the signal is aborted, or a port fails.
 * @throws Failure `usage` for a bridge in place of a VM port, `runtime` if a port goes away.
 */
export async function serveArp(
  request: ServeArpRequest,
  {world, signal, ready, log}: ServeArpStage,
): Promise<ServeArpDocument> {
  await refuseStrangePorts(request, world)
  const startedNs = world.now()
  const open: {name: string; counters: ResponderCounters; close(): Promise<void>}[] = []
  const failed = new AbortController()
  try {
    for (const name of request.interfaceNames) {
      const link = await world.openLink(name, {
        filter: responderFilter,
        promiscuous: true,
        outgoing: request.hold,
      })
      const {counters, stop} = startResponder(link, world, {...request, log})
      link.onError((error) => failed.abort(error))
      open.push({
        name,
        counters,
        close: () => {
          stop()
          return link.close()
        },
      })
    }
    ready(request)
    const end = AbortSignal.any([signal, failed.signal])
    if (!end.aborted) await new Promise<void>((resolve) => end.addEventListener('abort', () => resolve(), {once: true}))
    if (failed.signal.aborted && !signal.aborted) throw failed.signal.reason
  } finally {
    for (const {close} of open) await close()
  }
  return {
    schema: 'gwswitch.serve-arp/1',
    gateways: request.gateways.map(({name, ip, mac}) => ({name: name ?? null, ip, mac})),
    ports: open.map(({name, counters}) => ({interface: name, ...counters})),
    seconds: Number(world.now() - startedNs) / 1e9,
    exitCode: 0,
  }
}

/**
 * On the gateway's own leg the kernel answers, and through a bridge the other site's VMs are heard too: an answer there
 * would draw them to this site.
 */
async function refuseStrangePorts({interfaceNames, gateways}: ServeArpRequest, world: World): Promise<void> {
  const all = await world.interfaces()
  const bridges = new Set((await bridgePorts()).map(({bridge}) => bridge))
  for (const name of interfaceNames) {
    const facts = all.find((candidate) => candidate.name === name)
    const own = gateways.find(
      ({mac, ip}) => mac === facts?.mac || facts?.addresses.some((address) => address.ip === ip),
    )
    if (own) {
      throw usage(
        `${name} is the gateway ${own.ip} itself, whose kernel answers already: name the ports of the VMs that are here`,
      )
    }
    if (bridges.has(name)) {
      throw usage(
        `${name} is a bridge, through which the other site's VMs are heard too: name the ports of the VMs that are here`,
      )
    }
  }
}
