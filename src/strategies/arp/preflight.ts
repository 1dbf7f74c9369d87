// What can be known before a VM is told: whether its segment's gateways are kept local, and what follows if they are not.
import {classifySegment} from '../../domain/filter/classify.ts'
import {decideFilter} from '../../domain/filter/intent.ts'
import {FILTER_TABLE} from '../../domain/filter/nft-text.ts'
import type {Switchover} from '../../domain/inventory/switchover.ts'
import type {World} from '../../net/world.ts'
import {checkFilter} from '../../probe/filter/check.ts'
import {systemFilterWorld} from '../../probe/filter/filter-world.ts'

/**
 * `verified`: the filter of `gwswitch filter apply` is on this host, as it is meant. `different`: there is one, but not
 * quite that. `missing`: this host has none; another may have. `unknown`: nobody can look.
 */
export type FilterFinding = 'verified' | 'different' | 'missing' | 'unknown'

/** Looks for the filter that keeps this segment's gateways local. Touches nothing. */
export async function findFilter({segment}: Switchover, world: World): Promise<FilterFinding> {
  if (!world.nftTable) return 'unknown'
  try {
    const found = await world.nftTable('bridge', FILTER_TABLE)
    const {shared4} = classifySegment(segment)
    const addresses = found?.elements.get('gw4') ?? []
    if (!found || !shared4.every((ip) => addresses.includes(ip))) return 'missing'
    const ports = found.elements.get('dci') ?? []
    const inventory = {file: 'inventory', sites: [], segments: [segment], vms: []}
    const order = {
      ports,
      segments: [segment.name],
      inboundMoves: false,
      gatewayMacs: false,
      keepInbound: [],
      force: true,
    }
    const {state} = await checkFilter(decideFilter(order, inventory).intent, 'bridge', systemFilterWorld)
    return state === 'as-meant' ? 'verified' : 'different'
  } catch {
    // No nft, or no right to ask: the filter is nobody's but root's to see.
    return 'unknown'
  }
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
