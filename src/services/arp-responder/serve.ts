// `gwswitch serve arp` between its flags and its words: which gateways, on which ports, until it is stopped.
import {findSegment, findVm, type Inventory, neededSite} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {Failure, usage} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {isGroupMac, type Mac, readMac, ZERO_MAC} from '../../wire/address.ts'
import {isLinkLocal, isMulticastIpv6, isVersion6, readIp} from '../../wire/ipv6-address.ts'
import {makeBell} from '../bell.ts'
import type {LocalGateway} from './answers.ts'
import {isMeant, portChanges, readyPorts} from './ports.ts'
import {type HeldVm, type ResponderCounters, responderFilter, startResponder} from './responder.ts'

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
  /** Names of ports, and patterns of names. */
  readonly interfaceNames: readonly string[]
  readonly gateways: readonly LocalGateway[]
  readonly vms: ReadonlySet<Mac> | undefined
  readonly hold: boolean
  /** VMs that are held before they have asked. */
  readonly named: readonly HeldVm[]
  /** VMs that are held once they have asked: nobody says what their addresses are. */
  readonly unknown: readonly Mac[]
}

export interface ServeArpDocument {
  readonly schema: 'gwswitch.serve-arp/1'
  readonly gateways: readonly {readonly name: string | null; readonly ip: string; readonly mac: Mac}[]
  /** Those that were served at any time. */
  readonly ports: readonly ({readonly interface: string} & ResponderCounters)[]
  /** Of the ports that were asked for, those of which none came. */
  readonly awaited: readonly string[]
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
  const macs = order.hold ? [...(vms ?? [])] : []
  const named = macs.flatMap((mac) => heldVm(mac, gateways, inventory))
  return {
    ...{interfaceNames: [...new Set(order.interfaceNames)], gateways, vms, hold: order.hold, named},
    unknown: macs.filter((mac) => !named.some(({vm}) => vm.mac === mac)),
  }
}

/** The addresses of a VM of the inventory, each with the gateways of its segment and family. */
function heldVm(mac: Mac, gateways: readonly LocalGateway[], inventory: Inventory | undefined): HeldVm[] {
  const vm = inventory?.vms.find((each) => each.mac === mac)
  const segment = vm && inventory && findSegment(inventory, vm.segment)
  if (vm === undefined || segment === undefined) return []
  const theirs = segment.gateways.flatMap(({ip, ip6 = []}) => [ip, ...ip6])
  const ip6 = vm.ip6?.find((ip) => !isLinkLocal(ip)) ?? vm.ip6?.[0]
  return gateways
    .filter(({ip}) => theirs.includes(ip))
    .flatMap((gateway) => {
      const ip = isVersion6(gateway.ip) ? ip6 : vm.ip
      return ip === undefined ? [] : [{gateway, vm: {ip, mac}}]
    })
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
  /** Called once every port that is there is served: these. */
  ready(request: ServeArpRequest, ports: readonly string[]): void
  /** A port has come, or gone. */
  tell(line: string): void
  log(line: string): void
}

/** Between two looks at the ports, ms, where nobody tells that they changed, or something of it was missed. */
const LOOK_MS = 1000

/**
 * Serves the ports that are there, and those that come, until the signal is aborted.
 * @throws Failure `usage` for a bridge in place of a VM port, `privilege` without CAP_NET_RAW.
 */
export async function serveArp(request: ServeArpRequest, stage: ServeArpStage): Promise<ServeArpDocument> {
  const {world, signal} = stage
  await refuseStrangePorts(request, world)
  const startedNs = world.now()
  const bell = makeBell(world)
  const ports = servedPorts(request, stage, bell.ring)
  const watch = await world.linkChanges?.(bell.ring)
  try {
    await ports.look(() => {})
    stage.ready(request, ports.names())
    while (!signal.aborted) {
      await bell.rings(LOOK_MS, signal)
      if (!signal.aborted) await ports.look(stage.tell)
    }
  } finally {
    await watch?.close()
    await ports.close()
  }
  const counted = ports.counted()
  return {
    schema: 'gwswitch.serve-arp/1',
    gateways: request.gateways.map(({name, ip, mac}) => ({name: name ?? null, ip, mac})),
    ports: counted.map(([name, counters]) => ({interface: name, ...counters})),
    awaited: awaitedOf(
      request,
      counted.map(([name]) => name),
    ),
    seconds: Number(world.now() - startedNs) / 1e9,
    exitCode: 0,
  }
}

