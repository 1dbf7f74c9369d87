// What `gwswitch send-reconfigure` was asked to do, checked before anything is sent.
import {
  findSegment,
  findVm,
  type Inventory,
  neededSegment,
  neededVm,
  type Segment,
  segmentOfIp,
} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import {ethernetIn, type InterfaceFacts, interfaceIn} from '../../net/ip.ts'
import type {VmLink} from '../../net/vm-link/vm-link.ts'
import type {DhcpBackend, DhcpClient} from '../../strategies/dhcp/backends/backend.ts'
import type {ClientStore} from '../../strategies/dhcp/client-store.ts'
import {
  type Ipv4,
  isGroupMac,
  isIpv4,
  type Mac,
  prefixContains,
  prefixOf,
  readMac,
  ZERO_MAC,
} from '../../wire/address.ts'

/** The command line, as typed. */
export interface ReconfigureOrder {
  /** Inventory name or IPv4 address; absent with `all`. */
  readonly client?: string | undefined
  readonly all: boolean | undefined
  readonly segment?: string | undefined
  readonly interfaceName?: string | undefined
  readonly mac?: string | undefined
  /** Hex. */
  readonly xid?: string | undefined
  readonly serverId?: string | undefined
  readonly router?: string | undefined
  readonly vlanId?: number | undefined
  readonly nonceFile?: string | undefined
  readonly unauthenticated: boolean | undefined
  readonly attempts: number
  readonly timeoutMs: number
  /** Clients begun per second, with `all`. */
  readonly rate: number
  readonly state?: string | undefined
  /** By default `forcerenew`. */
  readonly trigger?: 'forcerenew' | 'carrier' | undefined
  /** With the trigger `carrier`, in place of what the inventory says: QMP's socket, or a domain of libvirt. */
  readonly qmp?: string | undefined
  readonly domain?: string | undefined
}

/** The flags that are addresses and numbers, as such. */
export interface ReconfigureRequest {
  readonly xid: number | undefined
  readonly serverId: Ipv4 | undefined
  readonly router: Ipv4 | undefined
  readonly mac: Mac | undefined
}

/** @throws Failure `usage` for what is no such value, or does not go together. */
export function readRequest(order: ReconfigureOrder): ReconfigureRequest {
  if ((order.all ?? false) === (order.client !== undefined)) {
    throw usage(
      order.all
        ? `--all means every client: leave "${order.client}" out`
        : 'name a client (a VM of the inventory or an address), or give --all',
    )
  }
  for (const [flag, value] of [
    ['--xid', order.xid],
    ['--mac', order.mac],
  ] as const) {
    if (order.all && value !== undefined) throw usage(`${flag} is one client's: it does not go with --all`)
  }
  if (order.all && order.trigger === 'carrier')
    throw usage('--trigger carrier takes one link down: it does not go with --all')
  if (order.trigger !== 'carrier' && (order.qmp ?? order.domain) !== undefined)
    throw usage('--qmp and --domain are for --trigger carrier')
  return {
    xid: order.xid === undefined ? undefined : xidOf(order.xid),
    serverId: ipFlag('--server-id', order.serverId),
    router: ipFlag('--router', order.router),
    mac: order.mac === undefined ? undefined : macOf(order.mac),
  }
}

/** The link of a client: by the flags, else by the inventory. */
export function linkOf(order: ReconfigureOrder, client: DhcpClient, inventory: Inventory | undefined): VmLink {
  const {qmp, domain} = order
  const said = inventory?.vms.find((vm) => vm.mac === client.mac)?.dhcp?.carrier
  const place = qmp === undefined && domain === undefined ? said : {qmp, domain, connect: said?.connect, nic: said?.nic}
  if (place) return {mac: client.mac, ...place}
  throw usage(
    `where the link of ${client.name} is taken down is not known: give --qmp or --domain, or vms.${client.name}.dhcp.carrier in the inventory`,
  )
}

function xidOf(text: string): number {
  const digits = /^(?:0x)?([0-9a-f]{1,8})$/i.exec(text)?.[1]
  if (digits === undefined) throw usage(`--xid ${text} is not a transaction id (want up to 8 hex digits, 6d1a2b3c)`)
  return Number.parseInt(digits, 16)
}

