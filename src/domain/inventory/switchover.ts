// This VM, from that gateway, to this one.
import {Failure} from '../../errors.ts'
import {hint} from '../suggest.ts'
import {
  findSegment,
  type Gateway,
  gatewaysAtSite,
  type Inventory,
  neededSite,
  neededVm,
  type Segment,
  type Site,
  type Vm,
} from './site.ts'

/** The move to make. Plain JSON: plans carry it. */
export interface Switchover {
  readonly vm: Vm
  readonly segment: Segment
  /** The gateway that it is expected to leave; which one it uses is for the look to see. */
  readonly from: Gateway
  /** The gateway it shall use. */
  readonly to: Gateway
  /** The sites, for what lies near them and how far they are apart; none if nobody wrote them down. */
  readonly sites?: readonly Site[] | undefined
}

/** A switchover of which only the network can say where it starts. */
export interface SwitchoverChoice extends Omit<Switchover, 'from'> {
  /** Every gateway the VM may be using now: those of the other sites. At least one. */
  readonly from: readonly Gateway[]
}

/**
 * What `switch VM --to SITE` means. `vm` is a name or an address; `to` is a site or, where a site has several gateways on
 * the segment, a gateway. Throws Failure('usage') that names the inventory and what it does know.
 */
export function resolveSwitchover(
  inventory: Inventory,
  request: {readonly vm: string; readonly to: string},
): SwitchoverChoice {
  const vm = neededVm(inventory, request.vm)
  const segment = findSegment(inventory, vm.segment)!
  const to = targetGateway(inventory, segment, request.to)
  const from = segment.gateways.filter((gateway) => gateway.site !== to.site)
  if (from.length === 0) {
    throw new Failure(
      'usage',
      `${inventory.file}: segment ${segment.name} has no gateway outside site ${to.site}: nothing to leave`,
    )
  }
  return {vm, segment, to, from, sites: inventory.sites}
}

/** The gateway of that name on a segment, or the only one at that site. Throws Failure('usage'). */
export function targetGateway(inventory: Inventory, segment: Segment, to: string): Gateway {
  const named = segment.gateways.find((gateway) => gateway.name === to)
  if (named !== undefined) return named
  neededSite(inventory, to)
  const [gateway, ...others] = gatewaysAtSite(segment, to)
  if (gateway === undefined) {
    throw new Failure(
      'usage',
      `${inventory.file}: segment ${segment.name} has no gateway at site ${to} (want one under segments.${segment.name}.gateways)`,
    )
  }
  if (others.length > 0) {
    const names = [gateway, ...others].map((each) => each.name).join(', ')
    throw new Failure(
      'usage',
      `${inventory.file}: segment ${segment.name} has several gateways at site ${to}: name one (${names})`,
    )
  }
  return gateway
}

/**
 * The switchover from one of the choice's candidates: the one that is named, else the one to expect. Of several that is one
 * at the site where the inventory has the VM, or with the new gateway's own address. Throws Failure('usage').
 */
export function switchoverFrom(choice: SwitchoverChoice, from?: string): Switchover {
  const {vm, segment, to, sites} = choice
  if (from !== undefined) {
    const named = choice.from.find(({name}) => name === from)
    const names = choice.from.map(({name}) => name)
    if (named) return {vm, segment, to, from: named, sites}
    throw new Failure('usage', `"${from}" is not a gateway that ${vm.name} could leave${hint(from, names)}`)
  }
  const expected =
    choice.from.find(({site}) => site === vm.site) ?? choice.from.find(({ip}) => ip === to.ip) ?? choice.from[0]!
  return {vm, segment, to, from: expected, sites}
}
