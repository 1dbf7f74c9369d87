// What can be known before a VM is told: whether its segment's gateways are kept local at every port of its bridge that leads
// to another site, and what follows if they are not.
import {classifySegment} from '../../domain/filter/classify.ts'
import {decideFilters, type FilterOrder} from '../../domain/filter/intent.ts'
import {filterTable, isFilterTable, NFT_HOOKS, OLD_TABLE} from '../../domain/filter/nft-text.ts'
import type {MeantFilter} from '../../domain/filter/record.ts'
import {leadingPorts} from '../../domain/inter-site.ts'
import type {Switchover} from '../../domain/inventory/switchover.ts'
import type {World} from '../../net/world.ts'
import {checkFilters} from '../../probe/filter/check.ts'
import {systemFilterWorld} from '../../probe/filter/filter-world.ts'
import {type FilterHost, filterHost} from '../../probe/filter/host.ts'
import {jointly} from '../../probe/together.ts'

/**
 * `verified`: at every inter-site port of this bridge stands the filter of the segment, as it is meant. `different`: there
 * is one, but not quite that, or not at all of them. `missing`: this host has none; another may have. `unknown`: nobody can
 * look, or which ports lead to another site is not known.
 */
export type FilterFinding = 'verified' | 'different' | 'missing' | 'unknown'

/** Looks for the filter that keeps this segment's gateways local; the same for all its VMs. Touches nothing. */
export function findFilter(switchover: Switchover, world: World, interfaceName: string): Promise<FilterFinding> {
  const {segment, to} = switchover
  const question = JSON.stringify(['filter', segment.name, to.site, interfaceName])
  return jointly(world, question, new AbortController().signal, () => lookForFilter(switchover, world, interfaceName))
}

async function lookForFilter(switchover: Switchover, world: World, interfaceName: string): Promise<FilterFinding> {
  if (!world.nftTables) return 'unknown'
  try {
    const names = await Promise.all(NFT_HOOKS.map((hook) => world.nftTables!(hook)))
    if (!names.some((tables) => [...tables.keys()].some((name) => isFilterTable(name) || name === OLD_TABLE)))
      return 'missing'
    const host = await filterHost(systemFilterWorld)
    const meant = filtersOf(switchover, host)
    if (meant.length === 0) return host.old ? 'different' : 'missing'
    const leading = await leadingFrom(switchover, world, interfaceName, host)
    if (leading.length === 0) return 'unknown'
    const {filters} = await checkFilters(meant, host, systemFilterWorld)
    const good = filters.filter(({state}) => state === 'as-meant').flatMap(({filter}) => filter.intent.ports)
    return leading.every((port) => good.includes(port)) ? 'verified' : 'different'
  } catch {
    // No nft, or no right to ask: the filter is nobody's but root's to see.
    return 'unknown'
  }
}

/** The filters of the segment that are there: as they were applied, or as its inventory has it where no record says. */
function filtersOf({segment}: Switchover, {tables, record}: FilterHost): MeantFilter[] {
  const {shared4} = classifySegment(segment)
  return tables.flatMap(({hook, name, ports}) => {
    const recorded = record.filters.find((each) => each.hook === hook && filterTable(each.intent) === name)
    const filter = recorded ?? {hook, intent: intentOf(segment, ports)}
    const isOurs = filter.intent.segment.segment === segment.name && filterTable(filter.intent) === name
    return isOurs && shared4.every((ip) => filter.intent.gw4.includes(ip)) ? [filter] : []
  })
}

function intentOf(segment: Switchover['segment'], ports: readonly string[]) {
  const order: FilterOrder = {
    ...{ports, segments: [segment.name], inboundMoves: false, gatewayMacs: false, keepInbound: [], force: true},
  }
  const inventory = {file: 'inventory', sites: [], segments: [segment], vms: []}
  return decideFilters(order, inventory, {ports: ports.map((name) => ({name}))}).intents[0]!
}

/** The ports of the VM's bridge that lead to another site. */
async function leadingFrom(
  {segment, to}: Switchover,
  world: World,
  interfaceName: string,
  {links}: FilterHost,
): Promise<string[]> {
  const place = await world.bridgeOf?.(interfaceName)
  const bridge = place?.portOf ?? (place?.isBridge ? interfaceName : undefined)
  if (bridge === undefined) return []
  const ports = links.filter((link) => link.bridge === bridge)
  return leadingPorts(segment, to.site, ports, (await world.learned?.(bridge)) ?? [])
}

/** Where the default route moves: an old router that is still heard takes it back with its next advertisement. */
export function routerCautions(
  {vm, from}: Switchover,
  ip6: readonly {readonly way: string}[],
  filter: FilterFinding,
  guarded: boolean,
): string[] {
  if (filter === 'verified' || guarded || !ip6.some(({way}) => way === 'router')) return []
  const why = {
    different: 'the filter here is not as meant at every port to another site',
    missing: 'this host has no filter',
    unknown: 'whether a filter holds them back is not known here',
  }[filter]
  return [
    `the next router advertisement of ${from.name} that reaches ${vm.name} takes its IPv6 back: ${why} (gwswitch filter)`,
  ]
}

/** What an operator should hear before the VM is told. */
export function filterCautions({vm, segment, from, to}: Switchover, filter: FilterFinding, guarded: boolean): string[] {
  const {kind} = classifySegment(segment)
  if (filter === 'verified' && kind === 'single-ip') {
    return [
      `${from.name} has no address but the shared ${to.ip}, and ARP for that stays local: it can no longer find ${vm.name}; ` +
        `let inbound move in the same step, or keep it at site ${from.site} (gwswitch filter apply --keep-inbound ${vm.name})`,
    ]
  }
  if (filter === 'missing' && kind === 'single-ip' && !guarded) {
    return [
      `this host has no filter, and ${from.name} no address but the shared ${to.ip}: its own neighbour checks move ${vm.name} back within a minute, ` +
        'unless the DCI is filtered elsewhere (gwswitch filter) or the VM is held (--guard 60)',
    ]
  }
  return []
}
