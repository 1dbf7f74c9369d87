// Sites, segments, gateways and VMs as an inventory knows them, and how to find one. Written out and not inferred from the
// schema of the file: strategies of others are compiled against them, and the file may change where they do not.
import {usage} from '../../errors.ts'
import {type Ipv4, type Mac, type Prefix, readMac} from '../../wire/address.ts'
import {ipPrefixContains} from '../../wire/ip-prefix.ts'
import {type Ipv6, readIp} from '../../wire/ipv6-address.ts'
import {hint} from '../suggest.ts'
import type {SegmentDhcp, VmDhcp} from './segment-dhcp.ts'
import type {VmAgent} from './vm-agent.ts'

/** A data centre. */
export interface Site {
  readonly name: string
  /** Destinations near this site, of either family. */
  readonly prefixes: readonly Prefix[]
  /** Addresses beyond its gateways that answer echoes: a switch is proved by them. */
  readonly probes?: readonly (Ipv4 | Ipv6)[] | undefined
  /** Round trip over the DCI to the other site in ms, if known. */
  readonly dciRttMs: number | undefined
}

/** Of a default router, as its advertisements tell hosts (RFC 4861 section 4.2, RFC 4191 section 2.2). */
export interface RouterWord {
  /** Seconds; default: 1800. */
  readonly lifetime?: number | undefined
  /** Default: medium. */
  readonly preference?: 'low' | 'medium' | 'high' | undefined
}

/** A router's address on a segment, at one site. */
export interface Gateway {
  /** Unique over the inventory. */
  readonly name: string
  readonly segment: string
  readonly site: string
  /** Shared by the gateways of all sites on some segments; the MAC then tells them apart. */
  readonly ip: Ipv4
  /** Equal to another site's where the routers share a virtual MAC, or one MAC everywhere (anycast). */
  readonly mac: Mac
  /** Its IPv6 addresses on the segment, link-local too; those that other sites' gateways have as well are shared. */
  readonly ip6?: readonly Ipv6[] | undefined
  /** The router's own address beside `ip`, where `ip` is shared: its own ARP requests then carry this one. */
  readonly ownIp?: Ipv4 | undefined
  /** What its router advertisements say, where a switch speaks in its name. */
  readonly ra?: RouterWord | undefined
  /** File of the private key by which agents are told to use it; that of its site. */
  readonly agentKey?: string | undefined
}

/** A stretched L2 subnet. */
export interface Segment {
  readonly name: string
  readonly prefix: Prefix
  readonly gateways: readonly Gateway[]
  /** Its 802.1Q VLAN where it crosses the DCI; undefined: nobody wrote it down. */
  readonly vlan?: number | 'untagged' | undefined
  /** Inter-site ports by which it leaves a bridge, of all bridge nodes together; undefined: nobody wrote them down. */
  readonly ports?: readonly string[] | undefined
  /** Its DHCP server, if the inventory says how to reach it. */
  readonly dhcp?: SegmentDhcp | undefined
}

/** A VM or, of one with several NICs, one of them: all that acts on a VM acts on one NIC of it. */
export interface Vm {
  /** `VM/NIC` for one NIC of several. */
  readonly name: string
  /** The VM of which it is one NIC of several, and which: 0 is the first. */
  readonly nicOf?: {readonly vm: string; readonly at: number} | undefined
  readonly segment: string
  readonly ip: Ipv4
  readonly mac: Mac
  /** Its further IPv4 addresses on the segment. */
  readonly ips?: readonly Ipv4[] | undefined
  /** Its IPv6 addresses on the segment. */
  readonly ip6?: readonly Ipv6[] | undefined
  /** Strategies to try, in order; empty leaves it to gwswitch. */
  readonly strategies: readonly string[]
  /** Last known site, a hint: what the network says counts; undefined if nobody wrote it down. */
  readonly site: string | undefined
  /** Its DHCP client, as far as anybody wrote it down. */
  readonly dhcp?: VmDhcp | undefined
  /** Its agent, if the inventory says how to reach it. */
  readonly agent?: VmAgent | undefined
}

export interface Inventory {
  /** Where it was read from, for messages. */
  readonly file: string
  /** The files that it includes, where it does. */
  readonly included?: readonly string[] | undefined
  readonly sites: readonly Site[]
  readonly segments: readonly Segment[]
  readonly vms: readonly Vm[]
}

/** Every file that it was read from. */
export const filesOf = ({file, included = []}: Inventory): readonly string[] => [file, ...included]

export const findSite = (inventory: Inventory, name: string): Site | undefined =>
  inventory.sites.find((site) => site.name === name)

export const findSegment = (inventory: Inventory, name: string): Segment | undefined =>
  inventory.segments.find((segment) => segment.name === name)