function ipFlag(flag: string, text: string | undefined): Ipv4 | undefined {
  if (text === undefined || isIpv4(text)) return text
  throw usage(`${flag} ${text} is not an IPv4 address (want 10.0.0.254)`)
}

function macOf(text: string): Mac {
  const mac = readMac(text)
  if (mac === undefined) throw usage(`--mac ${text} is not a MAC address (want 02:00:00:00:00:10)`)
  if (mac === ZERO_MAC || isGroupMac(mac))
    throw usage(`--mac ${mac} is ${mac === ZERO_MAC ? 'the zero' : 'a multicast'} MAC, which no station has`)
  return mac
}

/** The segment that is meant: by name, by the client's address, or the only one there is. */
export function segmentOf(order: ReconfigureOrder, inventory: Inventory | undefined): Segment | undefined {
  if (order.segment !== undefined) {
    if (inventory) return neededSegment(inventory, order.segment)
    throw usage(`--segment ${order.segment} needs an inventory`)
  }
  if (!inventory) return undefined
  if (order.client !== undefined) {
    const vm = findVm(inventory, order.client)
    return vm
      ? findSegment(inventory, vm.segment)
      : isIpv4(order.client)
        ? segmentOfIp(inventory, order.client)
        : undefined
  }
  const served = inventory.segments.filter(({dhcp}) => dhcp !== undefined)
  if (served.length === 1) return served[0]
  throw usage(`--all: say which segment with --segment (${inventory.segments.map(({name}) => name).join(', ')})`)
}

/** The one client that was named. Its MAC: from the flag, the inventory, what was seen on the wire, or the neighbour table. */
export async function namedClient(
  order: ReconfigureOrder,
  {mac: macFlag}: ReconfigureRequest,
  inventory: Inventory | undefined,
  store: ClientStore,
  resolve: (ip: Ipv4) => Promise<Mac | undefined>,
): Promise<DhcpClient> {
  const name = order.client!
  if (!inventory && !isIpv4(name))
    throw usage(`"${name}" is not an IPv4 address, and there is no inventory to look it up in`)
  const vm = inventory && (isIpv4(name) ? findVm(inventory, name) : neededVm(inventory, name))
  const ip = vm?.ip ?? name
  const first = Number(ip.split('.')[0])
  if (first === 0 || first === 127 || first >= 224) throw usage(`${ip} is no address a client can have`)
  const mac = macFlag ?? vm?.mac ?? store.all().find((record) => record.ip === ip)?.mac ?? (await resolve(ip))
  if (mac === undefined) throw usage(`the MAC of ${ip} is not known: give --mac`)
  return {name: vm?.name ?? ip, ip, mac}
}

/** Every client of a segment: the server's leases, else those seen on the wire and the VMs of the inventory. */
export async function allClients(
  segment: Segment | undefined,
  inventory: Inventory | undefined,
  backend: DhcpBackend | undefined,
  store: ClientStore,
): Promise<readonly DhcpClient[]> {
  const leased = await backend?.clients?.()
  if (leased) return leased
  const found = new Map<Mac, DhcpClient>()
  for (const {mac, ip} of store.all()) {
    if (ip !== undefined && (!segment || prefixContains(segment.prefix, ip))) found.set(mac, {name: ip, ip, mac})
  }
  for (const vm of inventory?.vms ?? [])
    if (vm.segment === segment?.name) found.set(vm.mac, {name: vm.name, ip: vm.ip, mac: vm.mac})
  if (found.size > 0) return [...found.values()]
  throw usage(
    segment
      ? `no client of segment ${segment.name} is known`
      : 'no client is known: --all needs an inventory, or clients seen by --learn',
  )
}

/** The interface to send on: the one named, else the one on the client's own subnet; undefined if there is none. */
export function interfaceFor(
  name: string | undefined,
  ip: Ipv4,
  all: readonly InterfaceFacts[],
): InterfaceFacts | undefined {
  const usable = ethernetIn(all)
  if (name !== undefined) return interfaceIn(usable, name)
  return usable.find((each) => each.up && ownAddress(each, ip) !== undefined)
}

/** An interface's own address on the client's subnet. */
export const ownAddress = (via: InterfaceFacts, ip: Ipv4): Ipv4 | undefined =>
  via.addresses.find((own) => own.prefixLength < 32 && prefixContains(prefixOf(own.ip, own.prefixLength), ip))?.ip