/** What was asked for, and none of these is. */
export const awaitedOf = ({interfaceNames}: ServeArpRequest, ports: readonly string[]): string[] =>
  interfaceNames.filter((pattern) => !ports.some((name) => isMeant(pattern, name)))

/** The kernel begins with 1. */
const NO_INDEX = 0

interface Served {
  /** Of the interface; none once receiving has failed. */
  index: number
  close(): Promise<void>
}

/** The responders on the ports that are meant. */
function servedPorts(request: ServeArpRequest, {world, log}: ServeArpStage, ring: () => void) {
  const served = new Map<string, Served>()
  const totals = new Map<string, ResponderCounters>()
  const refused = new Map<number, boolean>()
  const places = new Map<Mac, string>()

  const close = async (name: string): Promise<void> => {
    const port = served.get(name)
    served.delete(name)
    await port?.close()
  }
  const open = async ({name, index}: InterfaceFacts): Promise<void> => {
    const link = await world.openLink(name, {filter: responderFilter, promiscuous: true, outgoing: request.hold})
    const counters = totals.get(name) ?? {answered: 0, asked: 0, held: 0}
    totals.set(name, counters)
    const {stop} = startResponder(link, world, {...request, places, log}, counters)
    const port: Served = {
      index,
      close: () => {
        stop()
        return link.close()
      },
    }
    served.set(name, port)
    // Whether it is still there is looked at; one that is gets a new link.
    link.onError((error) => {
      log(error.message)
      port.index = NO_INDEX
      ring()
    })
  }
  /** What is no VM's port is left out; of one that is named by more than a pattern that is told, once. */
  const isStrange = async (port: InterfaceFacts, tell: (line: string) => void): Promise<boolean> => {
    const known = refused.get(port.index)
    if (known !== undefined) return known
    const why = await strangeness(port, request.gateways, world)
    refused.set(port.index, why !== undefined)
    if (why !== undefined && request.interfaceNames.includes(port.name)) tell(`${why}: nothing is answered there`)
    return why !== undefined
  }
  return {
    /** Takes up what came, lets go of what went. */
    async look(tell: (line: string) => void): Promise<void> {
      const ready: InterfaceFacts[] = []
      for (const port of readyPorts(request.interfaceNames, await world.interfaces()))
        if (!(await isStrange(port, tell))) ready.push(port)
      const indices = new Map([...served].map(([name, {index}]) => [name, index]))
      const changes = portChanges(indices, ready)
      for (const name of changes.close) {
        await close(name)
        tell(`${name} is gone, or down: waiting for it`)
      }
      for (const port of changes.open) {
        try {
          await open(port)
          tell(`answering on ${port.name}`)
        } catch (error) {
          // It went down again meanwhile: the next look is for that.
          if (!(error instanceof Failure) || error.kind !== 'runtime') throw error
          log(error.message)
        }
      }
    },
    names: (): string[] => [...served.keys()],
    counted: (): readonly (readonly [string, ResponderCounters])[] => [...totals],
    close: async (): Promise<void> => {
      for (const name of [...served.keys()]) await close(name)
    },
  }
}

/** A port that is named, and is there, must be a VM's. */
async function refuseStrangePorts({interfaceNames, gateways}: ServeArpRequest, world: World): Promise<void> {
  for (const port of await world.interfaces()) {
    if (!interfaceNames.includes(port.name)) continue
    const why = await strangeness(port, gateways, world)
    if (why !== undefined) throw usage(`${why}: name the ports of the VMs that are here`)
  }
}

/**
 * Why a port is no VM's. On the gateway's own leg the kernel answers, and through a bridge the other site's VMs are heard
 * too: an answer there would draw them to this site.
 */
async function strangeness(
  {name, mac, addresses}: InterfaceFacts,
  gateways: readonly LocalGateway[],
  world: World,
): Promise<string | undefined> {
  const own = gateways.find((each) => each.mac === mac || addresses.some(({ip}) => ip === each.ip))
  if (own) return `${name} is the gateway ${own.ip} itself, whose kernel answers already`
  if ((await world.bridgeOf?.(name))?.isBridge)
    return `${name} is a bridge, through which the other site's VMs are heard too`
  return undefined
}