/** @throws Failure `usage` without an inventory. */
export function neededInventory(inventory: Inventory | undefined): Inventory {
  if (inventory) return inventory
  throw usage('no inventory: give -f FILE, or write ./gwswitch.yaml (see README, "Inventory")')
}

/** As {@link findSite}. @throws Failure `usage` that names what is known, if there is none. */
export const neededSite = (inventory: Inventory, name: string): Site =>
  findSite(inventory, name) ?? unknownName('site', name, inventory.file, inventory.sites)

/** As {@link findSegment}. @throws Failure `usage` that names what is known, if there is none. */
export const neededSegment = (inventory: Inventory, name: string): Segment =>
  findSegment(inventory, name) ?? unknownName('segment', name, inventory.file, inventory.segments)

/** As {@link findVm}. @throws Failure `usage` that names what is known, if there is none. */
export const neededVm = (inventory: Inventory, nameOrIp: string): Vm =>
  findVm(inventory, nameOrIp) ?? unknownName('VM', nameOrIp, inventory.file, inventory.vms)

/** As {@link vmsCalled}. @throws Failure `usage` that names what is known, if there is none. */
export function neededVms(inventory: Inventory, text: string): readonly Vm[] {
  const fits = vmsCalled(inventory, text)
  return fits.length > 0 ? fits : unknownName('VM', text, inventory.file, inventory.vms)
}

function unknownName(what: string, name: string, file: string, known: readonly {readonly name: string}[]): never {
  const names = known.map((each) => each.name)
  throw usage(`${file}: no ${what} "${name}"${hint(name, names)}`)
}

/** Every gateway of the inventory. */
export const allGateways = (inventory: Inventory): readonly Gateway[] =>
  inventory.segments.flatMap((segment) => segment.gateways)

/** The name of the VM that a NIC belongs to. */
export const machineOf = ({name, nicOf}: Pick<Vm, 'name' | 'nicOf'>): string => nicOf?.vm ?? name

/** All that a name, an address or a MAC means: of a VM's name every NIC of it. */
export function vmsCalled(inventory: Inventory, text: string): readonly Vm[] {
  const named = inventory.vms.filter((vm) => vm.name === text || vm.nicOf?.vm === text)
  if (named.length > 0) return named
  const [mac, ip] = [readMac(text), readIp(text)]
  if (mac === undefined && ip === undefined) return []
  return inventory.vms.filter((vm) => vm.mac === mac || addressesOf(vm).some((address) => address === ip))
}

/** Every address of a NIC. */
export const addressesOf = ({ip, ips = [], ip6 = []}: Vm): readonly (Ipv4 | Ipv6)[] => [ip, ...ips, ...ip6]

/** The VM of that name, address or MAC; undefined if there is none. Throws Failure('usage') if it fits several. */
export function findVm(inventory: Inventory, text: string): Vm | undefined {
  const [vm, ...others] = vmsCalled(inventory, text)
  if (vm === undefined || others.length === 0) return vm
  const fits = [vm, ...others]
  if (machineOf(vm) === text) {
    const names = fits.map(({name}) => name).join(', ')
    throw usage(`${inventory.file}: ${text} has ${fits.length} NICs: name one (${names})`)
  }
  const what = readMac(text) === undefined ? 'address' : 'MAC'
  const names = fits.map(({name, segment}) => `${name} (segment ${segment})`).join(' and ')
  throw usage(`${inventory.file}: ${text} is the ${what} of ${names}: give the name`)
}

/** The segment an address lies in, longest prefix first; undefined if none, or if two have the very same prefix. */
export function segmentOfIp(inventory: Inventory, ip: Ipv4 | Ipv6): Segment | undefined {
  const [best, next] = inventory.segments
    .filter((segment) => ipPrefixContains(segment.prefix, ip))
    .sort((a, b) => b.prefix.length - a.prefix.length)
  return next && best && next.prefix.length === best.prefix.length ? undefined : best
}

/** The value of the longest prefix that holds `ip`. */
export function longestMatch<T>(
  rows: readonly {readonly prefix: Prefix; readonly value: T}[],
  ip: Ipv4 | Ipv6,
): T | undefined {
  let best: {readonly prefix: Prefix; readonly value: T} | undefined
  for (const row of rows) {
    if (ipPrefixContains(row.prefix, ip) && (best === undefined || row.prefix.length > best.prefix.length)) best = row
  }
  return best?.value
}

/** The gateways of a segment at a site. */
export const gatewaysAtSite = (segment: Segment, site: string): readonly Gateway[] =>
  segment.gateways.filter((gateway) => gateway.site === site)

/** True if the gateways of two sites have one IP: the ARP method moves the VM, and only their MACs tell them apart. */
export function sharesGatewayIp(segment: Segment): boolean {
  const [first, ...others] = segment.gateways
  return first !== undefined && others.length > 0 && others.every((gateway) => gateway.ip === first.ip)
}
