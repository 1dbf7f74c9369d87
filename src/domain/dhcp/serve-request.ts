// What `serve dhcp` was asked to serve: flags and the inventory in, scopes out, or one line that says what is wrong.
import {Failure} from '../../errors.ts'
import {
  ANY_IPV4,
  type Ipv4,
  ipv4Text,
  ipv4Value,
  isIpv4,
  type Mac,
  type Prefix,
  prefixContains,
  prefixOf,
  prefixText,
  readMac,
  readPrefix,
} from '../../wire/address.ts'
import type {ClasslessRoute} from '../../wire/dhcp-options.ts'
import {type Inventory, neededSegment, type Segment} from '../inventory/site.ts'
import {hint} from '../suggest.ts'
import type {AddressRange} from './book.ts'
import {type OptionFlags, scopeOptions} from './option-flags.ts'
import {
  type LeaseTimes,
  leaseTimes,
  type Reservation,
  rangeText,
  readRange,
  type Scope,
  type ServerFacts,
  type SiteRouter,
} from './scope.ts'

/** As on the command line; the texts are not yet checked. What is left out is the inventory's, segment by segment. */
export interface ServeRequest extends OptionFlags {
  readonly interfaceName: string
  readonly segment?: string | undefined
  /** FIRST-LAST. */
  readonly pool: readonly string[]
  /** SITE=IP, in addition to the inventory's. */
  readonly gateway: readonly string[]
  /** [NAME=]MAC=IP, in addition to the inventory's. */
  readonly reserve: readonly string[]
  /** Where a VM is of which nobody says it. */
  readonly site?: string | undefined
  readonly leaseS?: number | undefined
  readonly t1S?: number | undefined
  readonly t2S?: number | undefined
  readonly nextServer?: string | undefined
  readonly ignoreClientId: boolean
  /** The half of every pool that is given out here; undefined: all of it. */
  readonly share?: Share | undefined
  /** PREFIX=ROUTER. */
  readonly route: readonly string[]
}

/** Which of two servers of a segment this is. */
export type Share = '1/2' | '2/2'

/** An address of the interface. */
export interface OwnAddress {
  readonly ip: Ipv4
  readonly prefixLength: number
}

const LEASE_S = 3600
/** More than this many leases would not fit the memory a service may take. */
const MOST_ADDRESSES = 131_072

/** @throws Failure `usage` for the first thing wrong. */
export function serverFacts(
  request: ServeRequest,
  inventory: Inventory | undefined,
  own: readonly OwnAddress[],
): ServerFacts {
  const local = localSegment(request, inventory, own)
  const reachable = own.map(({ip}) => ip).filter((ip) => prefixContains(local.prefix, ip))
  const serverIdentifier = reachable.find((ip) => ip === local.dhcp?.address) ?? reachable[0]
  if (serverIdentifier === undefined) {
    const want = `${prefixText(local.prefix)} of segment ${local.name}`
    throw new Failure(
      'usage',
      `${request.interfaceName} has no address in ${want} (want one: clients must reach the server)`,
    )
  }
  const others =
    inventory?.segments.filter(
      ({name, dhcp}) => name !== local.name && (dhcp === undefined || dhcp.server === 'gwswitch'),
    ) ?? []
  const segments = [local, ...others]
  const pools =
    request.pool.length > 0
      ? request.pool.map((text) => poolOf(text, '--pool', segments))
      : segments.flatMap((segment) =>
          (segment.dhcp?.pool ?? []).map((text) =>
            poolOf(text, `${inventory?.file}: segments.${segment.name}.dhcp.pool:`, [segment]),
          ),
        )
  const options = scopeOptions(request)
  const routes = request.route.map(routeOf)
  const {nextServer = ANY_IPV4} = request
  if (!isIpv4(nextServer))
    throw new Failure('usage', `--next-server "${nextServer}" is not an IPv4 address (want 10.0.0.4)`)
  const scopes = segments.map((segment): Scope => {
    const routers =
      segment === local
        ? [...routersOf(segment), ...request.gateway.map((text) => gatewayOf(text, local))]
        : routersOf(segment)
    const reservations = reservationsOf(segment, inventory, segment === local ? request.reserve : [])
    const whole = pools.filter((each) => each.segment === segment).map(({range}) => range)
    const pool = request.share === undefined ? whole : whole.flatMap((range) => halfOf(range, request.share!))
    const excluded = excludedOf(segment.prefix, [
      ...own.map(({ip}) => ip),
      ...routers.map(({ip}) => ip),
      ...[...reservations.values()].map(({ip}) => ip),
    ])
    return {
      segment: segment.name,
      prefix: segment.prefix,
      routers,
      pool,
      reservations,
      excluded,
      times: timesOf(request, segment),
      nextServer,
      ignoreClientId: request.ignoreClientId,
      defaultSite: request.site,
      options,
      routes,
    }
  })
  checkWhole(request, scopes)
  return {serverIdentifier, local: local.name, scopes: new Map(scopes.map((scope) => [scope.segment, scope]))}
}

function localSegment(request: ServeRequest, inventory: Inventory | undefined, own: readonly OwnAddress[]): Segment {
  const named = request.segment === undefined ? undefined : inventory && neededSegment(inventory, request.segment)
  const found = named ?? inventory?.segments.find(({prefix}) => own.some(({ip}) => prefixContains(prefix, ip)))
  if (found) {
    if (found.dhcp === undefined || found.dhcp.server === 'gwswitch') return found
    throw new Failure(
      'usage',
      `${inventory!.file}: the DHCP server of segment ${found.name} is ${found.dhcp.server} (want "server: gwswitch"; two would quarrel)`,
    )
  }
  const [address] = own
  if (!address)
    throw new Failure(
      'usage',
      `${request.interfaceName} has no IPv4 address (want one in the segment's prefix: clients must reach the server)`,
    )
  return {
    name: request.segment ?? request.interfaceName,
    prefix: prefixOf(address.ip, address.prefixLength),
    gateways: [],
  }
}

