// What is suspicious about an inventory that is right: nothing that any command would refuse, and nothing that anybody wants.
import {prefixText} from '../../wire/address.ts'
import {ipPrefixContains} from '../../wire/ip-prefix.ts'
import {isLinkLocal} from '../../wire/ipv6-address.ts'
import type {Path, Problem} from '../yaml-file.ts'
import {vmPath} from './inventory-checks.ts'
import {allGateways, findSegment, type Gateway, type Inventory, type Segment, type Vm} from './site.ts'

/** All of it. `installed`: names of the strategies that there are. */
export function suspicionsOf(inventory: Inventory, installed: readonly string[]): readonly Problem[] {
  return [
    ...emptySites(inventory),
    ...segmentsWithoutGateways(inventory),
    ...overlaps(inventory),
    ...sameIpv6(inventory),
    ...inventory.vms.flatMap((vm) => [...suspectVm(vm, inventory, installed)]),
  ]
}

function* emptySites(inventory: Inventory): Iterable<Problem> {
  const used = new Set(allGateways(inventory).map(({site}) => site))
  for (const {name} of inventory.sites)
    if (!used.has(name)) yield {path: ['sites', name], atKey: true, message: 'has no gateway on any segment'}
}

/** Sites that no segment has a gateway at were named already. */
function* segmentsWithoutGateways(inventory: Inventory): Iterable<Problem> {
  const used = new Set(allGateways(inventory).map(({site}) => site))
  for (const {name, gateways} of inventory.segments) {
    const path = ['segments', name]
    if (gateways.length === 0) {
      yield {path, atKey: true, message: 'has no gateways: no VM of it can be switched'}
      continue
    }
    for (const site of used)
      if (gateways.every((gateway) => gateway.site !== site))
        yield {path, atKey: true, message: `has no gateway at site ${site}, where other segments have one`}
    if (used.size === 1)
      yield {path, atKey: true, message: `has gateways at one site alone: there is nothing to switch to`}
  }
}

/** Prefixes may recur where tenants are kept apart by VLANs, if the inventory says which. */
function* overlaps({segments}: Inventory): Iterable<Problem> {
  for (const [i, segment] of segments.entries()) {
    for (const other of segments.slice(0, i)) {
      const [a, b] = [segment.prefix, other.prefix]
      if (!ipPrefixContains(a, b.address) && !ipPrefixContains(b, a.address)) continue
      if (segment.vlan !== undefined && other.vlan !== undefined && segment.vlan !== other.vlan) continue
      yield {
        path: ['segments', segment.name, 'prefix'],
        message: `${prefixText(a)} overlaps ${prefixText(b)} of segment ${other.name}, and no vlan tells them apart`,
        other: ['segments', other.name, 'prefix'],
      }
    }
  }
}

function* sameIpv6(inventory: Inventory): Iterable<Problem> {
  const owner = new Map<string, {readonly name: string; readonly path: Path}>()
  for (const vm of inventory.vms) {
    const gateways = findSegment(inventory, vm.segment)?.gateways ?? []
    for (const [i, ip] of (vm.ip6 ?? []).entries()) {
      const path = [...vmPath(vm), 'ip6', i]
      const gateway = gateways.find(({ip6 = []}) => ip6.includes(ip))
      const other = owner.get(`${vm.segment} ${ip}`)
      if (gateway) yield {path, message: `${ip} is the gateway ${gateway.name}'s`}
      if (other) yield {path, message: `${ip} is already ${other.name}'s`, other: other.path}
      else owner.set(`${vm.segment} ${ip}`, {name: vm.name, path})
    }
    if (vm.ip6?.length && vm.ip6.every(isLinkLocal))
      yield {
        path: [...vmPath(vm), 'ip6'],
        message: 'is link-local alone: nothing is proved over IPv6 without another one',
      }
  }
}

