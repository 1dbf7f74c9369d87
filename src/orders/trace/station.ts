// Whose packets a trace is about, and where it sees them: this host's own at an interface, or a VM's at its port.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {addressesOf, findVm, neededSite, type Segment, segmentOfIp, type Vm} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {type KnownSites, NOTHING_KNOWN} from '../../domain/trace/evidence.ts'
import {knownSites} from '../../domain/trace/known-sites.ts'
import {type LearnedMac, macAtPort, portOfVm, type VmPort} from '../../domain/vantage/vm-port.ts'
import {usage} from '../../errors.ts'
import {interfaceIn} from '../../net/ip.ts'
import type {VantageWorld} from '../../net/vantage-world.ts'
import type {World} from '../../net/world.ts'
import {FAR_AWAY} from '../../probe/egress.ts'
import {type Ipv4, isIpv4, type Mac, type Prefix, prefixOf, readMac} from '../../wire/address.ts'

/** The command line, as typed. */
export interface StationOrder {
  readonly interfaceName: string | undefined
  /** `--port-of`: a VM by its inventory name or address, `IP=MAC`, or a MAC. */
  readonly portOf: string | undefined
  /** How the user named it; default: `--port-of`. */
  readonly flag?: string | undefined
  readonly site: string | undefined
}

/** One station, and the interface that its packets pass. */
export interface Station {
  /** Inventory name. */
  readonly name: string | null
  /** For messages: its name, or address. */
  readonly label: string
  readonly mac: Mac
  /** Undefined where nobody said. */
  readonly ip: Ipv4 | undefined
  readonly vm: Vm | undefined
  readonly segment: Segment | undefined
  /** IPv4 prefixes that it reaches without a gateway. */
  readonly onLink: readonly Prefix[]
  readonly interfaceName: string
  /** Its port on a bridge of this host; undefined for this host itself. */
  readonly port: VmPort | undefined
  readonly site: {readonly name: string; readonly source: 'flag' | 'inventory'} | null
  readonly known: KnownSites
}

/** Makes a quiet VM say something, so that its bridge learns where it is; absent where nothing may be sent. */
export type Waker = (vm: {readonly ip: Ipv4; readonly mac: Mac}, bridges: readonly string[]) => Promise<void>

/** @throws Failure `usage` for what is not known, `runtime` where the VM is at no port of this host. */
export async function resolveStation(
  order: StationOrder,
  inventory: Inventory | undefined,
  world: World,
  vantage: VantageWorld,
  wake?: Waker,
): Promise<Station> {
  if (order.site !== undefined && inventory) neededSite(inventory, order.site)
  if (order.portOf !== undefined)
    return vmAtItsPort(order, readVm(order.portOf, inventory, order.flag), inventory, vantage, wake)
  const interfaceName = order.interfaceName ?? (await world.routeTo(FAR_AWAY[0]!))?.interface
  if (interfaceName === undefined) throw usage('there is no default route here: say at which interface, -i IF')
  const facts = interfaceIn(await world.interfaces(), interfaceName)
  if ((await world.bridgeOf?.(interfaceName))?.portOf !== undefined) {
    const mac = macAtPort(interfaceName, await vantage.learned())
    return vmAtItsPort(order, vmOfMac(mac, inventory), inventory, vantage)
  }
  const ip = facts.addresses[0]?.ip
  const vm = inventory?.vms.find((each) => each.mac === facts.mac || addressesOf(each).some((its) => its === ip))
  const onLink = facts.addresses.map((address) => prefixOf(address.ip, address.prefixLength))
  return {
    ...about({vm, mac: facts.mac, ip}, order.site, inventory),
    onLink,
    interfaceName,
    port: undefined,
  }
}

/** What somebody said of a VM. */
interface NamedStation {
  readonly vm: Vm | undefined
  readonly mac: Mac
  readonly ip: Ipv4 | undefined
}

/** A VM as `--port-of` and others name it. @throws Failure `usage` */
export function readVm(text: string, inventory: Inventory | undefined, flag = '--port-of'): NamedStation {
  const vm = inventory && findVm(inventory, text)
  if (vm) return {vm, mac: vm.mac, ip: vm.ip}
  const [ip = '', macText, more] = text.split('=')
  const mac = readMac(macText ?? '')
  if (isIpv4(ip) && mac !== undefined && more === undefined) return {...vmOfMac(mac, inventory), ip}
  const alone = readMac(text)
  if (alone !== undefined) return vmOfMac(alone, inventory)
  const names = inventory?.vms.map(({name}) => name) ?? []
  throw usage(`${flag} ${text} is no VM of the inventory, no IP=MAC and no MAC${hint(text, names)}`)
}

function vmOfMac(mac: Mac, inventory: Inventory | undefined): NamedStation {
  const vm = inventory?.vms.find((each) => each.mac === mac)
  return {vm, mac, ip: vm?.ip}
}

async function vmAtItsPort(
  order: StationOrder,
  named: NamedStation,
  inventory: Inventory | undefined,
  vantage: VantageWorld,
  wake?: Waker,
): Promise<Station> {
  const station = about(named, order.site, inventory)
  const links = await vantage.links()
  const isKnown = (macs: readonly LearnedMac[]): boolean => macs.some(({mac}) => mac === station.mac)
  let learned = await vantage.learned()
  if (wake && station.ip !== undefined && !isKnown(learned)) {
    await wake(
      {ip: station.ip, mac: station.mac},
      links.filter(({kind}) => kind === 'bridge').map(({name}) => name),
    )
    learned = await vantage.learned()
  }
  const port = portOfVm(station, links, learned, order.interfaceName)
  const onLink = station.segment ? [station.segment.prefix] : []
  return {...station, onLink, interfaceName: port.name, port}
}

function about(
  {vm, mac, ip}: NamedStation,
  site: string | undefined,
  inventory: Inventory | undefined,
): Omit<Station, 'onLink' | 'interfaceName' | 'port'> {
  const segment = inventory && ip !== undefined ? segmentOfIp(inventory, ip) : undefined
  const told = site ?? vm?.site
  return {
    name: vm?.name ?? null,
    label: vm?.name ?? ip ?? mac,
    mac,
    ip,
    vm,
    segment,
    site: told === undefined ? null : {name: told, source: site === undefined ? 'inventory' : 'flag'},
    known: inventory && ip !== undefined ? knownSites(inventory, {ip, segment: vm?.segment}) : NOTHING_KNOWN,
  }
}