function timesOf({leaseS, t1S, t2S}: ServeRequest, {dhcp}: Segment): LeaseTimes {
  const times = leaseTimes(leaseS ?? dhcp?.lease ?? LEASE_S, t1S ?? dhcp?.renewEvery, t2S)
  if (times.t1S <= times.t2S && times.t2S <= times.leaseS) return times
  throw new Failure('usage', `T1 ${times.t1S} s, T2 ${times.t2S} s, lease ${times.leaseS} s (want T1 <= T2 <= lease)`)
}

function poolOf(text: string, where: string, segments: readonly Segment[]): {range: AddressRange; segment: Segment} {
  const range = readRange(text)
  if (!range) throw new Failure('usage', `${where} "${text}" is not a range (want 10.0.0.100-10.0.0.199)`)
  const segment = segments.find(({prefix}) =>
    [range.first, range.last].every((value) => prefixContains(prefix, ipv4Text(value))),
  )
  if (segment) return {range, segment}
  const known = segments.map(({name, prefix}) => `${prefixText(prefix)} (${name})`).join(', ')
  throw new Failure('usage', `${where} ${rangeText(range)} lies in no segment (want one inside ${known})`)
}

/** The lower half of a range is the first server's, and the one in the middle. */
function halfOf({first, last}: AddressRange, share: Share): AddressRange[] {
  const middle = Math.floor((first + last) / 2)
  if (share === '1/2') return [{first, last: middle}]
  return middle < last ? [{first: middle + 1, last}] : []
}

const routersOf = ({gateways}: Segment): SiteRouter[] => gateways.map(({site, ip}) => ({site, ip}))

function gatewayOf(text: string, {prefix, name}: Segment): SiteRouter {
  const [site = '', ip = '', more] = text.split('=')
  if (site === '' || !isIpv4(ip) || more !== undefined)
    throw new Failure('usage', `--gateway "${text}" is not SITE=IP (want x=10.0.0.1)`)
  if (prefixContains(prefix, ip)) return {site, ip}
  throw new Failure('usage', `--gateway ${text}: ${ip} is outside ${prefixText(prefix)} of segment ${name}`)
}

function reservationsOf(
  {name, prefix}: Segment,
  inventory: Inventory | undefined,
  flags: readonly string[],
): Map<Mac, Reservation> {
  const found = new Map<Mac, Reservation>()
  for (const vm of inventory?.vms ?? []) {
    if (vm.segment === name) found.set(vm.mac, {vm: vm.name, mac: vm.mac, ip: vm.ip, site: vm.site})
  }
  for (const text of flags) {
    const parts = text.split('=')
    const [vm, macText = '', ip = ''] = parts.length === 2 ? [undefined, ...parts] : parts
    const mac = readMac(macText)
    if (mac === undefined || !isIpv4(ip) || parts.length > 3) {
      throw new Failure(
        'usage',
        `--reserve "${text}" is not MAC=IP or NAME=MAC=IP (want web-07=02:00:00:00:00:10=10.0.0.10)`,
      )
    }
    if (!prefixContains(prefix, ip))
      throw new Failure('usage', `--reserve ${text}: ${ip} is outside ${prefixText(prefix)} of segment ${name}`)
    const other = [...found.values()].find((each) => each.ip === ip && each.mac !== mac)
    if (other) throw new Failure('usage', `--reserve ${text}: ${ip} is already reserved for ${other.vm}`)
    found.set(mac, {vm: vm ?? found.get(mac)?.vm ?? mac, mac, ip, site: found.get(mac)?.site})
  }
  return found
}

/** What nobody may get: the network's and the broadcast address, and those in use. */
function excludedOf({address, length}: Prefix, used: readonly Ipv4[]): Set<Ipv4> {
  const excluded = new Set(used)
  if (length < 31) {
    excluded.add(address)
    excluded.add(ipv4Text((ipv4Value(address) | (0xffff_ffff >>> length)) >>> 0))
  }
  return excluded
}

function routeOf(text: string): ClasslessRoute {
  const [prefixPart = '', router = '', more] = text.split('=')
  const prefix = readPrefix(prefixPart)
  if (prefix && isIpv4(router) && more === undefined) return {prefix, router}
  throw new Failure('usage', `--route "${text}" is not PREFIX=ROUTER (want 10.9.0.0/16=10.0.0.3)`)
}

function checkWhole({site}: ServeRequest, scopes: readonly Scope[]): void {
  const [local] = scopes
  const sites = [...new Set(local!.routers.map((router) => router.site))]
  if (site !== undefined && !sites.includes(site)) {
    throw new Failure('usage', `--site ${site} has no router on segment ${local!.segment}${hint(site, sites)}`)
  }
  const addresses = scopes.flatMap(({pool}) => pool).reduce((sum, {first, last}) => sum + last - first + 1, 0)
  if (addresses > MOST_ADDRESSES)
    throw new Failure('usage', `the pools hold ${addresses} addresses (want at most ${MOST_ADDRESSES} a server)`)
  if (scopes.some(({pool, reservations}) => pool.length > 0 || reservations.size > 0)) return
  throw new Failure(
    'usage',
    `nothing to give out on segment ${local!.segment} (want --pool FIRST-LAST, --reserve MAC=IP, or VMs in the inventory)`,
  )
}