function* suspectVm(vm: Vm, inventory: Inventory, installed: readonly string[]): Iterable<Problem> {
  const path = vmPath(vm)
  const segment = findSegment(inventory, vm.segment)!
  for (const [i, name] of vm.strategies.entries())
    if (!installed.includes(name) && (vm.nicOf?.at ?? 0) === 0)
      yield {
        path: [...path.slice(0, 2), 'strategies', i],
        message: `"${name}" is not installed (there are: ${installed.join(', ')})`,
      }
  if (vm.site !== undefined && segment.gateways.length > 0 && segment.gateways.every(({site}) => site !== vm.site))
    yield {path: [...path.slice(0, 2), 'site'], message: `${segment.name} has no gateway at site ${vm.site}`}
  const pairs = pairsOf(segment)
  const chosen = vm.strategies.length > 0 ? vm.strategies.filter((name) => installed.includes(name)) : installed
  const obstacles = chosen.map((name) => ({name, why: obstacle(name, vm, segment, pairs)}))
  // Said of the segment, or of the names, already.
  if (pairs.length === 0 || obstacles.length === 0 || obstacles.some(({why}) => why === undefined)) return
  yield {
    path: vm.strategies.length > 0 && vm.nicOf === undefined ? [...path, 'strategies'] : path,
    ...(vm.strategies.length === 0 && path.length === 2 && {atKey: true}),
    message: `no strategy can work on ${segment.name}: ${obstacles.map(({name, why}) => `${name}: ${why}`).join('; ')}`,
  }
}

interface Pair {
  readonly from: Gateway
  readonly to: Gateway
}

/** Every move between sites that there could be. */
const pairsOf = ({gateways}: Segment): readonly Pair[] =>
  gateways.flatMap((from) => gateways.filter(({site}) => site !== from.site).map((to) => ({from, to})))

/** Why a strategy of ours can make none of the moves, by the inventory alone; undefined: it may. */
function obstacle(name: string, vm: Vm, segment: Segment, pairs: readonly Pair[]): string | undefined {
  const noPair = (fits: (pair: Pair) => boolean, why: string) => (pairs.some(fits) ? undefined : why)
  switch (name) {
    case 'arp':
      return noPair(
        ({from, to}) => from.ip === to.ip && from.mac !== to.mac,
        'wants one gateway address with a MAC at each site',
      )
    case 'mac-proxy':
      return noPair(({from, to}) => from.mac !== to.mac, 'wants gateways with a MAC at each site')
    case 'dhcp':
      return noPair(({from, to}) => from.ip !== to.ip, 'wants a gateway address at each site')
    case 'agent':
      return noPair(({from, to}) => from.ip !== to.ip, 'wants a gateway address at each site') ?? noAgent(vm, segment)
    default:
      return undefined
  }
}

/** A way to the agent, and for those that take signed orders a key to sign them with. */
function noAgent({agent}: Vm, {gateways}: Segment): string | undefined {
  if (agent?.key !== undefined && agent.transport !== 'qga' && agent.transport !== 'libvirt')
    return gateways.some(({agentKey}) => agentKey !== undefined) ? undefined : 'wants an agentKey of a site'
  return agent?.qga === undefined && agent?.domain === undefined
    ? 'wants agent.key, agent.qga or agent.domain'
    : undefined
}

/** A file or socket of this host that the inventory names. */
export interface NamedFile {
  readonly path: Path
  readonly file: string
}

/** Those of sites and segments. Sockets of VMs are on whichever hypervisor runs them. */
export function namedFiles(inventory: Inventory): readonly NamedFile[] {
  const keys = new Map(
    allGateways(inventory).flatMap(({site, agentKey}) => (agentKey === undefined ? [] : [[site, agentKey] as const])),
  )
  return [
    ...[...keys].map(([site, file]) => ({path: ['sites', site, 'agentKey'], file})),
    ...inventory.segments.flatMap(({name, dhcp}) => {
      if (dhcp === undefined) return []
      const one = FILE_KEYS.flatMap((key) => {
        const file = dhcp[key]
        return file === undefined ? [] : [{path: ['segments', name, 'dhcp', key], file}]
      })
      const sockets = (dhcp.controls ?? []).flatMap((file, i) =>
        file.startsWith('/') ? [{path: ['segments', name, 'dhcp', 'controls', i], file}] : [],
      )
      return [...one, ...sockets]
    }),
  ]
}

const FILE_KEYS = [
  'control',
  'ca',
  'cert',
  'key',
  'optsfile',
  'pidfile',
  'omapiKey',
  'leases',
  'config',
  'log',
  'nonces',
] as const
