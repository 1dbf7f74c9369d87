// Which VMs a switch of many is about, and which of them are not at the site that they shall be switched to: by what bridges
// here have learned, and by the inventory where that says nothing.
import {type AwayVm, awayFrom, NO_BRIDGE, whereText} from '../../domain/inter-site.ts'
import {findVm, type Inventory, neededSegment, type Vm} from '../../domain/inventory/site.ts'
import {resolveSwitchover, type Switchover, switchoverFrom} from '../../domain/inventory/switchover.ts'
import type {ProofCode} from '../../domain/proof/proof.ts'
import {Failure, type FailureKind, usage} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {awayVms} from '../../probe/away.ts'
import {chooseInterface} from '../../strategies/choose-interface.ts'
import type {StrategyOptions} from '../../strategies/strategy.ts'

export interface Selection {
  /** Names or addresses; those that are named are meant, whatever the inventory says of their site. */
  readonly names: readonly string[]
  readonly segment?: string | undefined
  readonly all?: boolean | undefined
  /** A site, or a gateway: VMs of its segments, but for those that the inventory has at a third site. */
  readonly from?: string | undefined
  /** A site, or a gateway. */
  readonly to: string
}

/** Somebody who is not switched, and why: a mistake or an obstacle, or a VM that is left where it is. */
export interface Excluded {
  readonly name: string
  readonly vm: Vm | null
  readonly kind: 'refused' | 'left-alone'
  readonly code: ProofCode | null
  readonly reason: string
  /** Of what kind the mistake is; null for a VM that is left alone. */
  readonly failure: FailureKind | null
}

export interface Selected {
  readonly switchovers: readonly Switchover[]
  readonly excluded: readonly Excluded[]
}

/**
 * Sends nothing. Who is unknown, or has no gateway at the site, is refused by itself.
 * @throws Failure `usage` for words that do not go together, and where nobody is meant.
 */
export async function selectVms(
  selection: Selection,
  options: StrategyOptions,
  inventory: Inventory,
  world: World,
): Promise<Selected> {
  const excluded: Excluded[] = []
  const switchovers: Switchover[] = []
  const isFrom = fromOf(selection.from, inventory)
  const candidates = candidatesOf(selection, inventory)
  for (const {name, vm} of candidates) {
    if (selection.names.length === 0 && vm && !isFrom.segments.has(vm.segment)) continue
    try {
      const choice = resolveSwitchover(inventory, {vm: vm?.name ?? name, to: selection.to})
      switchovers.push(switchoverFrom(choice, isFrom.gatewayOn(choice.from)))
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      const reason = error.message.replace(`${inventory.file}: `, '')
      excluded.push({...{name, vm: vm ?? null, reason, kind: 'refused', code: null, failure: error.kind}})
    }
  }
  if (switchovers.length === 0 && excluded.length === 0) throw usage(`${inventory.file}: no VM is meant by that`)
  const away = options.otherSite ? [] : await whoIsAway(selection, switchovers, options, isFrom.site, world)
  const gone = new Set(away.map(({name}) => name))
  return {switchovers: switchovers.filter(({vm}) => !gone.has(vm.name)), excluded: [...excluded, ...away]}
}

interface Candidate {
  readonly name: string
  readonly vm: Vm | undefined
}

/** In the order in which they are named, or in that of the inventory; each once. */
function candidatesOf({names, segment, all, from}: Selection, inventory: Inventory): Candidate[] {
  const sets = [names.length > 0, segment !== undefined, all === true].filter(Boolean).length
  if (sets > 1) throw usage('give VMs, --segment or --all: one of them says which VMs are meant')
  if (sets === 0 && from === undefined) throw usage('say which VMs: by their names, --segment, --all, or --from SITE')
  if (names.length === 0) {
    const only = segment === undefined ? undefined : neededSegment(inventory, segment).name
    return inventory.vms.filter((vm) => only === undefined || vm.segment === only).map((vm) => ({name: vm.name, vm}))
  }
  const found = names.map((name) => ({name, vm: foundVm(inventory, name)}))
  return [...new Map(found.map((each) => [each.vm?.name ?? each.name, each])).values()]
}

/** Undefined also for an address that fits several: whoever looks for it by that is told so. */
function foundVm(inventory: Inventory, name: string): Vm | undefined {
  try {
    return findVm(inventory, name)
  } catch (error) {
    if (error instanceof Failure) return undefined
    throw error
  }
}

interface From {
  /** Segments on which it has a gateway. */
  readonly segments: {has(name: string): boolean}
  readonly site: string | undefined
  /** The name of its gateway among these; undefined: whatever the VM uses. */
  gatewayOn(gateways: readonly {readonly name: string; readonly site: string}[]): string | undefined
}

/** @throws Failure `usage` for a name that is neither a site nor a gateway. */
function fromOf(from: string | undefined, {file, sites, segments}: Inventory): From {
  if (from === undefined) return {segments: {has: () => true}, site: undefined, gatewayOn: () => undefined}
  const gateways = segments.flatMap((segment) => segment.gateways)
  const named = gateways.find(({name}) => name === from)
  if (named === undefined && !sites.some(({name}) => name === from))
    throw usage(`${file}: no site and no gateway "${from}"`)
  const its = named === undefined ? gateways.filter(({site}) => site === from) : [named]
  return {
    segments: new Set(its.map(({segment}) => segment)),
    site: named?.site ?? from,
    gatewayOn: (candidates) => candidates.find(({name}) => its.some((each) => each.name === name))?.name,
  }
}

/**
 * Those that are at another site. What a bridge has learned counts for every VM; the inventory's word for those that were not
 * named, and not where it is the site that they come from: then the look before the switch says where they are.
 */
async function whoIsAway(
  {names}: Selection,
  switchovers: readonly Switchover[],
  {interfaceName, vlanId}: StrategyOptions,
  from: string | undefined,
  world: World,
): Promise<Excluded[]> {
  const isNamed = names.length > 0
  const groups = Map.groupBy(switchovers, ({to}) => to.name)
  const excluded = await Promise.all(
    [...groups.values()].map(async (group): Promise<Excluded[]> => {
      const {segment, to} = group[0]!
      const vms = group.map(({vm}) => vm)
      const via = await interfaceFor(group[0]!, interfaceName, world)
      const away =
        via === undefined
          ? awayFrom(to.site, vms, NO_BRIDGE)
          : await awayVms({interfaceName: via, vlanId, segment, site: to.site}, vms, world)
      const counts = ({port, site}: AwayVm): boolean => port !== null || (!isNamed && site !== from)
      return away.filter(counts).map((each) => ({
        ...{name: each.name, vm: vms.find(({name}) => name === each.name)!, code: 'not-here'},
        ...{kind: isNamed ? 'refused' : 'left-alone', failure: isNamed ? 'rolled-back' : null},
        reason: `not at site ${to.site}: ${whereText(each)}`,
      }))
    }),
  )
  return excluded.flat()
}

/** The interface at which its segment is seen; undefined where the strategy will say that there is none. */
async function interfaceFor(
  switchover: Switchover,
  name: string | undefined,
  world: World,
): Promise<string | undefined> {
  try {
    return chooseInterface(await world.interfaces(), switchover, name, {otherwise: '', where: ''}).name
  } catch (error) {
    if (error instanceof Failure) return undefined
    throw error
  }
}
