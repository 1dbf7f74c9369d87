// A VM as a platform describes it, and what an inventory makes of it.
import {type Ipv4, isIpv4, type Mac, prefixContains} from '../../wire/address.ts'
import {type Ipv6, readIp} from '../../wire/ipv6-address.ts'
import {type Inventory, neededSegment, type Segment, segmentOfIp} from '../inventory/site.ts'

/** A NIC that may be on a segment. */
export interface GuestNic {
  readonly mac: Mac
  /** What it is plugged into, by whatever names that has: bridge, libvirt network, port group, attachment. */
  readonly networks: readonly string[]
  readonly vlan: number | undefined
  readonly ips: readonly (Ipv4 | Ipv6)[]
}

export interface Guest {
  readonly name: string
  readonly nics: readonly GuestNic[]
  /** Of its NICs those that are on no segment, and why. */
  readonly left: readonly string[]
  /** How its guest agent is reached. */
  readonly agent?: {readonly domain: string} | undefined
}

export interface ImportOrder {
  /** Segments by what NICs are plugged into. */
  readonly networks: ReadonlyMap<string, string>
  /** The segment of all others; undefined: by their addresses. */
  readonly segment: string | undefined
  /** Where they run now. */
  readonly site: string | undefined
  /** Addresses that the platform does not know. */
  readonly addresses: ReadonlyMap<Mac, readonly (Ipv4 | Ipv6)[]>
}

/** A NIC as `vms.NAME` has it. */
interface NicEntry {
  readonly segment: string
  readonly ip: Ipv4
  readonly mac: Mac
  readonly ips?: readonly Ipv4[]
  readonly ip6?: readonly Ipv6[]
}

export interface VmEntry extends NicEntry {
  readonly site?: string
  readonly agent?: {readonly domain: string}
  readonly nics?: readonly NicEntry[]
}

export interface Imported {
  /** For `vms:`. */
  readonly vms: Readonly<Record<string, VmEntry>>
  /** What could not be taken, a line each. */
  readonly left: readonly string[]
}

/** @throws Failure `usage` for a segment that the inventory does not have. */
export function importGuests(guests: readonly Guest[], inventory: Inventory, order: ImportOrder): Imported {
  for (const name of [...order.networks.values(), ...(order.segment === undefined ? [] : [order.segment])])
    neededSegment(inventory, name)
  const vms: Record<string, VmEntry> = {}
  const left: string[] = []
  const taken = new Map<string, string>()
  for (const guest of guests) {
    const name = nameOf(guest.name)
    left.push(...guest.left.map((why) => `${guest.name}: ${why}`))
    if (vms[name]) {
      left.push(`${guest.name}: another VM is called ${name} already`)
      continue
    }
    if (name !== guest.name)
      left.push(`${guest.name}: is called ${name} here, where names are letters, digits, "-", "_", "."`)
    const entries = guest.nics.flatMap((nic) => {
      const entry = nicEntry(nic, inventory, order, taken, name)
      if (typeof entry !== 'string') return [entry]
      left.push(`${guest.name}: NIC ${nic.mac} left out: ${entry}`)
      return []
    })
    const [first, ...nics] = named(entries)
    if (first === undefined) {
      left.push(`${guest.name}: left out: no NIC of it is on a segment of ${inventory.file}`)
      continue
    }
    vms[name] = {
      ...first,
      ...(order.site !== undefined && {site: order.site}),
      ...(guest.agent && {agent: guest.agent}),
      ...(nics.length > 0 && {nics}),
    }
  }
  return {vms, left}
}

const nameOf = (name: string): string =>
  name.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '') || 'vm'

/** Of several on one segment all but the first need a name of their own. */
const named = (entries: readonly NicEntry[]): readonly NicEntry[] =>
  entries.map((entry, i) => {
    const alike = entries.slice(0, i).filter(({segment}) => segment === entry.segment).length
    return alike === 0 ? entry : {name: `${entry.segment}-${alike + 1}`, ...entry}
  })

/** Or why it is left out. `taken`: whose addresses and MACs are known already. */
function nicEntry(
  nic: GuestNic,
  inventory: Inventory,
  order: ImportOrder,
  taken: Map<string, string>,
  vm: string,
): NicEntry | string {
  const ips = [...new Set([...nic.ips, ...(order.addresses.get(nic.mac) ?? [])])]
  const segment = segmentOf(nic, ips, inventory, order)
  if (typeof segment === 'string') return segment
  const own = ips.filter((ip) => isIpv4(ip) && prefixContains(segment.prefix, ip))
  const [ip, ...more] = own
  if (ip === undefined)
    return ips.some(isIpv4)
      ? `its addresses (${ips.filter(isIpv4).join(', ')}) are none of ${segment.name}`
      : `no IPv4 address of it is known (--addresses FILE)`
  const gateway = segment.gateways.find((each) => own.includes(each.ip) || each.mac === nic.mac)
  if (gateway) return `it is the gateway ${gateway.name}`
  const keys = [nic.mac, ...own].map((each) => ({each, key: `${segment.name} ${each}`}))
  const double = keys.find(({key}) => taken.has(key))
  if (double) return `${double.each} is ${taken.get(double.key)}'s already`
  for (const {key} of keys) taken.set(key, vm)
  const ip6 = ips.filter((each) => !isIpv4(each))
  return {
    ...{segment: segment.name, ip, mac: nic.mac},
    ...(more.length > 0 && {ips: more}),
    ...(ip6.length > 0 && {ip6}),
  }
}

/** By what was said of its network, by a segment of its network's name, by the flag for all, by its address, by its VLAN. */
function segmentOf(
  {networks, vlan}: GuestNic,
  ips: readonly (Ipv4 | Ipv6)[],
  inventory: Inventory,
  order: ImportOrder,
): Segment | string {
  const said = networks.map((name) => order.networks.get(name)).find((name) => name !== undefined)
  const alike = inventory.segments.find(({name}) => networks.includes(name))?.name
  const wanted = said ?? alike ?? order.segment
  if (wanted !== undefined) return neededSegment(inventory, wanted)
  const near = ips.map((ip) => segmentOfIp(inventory, ip)).find((segment) => segment !== undefined)
  const tagged = inventory.segments.filter((segment) => vlan !== undefined && segment.vlan === vlan)
  const found = near ?? (tagged.length === 1 ? tagged[0] : undefined)
  if (found) return found
  const where = networks.length > 0 ? networks.join(', ') : 'nothing that has a name'
  return `its segment is not known: it is on ${where} (--network ${networks[0] ?? 'NAME'}=SEGMENT, or --segment)`
}

/** MACs and addresses from any text with both in a line: `ip neigh`, `virsh domifaddr`, leases of dnsmasq. */
export function readAddresses(text: string, readMac: (text: string) => Mac | undefined): Map<Mac, (Ipv4 | Ipv6)[]> {
  const found = new Map<Mac, (Ipv4 | Ipv6)[]>()
  for (const line of text.split('\n')) {
    const words = line.split(/[\s,;=|]+/)
    const mac = words.filter((word) => /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(word)).map(readMac)[0]
    if (mac === undefined) continue
    const ips = words.flatMap((word) => readIp(word.replace(/\/\d+$/, '')) ?? [])
    found.set(mac, [...(found.get(mac) ?? []), ...ips])
  }
  return found
}
